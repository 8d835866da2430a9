"""What stands on the state topics: of every key the newest state, which its last record there must be."""

from collections import deque
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from enum import Enum, auto
from itertools import islice
from typing import Final

import msgspec
from msgspec import Struct

from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core.clocks import UNMEASURED_MS, ReadMs
from bridge.core.orders import contradicts_end
from bridge.core.packed import RecentNumbers, digest
from bridge.core.stream.venue_record import UNKNOWN_EXCHANGE, VenueRecord, differs, is_concluded_end

_OVER_REMEMBERED_MAX: Final = 5000
"""What ends in four minutes at the venue's limit for places; an audit looks back two and a half."""
_OVER_BYTES_MAX: Final = 8 * 1024 * 1024
_NAMES_REMEMBERED_MAX: Final = 240_000
_REFRESH_SHARE: Final = 0.8
"""Of the horizon: so much before its end a state is published again."""
_REFRESHED_AT_ONCE: Final = 200
_WITHOUT_TIME: Final = 2
"""So much of a progress needs no time: that an order is over, and what was executed."""


class PublishedState(Struct, frozen=True, gc=False):
    """The newest state of one key. `published_ms` is when it last went to its topic.

    `told_ms` is from when on the venue's every word knows it: when it was first published, and what was missed, when
    it happened. Both are on the clock that never steps. `dated_ms` is the venue's time of it: as it says, unless that
    is surely yet to come; else, and where it says none, when it came; 0 where neither is known.
    """

    record: VenueRecord
    published_boot_ms: int
    known_since_boot_ms: int
    recovered: bool
    dated_ms: int


class Comparison(Enum):
    """What a row of REST tells beside what stands."""

    NOTHING_NEW = auto()
    NEWER = auto()
    UNDATED = auto()
    """Something else, and no time says which came first."""
    DISPUTED = auto()
    """Something else, from before what stands."""


