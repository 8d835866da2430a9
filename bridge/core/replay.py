"""Replaying the topics: what earlier owners published on `results`, `dead-letters`, `session` and the state topics.

Everybody with Write on a topic, or a corrupt disk, may have put any bytes there: a record that cannot be read is
skipped, and nothing here raises.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct

from bridge.contract import headers as names
from bridge.contract.results import Result, Takeover
from bridge.contract.session import GapClosed, GapOpened, SessionEvent, SessionOpened
from bridge.contract.topics import Stream
from bridge.core.commands.claims import Origin
from bridge.core.commands.parse import command_id_of
from bridge.core.late_records import LateRecordFilter, SequencePoint, sequence_point_of
from bridge.core.odd_fields import UNREADABLE
from bridge.core.records import CommandRecord, TopicRecord
from bridge.core.stream.gaps import Gap

TIME_MS_MAX: Final = 10**14
"""The year 5138: a later time in a record is none."""

_NUMBER_MAX: Final = 2**63 - 1
_RESULT_BYTES_MAX: Final = 32_768
_STATES_BYTES_MAX: Final = 4 * 1024 * 1024
"""The bytes of last states that are held while a topic is read."""

_decode_session = msgspec.json.Decoder(SessionEvent).decode
_decode_result = msgspec.json.Decoder(Result).decode
_decode_takeover = msgspec.json.Decoder(Takeover).decode


class TopicEnd(Struct):
    """The highest epoch among the last records of a topic, and when the newest of them was written, Unix ms."""

    epoch: int = 0
    newest_ms: int = 0

    def add_records(self, records: Iterable[TopicRecord]) -> None:
        """Take in records of the topic."""
        for record in records:
            self.epoch = max(self.epoch, names.parse_epoch(dict(record.headers).get(names.EPOCH)))
            self.newest_ms = max(self.newest_ms, record.timestamp_ms)


class ReplayedResults:
    """The answers on `results` and `dead-letters`, read piece by piece: which commands have a terminal result.

    A command is identified by its commandId and its offset: where the topic was made again, or copied from another
    cluster, several commands have one offset. Offsets below `from_offset` are left out.
    """

    def __init__(self, from_offset: int = 0) -> None:
        self._from_offset = from_offset
        self._in_order = LateRecordFilter()
        self._command_ids: dict[int, str] = {}
        self._dead_letters: dict[int, bytes] = {}
        self._matched: set[int] = set()
        self._replaced: list[str] = []
        self._oldest: TopicRecord | None = None
        self._begun_by = 0
        self.owner: Origin | None = None
        """The origin of the last owner that published a takeover; None where no takeover names one."""

    @property
    def epoch(self) -> int:
        """The highest epoch on `results`; 0 without one."""
        return self._in_order.epoch

    @property
    def late_keys(self) -> Collection[bytes]:
        """The keys of late records on `results`."""
        return self._in_order.late_keys

    @property
    def count(self) -> int:
        """The number of commands that are known to be answered."""
        return len(self._command_ids) + len(self._dead_letters)

    def read_results(self, records: Sequence[TopicRecord], *, own_epoch: int | None = None) -> list[tuple[Result, int]]:
        """Return the results among records of `results`, with their timestamps in ms; late ones are left out.

        Records of `own_epoch`, which the reader itself has written, are left out too.
        """
        found: list[tuple[Result, int]] = []
        for record, value, kind in self._in_order.drop_late(records):
            if self._in_order.epoch == own_epoch:
                continue
            if self._oldest is None:
                self._oldest, self._begun_by = record, self._in_order.epoch
            result = self._read_result(value, kind)
            if result is None:
                continue
            found.append((result, record.timestamp_ms))
            if result.outcome.terminal and result.command_offset >= self._from_offset:
                before = self._command_ids.get(result.command_offset, result.command_id)
                if before != result.command_id:
                    self._replaced.append(before)
                self._command_ids[result.command_offset] = result.command_id
        return found

    def _read_result(self, value: bytes | None, kind: bytes | None) -> Result | None:
        try:
            if kind == names.TAKEOVER_TYPE:
                takeover = _decode_takeover(value or b"")
                if takeover.environment is not None:
                    self.owner = Origin(takeover.environment, takeover.key_fingerprint or "")
            elif kind == names.EVENT_TYPES[Stream.RESULTS] and len(value or b"") <= _RESULT_BYTES_MAX:
                result = _decode_result(value or b"")
                return result if _may_be_ours(result) else None
        except UNREADABLE:
            pass
        return None

    def read_dead_letters(self, records: Sequence[TopicRecord]) -> None:
        """Take in records of `dead-letters`."""
        for record in records:
            offset = names.parse_number(dict(record.headers).get(names.ERROR_OFFSET))
            if offset >= self._from_offset:
                self._dead_letters[offset] = _hash_value(record.value)

    def has_answer(self, record: CommandRecord) -> bool:
        """Whether this very record of `commands` has been answered."""
        command_id = self._command_ids.get(record.offset)
        if command_id is not None and command_id == command_id_of(record.value):
            self._matched.add(record.offset)
            return True
        dead_letter = self._dead_letters.get(record.offset)
        # The dead letter of a record that is too large has no value.
        return dead_letter is not None and dead_letter in {_hash_value(record.value), _EMPTY}

    def unmatched_command_ids(self) -> list[str]:
        """Return the commandIds of answers whose offsets `has_answer` matched with no record.

        These commands were read from a topic that had this name before, or from another cluster's.
        """
        unmatched = (command_id for offset, command_id in self._command_ids.items() if offset not in self._matched)
        return [*self._replaced, *unmatched]

    def complete_since_ms(self, horizon_ms: int) -> int:
        """Return the time from which on every answer is still there, Unix ms; `horizon_ms` is one horizon ago.

        Retention keeps at least one horizon. Only where the oldest record is the first that the topic ever had, and the
        first owner wrote it, nothing was before it.
        """
        if self._oldest is None:
            return horizon_ms
        if self._oldest.offset == 0 and self._begun_by <= 1:
            return 0
        return min(self._oldest.timestamp_ms, horizon_ms)


def _may_be_ours(result: Result) -> bool:
    """Whether the numbers of a result are such that a bridge can have written them."""
    counts = (result.command_offset, result.retry_after_ms or 0, abs(result.code or 0))
    times_ms = (result.answered_at, result.sent_at or 0)
    return all(0 <= one <= _NUMBER_MAX for one in counts) and all(0 <= one < TIME_MS_MAX for one in times_ms)


def _hash_value(value: bytes | None) -> bytes:
    return b"" if value is None else blake2b(value, digest_size=16).digest()


_EMPTY: Final = _hash_value(b"")


class ReplayedStates:
    """The last state of every key that earlier owners published on one topic, read piece by piece.

    While a long topic is read, its reader takes out the oldest states, and forgets those whose keys are in `ended`.
    """

    def __init__(self) -> None:
        self._in_order = LateRecordFilter()
        self._bytes = 0
        self.last: OrderedDict[bytes, tuple[bytes, int]] = OrderedDict()
        """The value and timestamp in ms of the last record of each key, the oldest first."""
        self.recovered: set[bytes] = set()
        """The keys whose last record came from REST in place of a push."""
        self.ended: list[bytes] = []
        """The keys that tombstones have ended."""

    @property
    def late_keys(self) -> Collection[bytes]:
        """The keys of late records."""
        return self._in_order.late_keys

    def read_records(self, records: Sequence[TopicRecord]) -> None:
        """Take in records; late ones are left out, and a tombstone ends its key."""
        for record, value, _ in self._in_order.drop_late(records):
            key = record.key or b""
            before = self.last.pop(key, None)
            self.recovered.discard(key)
            if before is not None:
                self._bytes -= len(before[0])
            if value is None:
                self.ended.append(key)
                continue
            self.last[key] = value, record.timestamp_ms
            self._bytes += len(value)
            if dict(record.headers).get(names.RECOVERED) is not None:
                self.recovered.add(key)

    def pop_oldest(self, bytes_max: int = _STATES_BYTES_MAX) -> Iterator[tuple[bytes, int, bool]]:
        """Take out the oldest states until at most `bytes_max` are left: value, timestamp in ms, if recovered."""
        while self.last and self._bytes > bytes_max:
            key, (value, timestamp_ms) = self.last.popitem(last=False)
            self._bytes -= len(value)
            was_recovered = key in self.recovered
            self.recovered.discard(key)
            yield value, timestamp_ms, was_recovered

    def pop_all(self) -> Iterator[tuple[bytes, int, bool]]:
        """Take out all states."""
        return self.pop_oldest(-1)


class ReplayedSession:
    """The gaps that earlier owners left open, and their last login, by `session`, read piece by piece."""

    def __init__(self) -> None:
        self._open: dict[str, Gap] = {}
        self._closed: dict[str, TopicRecord] = {}
        self._opened_again: set[str] = set()
        self.last_login_ms = 0
        self._newest = SequencePoint(0, -1)

    @property
    def open_gaps(self) -> Iterable[Gap]:
        """The gaps that were not closed, the oldest first."""
        return self._open.values()

    @property
    def overtaken_closings(self) -> Iterable[TopicRecord]:
        """The records that close gaps whose `gap.opened` is late, and comes after them."""
        return [self._closed[gap_id] for gap_id in sorted(self._opened_again)]

    def read_records(self, records: Sequence[TopicRecord]) -> None:
        """Take in records of `session`; those that are no session events are skipped."""
        for record in records:
            try:
                event = _decode_session(record.value or b"")
            except UNREADABLE:
                continue
            place = sequence_point_of(dict(record.headers))
            is_late = place.is_before(self._newest)
            if not is_late:
                self._newest = place
            if isinstance(event, GapOpened) and 0 < event.from_ms < TIME_MS_MAX:
                self._open_gap(event)
            elif isinstance(event, GapClosed):
                self._open.pop(event.gap_id, None)
                self._closed[event.gap_id] = record
                self._opened_again.discard(event.gap_id)
            elif isinstance(event, SessionOpened) and not is_late and 0 < event.at < TIME_MS_MAX:
                self.last_login_ms = event.at
                for gap in self._open.values():
                    gap.to_ms = gap.to_ms or event.at

    def _open_gap(self, event: GapOpened) -> None:
        """Note that a gap is open, unless it was closed before: then the event is late, whichever owner wrote it."""
        if event.gap_id in self._closed:
            self._opened_again.add(event.gap_id)
        else:
            self._open[event.gap_id] = Gap(event.gap_id, event.from_ms, event.cause)


class _OfPortfolio(Struct, rename="camel"):
    """Which of the venue's portfolios an order, balance or position belongs to."""

    portfolio_id: str | int | None = None


_decode_portfolio = msgspec.json.Decoder(_OfPortfolio).decode


def find_portfolios(values: Iterable[bytes]) -> set[str]:
    """Return the portfolios that orders, balances and positions name; those without one are skipped."""
    found = set()
    for value in values:
        try:
            portfolio_id = _decode_portfolio(value).portfolio_id
        except UNREADABLE:
            continue
        if portfolio_id:
            found.add(str(portfolio_id))
    return found
