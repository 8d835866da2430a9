"""The records of pushes, and of rows of REST in their place: topic, key and identity. Values stay the venue's bytes.

What a new channel needs, `contract/topics.py` lists.
"""

import re
from collections.abc import Collection
from typing import Final, Protocol

import msgspec

from bridge.config import Timing
from bridge.contract.pushes import TradePush
from bridge.contract.session import Alarm
from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core.clocks import Clocks, ReadMs
from bridge.core.now import Now
from bridge.core.odd_fields import UNREADABLE
from bridge.core.orders import Order, Orders
from bridge.core.outbox import Outbox
from bridge.core.records import InvalidFrame, OutgoingRecord, Push
from bridge.core.stream.fill_sums import FillSums
from bridge.core.stream.order_ends import identify_refused
from bridge.core.stream.published_states import PublishedStates
from bridge.core.stream.published_trades import PublishedTrades, TradeMatch
from bridge.core.stream.undocumented import UndocumentedShapes
from bridge.core.stream.venue_record import PARSERS, UNKNOWN_EXCHANGE, VenueRecord

_decode_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_CHANNEL_CHARS_MAX: Final = 100
_MARGIN_CALLS: Final = Stream.MARGIN_CALLS
_STREAM_OF_CHANNEL: Final = {
    "Orders": Stream.ORDERS,
    "Trades": Stream.TRADES,
    "Assets": Stream.ASSETS,
    "Positions": Stream.POSITIONS,
    "MarginCall": Stream.MARGIN_CALLS,
    "LiquidationEvent": Stream.LIQUIDATIONS,
    "LiquidationPosition": Stream.LIQUIDATIONS,
    "LiquidationPositionByUser": Stream.LIQUIDATIONS,
}
_SEPARATOR: Final = re.compile(r"[\s_-]")


def _normalize_channel(channel: str) -> str:
    """Write a channel's name in one way: the venue's documents do not agree on case and number."""
    return _SEPARATOR.sub("", channel[:_CHANNEL_CHARS_MAX]).lower().removesuffix("s")


_BY_NORMALIZED_NAME: Final = {_normalize_channel(channel): stream for channel, stream in _STREAM_OF_CHANNEL.items()}


class OrderListener(Protocol):
    """Takes in every order and every execution that the venue pushes."""

    def on_order(self, order: Order, now: Now) -> None:
        """Take in an order, as it is known after a snapshot of it."""

    def on_trade(self, push: TradePush, now: Now) -> None:
        """Take in an execution."""


