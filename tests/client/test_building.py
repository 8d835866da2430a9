"""Commands are built from exact Python values in the contract's types; bad ones are refused before anything is sent."""

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from bridge.client import BadCommand, cancel_order, cancel_orders, place_order, replace_order
from bridge.contract.commands import Command, PlaceOrder, derive_client_order_id

BTC = "BINANCE_PERP_BTC_USDT"
LIMIT: dict[str, Any] = {"sym": BTC, "side": "BUY", "order_type": "LIMIT", "order_qty": "0.003", "limit_price": "60000"}


def built(command: Command) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON that goes to the topic, after reading it as the bridge does."""
    value = msgspec.json.encode(command)
    assert msgspec.json.decode(value, type=Command) == command
    return msgspec.json.decode(value)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (Decimal("0.0030"), "0.0030"),
        ("0.003", "0.003"),
        (2, "2"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-8"), "0.00000001"),
    ],
)
def test_exact_numbers_become_decimal_strings(given: Decimal | str | int, written: str) -> None:
    """Decimal, str and int are written as plain decimals, digit for digit, never with an exponent."""
    assert built(place_order(**{**LIMIT, "order_qty": given}))["args"]["orderQty"] == written


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"order_qty": 0.003}, 'order_qty: 0.003 is a float, which is not exact; give Decimal("0.003") or "0.003"'),
        ({"order_qty": Decimal("NaN")}, "decimal number above zero"),
        ({"order_qty": Decimal(-1)}, "decimal number above zero"),
        ({"order_qty": True}, "decimal number above zero"),
        ({"limit_price": "1e3"}, "limitPrice"),
        ({"sym": "BTCUSDT"}, "{EXCHANGE}_{BUSINESS}_{BASE}_{QUOTE}"),
        ({"side": "HOLD"}, "args.side"),
        ({"client_order_id": "Not-Allowed"}, "lower-case letters and digits"),
        ({"command_id": ""}, "commandId"),
        ({"leverage": "10"}, "leverage"),
        ({"sym": None}, "sym"),
        ({"valid_for_s": float("inf")}, "valid_for_s"),
        ({"valid_for_s": "soon"}, "valid_for_s"),
        ({"valid_for_s": -1e10}, "validUntil"),
    ],
)
def test_a_bad_command_is_refused_with_the_name_of_the_field(changes: dict[str, Any], text: str) -> None:
    """A float, an invalid number, or a field or value outside the contract raises an error that names it."""
    with pytest.raises(BadCommand) as refused:
        place_order(**{**LIMIT, **changes})
    assert text in str(refused.value)
    assert "matching regex" not in str(refused.value)


@pytest.mark.parametrize(
    "command_id", ["6f1c1d9e-58f3-4f0a-9a3c-000000000001", "01JD2Z8Q4H7V5N3M9K6T1R8W0X", "a_b", "x" * 64]
)
def test_the_client_derives_the_same_client_order_id_as_the_bridge(command_id: str) -> None:
    """Without a clientOrderId the order has the one that the bridge derives from the commandId."""
    command = place_order(**LIMIT, command_id=command_id)
    assert command.args.client_order_id == derive_client_order_id(command_id)


def test_a_fresh_command_id_is_the_client_order_id_too() -> None:
    """A place without ids gets one fresh id for both."""
    one, other = place_order(**LIMIT), place_order(**LIMIT)
    assert one.command_id == one.args.client_order_id
    assert one.command_id != other.command_id


@pytest.mark.parametrize(
    ("build", "valid_s"),
    [
        (lambda: place_order(**LIMIT), 10),
        (lambda: replace_order(order_id="1703213979730000", replace_price=1), 10),
        (lambda: cancel_order(client_order_id="a1"), 60),
        (lambda: cancel_orders("ALL"), 60),
        (lambda: cancel_orders("OKX", valid_for_s=5, command_id="c-1"), 5),
    ],
)
def test_every_command_says_until_when_it_may_be_sent(build: Callable[[], Command], valid_s: int) -> None:
    """The validity counts from the time of the build: a command that is submitted again much later expires."""
    earliest = int(time.time() * 1000)
    command = build()
    latest = int(time.time() * 1000)
    assert earliest <= built(command)["validUntil"] - valid_s * 1000 <= latest


def test_the_rest_of_the_fields() -> None:
    """Fields have the venue's names, flags are text, and fields without a value or with None are left out."""
    command = place_order(
        **LIMIT,
        reduce_only=True,
        tp_trigger_price=70_000,
        tp_trigger_type="MARK_PRICE",
        client_order_id="q1",
        sl_price=None,
    )
    assert isinstance(command, PlaceOrder)
    assert built(command)["args"] == {
        "sym": BTC,
        "side": "BUY",
        "orderType": "LIMIT",
        "orderQty": "0.003",
        "limitPrice": "60000",
        "reduceOnly": "true",
        "tpTriggerPrice": "70000",
        "tpTriggerType": "MARK_PRICE",
        "clientOrderId": "q1",
    }
