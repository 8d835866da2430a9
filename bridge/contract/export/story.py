"""What happens in the golden samples, in the words of the venue, of a caller and of the bridge."""

from typing import Any, Final

from msgspec import Struct, to_builtins

from bridge.contract.commands import (
    CancelOrder,
    CancelOrderArgs,
    CancelOrders,
    CancelOrdersArgs,
    Command,
    PlaceOrder,
    PlaceOrderArgs,
    ReplaceOrder,
    ReplaceOrderArgs,
    action_of,
    body_digest,
    derive_client_order_id,
)
from bridge.contract.results import Outcome, Reason, Result
from bridge.contract.session import (
    Alarm,
    AlarmRaised,
    Cause,
    GapClosed,
    GapOpened,
    Lost,
    OwnerAcquired,
    OwnerReleased,
    Recovered,
    RecoveryComplete,
    SessionEvent,
    SessionLost,
    SessionOpened,
)
from bridge.contract.topics import Stream

PREFIX: Final = "ltp"
ACCOUNT: Final = "main"
ENVIRONMENT: Final = "production"
EPOCH: Final = 7
START_MS: Final = 1_795_164_156_000
INSTANCE: Final = "ltp-bridge-0:1"
TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

_BTC: Final = "BINANCE_PERP_BTC_USDT"
_ORDER_ID: Final = "2104172237333826"
_PORTFOLIO: Final = "1702884522340000"
_PLACE_ID: Final = "01JD2Z8Q4H7V5N3M9K6T1R8W0X"
_NAME: Final = derive_client_order_id(_PLACE_ID)


class Told(Struct, frozen=True):
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
        "portfolioId": _PORTFOLIO,
        "orderId": _ORDER_ID,
        "clientOrderId": _NAME,
        "exchangeType": "BINANCE",
        "businessType": "PERP",
        "sym": _BTC,
        "limitPrice": "60000",
        "orderQty": "0.5",
        "quoteOrderQty": "0",
        "side": "BUY",
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
    "portfolioId": _PORTFOLIO,
    "orderId": _ORDER_ID,
    "clientOrderId": _NAME,
    "exchangeType": "BINANCE",
    "businessType": "PERP",
    "sym": _BTC,
    "side": "BUY",
    "quantity": "0.5",
    "price": "59999.9",
    "tradingFee": "-0.6",
    "tradingFeeCoin": "USDT",
    "rpnl": "0",
    "createAt": str(START_MS + 900),
    "execType": "MAKER",
}
_FILLED_MS: Final = START_MS + 901

