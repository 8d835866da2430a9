"""Pushes of the venue in the golden samples, and rows of REST in place of pushes."""

from typing import Any, Final

from msgspec import Struct

from bridge.contract.export.story import BTC, NAME, ORDER_ID, START_MS
from bridge.contract.topics import Stream

_PORTFOLIO: Final = "1702884522340000"
_FILLED_MS: Final = START_MS + 901
_WHOSE: Final = {
    "portfolioId": _PORTFOLIO,
    "orderId": ORDER_ID,
    "clientOrderId": NAME,
    "exchangeType": "BINANCE",
    "businessType": "PERP",
    "sym": BTC,
    "side": "BUY",
}
"""The fields that an order and its executions share."""


class SamplePush(Struct, frozen=True):
    """A push, or a row of REST in its place. Without a value it is a tombstone."""

    message: str
    stream: Stream
    key: str
    value: dict[str, Any] | None
    time_ms: int
    summary: str
    variant: str = ""
    event_id: str | None = None
    recovered: bool = False


def _order_push(state: str, executed: str, at: int, **more: str) -> dict[str, Any]:
    return {
        **_WHOSE,
        "limitPrice": "60000",
        "orderQty": "0.5",
        "quoteOrderQty": "0",
        "exchangeOrderType": "LIMIT",
        "orderType": "DMA",
        "timeInForce": "GTC",
        "executedQty": executed,
        "executedAmount": "0",
        "executedAvgPrice": "0",
        "lastExecutedQty": "0",
        "lastExecutedPrice": "0",
        "lastExecutedAmount": "0",
        "fee": "0",
        "feeCoin": "",
        "rebate": "0",
        "rebateCoin": "",
        "orderState": state,
        "updateAt": str(at),
        "createAt": str(START_MS + 40),
        "borrowAmount": "0",
        "borrowAsset": "",
        "reason": "",
        "leverage": "1",
        "positionSide": "NONE",
        "reduceOnly": False,
        "tpTriggerPrice": "",
        "tpTriggerType": "",
        "tpPrice": "",
        "slTriggerPrice": "",
        "slTriggerType": "",
        "slPrice": "",
        "action": "",
        "actionMsg": "",
        "cancelType": "",
        "amendType": "",
    } | more


_TRADE: Final = {
    "transactionId": "38132969466022978",
    **_WHOSE,
    "quantity": "0.5",
    "price": "59999.9",
    "tradingFee": "-0.6",
    "tradingFeeCoin": "USDT",
    "rpnl": "0",
    "createAt": str(START_MS + 900),
    "execType": "MAKER",
}

PUSHES: Final = (
    SamplePush(
        "order",
        Stream.ORDERS,
        ORDER_ID,
        _order_push("OPEN", "0", START_MS + 42),
        START_MS + 42,
        "The order rests.",
        event_id=f"order:{ORDER_ID}:OPEN:0:{START_MS + 42}",
    ),
    SamplePush(
        "order",
        Stream.ORDERS,
        ORDER_ID,
        _order_push("FILLED", "0.50", _FILLED_MS, executedAmount="29999.95", executedAvgPrice="59999.9"),
        _FILLED_MS,
        "The order was filled while the connection was down; the state comes from REST.",
        variant="recovered",
        event_id=f"order:{ORDER_ID}:FILLED:0.5:{_FILLED_MS}",
        recovered=True,
    ),
    SamplePush(
        "trade",
        Stream.TRADES,
        ORDER_ID,
        _TRADE,
        START_MS + 900,
        "Its execution.",
        event_id=f"trade:BINANCE:{BTC}:{ORDER_ID}:38132969466022978",
    ),
    SamplePush(
        "asset",
        Stream.ASSETS,
        "BINANCE:USDT",
        {
            "portfolioId": _PORTFOLIO,
            "exchangeType": "BINANCE",
            "coin": "USDT",
            "balance": "1000.500000000000000000",
            "available": "950.5",
            "frozen": "50",
            "debt": "0",
            "equity": "1000.5",
            "borrow": "0",
            "upnl": "0",
            "createAt": str(START_MS),
            "updateAt": str(_FILLED_MS),
        },
        _FILLED_MS,
        "A balance, with every decimal place of the venue.",
    ),
    SamplePush(
        "tombstone",
        Stream.ASSETS,
        "BINANCE:BTC",
        None,
        START_MS + 5000,
        "The balance has ended: the venue's complete list does not have it.",
        recovered=True,
    ),
    SamplePush(
        "position",
        Stream.POSITIONS,
        f"{BTC}:NONE",
        {
            "positionId": "20164589748662850",
            "portfolioId": _PORTFOLIO,
            "sym": BTC,
            "positionSide": "NONE",
            "positionQty": "0.5",
            "positionValue": "29999.95",
            "unrealizedPNL": "0",
            "avgPrice": "59999.9",
            "markPrice": "60000",
            "leverage": "20",
            "createAt": str(_FILLED_MS),
            "updateAt": str(_FILLED_MS),
        },
        _FILLED_MS,
        "A position.",
    ),
    SamplePush(
        "margin-call",
        Stream.MARGIN_CALLS,
        "BINANCE",
        {
            "portfolioId": _PORTFOLIO,
            "exchangeType": "BINANCE",
            "equity": "1000",
            "maintainMargin": "850",
            "uniMMR": "1.17",
            "accountStatus": "MARGIN_CALL",
            "updateAt": str(START_MS + 2000),
        },
        START_MS + 2000,
        "The venue calls margin.",
    ),
    SamplePush(
        "liquidation",
        Stream.LIQUIDATIONS,
        "9001",
        {
            "portfolioId": _PORTFOLIO,
            "exchangeType": "BINANCE",
            "orderId": "1703213979730111",
            "liquidationEventId": "9001",
            "sym": BTC,
            "positionSide": "NONE",
            "reduceQty": "0.25",
            "closedPnl": "-40.1",
            "liqFee": "1.2",
            "totalTradingFee": None,
            "createAt": START_MS + 3000,
            "updateAt": START_MS + 3000,
        },
        START_MS + 3000,
        "A liquidation. Its times are numbers.",
    ),
)