class PublishedStates:
    """The newest states; orders that are over are kept too, the oldest forgotten first but for their names."""

    def __init__(self, horizon_s: float, skew_bound_s: float) -> None:
        self._horizon_ms = int(horizon_s * 1000)
        self._bound_ms = int(skew_bound_s * 1000)
        self._refresh_ms = int(horizon_s * 1000 * _REFRESH_SHARE)
        # Those that were published longest ago come first.
        self._live: dict[Stream, dict[str, PublishedState]] = {stream: {} for stream in STATE_STREAMS}
        self._ended: dict[str, PublishedState] = {}
        self._over_bytes = 0
        self._ended_names = RecentNumbers(_NAMES_REMEMBERED_MAX, "B")
        """Orders whose end was published, and nothing else is known of."""
        self._lost: dict[Stream, deque[str]] = {stream: deque() for stream in STATE_STREAMS}
        """Keys whose last record is gone with its topic, and is to be published again."""

    def update(
        self, element: VenueRecord, now_ms: int, arrived: ReadMs | None = None, told_ms: int | None = None
    ) -> PublishedState | None:
        """Let a state that is published now stand, unless a newer one does; return that, to be published again.

        `arrived` is what the venue's clock reads when it is pushed, None for a row of REST, which was judged before,
        and happened at `told_ms`.
        """
        live = self._live[element.stream]
        known = live.pop(element.key, None) or self._ended.get(element.key)
        if arrived is None:
            known_ms = now_ms if told_ms is None else told_ms
            stood = PublishedState(
                _drop_order_fields(element), now_ms, known_ms, recovered=True, dated_ms=element.time_ms
            )
        else:
            stood = self._date_state(element, now_ms, arrived)
        if known is not None and not _goes_on(stood.record, known) and _is_older(stood, known):
            self._store(msgspec.structs.replace(known, published_boot_ms=now_ms))
            return known
        self._store(stood)
        return None

    def restore(self, element: VenueRecord, published_ms: int, stamped_ms: int, *, recovered: bool = False) -> None:
        """Let a state stand that an earlier owner published, the earlier ones first; `stamped_ms` is in Unix ms."""
        self._live[element.stream].pop(element.key, None)
        # The broker's clock and the venue's may differ.
        stood = self._date_state(element, published_ms, ReadMs(stamped_ms, stamped_ms + UNMEASURED_MS))
        self._store(msgspec.structs.replace(stood, recovered=recovered))

    def forget(self, stream: Stream, key: str) -> None:
        """Let nothing of a key stand: its last record is a tombstone."""
        self._live[stream].pop(key, None)

    def compare(self, element: VenueRecord) -> Comparison:
        """Say what a row of REST tells beside what stands."""
        known = self._find(element)
        if known is None:
            is_forgotten = element.stream is Stream.ORDERS and self._is_forgotten(element.key)
            return Comparison.NOTHING_NEW if is_forgotten else Comparison.NEWER
        here, there = element.progress[:_WITHOUT_TIME], known.record.progress[:_WITHOUT_TIME]
        if here != there:
            return Comparison.NEWER if there < here or _goes_on(element, known) else Comparison.NOTHING_NEW
        if element.time_ms > known.dated_ms > 0 and element.stream is not Stream.ORDERS:
            return Comparison.NEWER
        if not differs(element.compared_fields, known.record.compared_fields):
            return Comparison.NOTHING_NEW
        if not element.time_ms or not known.dated_ms:
            return Comparison.UNDATED
        is_newer = (known.dated_ms, known.record.progress.stage) <= (element.time_ms, element.progress.stage)
        return Comparison.NEWER if is_newer else Comparison.DISPUTED

    def differs(self, element: VenueRecord) -> bool:
        """Whether a state means something else to a reader than what stands; a price may move what it says besides."""
        known = self._live[element.stream].get(element.key)
        return not element.is_empty if known is None else differs(element.compared_fields, known.record.compared_fields)

    def is_dated(self, element: VenueRecord) -> bool:
        """Whether times tell that a row of REST is not from before what stands."""
        known = self._live[element.stream].get(element.key)
        return bool(element.time_ms and (known is None or known.dated_ms))

    @property
    def ends_forgotten_ms(self) -> int:
        """The latest time of an order's end of which not even the name is remembered; 0 when all are."""
        return self._ended_names.forgotten_ms

    def known_since_boot_ms(self, element: VenueRecord) -> int:
        """Return since when what stands under the key of an element is known; 0 when nothing does."""
        known = self._find(element)
        return known.known_since_boot_ms if known is not None else 0

    def last_value(self, stream: Stream, key: str) -> bytes | None:
        """Return what stands under a key."""
        known = self._live[stream].get(key)
        return known.record.value if known is not None else None

    def is_recovered(self, order_id: str) -> bool:
        """Whether what stands of an order came from REST, and nothing of it was pushed since."""
        known = self._live[Stream.ORDERS].get(order_id) or self._ended.get(order_id)
        return known is not None and known.recovered

    def has_ended(self, order_id: str) -> bool:
        """Whether the end of an order was published."""
        return order_id in self._ended or self._is_forgotten(order_id)

    def _is_forgotten(self, order_id: str) -> bool:
        return self._ended_names.get(digest(order_id)) is not None

    def live_orders(self) -> list[str]:
        """Return the orders that live for readers."""
        return list(self._live[Stream.ORDERS])

    def has(self, element: VenueRecord) -> bool:
        """Whether anything stands under the key of an element."""
        return self._find(element) is not None

    def _find(self, element: VenueRecord) -> PublishedState | None:
        return self._live[element.stream].get(element.key) or self._ended.get(element.key)

    def is_unattributed(self, key: str) -> bool:
        """Whether a balance of this coin was pushed without its exchange."""
        coin = key.partition(":")[2]
        return f"{UNKNOWN_EXCHANGE}:{coin}" in self._live[Stream.ASSETS]

    def missing_from(self, stream: Stream, listed: AbstractSet[str], before_ms: int) -> list[VenueRecord]:
        """Return what was told before a time, and is missing in a full list of the stream's keys."""
        return [
            stood.record
            for key, stood in self._live[stream].items()
            if key not in listed and stood.known_since_boot_ms <= before_ms
        ]

    def mark_lost(self, stream: Stream, now_ms: int) -> None:
        """Let everything of a stream be published again, ended orders of the last horizon too: its topic was lost."""
        over = (stood for stood in self._ended.values() if stood.record.stream is stream)
        recent = [stood.record.key for stood in over if stood.published_boot_ms > now_ms - self._horizon_ms]
        self._lost[stream] = deque([*self._live[stream], *recent])

    def is_lost(self, stream: Stream) -> bool:
        """Whether something of a stream is still to be published again."""
        return bool(self._lost.get(stream))

    def pop_due(self, now_ms: int, stuck: Collection[Stream] = ()) -> list[PublishedState]:
        """Return some of what has to be published again, but for the topics that are `stuck`.

        Its last record is nearly one horizon old, or is gone with its topic.
        """
        before_ms = now_ms - self._refresh_ms
        found = [stood for stream in self._lost if stream not in stuck for stood in self._some_lost(stream)]
        for live in (live for stream, live in self._live.items() if stream not in stuck):
            for stood in islice(live.values(), _REFRESHED_AT_ONCE):
                if stood.published_boot_ms > before_ms:
                    break
                found.append(stood)
        for stood in found:
            self._live[stood.record.stream].pop(stood.record.key, None)
            self._store(msgspec.structs.replace(stood, published_boot_ms=now_ms))
        return found

    def _some_lost(self, stream: Stream) -> list[PublishedState]:
        lost = self._lost[stream]
        keys = [lost.popleft() for _ in range(min(len(lost), _REFRESHED_AT_ONCE))]
        stood = (self._live[stream].get(key) or self._ended.get(key) for key in keys)
        return [one for one in stood if one is not None]

    def _date_state(self, element: VenueRecord, now_ms: int, arrived: ReadMs) -> PublishedState:
        """Date a state that was pushed: one whose time is surely yet to come is as old as its arrival.

        The venue has more clocks than the one that was read. Where that was behind them, what comes next may be dated
        before this arrival, and is newer all the same.
        """
        is_possible = 0 < element.time_ms <= arrived.latest + self._bound_ms
        dated_ms = element.time_ms if is_possible else arrived.earliest
        if element.time_ms > dated_ms:
            surely_ms = max(dated_ms - self._bound_ms, 0)
            element = msgspec.structs.replace(element, progress=element.progress._replace(time_ms=surely_ms))
        return PublishedState(_drop_order_fields(element), now_ms, now_ms, recovered=False, dated_ms=dated_ms)

    def _store(self, stood: PublishedState) -> None:
        element = stood.record
        known = self._ended.get(element.key)
        if not element.progress.ended:
            if known is not None:
                self._over_bytes -= len(self._ended.pop(element.key).record.value)
            self._live[element.stream][element.key] = stood
            return
        self._over_bytes += len(element.value) - (len(known.record.value) if known is not None else 0)
        self._ended[element.key] = stood
        while len(self._ended) > _OVER_REMEMBERED_MAX or self._over_bytes > _OVER_BYTES_MAX:
            oldest = self._ended.pop(next(iter(self._ended)))
            self._over_bytes -= len(oldest.record.value)
            self._ended_names.put(digest(oldest.record.key), 1, oldest.dated_ms)


def _drop_order_fields(element: VenueRecord) -> VenueRecord:
    """Return an element without the fields of its order, which its bytes hold as well."""
    return msgspec.structs.replace(element, order=None) if element.order is not None else element


def _goes_on(element: VenueRecord, known: PublishedState) -> bool:
    """Whether a state shows an order alive after an end that was not pushed: the bridge may have concluded that end."""
    there = known.record
    return known.recovered and is_concluded_end(there) and contradicts_end(element.progress, there.progress)


def _is_older(one: PublishedState, other: PublishedState) -> bool:
    """Whether a state came before another.

    One without a time, or with one that is yet to come, is taken in the order of its arrival, and so is a row that REST
    insists on.
    """
    here, there = one.record.progress, other.record.progress
    if one.recovered or not 0 < one.record.time_ms <= one.dated_ms:
        return here[:_WITHOUT_TIME] < there[:_WITHOUT_TIME]
    return here < there
