"""Vendor quirks of pushes: ids, types and fields that vary, repeats, and pushes out of order."""

import json
from typing import Any

import pytest

from bridge.contract.topics import Stream
from bridge.core.now import Now
from bridge.core.records import OutgoingRecord, Push
from bridge.core.stream.route import Router
from bridge.ltp.wire import decode_frame
from tests.support.one_router import OneRouter

NOW = Now(10.0, 1_795_000_000_123)
ORDER: dict[str, Any] = {
    "orderId": "1703213979730000",
    "clientOrderId": "a1",
    "orderState": "OPEN",
    "executedQty": "0",
    "updateAt": "1795000000000",
}
TRADE: dict[str, Any] = {
    "transactionId": "38132969466022978",
    "orderId": "1703213979730000",
    "sym": "BINANCE_PERP_BTC_USDT",
    "side": "BUY",
    "quantity": "4",
    "price": "2.5",
    "createAt": "1795000000000",
}
POSITION: dict[str, Any] = {"sym": "BINANCE_PERP_BTC_USDT", "positionQty": "-0.25", "updateAt": "1795000000000"}
ASSET: dict[str, Any] = {"coin": "USDT", "exchangeType": "OKX", "balance": "1", "updateAt": "1795000000000"}
LIQUIDATION: dict[str, Any] = {
    "liquidationEventId": "9001",
    "totalTradingFee": None,
    "createAt": 1795000000000,
    "updateAt": 1795000000000,
}
LOAN = {"loan": "5", "loanValue": "5", "netEquity": "-4", "netEquityValue": "-4", "netMarginValue": "-4"}
ORDER_ID, POSITION_KEY, COIN = ORDER["orderId"], "BINANCE_PERP_BTC_USDT:NONE", "OKX:USDT"


def router() -> Router:
    """Return a router that has published nothing."""
    return OneRouter(NOW).router


def arrive(to: Router, channel: str, row: object) -> list[OutgoingRecord]:
    """Pass a push to the router, as bytes."""
    push = decode_frame(json.dumps({"channel": channel, "data": row}, indent=1).encode())
    assert isinstance(push, Push)
    return to.route_push(push, NOW)


@pytest.mark.parametrize(
    ("channel", "row", "stream", "key"),
    [
        pytest.param(
            "Orders",
            ORDER | {"orderType": "DMA", "exchangeOrderType": "LIMIT"},
            *(Stream.ORDERS, ORDER_ID),
            id="10 order type field: as documented",
        ),
        pytest.param(
            "Orders",
            ORDER | {"orderType": "LIMIT"},
            *(Stream.ORDERS, ORDER_ID),
            id="10 order type field: the other one",
        ),
        pytest.param(
            "Orders", ORDER | {"reduceOnly": True}, *(Stream.ORDERS, ORDER_ID), id="11 reduce only type: a boolean"
        ),
        pytest.param(
            "Orders", ORDER | {"reduceOnly": "true"}, *(Stream.ORDERS, ORDER_ID), id="11 reduce only type: text"
        ),
        pytest.param("Orders", ORDER | {"leverage": "5"}, *(Stream.ORDERS, ORDER_ID), id="12 leverage type: text"),
        pytest.param("Orders", ORDER | {"leverage": 5}, *(Stream.ORDERS, ORDER_ID), id="12 leverage type: a number"),
        pytest.param("Orders", ORDER | {"leverage": None}, *(Stream.ORDERS, ORDER_ID), id="12 leverage type: null"),
        pytest.param(
            "Positions",
            POSITION | {"positionSide": "NONE"},
            *(Stream.POSITIONS, POSITION_KEY),
            id="13 side of a netted position: NONE",
        ),
        pytest.param(
            "Positions",
            POSITION | {"positionSide": "NET"},
            *(Stream.POSITIONS, POSITION_KEY),
            id="13 side of a netted position: NET",
        ),
        pytest.param(
            "Positions", POSITION, *(Stream.POSITIONS, POSITION_KEY), id="13 side of a netted position: not told"
        ),
        pytest.param(
            "Trades",
            TRADE | {"tradingFee": "-0.1", "tradingFeeCoin": "USDT"},
            *(Stream.TRADES, ORDER_ID),
            id="20 trade fee form: pushed as one number",
        ),
        pytest.param(
            "Trades",
            TRADE | {"fee": "0", "feeCoin": "", "rebate": "0.1", "rebateCoin": "USDT"},
            *(Stream.TRADES, ORDER_ID),
            id="20 trade fee form: pushed as two",
        ),
        pytest.param("Positions", POSITION, *(Stream.POSITIONS, POSITION_KEY), id="21 liquidation price: gone"),
        pytest.param(
            "Positions",
            POSITION | {"liqPrice": None},
            *(Stream.POSITIONS, POSITION_KEY),
            id="21 liquidation price: null",
        ),
        pytest.param(
            "Positions",
            POSITION | {"liqPrice": "9"},
            *(Stream.POSITIONS, POSITION_KEY),
            id="21 liquidation price: told",
        ),
        pytest.param("Assets", ASSET, *(Stream.ASSETS, COIN), id="22 loan fields: no loan"),
        pytest.param("Assets", ASSET | LOAN, *(Stream.ASSETS, COIN), id="22 loan fields: a loan"),
        pytest.param(
            "LiquidationPosition",
            LIQUIDATION,
            *(Stream.LIQUIDATIONS, "9001"),
            id="23 liquidation types: times as numbers, no fee",
        ),
        pytest.param(
            "LiquidationPositionByUser",
            LIQUIDATION | {"liquidationEventId": 9001, "totalTradingFee": "1.2"},
            *(Stream.LIQUIDATIONS, "9001"),
            id="23 liquidation types: the id a number",
        ),
        pytest.param(
            "LiquidationEvent",
            LIQUIDATION | {"createAt": "1795000000000", "updateAt": None},
            *(Stream.LIQUIDATIONS, "9001"),
            id="23 liquidation types: times as text or null",
        ),
        pytest.param(
            "MarginCall",
            {"exchangeType": "OKX", "uniMMR": "99999999"},
            *(Stream.MARGIN_CALLS, "OKX"),
            id="29 no-risk number: pushed",
        ),
        pytest.param(
            "MarginCall",
            {"exchangeType": "OKX", "accountStatus": " Liquidation"},
            *(Stream.MARGIN_CALLS, "OKX"),
            id="30 account status spelling: pushed",
        ),
        pytest.param(
            "MarginCall",
            {"exchangeType": "OKX", "accountStatus": None},
            *(Stream.MARGIN_CALLS, "OKX"),
            id="30 account status spelling: null",
        ),
        pytest.param(
            "Orders",
            ORDER | {"clientOrderId": "", "orderType": "SYSTEM_LIQ", "cancelType": "SYSTEM"},
            *(Stream.ORDERS, ORDER_ID),
            id="32 orders of others: a liquidation's",
        ),
        pytest.param(
            "Orders",
            ORDER | {"clientOrderId": "Made-By-Hand", "orderType": "WHATEVER"},
            *(Stream.ORDERS, ORDER_ID),
            id="32 orders of others: a person's",
        ),
    ],
)
def test_a_push_goes_to_its_topic_byte_for_byte(channel: str, row: dict[str, Any], stream: Stream, key: str) -> None:
    """The record has the key of its subject, the venue's time, and every field as the venue wrote it."""
    (record,) = arrive(router(), channel, row)
    assert (record.stream, record.key) == (stream, key.encode())
    assert json.loads(record.value or b"") == row
    assert b"\n" in (record.value or b"")
    assert record.time_ms == (1795000000000 if "updateAt" in row or "createAt" in row else NOW.wall_ms)


