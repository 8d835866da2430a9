"""What the venue pushes in the golden samples, or tells by REST in a push's place."""

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
"""What an order and its executions have in common."""


class Pushed(Struct, frozen=True):
    """A push, or a row of REST in its place; without a value, a state that is no more."""

    message: str
    stream: Stream
    key: str
    value: dict[str, Any] | None
    time_ms: int
    summary: str
    variant: str = ""
    event_id: str | None = None
    recovered: bool = False


def _order(state: str, executed: str, at: int, **more: str) -> dict[str, Any]:
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
    Pushed(
        "order",
        Stream.ORDERS,
        ORDER_ID,
        _order("OPEN", "0", START_MS + 42),
        START_MS + 42,
        "The order rests.",
        event_id=f"order:{ORDER_ID}:OPEN:0:{START_MS + 42}",
    ),
    Pushed(
        "order",
        Stream.ORDERS,
        ORDER_ID,
        _order("FILLED", "0.50", _FILLED_MS, executedAmount="29999.95", executedAvgPrice="59999.9"),
        _FILLED_MS,
        "It was filled while the link was down; REST tells it.",
        variant="recovered",
        event_id=f"order:{ORDER_ID}:FILLED:0.5:{_FILLED_MS}",
        recovered=True,
    ),
    Pushed(
        "trade",
        Stream.TRADES,
        ORDER_ID,
        _TRADE,
        START_MS + 900,
        "Its execution.",
        event_id=f"trade:BINANCE:{BTC}:{ORDER_ID}:38132969466022978",
    ),
    Pushed(
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
        "A balance, with all the places that the venue gave it.",
    ),
    Pushed(
        "tombstone",
        Stream.ASSETS,
        "BINANCE:BTC",
        None,
        START_MS + 5000,
        "There is no such balance any more: the venue's whole list lacks it.",
        recovered=True,
    ),
    Pushed(
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
    Pushed(
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
    Pushed(
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
        "A liquidation; its times are numbers.",
    ),
)
