"""One element of a push, or one row that REST tells in its place: topic, key, name, time, and how far it is."""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
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
from bridge.core.odd_fields import UNREADABLE, decode_push, has_id
from bridge.core.orders import CONCLUDED_END, NO_PROGRESS, Progress, canonical_state, parse_time_ms, progress_of
from bridge.core.quantities import read_quantity

__all__ = ["PARSERS", "UNKNOWN_EXCHANGE", "UNREADABLE", "VenueRecord", "differs", "normalize_decimal"]

UNKNOWN_EXCHANGE: Final = "UNKNOWN"
"""Part of a key for what a push does not say."""
_USUAL_CHARS_MAX: Final = 64


_is_written_in_one_way: Final = re.compile(r"-?(?:[1-9][0-9]*(?:\.[0-9]*[1-9])?|0\.[0-9]*[1-9])|0", re.ASCII).fullmatch
"""Whether a decimal is as `normalize_decimal` would write it: most are, and to take them apart is slow."""

Meaning = tuple[str | None, ...]


class VenueRecord(Struct, frozen=True, gc=False):
    """What one element says, and its own bytes.

    `time_ms` is the venue's time of the fact, 0 where it tells none. `meaning` is what makes one state of a key differ
    from another for a reader, None for what is not told; of a trade, what two of one name must agree in. `empty`: no
    quantity, no balance. `identity` is what tells a trade from every other.
    """

    stream: Stream
    key: str
    value: bytes
    time_ms: int
    event_id: str | None = None
    identity: str = ""
    progress: Progress = NO_PROGRESS
    compared_fields: Meaning = ()
    is_empty: bool = False
    order: OrderPush | None = None
    trade: TradePush | None = None

    @property
    def lacks_order_id(self) -> bool:
        """Whether it tells no orderId of its order, as of one that was refused (LTP docs, Query Order)."""
        return self.order is not None and not self.order.order_id

    def without_later_time(self, latest_ms: int) -> "VenueRecord":
        """Return what it says, without its time where that is later than any that the venue can have written."""
        if self.time_ms <= latest_ms:
            return self
        return msgspec.structs.replace(self, time_ms=0, progress=self.progress._replace(time_ms=0))


