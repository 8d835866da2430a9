"""Text that is no number, or too large to write out: it decides nothing, and no record is lost."""

import json

import pytest

from bridge.contract.topics import Stream
from bridge.core.odd_fields import read_quantity
from bridge.core.records import Push
from bridge.core.stream.venue_record import PARSERS, normalize_decimal
from tests.support.one_recovery import CHANNELS, OneRecovery, asset, order, position, raw, trade

HUGE = ["1e400", "-1e400", "1e999999999", "1e-999999999", "1e999999999999999999999", "NaN", "sNaN", "-Infinity"]
HUGE += ["9" * 5000, "1." + "1" * 5000]


@pytest.mark.parametrize("text", [*HUGE, "", "x", "1_0 0", "None"])
def test_what_is_no_quantity_is_read_as_none_and_kept_as_it_is(text: str) -> None:
    """It is written out nowhere."""
    assert read_quantity(text) is None
    assert normalize_decimal(text) == (text or "0")


@pytest.mark.parametrize("text", ["1E-8", "-0", "0.00000001", "123456789012345678.123456789012345678"])
def test_small_and_long_quantities_are_read_exactly(text: str) -> None:
    """To their last place."""
    quantity = read_quantity(text)
    assert quantity is not None
    assert f"{quantity:f}".rstrip("0") == {"1E-8": "0.00000001"}.get(text, text).rstrip("0")


@pytest.mark.parametrize("executed", HUGE)
@pytest.mark.parametrize("quantity", ["0.1", *HUGE])
def test_no_execution_is_asked_for_by_such_a_sum(executed: str, quantity: str) -> None:
    """As the executed quantity of an order, or as the quantity of an execution."""
    one = OneRecovery().healthy()
    one.wait(10)
    made = {"createAt": str(one.now.wall_ms - 1000)}
    one.push(Stream.TRADES, trade(one.now.wall_ms, quantity=quantity))
    one.push(Stream.ORDERS, order(one.now.wall_ms, "FILLED", executed) | made)
    one.push(Stream.ORDERS, order(one.now.wall_ms, "FILLED", "1", "18") | made)
    one.push(Stream.TRADES, trade(one.now.wall_ms, "b", quantity=quantity, orderId="18"))
    one.wait(31)
    asked = one.account.stream.pop_orders_with_missing_fills(one.now)
    assert {short.order_id for short in asked} <= {"18"}
    for _ in range(3):
        for short in asked:
            one.account.stream.compare_executions(short, [raw(trade(0, "b", quantity=quantity, orderId="18"))], one.now)
        one.wait(31)
        asked = one.account.stream.pop_orders_with_missing_fills(one.now)
    one.tick()
    assert all(len(json.dumps(event)) < 1000 for event in one.events("alarm.raised"))
    assert [record.event_id for record in one.records(Stream.TRADES)] == [
        f"trade:OKX:OKX_PERP_ETH_USDT:{name}" for name in ("17:t-1", "18:b")
    ]


@pytest.mark.parametrize("token", ["1e400", "9" * 5000])
@pytest.mark.parametrize(
    ("stream", "field"),
    [*((Stream.ASSETS, name) for name in ("available", "debt", "loan", "frozen")), (Stream.POSITIONS, "leverage")],
)
def test_a_number_that_no_float_holds_makes_no_record_unreadable(stream: Stream, field: str, token: str) -> None:
    """In a field that is compared with rows of REST, and is no part of the key."""
    one = OneRecovery().healthy()
    row = asset(one.now.wall_ms) if stream is Stream.ASSETS else position(one.now.wall_ms)
    value = raw(row | {field: "?"}).replace(b'"?"', token.encode())
    one.account.on_frame(Push(CHANNELS[stream], value, b"{}"), one.now)
    one.tick()
    assert [record.key.decode() for record in one.records(stream)] == [PARSERS[stream](raw(row)).key]
