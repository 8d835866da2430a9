"""The published schemas and the bridge accept and refuse the same commands."""

import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.core.commands.parse import InvalidCommand, parse_command
from bridge.core.records import CommandRecord
from tests.support.one_account import LIMITS, ORDER_ID, START, TIMING, cancel, cancel_all, place, replace
from tests.support.published import is_valid

ACTIONS = (PLACE, REPLACE, CANCEL, CANCEL_ALL)
SPOT_PERP = "BINANCE_SPOT_PERP_USDT"
"""A spot symbol whose coin is called PERP."""


def _says(body: Any) -> InvalidCommand | None:  # noqa: ANN401 - any JSON
    """Return the bridge's error for a body; None if it accepts the body."""
    record = CommandRecord(0, START.wall_ms, None, json.dumps(body).encode(), ())
    said = parse_command(record, START, LIMITS, TIMING)
    return said if isinstance(said, InvalidCommand) else None


def _is_of_the_contract(body: Any) -> bool:  # noqa: ANN401 - any JSON
    """Return whether the published schema of the body's action accepts it."""
    action = body.get("action") if isinstance(body, dict) else None
    return action in ACTIONS and is_valid(str(action).replace("_", "-"), body)


def _market(side: str = "BUY", sym: str = "BINANCE_SPOT_BTC_USDT", **args: str) -> dict[str, Any]:
    order = {"sym": sym, "side": side, "orderType": "MARKET", **args}
    return {"commandId": "c-1", "action": PLACE, "args": order}


def _buys_spot(body: Any) -> bool:  # noqa: ANN401 - any JSON
    """Return whether a body is a MARKET BUY of a SPOT symbol by quantity."""
    args = body.get("args") if isinstance(body, dict) else None
    if not isinstance(args, dict) or "orderQty" not in args:
        return False
    kind = args.get("orderType"), args.get("side"), str(args.get("sym")).split("_")[1:2]
    return body.get("action") == PLACE and kind == ("MARKET", "BUY", ["SPOT"])


@pytest.mark.parametrize("sym", ["BINANCE_SPOT_BTC_USDT", SPOT_PERP, "NEWEST2_SPOT_é_USDT"])
def test_a_market_buy_of_spot_goes_by_its_amount(sym: str) -> None:
    """The venue wants quoteOrderQty; the schema of the last release takes orderQty, so the bridge alone denies it."""
    body = _market(orderQty="1", sym=sym)
    said = _says(body)
    assert _is_of_the_contract(body)
    assert said is not None
    assert (said.reason, said.message) == (
        "bad_value",
        "args.orderQty: a MARKET BUY of SPOT wants quoteOrderQty, the amount to spend, in its place",
    )


@pytest.mark.parametrize(
    "body",
    [
        place("c-1"),
        place("c-1", clientOrderId="a1", timeInForce="GTX", reduceOnly="true", positionSide="LONG", tpPrice="0"),
        place("c-1") | {"validUntil": START.wall_ms + 1000},
        _market("SELL", orderQty="1"),
        _market(orderQty="1", sym="OKX_MARGIN_BTC_USDT"),
        _market(orderQty="1", sym="BINANCE_PERP_币安人生_USDT"),
        _market(orderQty="1", sym="NEWEST2_FUTURE_BTC_USDT_270101"),
        _market(quoteOrderQty="100.5"),
        _market(quoteOrderQty="100.5", sym="NEWEST_SPOT_é_USDT"),
        _market(quoteOrderQty="1", sym=SPOT_PERP),
        replace("c-1", orderId=ORDER_ID),
        cancel("c-1", clientOrderId="a1"),
        cancel("c-1", clientOrderId="a1", orderId=ORDER_ID),
        cancel_all("c-1", "EDX"),
        cancel_all("c-1", "NEWEST2"),
    ],
)
def test_commands_of_the_contract_are_taken(body: dict[str, Any]) -> None:
    """The bridge accepts what the schema accepts."""
    assert _is_of_the_contract(body)
    assert _says(body) is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {**place("c-1"), "action": "buy"},
        {**place("c-1"), "more": 1},
        {**place("c-1"), "commandId": "with space"},
        {**place("c-1"), "validUntil": "1795000001000"},
        place("c-1", orderQty="1e3"),
        place("c-1", orderQty="0"),
        place("c-1", orderQty="0.00"),
        place("c-1", orderQty="1\n"),
        place("c-1", sym="BTCUSDT"),
        place("c-1", sym="binance_perp_btc_usdt"),
        place("c-1", sym="BINANCE_PERP_BTC_USDT\n"),
        place("c-1", sym="BINANCE_PERP_BTC USDT"),
        place("c-1", sym="BINANCE_PERP_\u0085_USDT"),
        place("c-1", sym=f"BINANCE_PERP_{'人' * 42}"),
        place("c-1", leverage="5"),
        place("c-1", quoteOrderQty="5"),
        _market(orderQty="1", limitPrice="5"),
        _market(orderQty="1", timeInForce="IOC"),
        _market(),
        _market("SELL", quoteOrderQty="1"),
        _market(quoteOrderQty="1", orderQty="1"),
        _market(quoteOrderQty="1", sym="BINANCE_PERP_BTC_USDT"),
        replace("c-1"),
        {**replace("c-1"), "args": {"orderId": ORDER_ID}},
        cancel("c-1"),
        cancel("c-1", orderId=5),  # type: ignore[arg-type] # the mistake that is tried
        cancel_all("c-1", "kraken"),
        cancel_all("c-1", ""),
    ],
)
def test_what_is_no_command_is_denied(body: Any) -> None:  # noqa: ANN401 - any JSON
    """The bridge refuses what the schema refuses, with a result or as a dead letter."""
    assert not _is_of_the_contract(body)
    assert _says(body) is not None


