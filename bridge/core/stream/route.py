"""From the venue's words to records: which topic, which key, which name. Values stay the venue's bytes."""

import re
from collections.abc import Callable, Collection
from typing import Final

import msgspec

from bridge.contract.pushes import OrderPush, TradePush
from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core.clocks import ReadMs
from bridge.core.now import Now
from bridge.core.packed import RecentNumbers, digest
from bridge.core.records import InvalidFrame, OutgoingRecord, Push
from bridge.core.stream.fill_sums import FillSums
from bridge.core.stream.published_states import PublishedStates
from bridge.core.stream.venue_record import PARSERS, UNKNOWN_EXCHANGE, UNREADABLE, VenueRecord

_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_TRADES_REMEMBERED_MAX: Final = 240_000
"""The latest trades, by what the venue names them; a sweep asks for those since the last clean audit, and more."""
_MEANING_MASK: Final = (1 << 32) - 1
_CONFLICTS_REMEMBERED_MAX: Final = 10_000
_CHANNEL_CHARS_MAX: Final = 100
_STREAMS: Final = {
    "Orders": Stream.ORDERS,
    "Trades": Stream.TRADES,
    "Assets": Stream.ASSETS,
    "Positions": Stream.POSITIONS,
    "MarginCall": Stream.MARGIN_CALLS,
    "LiquidationEvent": Stream.LIQUIDATIONS,
    "LiquidationPosition": Stream.LIQUIDATIONS,
    "LiquidationPositionByUser": Stream.LIQUIDATIONS,
}
_NOT_IN_A_NAME: Final = re.compile(r"[\s_-]")


def _plain_name(channel: str) -> str:
    """Write a channel's name in one way: the venue's documents do not agree on case and number."""
    return _NOT_IN_A_NAME.sub("", channel[:_CHANNEL_CHARS_MAX]).lower().removesuffix("s")


_BY_PLAIN_NAME: Final = {_plain_name(channel): stream for channel, stream in _STREAMS.items()}


