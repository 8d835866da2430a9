"""One element of a push, or one row that REST tells in its place: topic, key, name, time, and how far it is."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final

from msgspec import Struct

from bridge.contract.pushes import (
    Amount,
    AssetPush,
    LiquidationPush,
    MarginCallPush,
    OrderPush,
    PositionPush,
    TradePush,
)
from bridge.contract.topics import Stream
from bridge.core.odd_fields import UNREADABLE, decode_push
from bridge.core.orders import NOTHING, Progress, milliseconds, progress

__all__ = ["NOWHERE", "READ", "UNREADABLE", "Element", "number"]

NOWHERE: Final = "UNKNOWN"
"""Part of a key for what a push does not say."""
_MAGNITUDE_MAX: Final = 64
"""Powers of ten; a number beyond them is no price or quantity, and writing it out could fill the memory."""


class Element(Struct, frozen=True):
    """What one element says, and its own bytes.

    `time_ms` is the venue's time of the fact, 0 where it tells none. `meaning` is what makes one state of a key differ
    from another for a reader; of a trade, what two of one name must agree in. `empty`: no quantity, no balance.
    """

    stream: Stream
    key: str
    value: bytes
    time_ms: int
    event_id: str | None = None
    progress: Progress = NOTHING
    meaning: tuple[str, ...] = ()
    empty: bool = False
    order: OrderPush | None = None
    trade: TradePush | None = None


def number(text: Amount | None) -> str:
    """Write a decimal in one way, so that `0.50` and `0.5` name the same fact; other text stays as it is."""
    if text is None or text == "":
        return "0"
    try:
        value = Decimal(str(text))
    except InvalidOperation:
        return str(text)
    if not value.is_finite() or abs(value.adjusted()) > _MAGNITUDE_MAX:
        return str(text)
    plain = format(value, "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return plain if value else "0"


def _order(value: bytes) -> Element:
    """Name a snapshot by orderId, state, executed quantity and time of change."""
    push, value = decode_push(value, OrderPush)
    executed = number(push.executed_qty)
    return Element(
        Stream.ORDERS,
        str(push.order_id),
        value,
        milliseconds(push.update_at),
        event_id=f"order:{push.order_id}:{push.order_state}:{executed}:{push.update_at or 0}",
        progress=progress(push),
        meaning=(push.order_state, executed),
        order=push,
    )


def _trade(value: bytes) -> Element:
    """Name a trade by its identity at the venue."""
    push, value = decode_push(value, TradePush)
    exchange = push.exchange_type or push.sym.split("_", 1)[0]
    return Element(
        Stream.TRADES,
        str(push.order_id),
        value,
        milliseconds(push.create_at),
        event_id=f"trade:{exchange}:{push.sym}:{push.order_id}:{push.transaction_id}",
        meaning=(number(push.quantity), number(push.price), push.side),
        trade=push,
    )


def _asset(value: bytes) -> Element:
    push, value = decode_push(value, AssetPush)
    time_ms = milliseconds(push.update_at)
    meaning = (number(push.balance), number(push.frozen))
    return Element(
        Stream.ASSETS,
        f"{push.exchange_type or NOWHERE}:{push.coin}",
        value,
        time_ms,
        progress=NOTHING._replace(time_ms=time_ms),
        meaning=meaning,
        empty=meaning == ("0", "0"),
    )


def _position(value: bytes) -> Element:
    push, value = decode_push(value, PositionPush)
    time_ms = milliseconds(push.update_at)
    side = push.position_side or "NONE"
    meaning = (number(push.position_qty), number(push.avg_price))
    return Element(
        Stream.POSITIONS,
        f"{push.sym}:{'NONE' if side == 'NET' else side}",
        value,
        time_ms,
        progress=NOTHING._replace(time_ms=time_ms),
        meaning=meaning,
        empty=meaning[0] == "0",
    )


def _margin_call(value: bytes) -> Element:
    push, value = decode_push(value, MarginCallPush)
    time_ms = milliseconds(push.update_at) or milliseconds(push.create_at)
    return Element(Stream.MARGIN_CALLS, push.exchange_type or NOWHERE, value, time_ms)


def _liquidation(value: bytes) -> Element:
    push, value = decode_push(value, LiquidationPush)
    time_ms = milliseconds(push.update_at) or milliseconds(push.create_at)
    return Element(Stream.LIQUIDATIONS, str(push.liquidation_event_id), value, time_ms)


READ: Final[dict[Stream, Callable[[bytes], Element]]] = {
    Stream.ORDERS: _order,
    Stream.TRADES: _trade,
    Stream.ASSETS: _asset,
    Stream.POSITIONS: _position,
    Stream.MARGIN_CALLS: _margin_call,
    Stream.LIQUIDATIONS: _liquidation,
}
"""How an element of each stream is read; each raises one of UNREADABLE."""