_NUMBERS = ("", "0", "1", "0.0", "00.10", "1.", ".5", "-1", "1e3", "1\n", "٣", "9" * 18, "9" * 19, f"0.{'0' * 18}1")
_TERMS = ("BUY", "LIMIT", "MARKET", "GTC", "true", "NONE", "MARK_PRICE", "ALL", "BINANCE", "a" * 32, "a" * 33, "A")
_SYMBOLS = (
    *("BINANCE_SPOT_BTC_USDT", "OKX_PERP_1000SHIB_USDT", "EDX_SPOT__USDT", SPOT_PERP),
    *("OKX_MARGIN_BTC_USDT", "X9_SPOT_币安人生_USDT", "BINANCE_PERP_\x7f", "BINANCE_SPOT_BTC\u2028USDT"),
)
_WORDS = st.sampled_from([*_NUMBERS, *_TERMS, *_SYMBOLS, ORDER_ID, f"{ORDER_ID}1"])
_ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(), st.text(max_size=3), st.just([]), st.just({})
)
_NAMES = ("sym", "side", "orderType", "orderQty", "limitPrice", "quoteOrderQty", "timeInForce", "clientOrderId")
_MORE = ("reduceOnly", "positionSide", "tpPrice", "slTriggerPrice", "orderId", "replaceQty", "exchangeType", "other")
_BODIES = (
    place("c-1"),
    _market("SELL", orderQty="1"),
    _market(quoteOrderQty="1"),
    replace("c-1", orderId=ORDER_ID),
    cancel("c-1", clientOrderId="a"),
    cancel_all("c-1"),
)


@st.composite
def _bodies(draw: st.DrawFn) -> Any:  # noqa: ANN401 - any JSON
    """Take a command and change a part of it: schema and bridge could differ on commands that are nearly valid."""
    body: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(_BODIES))))
    for name in draw(st.lists(st.sampled_from([*_NAMES, *_MORE, *body["args"]]), max_size=3)):
        body["args"][name] = draw(st.one_of(_WORDS, _WORDS, _ODD))
    for name in draw(st.lists(st.sampled_from(sorted(body["args"])), max_size=2)):
        body["args"].pop(name, None)
    for name in draw(st.lists(st.sampled_from(["commandId", "action", "args", "validUntil", "x"]), max_size=1)):
        ids = st.text(string.printable, min_size=1, max_size=130)
        body[name] = draw(st.one_of(st.sampled_from(ACTIONS), ids, _ODD, st.integers(0, START.wall_ms)))
    return body


@settings(max_examples=300)
@given(_bodies())
def test_bridge_and_schema_agree(body: Any) -> None:  # noqa: ANN401 - any JSON
    """Neither accepts what the other refuses.

    But for what JSON Schema cannot tell apart: `NaN`, which is no JSON at all, and an integer that is written `5.0`;
    and for what callers of the released one could write, though the venue never took it.
    """
    text = json.dumps(body)
    if "NaN" in text or "Infinity" in text or isinstance(body.get("validUntil"), float) or _buys_spot(body):
        assert _says(body) is not None
    else:
        assert _is_of_the_contract(body) == (_says(body) is None)