PUSHES: Final = (
    Told(
        "order",
        Stream.ORDERS,
        _ORDER_ID,
        _order("OPEN", "0", START_MS + 42),
        START_MS + 42,
        "The order rests.",
        event_id=f"order:{_ORDER_ID}:OPEN:0:{START_MS + 42}",
    ),
    Told(
        "order",
        Stream.ORDERS,
        _ORDER_ID,
        _order("FILLED", "0.50", _FILLED_MS, executedAmount="29999.95", executedAvgPrice="59999.9"),
        _FILLED_MS,
        "It was filled while the link was down; REST tells it.",
        variant="recovered",
        event_id=f"order:{_ORDER_ID}:FILLED:0.5:{_FILLED_MS}",
        recovered=True,
    ),
    Told(
        "trade",
        Stream.TRADES,
        _ORDER_ID,
        _TRADE,
        START_MS + 900,
        "Its execution.",
        event_id=f"trade:BINANCE:{_BTC}:{_ORDER_ID}:38132969466022978",
    ),
    Told(
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
    Told("tombstone", Stream.ASSETS, "BINANCE:BTC", None, START_MS + 5000, "There is no such balance any more."),
    Told(
        "position",
        Stream.POSITIONS,
        f"{_BTC}:NONE",
        {
            "positionId": "20164589748662850",
            "portfolioId": _PORTFOLIO,
            "sym": _BTC,
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
    Told(
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
    Told(
        "liquidation",
        Stream.LIQUIDATIONS,
        "9001",
        {
            "portfolioId": _PORTFOLIO,
            "exchangeType": "BINANCE",
            "orderId": "1703213979730111",
            "liquidationEventId": "9001",
            "sym": _BTC,
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

_PLACE: Final = PlaceOrder(
    _PLACE_ID,
    PlaceOrderArgs(_BTC, "BUY", "LIMIT", order_qty="0.5", limit_price="60000", time_in_force="GTC"),
    START_MS + 10_000,
)
_REPLACE: Final = ReplaceOrder("c-2", ReplaceOrderArgs(client_order_id=_NAME, replace_price="60100"))

COMMANDS: Final[tuple[tuple[Command, str], ...]] = (
    (_PLACE, "Buy 0.5 BTC; the order is named after the command."),
    (_REPLACE, "Move its price."),
    (CancelOrder("c-3", CancelOrderArgs(order_id=_ORDER_ID)), "Cancel it."),
    (CancelOrders("c-4", CancelOrdersArgs("ALL")), "Cancel everything, everywhere."),
)


def _result(command: Command, offset: int, outcome: Outcome, **more: Any) -> Result:  # noqa: ANN401 - its fields
    return Result(
        command.command_id,
        offset,
        outcome,
        START_MS + offset,
        action_of(command),
        body_digest=body_digest(action_of(command), to_builtins(command.args)),
        **more,
    )


def _place(command_id: str) -> PlaceOrder:
    return PlaceOrder(command_id, _PLACE.args)


_SENT: Final[dict[str, Any]] = {"order_id": _ORDER_ID, "client_order_id": _NAME, "sent_at": START_MS + 30}
_NO_ACK: Final[dict[str, Any]] = {"client_order_id": "c8", "sent_at": START_MS + 30}

RESULTS: Final = (
    (
        _result(_PLACE, 65, Outcome.ACCEPTED, code=200000, message="Success", **_SENT),
        "The venue took the order.",
    ),
    (
        _result(_REPLACE, 66, Outcome.REJECTED, code=401117, message="Order is terminal", **_SENT),
        "It is filled and cannot be moved.",
    ),
    (
        _result(
            _place("c-5"), 67, Outcome.DENIED, reason=Reason.OVER_BUDGET, retry_after_ms=1200, client_order_id="c5"
        ),
        "The rate limit has no room in time.",
    ),
    (_result(_place("c-6"), 68, Outcome.EXPIRED, client_order_id="c6"), "It waited longer than it was valid."),
    (
        _result(
            _place("c-7"),
            69,
            Outcome.SUPERSEDED,
            message="a later cancel made it pointless",
            client_order_id="c7",
        ),
        "Cancelled before it was sent.",
    ),
    (
        _result(_place("c-8"), 70, Outcome.UNKNOWN, message="no answer within 5 s", **_NO_ACK),
        "Written, and no answer: the venue is being asked.",
    ),
    (_result(_place("c-8"), 70, Outcome.NOT_FOUND, **_NO_ACK), "The venue knows nothing of it, to the end."),
)

SESSION: Final[tuple[SessionEvent, ...]] = (
    OwnerAcquired(START_MS, EPOCH, INSTANCE),
    SessionOpened(START_MS + 10, "AZ4"),
    RecoveryComplete(START_MS + 20, "AZ4", 1, Recovered(orders=1), 10),
    SessionLost(START_MS + 800, "AZ4", Cause.LINK_FAILED, "the link was cut without a farewell"),
    GapOpened(START_MS + 800, "7-1", START_MS - 700, Cause.LINK_FAILED, "the link was cut without a farewell"),
    GapClosed(
        START_MS + 40_000,
        "7-1",
        START_MS - 700,
        START_MS + 2500,
        Cause.LINK_FAILED,
        Recovered(orders=1, trades=1),
        (Lost.SNAPSHOTS_BETWEEN, Lost.MARGIN_CALLS, Lost.LIQUIDATIONS, Lost.UNRECOGNIZED),
    ),
    AlarmRaised(START_MS + 50_000, Alarm.CLOCK_SKEW, "this clock is 6.2 s ahead of the venue's"),
    OwnerReleased(START_MS + 60_000, EPOCH, INSTANCE),
)