def normalize_decimal(text: Amount | None) -> str:
    """Write a decimal in one way, so that `0.50` and `0.5` name the same fact; other text stays as it is."""
    if text is None or text == "":
        return "0"
    if isinstance(text, str) and len(text) <= _USUAL_CHARS_MAX and _is_written_in_one_way(text):
        return text
    value = read_quantity(text)
    if value is None:
        return str(text)
    plain = format(value, "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return plain if value else "0"


def is_concluded_end(element: VenueRecord) -> bool:
    """Whether it is an order's end in the word for one that was not told."""
    return element.progress.ended and element.compared_fields[0] == CONCLUDED_END


class _Holding(Struct, rename="camel"):
    """What else its owner does to a balance or position; the venue is not known to push all of it."""

    available: Any = None
    debt: Any = None
    borrow: Any = None
    overdraw: Any = None
    loan: Any = None
    leverage: Any = None


_holding: Final = msgspec.json.Decoder(_Holding)


def _read_holding(value: bytes) -> _Holding:
    """Read them; where one is a number that no float holds, none of them is told."""
    try:
        return _holding.decode(value)
    except UNREADABLE:
        return _Holding()


def _normalize_amount(text: object) -> str | None:
    """Write a decimal in one way; None where none is told."""
    return normalize_decimal(text) if isinstance(text, str | int | float) and text != "" else None


def differs(row: Meaning, known: Meaning) -> bool:
    """Whether a row contradicts what is known, in what both of them tell; a text that it leaves empty does not."""
    return any(here != there for here, there in zip(row, known, strict=True) if here and there is not None)


def _order(value: bytes) -> VenueRecord:
    """Name a snapshot by orderId, state, executed quantity and time of change.

    Without an orderId the clientOrderId stands in its place. An action that is not told contradicts none: the history
    tells no action.
    """
    push, value = decode_push(value, OrderPush)
    executed, state = normalize_decimal(push.executed_qty), canonical_state(push.order_state)
    name = str(push.order_id) or push.client_order_id
    return VenueRecord(
        Stream.ORDERS,
        name or UNKNOWN_EXCHANGE,
        value,
        parse_time_ms(push.update_at),
        event_id=f"order:{name}:{state}:{executed}:{push.update_at or 0}" if name else None,
        progress=progress_of(push),
        compared_fields=(
            state,
            executed,
            _normalize_amount(push.order_qty),
            _normalize_amount(push.limit_price),
            push.action and push.action.upper(),
        ),
        order=push,
    )


def _normalize_exchange(name: str | None) -> str:
    """Write an exchange in one way: stream and REST need not agree on its case."""
    return (name or "").strip().upper() or UNKNOWN_EXCHANGE


def _trade(value: bytes) -> VenueRecord:
    """Name a trade by its identity at the venue; one that has none is told from others by all that it says."""
    push, value = decode_push(value, TradePush)
    exchange = _normalize_exchange(push.exchange_type or push.sym.split("_", 1)[0])
    identity = f"trade:{exchange}:{push.sym}:{push.order_id}:{push.transaction_id}"
    meaning = (normalize_decimal(push.quantity), normalize_decimal(push.price), push.side.upper())
    is_named = has_id(push)
    return VenueRecord(
        Stream.TRADES,
        str(push.order_id),
        value,
        parse_time_ms(push.create_at),
        event_id=identity if is_named else None,
        identity=identity if is_named else ":".join((identity, str(push.create_at), *meaning)),
        compared_fields=meaning,
        trade=push,
    )


def _asset(value: bytes) -> VenueRecord:
    push, value = decode_push(value, AssetPush)
    time_ms = parse_time_ms(push.update_at)
    held = _read_holding(value)
    # The venue tells a loan only while there is one (LTP docs, change log); who tells a debt tells all of a balance.
    loan = "0" if held.loan is None and held.debt is not None else held.loan
    told = (push.balance, push.frozen, held.available, held.debt, held.borrow, held.overdraw, loan)
    meaning = tuple(_normalize_amount(amount) for amount in told)
    return VenueRecord(
        Stream.ASSETS,
        f"{_normalize_exchange(push.exchange_type)}:{push.coin}",
        value,
        time_ms,
        progress=NO_PROGRESS._replace(time_ms=time_ms),
        compared_fields=meaning,
        is_empty=set(meaning) <= {"0", None},
    )


def _position(value: bytes) -> VenueRecord:
    push, value = decode_push(value, PositionPush)
    time_ms = parse_time_ms(push.update_at)
    side = (push.position_side or "").strip().upper() or "NONE"
    quantity = normalize_decimal(push.position_qty)
    price, leverage = _normalize_amount(push.avg_price), _normalize_amount(_read_holding(value).leverage)
    return VenueRecord(
        Stream.POSITIONS,
        f"{push.sym}:{'NONE' if side == 'NET' else side}",
        value,
        time_ms,
        progress=NO_PROGRESS._replace(time_ms=time_ms),
        compared_fields=(quantity, price, leverage) if quantity != "0" else (quantity, None, None),
        is_empty=quantity == "0",
    )


def _margin_call(value: bytes) -> VenueRecord:
    push, value = decode_push(value, MarginCallPush)
    time_ms = parse_time_ms(push.update_at) or parse_time_ms(push.create_at)
    return VenueRecord(Stream.MARGIN_CALLS, _normalize_exchange(push.exchange_type), value, time_ms)


def _liquidation(value: bytes) -> VenueRecord:
    push, value = decode_push(value, LiquidationPush)
    time_ms = parse_time_ms(push.update_at) or parse_time_ms(push.create_at)
    return VenueRecord(Stream.LIQUIDATIONS, str(push.liquidation_event_id), value, time_ms)


PARSERS: Final[dict[Stream, Callable[[bytes], VenueRecord]]] = {
    Stream.ORDERS: _order,
    Stream.TRADES: _trade,
    Stream.ASSETS: _asset,
    Stream.POSITIONS: _position,
    Stream.MARGIN_CALLS: _margin_call,
    Stream.LIQUIDATIONS: _liquidation,
}
"""How an element of each stream is read; each raises one of UNREADABLE."""
