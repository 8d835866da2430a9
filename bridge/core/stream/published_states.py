"""The published states: the newest state of every key, which the last record of the key must say.

Order. `Progress` orders the snapshots of an order by four values: whether it has ended, the executed quantity,
`updateAt`, and, within one millisecond, the state. Balances and positions are ordered by `updateAt`. If a push is older
than the newest state, the bridge publishes the push as it came, and then the newest state again.

Missing or wrong dates. A push may have no date, or one that is ahead of the venue's clock by more than `skew_bound_s`.
Such a push counts as newer than the pushes before it, and its date is the time of its arrival. REST rows with such a
date are treated as rows without a date. If a row is dated before the newest state and differs from it, the row counts
only when every sweep for `rest_lag_s` finds it and nothing is pushed in that time. Two states differ if both have a
field with different values, unless it is a field that market prices change.

Ends. If a list of REST is complete and lacks a balance or position that has been known for more than `rest_lag_s`, the
key is absent. When two sweeps of a gap in a row find that, the key gets a tombstone; an audit opens a gap first. The
bridge concludes the end of an order (EXPIRED, recovered) when two lists, `rest_lag_s` apart, lack the order and no
answer says how it ended. If a snapshot with a later date shows that order live, the bridge believes the snapshot.
"""

from collections import OrderedDict, deque
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from enum import Enum, auto
from itertools import islice
from typing import Final

import msgspec
from msgspec import Struct

from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core.clocks import UNMEASURED_MS, ReadMs
from bridge.core.order_states import contradicts_end
from bridge.core.orders import FORGOTTEN_AT_ONCE
from bridge.core.packed import RecentNumbers, digest
from bridge.core.stream.venue_record import UNKNOWN_EXCHANGE, VenueRecord, differs, is_concluded_end

_ENDED_MAX: Final = 5000
"""The orders that end in four minutes at the venue's limit for places; an audit goes back two and a half."""
_ENDED_BYTES_MAX: Final = 8 * 1024 * 1024
_ENDED_NAMES_MAX: Final = 240_000
_REFRESH_SHARE: Final = 0.8
"""A state is published again after this share of the horizon."""
_REFRESHED_AT_ONCE: Final = 200


class PublishedState(Struct, frozen=True, gc=False):
    """The newest state of one key. `published_boot_ms` is when it was last published.

    `known_since_boot_ms` is from when on every report of the venue includes it: when it was first published, or, for a
    state from REST, when it happened. `dated_ms` is the venue's time of it: its own, or, where it has none or one
    that is surely in the future, the time of its arrival; 0 where neither is known.
    """

    record: VenueRecord
    published_boot_ms: int
    known_since_boot_ms: int
    recovered: bool
    dated_ms: int


class Comparison(Enum):
    """What a row of REST says in comparison with the published state of its key."""

    NOTHING_NEW = auto()
    NEWER = auto()
    UNDATED = auto()
    """It differs, and no time says which of the two came first."""
    DISPUTED = auto()
    """It differs, and is dated before the published state."""


