"""Late records: a network or a frozen owner delayed them, and they come after newer records of their topic.

Epoch and sequence say in which order records were published; the order of their offsets may differ. The newest record
of a key is the truth. Where it is not the last one, it is published once more, for compaction and for readers who read
only the last one.
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


class _ResultOutcome(Struct):
    """The outcome in a result; empty in a record that is none."""

    outcome: str = ""


_decode_outcome: Final = msgspec.json.Decoder(_ResultOutcome).decode


class SequencePoint(NamedTuple):
    """The place of a record in the order of publication; -1 where its headers have none."""

    epoch: int
    sequence: int

    def is_before(self, other: "SequencePoint") -> bool:
        """Whether a record was surely published before another one."""
        return self.epoch < other.epoch or (self.epoch == other.epoch and 0 <= self.sequence < other.sequence)


def sequence_point_of(headers: dict[str, bytes | None]) -> SequencePoint:
    """Return the place of a record by its headers."""
    return SequencePoint(names.parse_epoch(headers.get(names.EPOCH)), names.parse_number(headers.get(names.SEQUENCE)))


class LateRecordFilter:
    """Drops the late records of a topic: those that were published before a record in front of them.

    A predecessor's producer was still flushing, or the network delivered a record late that had been sent again.
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
        """Read records, only to learn which of them are late."""
        for _ in self.drop_late(records):
            pass

    def drop_late(self, records: Iterable[TopicRecord]) -> Iterator[tuple[TopicRecord, bytes | None, bytes | None]]:
        """Yield each record that is not late, with its value and its `ce_type`."""
        for record in records:
            headers = dict(record.headers)
            place = sequence_point_of(headers)
            if place.is_before(self._newest):
                self.late_keys.add(record.key or b"")
            else:
                self._newest = place
                yield record, record.value, headers.get(names.TYPE)


class NewestRecords:
    """The newest record of some keys of a topic, and whether it is the last one; read piece by piece."""

    def __init__(self, keys: Collection[bytes]) -> None:
        self._keys = frozenset(keys)
        self._newest: dict[bytes, tuple[SequencePoint, TopicRecord]] = {}
        self._last: dict[bytes, tuple[SequencePoint, TopicRecord]] = {}

    def read_records(self, records: Iterable[TopicRecord]) -> None:
        """Read records of the topic."""
        for record in records:
            key = record.key or b""
            if key not in self._keys:
                continue
            last = self._last[key] = sequence_point_of(dict(record.headers)), record
            newest = self._newest.get(key)
            if newest is None or not last[0].is_before(newest[0]):
                self._newest[key] = last

    def find_overtaken(self) -> Iterator[TopicRecord]:
        """Yield the newest record of each key whose last record is older and has another content."""
        for key, (place, record) in self._newest.items():
            last_place, last = self._last[key]
            if last_place.is_before(place) and not _has_same_content(last, record):
                yield record


def _has_same_content(one: TopicRecord, other: TopicRecord) -> bool:
    """Whether two records are the same to a reader: two owners may publish one outcome of a command at two times."""
    return one.value == other.value or _outcome_of(one) == _outcome_of(other) != ""


def _outcome_of(record: TopicRecord) -> str:
    try:
        return _decode_outcome(record.value or b"").outcome
    except UNREADABLE:
        return ""


def copy_to_republish(stream: Stream, record: TopicRecord) -> OutgoingRecord:
    """Return a record that was read from a topic as one to publish: the same fact under the same `ce_id`."""
    headers = dict(record.headers)
    echoed = [(name, content) for name, content in record.headers if name not in _OWN_HEADERS and content]
    return OutgoingRecord(
        stream=stream,
        key=record.key or b"",
        value=record.value,
        time_ms=_parse_time_ms(headers.get("ce_time")),
        event_id=_decode_text(headers.get(names.ID)),
        event_type=headers.get(names.TYPE),
        headers=echoed,
        recovered=headers.get(names.RECOVERED) == b"true",
    )


def _decode_text(content: bytes | None) -> str | None:
    return content.decode("utf-8", "replace") if content else None


def _parse_time_ms(content: bytes | None) -> int:
    """Return a time that `format_rfc3339` wrote, Unix ms; 0 where there is none, as in records that are not ours."""
    try:
        return max((datetime.fromisoformat((content or b"").decode()) - _BEGIN) // _MILLISECOND, 0)
    except (ValueError, TypeError):  # TypeError: a time without a zone
        return 0