class Router:
    """Turns pushes, and rows that REST tells in their place, into records.

    Remembers trades, to tell a repeat from two that share a name; `standing` knows the newest state of every key.
    """

    def __init__(
        self,
        standing: PublishedStates,
        on_order: Callable[[OrderPush, Now], None],
        on_trade: Callable[[TradePush, Now], None],
        on_conflict: Callable[[str, Now], None],
        *,
        on_unrecognized: Callable[[str, bytes, Now], None] = lambda *_: None,
        on_margin_call: Callable[[bytes, Now], None] = lambda *_: None,
        fills: FillSums | None = None,
        read_venue: Callable[[Now], ReadMs] | None = None,
        name: Callable[[VenueRecord], VenueRecord] = lambda element: element,
    ) -> None:
        self._states = standing
        self._on_order = on_order
        self._on_trade = on_trade
        self._on_conflict = on_conflict
        self._on_unrecognized = on_unrecognized
        self._on_margin_call = on_margin_call
        self._fills = fills
        self._name = name
        self._read_venue = read_venue or (lambda now: ReadMs(now.wall_ms, now.wall_ms))
        self._trades = RecentNumbers(_TRADES_REMEMBERED_MAX, "I")
        """What each says, by its name; both as digests."""
        self._conflicts: set[int] = set()

    def route_push(self, push: Push, now: Now) -> list[OutgoingRecord]:
        """Return the records of a push; a `data` array becomes one for each element.

        What cannot be read, or not as it came, goes to `unrecognized` as the whole frame, once, and what can be read of
        it to its topic. A state that is older than what was published is followed by the newer one again: the last
        record of a key is the truth.
        """
        stream = _STREAMS.get(push.channel) or _BY_PLAIN_NAME.get(_plain_name(push.channel))
        if stream is None:
            return [self._build_unrecognized(push.frame, push.channel, now)]
        read = PARSERS[stream]
        records: list[OutgoingRecord] = []
        readable = True
        for value in _elements(push.data):
            try:
                element = read(value)
            except UNREADABLE:
                readable = False
                continue
            readable &= element.value == value
            element = self._name(element)
            records += self.records_of(element, now)
            if element.order is not None:
                self._on_order(element.order, now)
            if element.trade is not None:
                self._on_trade(element.trade, now)
        if not readable or not records:
            records.append(self._build_unrecognized(push.frame, push.channel, now))
        return records

    def records_of(self, element: VenueRecord, now: Now, *, recovered: bool = False) -> list[OutgoingRecord]:
        """Return the record of an element, and with it whatever must follow on its topic."""
        if element.trade is not None:
            return [_record(element, now, self._add_trade(element, element.trade, now), recovered=recovered)]
        records = [_record(element, now, element.event_id, recovered=recovered)]
        if element.stream is Stream.MARGIN_CALLS:
            self._on_margin_call(element.value, now)
        if element.stream in STATE_STREAMS and not element.lacks_order_id:
            if element.progress.ended and self._fills is not None:
                self._fills.order_published(element, now, was_over=self._states.has_ended(element.key))
            read = self._read_venue(now)
            if recovered:
                newer = self._states.update(element, now.boot_ms, told_ms=_happened_ms(element, read, now))
            else:
                newer = self._states.update(element, now.boot_ms, read)
            if newer is not None:
                records.append(_record(newer.record, now, newer.record.event_id, recovered=newer.recovered))
        return records

    def due_refreshes(self, now: Now, stuck: Collection[Stream] = ()) -> list[OutgoingRecord]:
        """Return some of the states whose last record is nearly one horizon old, but for those of `stuck` topics."""
        return [
            _record(stood.record, now, stood.record.event_id, recovered=stood.recovered)
            for stood in self._states.pop_due(now.boot_ms, stuck)
        ]

    def is_known_trade(self, element: VenueRecord) -> bool:
        """Whether a trade has been published, as it is or beside another one of its name."""
        return self._is_known(element, self._trades.get(digest(element.identity)))

    def _is_known(self, element: VenueRecord, meaning: int | None) -> bool:
        """Whether a trade is known, where one of its name has this meaning, or none is known."""
        return meaning == _meaning_of(element) or (bool(self._conflicts) and _with_meaning(element) in self._conflicts)

    @property
    def trades_forgotten_ms(self) -> int:
        """The latest time of a trade that is no longer remembered; 0 when all are."""
        return self._trades.forgotten_ms

    def remember_trade(self, element: VenueRecord, published_ms: int) -> None:
        """Learn of a trade that an earlier owner published."""
        name = digest(element.identity)
        meaning = self._trades.get(name)
        if meaning is None:
            self._put_trade(name, element, published_ms)
        elif meaning != _meaning_of(element):
            self._remember_conflict(element)

    def route_invalid_frame(self, frame: InvalidFrame, now: Now) -> OutgoingRecord:
        """Return the record of a frame that is not of the venue's protocol."""
        return self._build_unrecognized(frame.frame, UNKNOWN_EXCHANGE, now)

    def tombstone(self, element: VenueRecord, now: Now) -> OutgoingRecord:
        """Return the record that says that a state is no more."""
        self._states.forget(element.stream, element.key)
        return OutgoingRecord(element.stream, element.key.encode(), None, now.wall_ms, recovered=True)

    def _add_trade(self, element: VenueRecord, trade: TradePush, now: Now) -> str | None:
        """Remember a trade; return its name, or none where it has none or another trade has it."""
        name = digest(element.identity)
        meaning = self._trades.get(name)
        is_known = self._is_known(element, meaning)
        if self._fills is not None and (element.event_id is None or not is_known):
            self._fills.trade_published(trade, now)
        if meaning is None:
            self._put_trade(name, element, now.wall_ms)
        elif meaning != _meaning_of(element):
            self._remember_conflict(element)
            self._on_conflict(
                f"{element.identity} came with {element.compared_fields}, and with something else before", now
            )
            return None
        return element.event_id

    def _put_trade(self, name: int, element: VenueRecord, now_ms: int) -> None:
        self._trades.put(name, _meaning_of(element), min(element.time_ms or now_ms, now_ms))

    def _remember_conflict(self, element: VenueRecord) -> None:
        if len(self._conflicts) >= _CONFLICTS_REMEMBERED_MAX:
            self._conflicts.clear()
        self._conflicts.add(_with_meaning(element))

    def _build_unrecognized(self, frame: bytes, channel: str, now: Now) -> OutgoingRecord:
        self._on_unrecognized(channel, frame, now)
        return OutgoingRecord(
            stream=Stream.UNRECOGNIZED,
            key=channel.encode("utf-8", "replace"),
            value=frame,
            time_ms=now.wall_ms,
            is_json=False,
            received_boot_s=now.boot_s,
        )


def _meaning_of(trade: VenueRecord) -> int:
    return digest(trade.compared_fields) & _MEANING_MASK


def _with_meaning(trade: VenueRecord) -> int:
    return digest((trade.identity, *trade.compared_fields))


def _record(element: VenueRecord, now: Now, event_id: str | None, *, recovered: bool) -> OutgoingRecord:
    return OutgoingRecord(
        stream=element.stream,
        key=element.key.encode(),
        value=element.value,
        time_ms=element.time_ms or now.wall_ms,
        event_id=event_id,
        recovered=recovered,
        # A row can be asked for again, and until it is durable its gap is open: it is not the stream's to wait for.
        received_boot_s=None if recovered else now.boot_s,
    )


def _happened_ms(element: VenueRecord, read: ReadMs, now: Now) -> int:
    """Return when, at the latest, a row's fact happened, in ms on the clock that never steps."""
    age_ms = read.earliest - element.time_ms if element.time_ms else 0
    return now.boot_ms - max(age_ms, 0)


def _elements(data: bytes) -> list[bytes]:
    """Split a `data` array into the bytes of its elements; an object is its own only element."""
    if not data.startswith(b"["):
        return [data]
    try:
        return [bytes(element) for element in _ELEMENTS.decode(data)]
    except UNREADABLE:
        return [data]
