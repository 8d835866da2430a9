"""Records of the venue: the elements of its pushes, and the rows of REST about the same facts, with topic and key."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeVar

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
from bridge.core.odd_fields import UNREADABLE, has_id, mend_fields, mend_text, parse_time_ms, read_quantity
from bridge.core.order_states import CONCLUDED_END, NO_PROGRESS, Progress, canonical_state, progress_of

UNKNOWN_EXCHANGE: Final = "UNKNOWN"
"""The part of a key for an exchange that a push does not name."""
_USUAL_CHARS_MAX: Final = 64
_ORDERS: Final = Stream.ORDERS
"""A member of an enumeration takes longer to find than a name of the module."""


_is_written_in_one_way: Final = re.compile(r"-?(?:[1-9][0-9]*(?:\.[0-9]*[1-9])?|0\.[0-9]*[1-9])|0", re.ASCII).fullmatch
"""Whether a decimal is as `normalize_decimal` writes it: most are, and parsing them is slow."""

ComparedFields = tuple[str | None, ...]
P = TypeVar("P", bound=Struct)


class VenueRecord(Struct, frozen=True, gc=False):
    """One fact that the venue reports, and its bytes.

    `time_ms` is the venue's time of the fact, 0 where it names none. `identity` is unique to a trade. `compared` are
    the `compared_fields`; None for an order, which has to be compared only with rows of REST. `is_empty`: no quantity,
    no balance. `lacks_order_id`: it is of an order and has no orderId, as of a refused one (LTP docs, Query Order).
    """

    stream: Stream
    key: str
    value: bytes
    time_ms: int
    event_id: str | None = None
    identity: str = ""
    progress: Progress = NO_PROGRESS
    compared: ComparedFields | None = ()
    is_empty: bool = False
    order: OrderPush | None = None
    trade: TradePush | None = None
    lacks_order_id: bool = False

    @property
    def compared_fields(self) -> ComparedFields:
        """The fields by which two states of a key differ for a reader, and two trades of an identity contradict.

        None is what the venue does not report.
        """
        return _read_order_fields(self.value) if self.compared is None else self.compared

    def without_order(self) -> "VenueRecord":
        """Return the record without the decoded fields of an order, which its bytes hold as well."""
        if self.order is None:
            return self
        return VenueRecord(
            self.stream, self.key, self.value, self.time_ms, self.event_id, progress=self.progress, compared=None
        )

    def without_later_time(self, latest_ms: int) -> "VenueRecord":
        """Return the record, without its time if that is after the latest that the venue can have written."""
        if self.time_ms <= latest_ms:
            return self
        return msgspec.structs.replace(self, time_ms=0, progress=self.progress.dated(0))


def decode_push(value: bytes, kind: type[P]) -> tuple[P, bytes]:
    """Return a push or row and its bytes, which are mended where they are not as documented.

    Raises one of UNREADABLE where the subject cannot be read, or the bytes are no JSON object.
    """
    if not value.isascii():
        value = mend_text(value, kind)
    try:
        return msgspec.json.decode(value, type=kind), value
    except msgspec.ValidationError:
        mended = mend_fields(value, kind)
    return msgspec.json.decode(mended, type=kind), mended


def normalize_decimal(text: Amount | None) -> str:
    """Write a decimal in one way, so that `0.50` and `0.5` are equal; other text stays as it is."""
    if text is None or text == "":
        return "0"
    if isinstance(text, str) and len(text) <= _USUAL_CHARS_MAX:
        return _normalize_short(text)
    return _write_plainly(text)


@lru_cache(maxsize=4096)
def _normalize_short(text: str) -> str:
    return text if _is_written_in_one_way(text) else _write_plainly(text)


def _write_plainly(text: Amount) -> str:
    value = read_quantity(text)
    if value is None:
        return str(text)
    plain = format(value, "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return plain if value else "0"


def is_concluded_end(record: VenueRecord) -> bool:
    """Whether a record is the end of an order that the venue did not report, and the bridge concluded."""
    return record.progress.ended and record.compared_fields[0] == CONCLUDED_END


class _Holding(Struct, rename="camel"):
    """Fields of a balance or position that its owner changes; the venue is not known to push all of them."""

    available: Any = None
    debt: Any = None
    borrow: Any = None
    overdraw: Any = None
    loan: Any = None
    leverage: Any = None


_decode_holding: Final = msgspec.json.Decoder(_Holding).decode


def _read_holding(value: bytes) -> _Holding:
    """Return these fields; none of them where one is a number that no float holds."""
    try:
        return _decode_holding(value)
    except UNREADABLE:
        return _Holding()


def _normalize_amount(text: object) -> str | None:
    """Write a decimal in one way; return None where there is none."""
    return normalize_decimal(text) if isinstance(text, str | int | float) and text != "" else None


def differs(row: ComparedFields, known: ComparedFields) -> bool:
    """Whether a row contradicts known fields; a field that is missing in either or empty in the row does not."""
    return any(here != there for here, there in zip(row, known, strict=True) if here and there is not None)


def _parse_order(value: bytes, push: OrderPush | None = None) -> VenueRecord:
    """Return a snapshot of an order, identified by orderId, state, executed quantity and time of change.

    Without an orderId the clientOrderId takes its place.
    """
    if push is None:
        push, value = decode_push(value, OrderPush)
    executed, state = normalize_decimal(push.executed_qty), canonical_state(push.order_state)
    name = str(push.order_id) or push.client_order_id
    progress = progress_of(state, push.executed_qty, push.update_at)
    return VenueRecord(
        _ORDERS,
        name or UNKNOWN_EXCHANGE,
        value,
        progress.time_ms,
        event_id=f"order:{name}:{state}:{executed}:{push.update_at or 0}" if name else None,
        progress=progress,
        compared=None,
        order=push,
        lacks_order_id=not push.order_id,
    )


def _read_order_fields(value: bytes) -> ComparedFields:
    """Return the compared fields of an order. A missing action contradicts none: the history has no action."""
    push, _ = decode_push(value, OrderPush)
    return (
        canonical_state(push.order_state),
        normalize_decimal(push.executed_qty),
        _normalize_amount(push.order_qty),
        _normalize_amount(push.limit_price),
        push.action and push.action.upper(),
    )


def _normalize_exchange(name: str | None) -> str:
    """Write an exchange in one way: stream and REST need not agree on its case."""
    return (name or "").strip().upper() or UNKNOWN_EXCHANGE


def _parse_trade(value: bytes, push: TradePush | None = None) -> VenueRecord:
    """Return a trade with its identity at the venue; one without an id is identified by all of its fields."""
    if push is None:
        push, value = decode_push(value, TradePush)
    exchange = _normalize_exchange(push.exchange_type or push.sym.split("_", 1)[0])
    identity = f"trade:{exchange}:{push.sym}:{push.order_id}:{push.transaction_id}"
    compared = (normalize_decimal(push.quantity), normalize_decimal(push.price), push.side.upper())
    is_named = has_id(push)
    return VenueRecord(
        Stream.TRADES,
        str(push.order_id),
        value,
        parse_time_ms(push.create_at),
        event_id=identity if is_named else None,
        identity=identity if is_named else ":".join((identity, str(push.create_at), *compared)),
        compared=compared,
        trade=push,
    )


def _parse_asset(value: bytes, push: AssetPush | None = None) -> VenueRecord:
    if push is None:
        push, value = decode_push(value, AssetPush)
    time_ms = parse_time_ms(push.update_at)
    held = _read_holding(value)
    # The venue reports a loan only while there is one (LTP docs, change log); a record with a debt has all fields.
    loan = "0" if held.loan is None and held.debt is not None else held.loan
    amounts = (push.balance, push.frozen, held.available, held.debt, held.borrow, held.overdraw, loan)
    compared = tuple(_normalize_amount(amount) for amount in amounts)
    return VenueRecord(
        Stream.ASSETS,
        f"{_normalize_exchange(push.exchange_type)}:{push.coin}",
        value,
        time_ms,
        progress=NO_PROGRESS.dated(time_ms),
        compared=compared,
        is_empty=set(compared) <= {"0", None},
    )


def _parse_position(value: bytes, push: PositionPush | None = None) -> VenueRecord:
    if push is None:
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
        progress=NO_PROGRESS.dated(time_ms),
        compared=(quantity, price, leverage) if quantity != "0" else (quantity, None, None),
        is_empty=quantity == "0",
    )


def _parse_margin_call(value: bytes) -> VenueRecord:
    push, value = decode_push(value, MarginCallPush)
    time_ms = parse_time_ms(push.update_at) or parse_time_ms(push.create_at)
    return VenueRecord(Stream.MARGIN_CALLS, _normalize_exchange(push.exchange_type), value, time_ms)


def _parse_liquidation(value: bytes) -> VenueRecord:
    push, value = decode_push(value, LiquidationPush)
    time_ms = parse_time_ms(push.update_at) or parse_time_ms(push.create_at)
    return VenueRecord(Stream.LIQUIDATIONS, str(push.liquidation_event_id), value, time_ms)


PARSERS: Final[dict[Stream, Callable[..., VenueRecord]]] = {
    Stream.ORDERS: _parse_order,
    Stream.TRADES: _parse_trade,
    Stream.ASSETS: _parse_asset,
    Stream.POSITIONS: _parse_position,
    Stream.MARGIN_CALLS: _parse_margin_call,
    Stream.LIQUIDATIONS: _parse_liquidation,
}
"""The parser of each stream's records; each raises one of UNREADABLE.

It takes the bytes, and for the kinds of `VenuePush` also the decoded fields, where those were read with the frame.
"""
