"""Records that came late: what a network or a frozen owner kept back, and delivered behind newer records.

The epoch and the sequence of a record give its place in the order of publication; its offset may differ. So the newest
record of a key is the truth; where it is not the last, it is published once more, so that readers who know nothing but
the last one, and compaction, have it too.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from bridge.contract import headers as names
from bridge.contract.topics import Stream
from bridge.core.odd_fields import UNREADABLE
from bridge.core.records import OutgoingRecord, TopicRecord

_OWN_HEADERS: Final = frozenset(
    {
        *("ce_specversion", names.ID, "ce_source", names.TYPE, "ce_time", "content-type"),
        *(names.SEQUENCE, names.EPOCH, "ce_subject", names.RECOVERED),
    }
)
_BEGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class _Answer(Struct):
    """What a result says of its command; what is no result says nothing."""

    outcome: str = ""


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode


class SequencePoint(NamedTuple):
    """Where a record stands in the order of publication; -1 where its headers do not say."""

    epoch: int
    sequence: int

    def is_before(self, other: "SequencePoint") -> bool:
        """Whether it was surely published before another one."""
        return self.epoch < other.epoch or (self.epoch == other.epoch and 0 <= self.sequence < other.sequence)


def sequence_point_of(headers: dict[str, bytes | None]) -> SequencePoint:
    """Return where the headers of a record put it."""
    return SequencePoint(names.parse_epoch(headers.get(names.EPOCH)), names.parse_number(headers.get(names.SEQUENCE)))


class LateRecordFilter:
    """Drops the records of a topic that were published before one that stands in front of them.

    A predecessor's producer was still flushing, or the network has delivered late what had been sent again meanwhile.
    """

    def __init__(self) -> None:
        self._newest = SequencePoint(0, -1)
        self.late_keys: set[bytes] = set()
        """The keys of the records that were dropped."""

    @property
    def epoch(self) -> int:
        """The highest epoch so far."""
        return self._newest.epoch

    def read_records(self, records: Iterable[TopicRecord]) -> None:
        """Take records in, only to learn which of them came late."""
        for _ in self.drop_late(records):
            pass

    def drop_late(self, records: Iterable[TopicRecord]) -> Iterator[tuple[TopicRecord, bytes | None, bytes | None]]:
        """Yield each record that counts, with its value and its `ce_type`."""
        for record in records:
            headers = dict(record.headers)
            place = sequence_point_of(headers)
            if place.is_before(self._newest):
                self.late_keys.add(record.key or b"")
            else:
                self._newest = place
                yield record, record.value, headers.get(names.TYPE)


class NewestRecords:
    """Of some keys of a topic the newest record, and whether it is the last; read piece by piece."""

    def __init__(self, keys: Collection[bytes]) -> None:
        self._keys = frozenset(keys)
        self._newest: dict[bytes, tuple[SequencePoint, TopicRecord]] = {}
        self._last: dict[bytes, tuple[SequencePoint, TopicRecord]] = {}

    def read_records(self, records: Iterable[TopicRecord]) -> None:
        """Take records in."""
        for record in records:
            key = record.key or b""
            if key not in self._keys:
                continue
            last = self._last[key] = sequence_point_of(dict(record.headers)), record
            newest = self._newest.get(key)
            if newest is None or not last[0].is_before(newest[0]):
                self._newest[key] = last

    def find_overtaken(self) -> Iterator[TopicRecord]:
        """Yield the newest record of each key whose last one is older, and says something else."""
        for key, (place, record) in self._newest.items():
            last_place, last = self._last[key]
            if last_place.is_before(place) and not _says_the_same(last, record):
                yield record


def _says_the_same(one: TopicRecord, other: TopicRecord) -> bool:
    """Whether a reader learns the same: two owners may have found out the same of a command, at different times."""
    return one.value == other.value or _outcome_of(one) == _outcome_of(other) != ""


def _outcome_of(record: TopicRecord) -> str:
    try:
        return _decode_answer(record.value or b"").outcome
    except UNREADABLE:
        return ""


def copy_to_republish(stream: Stream, record: TopicRecord) -> OutgoingRecord:
    """Return a record that was read as one to publish: the same fact under the same `ce_id`."""
    headers = dict(record.headers)
    echoed = [(name, content) for name, content in record.headers if name not in _OWN_HEADERS and content]
    return OutgoingRecord(
        stream=stream,
        key=record.key or b"",
        value=record.value,
        time_ms=_time_ms(headers.get("ce_time")),
        event_id=_decode_text(headers.get(names.ID)),
        event_type=headers.get(names.TYPE),
        headers=echoed,
        recovered=headers.get(names.RECOVERED) == b"true",
    )


def _decode_text(content: bytes | None) -> str | None:
    return content.decode("utf-8", "replace") if content else None


def _time_ms(content: bytes | None) -> int:
    """Read a time as `format_rfc3339` writes it; 0 where there is none, as on no record of ours."""
    try:
        return max((datetime.fromisoformat((content or b"").decode()) - _BEGIN) // _MILLISECOND, 0)
    except (ValueError, TypeError):  # TypeError: a time that names no zone
        return 0
