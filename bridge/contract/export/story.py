"""The story of the golden samples: records of a caller and of the bridge. `venue.py` has those of the venue."""

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
    AlarmCleared,
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

PREFIX: Final = "ltp"
ACCOUNT: Final = "main"
ENVIRONMENT: Final = "production"
EPOCH: Final = 7
START_MS: Final = 1_795_164_156_000
INSTANCE: Final = "ltp-bridge-0:1"
TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

BTC: Final = "BINANCE_PERP_BTC_USDT"
ORDER_ID: Final = "2104172237333826"
_PLACE_ID: Final = "01JD2Z8Q4H7V5N3M9K6T1R8W0X"
NAME: Final = derive_client_order_id(_PLACE_ID)


_PLACE: Final = PlaceOrder(
    _PLACE_ID,
    PlaceOrderArgs(BTC, "BUY", "LIMIT", order_qty="0.5", limit_price="60000", time_in_force="GTC"),
    START_MS + 10_000,
)
_REPLACE: Final = ReplaceOrder("c-2", ReplaceOrderArgs(client_order_id=NAME, replace_price="60100"))

_CANCEL: Final = CancelOrder("c-3", CancelOrderArgs(order_id=ORDER_ID))

COMMANDS: Final[tuple[tuple[Command, str], ...]] = (
    (_PLACE, "Buy 0.5 BTC; the clientOrderId comes from the commandId."),
    (_REPLACE, "Move its price."),
    (_CANCEL, "Cancel it."),
    (CancelOrders("c-4", CancelOrdersArgs("ALL")), "Cancel everything, everywhere."),
)


class SampleAnswer(Struct, frozen=True):
    """A result, with the variant in its sample's name and a summary."""

    variant: str
    result: Result
    summary: str


def _build_answer(
    variant: str,
    summary: str,
    command: Command,
    *,
    offset: int,
    after_ms: int,
    sent_ms: int | None = None,
    **more: Any,  # noqa: ANN401 - the other fields of a result
) -> SampleAnswer:
    result = Result(
        command.command_id,
        offset,
        Outcome(variant.partition("-")[0]),
        START_MS + after_ms,
        action_of(command),
        body_digest=body_digest(action_of(command), to_builtins(command.args)),
        sent_at=START_MS + sent_ms if sent_ms is not None else None,
        **more,
    )
    return SampleAnswer(variant, result, summary)


def _place_under(command_id: str) -> PlaceOrder:
    return PlaceOrder(command_id, _PLACE.args)


_ORDER: Final[dict[str, Any]] = {"order_id": ORDER_ID, "client_order_id": NAME}

RESULTS: Final = (
    _build_answer(
        "accepted",
        "The venue took the order.",
        _PLACE,
        offset=65,
        after_ms=42,
        sent_ms=30,
        code=200000,
        message="Success",
        **_ORDER,
    ),
    _build_answer(
        "rejected",
        "The order is filled, so its price cannot change.",
        _REPLACE,
        offset=66,
        after_ms=3015,
        sent_ms=3003,
        code=401117,
        message="Order is terminal",
        **_ORDER,
    ),
    _build_answer(
        "denied",
        "The rate limit has no room within the validity.",
        _place_under("c-5"),
        offset=68,
        after_ms=4000,
        reason=Reason.OVER_BUDGET,
        retry_after_ms=1200,
        client_order_id="c5",
    ),
    _build_answer(
        "superseded",
        "A cancel came before the bridge sent the order.",
        _place_under("c-7"),
        offset=70,
        after_ms=5000,
        message="a later cancel made it pointless",
        client_order_id="c7",
    ),
    _build_answer(
        "superseded-cancel",
        "The cancel of that order: nothing is left to cancel.",
        CancelOrder("c-9", CancelOrderArgs(client_order_id="c7")),
        offset=71,
        after_ms=5000,
        message="its place had not been sent and was removed",
        client_order_id="c7",
    ),
    _build_answer(
        "unknown",
        "The bridge wrote it and got no answer; it queries the venue.",
        _place_under("c-8"),
        offset=72,
        after_ms=11_010,
        sent_ms=6010,
        message="no answer within 5 s",
        client_order_id="c8",
    ),
    _build_answer(
        "expired",
        "It waited longer than it was valid.",
        _place_under("c-6"),
        offset=69,
        after_ms=14_000,
        client_order_id="c6",
    ),
    _build_answer(
        "not_found",
        "The bridge queried the venue until the end; it knows no such order.",
        _place_under("c-8"),
        offset=72,
        after_ms=126_010,
        sent_ms=6010,
        client_order_id="c8",
    ),
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
    AlarmCleared(
        START_MS + 55_000, Alarm.CLOCK_SKEW, "this clock is at most 0.1 s behind and 0.2 s ahead", START_MS + 50_000
    ),
    OwnerReleased(START_MS + 60_000, EPOCH, INSTANCE),
)