@pytest.mark.parametrize(
    ("channel", "rows", "last"),
    [
        pytest.param(
            "Orders",
            [ORDER | {"executedQty": "2", "updateAt": "1795000000002"}, ORDER | {"updateAt": "1795000000001"}],
            {"executedQty": "2"},
            id="28 no sequence: overtaken by a later one",
        ),
        pytest.param(
            "Orders",
            [ORDER | {"executedQty": "2"}, ORDER | {"executedQty": "1"}],
            {"executedQty": "2"},
            id="28 no sequence: less executed in the same millisecond",
        ),
        pytest.param(
            "Orders",
            [ORDER | {"executedQty": "2"}, ORDER | {"executedQty": "1", "updateAt": "1795000000009"}],
            {"executedQty": "2"},
            id="28 no sequence: less executed than before",
        ),
        pytest.param(
            "Orders",
            [ORDER | {"orderState": "CANCELED"}, ORDER | {"updateAt": "1795000000009"}],
            {"orderState": "CANCELED"},
            id="28 no sequence: open after its end",
        ),
        pytest.param(
            "Orders",
            [ORDER, ORDER | {"orderState": "NEW"}],
            {"orderState": "OPEN"},
            id="28 no sequence: new after open in the same millisecond",
        ),
        pytest.param(
            "Positions",
            [POSITION | {"positionSide": "NET", "positionQty": "1"}, POSITION | {"updateAt": "1794999999999"}],
            {"positionQty": "1"},
            id="28 no sequence: an older position",
        ),
        pytest.param(
            "Assets",
            [ASSET | {"balance": "2"}, ASSET | {"updateAt": "1794999999999"}],
            {"balance": "2"},
            id="28 no sequence: an older balance",
        ),
    ],
)
def test_the_newer_state_is_the_last_record_of_its_key(
    channel: str, rows: list[dict[str, Any]], last: dict[str, Any]
) -> None:
    """An older state is published too, and the newer state again after it."""
    to = router()
    (first,), (second, third) = (arrive(to, channel, row) for row in rows)
    assert [json.loads(record.value or b"") for record in (first, second)] == rows
    assert (third.value, third.key) == (first.value, second.key)
    assert last.items() <= json.loads(third.value or b"").items()


@pytest.mark.parametrize(
    ("channel", "row", "again"),
    [
        pytest.param("Orders", ORDER, ORDER, id="28 no sequence: an order's push twice"),
        pytest.param("Orders", ORDER, ORDER | {"executedQty": "0.00"}, id="28 no sequence: with other noughts"),
        pytest.param(
            "Trades",
            TRADE | {"tradingFee": "-0.1"},
            TRADE | {"fee": "0", "rebate": "0.1"},
            id="28 no sequence: a trade twice, its fee in the other form",
        ),
    ],
)
def test_a_repeat_has_the_id_of_the_first(channel: str, row: dict[str, Any], again: dict[str, Any]) -> None:
    """So a reader sees that it is one fact, and no alarm is raised."""
    to = router()
    (first,), (second,) = (arrive(to, channel, one) for one in (row, again))
    assert first.event_id is not None
    assert first.event_id == second.event_id