class Router:
    """Makes the records of pushes and rows, and keeps what was published: states, trades, and the sums of fills."""

    def __init__(
        self, outbox: Outbox, orders: Orders, *, clocks: Clocks, timing: Timing, listener: OrderListener
    ) -> None:
        self._outbox = outbox
        self._orders = orders
        self._clocks = clocks
        self._listener = listener
        self._shapes = UndocumentedShapes(outbox.alarms)
        self.states = PublishedStates(timing.horizon_s, timing.skew_bound_s)
        self.trades = PublishedTrades()
        self.fills = FillSums(orders, outbox.alarms, clocks.venue, timing.rest_lag_s)

    def route_push(self, push: Push, now: Now) -> list[OutgoingRecord]:
        """Return the records of a push, one for each item of a `data` array.

        A frame of which something is unreadable, or had to be mended, goes to `unrecognized` as well, as a whole.
        A state that is older than the published one is followed by the published one again: the last record of a key is
        the truth.
        """
        stream = _STREAM_OF_CHANNEL.get(push.channel) or _BY_NORMALIZED_NAME.get(_normalize_channel(push.channel))
        if stream is None:
            return [self._build_unrecognized(push.frame, push.channel, now)]
        parse = PARSERS[stream]
        if push.decoded is not None:
            return self._route_record(parse(push.data, push.decoded), now)
        records: list[OutgoingRecord] = []
        is_readable = True
        for value in _split_array(push.data):
            try:
                record = parse(value)
            except UNREADABLE:
                is_readable = False
                continue
            is_readable &= record.value == value
            records += self._route_record(record, now)
        if not is_readable or not records:
            records.append(self._build_unrecognized(push.frame, push.channel, now))
        return records

    def _route_record(self, record: VenueRecord, now: Now) -> list[OutgoingRecord]:
        """Return what is published of a pushed record, and let the orders and their commands learn from it."""
        if record.lacks_order_id:
            record = identify_refused(record, self._orders)
        records = self.records_of(record, now)
        if record.order is not None:
            self._listener.on_order(self._orders.update(record.order, record.progress), now)
        elif record.trade is not None:
            self._listener.on_trade(record.trade, now)
        return records

    def records_of(self, record: VenueRecord, now: Now, *, recovered: bool = False) -> list[OutgoingRecord]:
        """Return what is published of a record; an older state is followed by the newer one that was published."""
        if record.trade is not None:
            return [_build_record(record, now, self._add_trade(record, record.trade, now), recovered=recovered)]
        records = [_build_record(record, now, record.event_id, recovered=recovered)]
        stream = record.stream
        if stream is _MARGIN_CALLS:
            self._shapes.check_margin_call(record.value, now)
        if stream in STATE_STREAMS and not record.lacks_order_id:
            if record.progress.ended and self.fills.concerns(record):
                self.fills.order_published(record, now, had_ended=self.states.has_ended(record.key))
            read = self._clocks.read_venue(now)
            if recovered:
                newer = self.states.update_from_rest(record, now.boot_ms, _happened_boot_ms(record, read, now))
            else:
                newer = self.states.update_from_push(record, now.boot_ms, read)
            if newer is not None:
                records.append(_build_record(newer.record, now, newer.record.event_id, recovered=newer.recovered))
        return records

    def due_refreshes(self, now: Now, stuck: Collection[Stream] = ()) -> list[OutgoingRecord]:
        """Return some states whose last record is nearly one horizon old, except those of `stuck` topics."""
        return [
            _build_record(state.record, now, state.record.event_id, recovered=state.recovered)
            for state in self.states.pop_due(now.boot_ms, stuck)
        ]

    def route_invalid_frame(self, frame: InvalidFrame, now: Now) -> OutgoingRecord:
        """Return the record of a frame that is not of the venue's protocol."""
        return self._build_unrecognized(frame.frame, UNKNOWN_EXCHANGE, now)

    def build_tombstone(self, record: VenueRecord, now: Now) -> OutgoingRecord:
        """Return the record that ends a key, and forget its state."""
        self.states.forget(record.stream, record.key)
        return OutgoingRecord(record.stream, record.key.encode(), None, now.wall_ms, recovered=True)

    def _add_trade(self, record: VenueRecord, trade: TradePush, now: Now) -> str | None:
        """Note that a trade is published; return its event id, None without one or where another trade has it."""
        match = self.trades.add(record, now.wall_ms)
        if record.event_id is None or match is TradeMatch.NEW or match is TradeMatch.CONFLICT:
            self.fills.trade_published(trade, now)
        if match is TradeMatch.NEW or match is TradeMatch.KNOWN:
            return record.event_id
        detail = f"{record.identity} came with {record.compared_fields}, and with something else before"
        self._outbox.publish_alarm(Alarm.TRADE_CONFLICT, detail, now)
        return None

    def _build_unrecognized(self, frame: bytes, channel: str, now: Now) -> OutgoingRecord:
        self._shapes.check_frame(channel, frame, now)
        return OutgoingRecord(
            stream=Stream.UNRECOGNIZED,
            key=channel.encode("utf-8", "replace"),
            value=frame,
            time_ms=now.wall_ms,
            is_json=False,
            received_boot_s=now.boot_s,
        )


def _build_record(record: VenueRecord, now: Now, event_id: str | None, *, recovered: bool) -> OutgoingRecord:
    return OutgoingRecord(
        stream=record.stream,
        key=record.key.encode(),
        value=record.value,
        time_ms=record.time_ms or now.wall_ms,
        event_id=event_id,
        recovered=recovered,
        # `received_boot_s` bounds up to when the live stream is durable. A row of REST does not bound it: the gap stays
        # open until the row is durable, and after a crash the next owner asks REST for the row again.
        received_boot_s=None if recovered else now.boot_s,
    )


def _happened_boot_ms(record: VenueRecord, read: ReadMs, now: Now) -> int:
    """Return when, at the latest, the fact of a row happened, in ms on the boot clock."""
    age_ms = read.earliest - record.time_ms if record.time_ms else 0
    return now.boot_ms - max(age_ms, 0)


def _split_array(data: bytes) -> list[bytes]:
    """Return the bytes of each item of a `data` array; an object is its own only item."""
    if not data.startswith(b"["):
        return [data]
    try:
        return [bytes(item) for item in _decode_array(data)]
    except UNREADABLE:
        return [data]