class PublishedStates:
    """The newest state of every key. Of the orders that have ended the oldest are forgotten but for their names."""

    def __init__(self, horizon_s: float, skew_bound_s: float) -> None:
        self._horizon_ms = int(horizon_s * 1000)
        self._bound_ms = int(skew_bound_s * 1000)
        self._refresh_ms = int(horizon_s * 1000 * _REFRESH_SHARE)
        # The states that were published longest ago come first.
        self._live: dict[Stream, dict[str, PublishedState]] = {stream: {} for stream in STATE_STREAMS}
        self._ended: OrderedDict[str, PublishedState] = OrderedDict()
        self._ended_bytes = 0
        self._ended_names = RecentNumbers(_ENDED_NAMES_MAX, "B")
        """Orders whose end was published, and of which nothing else is known."""
        self._lost: dict[Stream, deque[str]] = {stream: deque() for stream in STATE_STREAMS}
        """Keys whose last record is gone with its topic, and is to be published again."""

    def update_from_push(self, record: VenueRecord, now_boot_ms: int, arrived: ReadMs) -> PublishedState | None:
        """Take in a pushed state that is published now; return the published state if that is newer, else None.

        `arrived` is what the venue's clock reads when the push arrives.
        """
        return self._update(self._date_state(record, now_boot_ms, arrived), now_boot_ms)

    def update_from_rest(self, record: VenueRecord, now_boot_ms: int, happened_boot_ms: int) -> PublishedState | None:
        """Take in a row of REST that is published now; return the published state if that is newer, else None."""
        state = PublishedState(
            record.without_order(), now_boot_ms, happened_boot_ms, recovered=True, dated_ms=record.time_ms
        )
        return self._update(state, now_boot_ms)

    def _update(self, state: PublishedState, now_boot_ms: int) -> PublishedState | None:
        record = state.record
        known = self._live[record.stream].pop(record.key, None) or self._ended.get(record.key)
        if known is not None and not _contradicts_end(record, known) and _is_older(state, known):
            self._store_state(msgspec.structs.replace(known, published_boot_ms=now_boot_ms))
            return known
        self._store_state(state)
        return None

    def restore(self, record: VenueRecord, published_boot_ms: int, stamped_ms: int, *, recovered: bool = False) -> None:
        """Take in a state that an earlier owner published, the oldest first; `stamped_ms` is the record's Unix time."""
        self._live[record.stream].pop(record.key, None)
        # The broker's clock and the venue's may differ.
        state = self._date_state(record, published_boot_ms, ReadMs(stamped_ms, stamped_ms + UNMEASURED_MS))
        self._store_state(msgspec.structs.replace(state, recovered=recovered))

    def forget(self, stream: Stream, key: str) -> None:
        """Forget the state of a key: its last record is a tombstone."""
        self._live[stream].pop(key, None)

    def compare(self, record: VenueRecord) -> Comparison:
        """Compare a row of REST with the published state of its key."""
        known = self._find_state(record)
        if known is None:
            is_forgotten = record.stream is Stream.ORDERS and self._is_forgotten(record.key)
            return Comparison.NOTHING_NEW if is_forgotten else Comparison.NEWER
        here, there = record.progress.without_time, known.record.progress.without_time
        if here != there:
            is_newer = there < here or _contradicts_end(record, known)
            return Comparison.NEWER if is_newer else Comparison.NOTHING_NEW
        if record.time_ms > known.dated_ms > 0 and record.stream is not Stream.ORDERS:
            return Comparison.NEWER
        if not differs(record.compared_fields, known.record.compared_fields):
            return Comparison.NOTHING_NEW
        if not record.time_ms or not known.dated_ms:
            return Comparison.UNDATED
        is_newer = (known.dated_ms, known.record.progress.stage) <= (record.time_ms, record.progress.stage)
        return Comparison.NEWER if is_newer else Comparison.DISPUTED

    def differs(self, record: VenueRecord) -> bool:
        """Whether a record differs from the published state for a reader, but for what a change of a price moves."""
        known = self._live[record.stream].get(record.key)
        if known is None:
            return not record.is_empty
        return differs(record.compared_fields, known.record.compared_fields)

    def is_dated(self, record: VenueRecord) -> bool:
        """Whether times can say if a row of REST is from before the published state."""
        known = self._live[record.stream].get(record.key)
        return bool(record.time_ms and (known is None or known.dated_ms))

    @property
    def ends_forgotten_ms(self) -> int:
        """The latest time of an order's end of which not even the name is remembered; 0 when all are."""
        return self._ended_names.forgotten_ms

    def known_since_boot_ms(self, record: VenueRecord) -> int:
        """Return since when the published state of a record's key is known; 0 without one."""
        known = self._find_state(record)
        return known.known_since_boot_ms if known is not None else 0

    def last_value(self, stream: Stream, key: str) -> bytes | None:
        """Return the value of the published state of a key; None without one."""
        known = self._live[stream].get(key)
        return known.record.value if known is not None else None

    def is_recovered(self, order_id: str) -> bool:
        """Whether the published state of an order came from REST, and nothing of the order was pushed since."""
        known = self._live[Stream.ORDERS].get(order_id) or self._ended.get(order_id)
        return known is not None and known.recovered

    def has_ended(self, order_id: str) -> bool:
        """Whether the end of an order was published."""
        return order_id in self._ended or self._is_forgotten(order_id)

    def _is_forgotten(self, order_id: str) -> bool:
        return self._ended_names.get(digest(order_id)) is not None

    def live_orders(self) -> list[str]:
        """Return the orders that are live by what was published."""
        return list(self._live[Stream.ORDERS])

    def has(self, record: VenueRecord) -> bool:
        """Whether a state of a record's key was published."""
        return self._find_state(record) is not None

    def _find_state(self, record: VenueRecord) -> PublishedState | None:
        return self._live[record.stream].get(record.key) or self._ended.get(record.key)

    def is_unattributed(self, key: str) -> bool:
        """Whether a balance of the coin of this key was pushed without its exchange."""
        coin = key.partition(":")[2]
        return f"{UNKNOWN_EXCHANGE}:{coin}" in self._live[Stream.ASSETS]

    def missing_from(self, stream: Stream, listed: AbstractSet[str], before_boot_ms: int) -> list[VenueRecord]:
        """Return the states that are known since before a time, and that a whole list of the stream's keys lacks."""
        return [
            state.record
            for key, state in self._live[stream].items()
            if key not in listed and state.known_since_boot_ms <= before_boot_ms
        ]

    def mark_lost(self, stream: Stream, now_boot_ms: int) -> None:
        """Let all states of a stream be published again, because its topic was lost.

        That includes the orders that ended within the last horizon.
        """
        ended = (state for state in self._ended.values() if state.record.stream is stream)
        recent = [state.record.key for state in ended if state.published_boot_ms > now_boot_ms - self._horizon_ms]
        self._lost[stream] = deque([*self._live[stream], *recent])

    def is_lost(self, stream: Stream) -> bool:
        """Whether some states of a lost topic are still to be published again."""
        return bool(self._lost.get(stream))

    def pop_due(self, now_boot_ms: int, stuck: Collection[Stream] = ()) -> list[PublishedState]:
        """Return some states that are to be published again, except those of `stuck` topics.

        The last record of such a state is nearly one horizon old, or is gone with its topic.
        """
        before_ms = now_boot_ms - self._refresh_ms
        due = [state for stream in self._lost if stream not in stuck for state in self._pop_lost(stream)]
        for live in (live for stream, live in self._live.items() if stream not in stuck):
            for state in islice(live.values(), _REFRESHED_AT_ONCE):
                if state.published_boot_ms > before_ms:
                    break
                due.append(state)
        for state in due:
            self._live[state.record.stream].pop(state.record.key, None)
            self._store_state(msgspec.structs.replace(state, published_boot_ms=now_boot_ms))
        return due

    def _pop_lost(self, stream: Stream) -> list[PublishedState]:
        lost = self._lost[stream]
        keys = [lost.popleft() for _ in range(min(len(lost), _REFRESHED_AT_ONCE))]
        states = (self._live[stream].get(key) or self._ended.get(key) for key in keys)
        return [state for state in states if state is not None]

    def _date_state(self, record: VenueRecord, now_boot_ms: int, arrived: ReadMs) -> PublishedState:
        """Return a pushed state with its date: one whose time is surely in the future is as old as its arrival.

        The venue has more clocks than the one that was read. Where that one is behind the others, a later push may be
        dated before this arrival, and is newer all the same.
        """
        dated_ms = record.time_ms
        if not 0 < dated_ms <= arrived.latest + self._bound_ms:
            dated_ms = arrived.earliest
        if record.time_ms > dated_ms:
            surely_ms = max(dated_ms - self._bound_ms, 0)
            record = msgspec.structs.replace(record, progress=record.progress.dated(surely_ms))
        return PublishedState(record.without_order(), now_boot_ms, now_boot_ms, recovered=False, dated_ms=dated_ms)

    def _store_state(self, state: PublishedState) -> None:
        record = state.record
        key, known = record.key, self._ended.get(record.key)
        if known is not None:
            self._ended_bytes -= len(known.record.value)
        if not record.progress.ended:
            if known is not None:
                del self._ended[key]
            self._live[record.stream][key] = state
            return
        self._ended_bytes += len(record.value)
        self._ended[key] = state
        if len(self._ended) >= _ENDED_MAX + FORGOTTEN_AT_ONCE or self._ended_bytes > _ENDED_BYTES_MAX:
            self._forget_oldest_ended()

    def _forget_oldest_ended(self) -> None:
        while len(self._ended) > _ENDED_MAX or self._ended_bytes > _ENDED_BYTES_MAX:
            key, oldest = self._ended.popitem(last=False)
            self._ended_bytes -= len(oldest.record.value)
            self._ended_names.put(digest(key), 1, oldest.dated_ms)


def _contradicts_end(record: VenueRecord, known: PublishedState) -> bool:
    """Whether a record shows an order live after an end that was not pushed, and that the bridge may have concluded."""
    there = known.record
    return known.recovered and is_concluded_end(there) and contradicts_end(record.progress, there.progress)


def _is_older(state: PublishedState, other: PublishedState) -> bool:
    """Whether a state came before another.

    A state without a time, or with one in the future, is as new as its arrival, and so is a row that REST insists on.
    """
    here, there = state.record.progress, other.record.progress
    if state.recovered or not 0 < state.record.time_ms <= state.dated_ms:
        return here.without_time < there.without_time
    return here < there
