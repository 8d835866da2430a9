"""Records as they are shown: where they are, and what their epoch and id say about them."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from bridge.contract import headers as names
from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.kafka.batches import FetchedRecord

FENCED_STREAMS: Final = STATE_STREAMS | {Stream.RESULTS, Stream.SESSION}
"""Topics on which a record is void behind one of a higher epoch. Trades are never void."""
_IDS_MAX: Final = 100_000
"""The last ids of all topics together: a repeat that comes later is not marked."""


class SeenRecord(Struct, frozen=True, gc=False):
    """One record of a topic.

    `epoch` is -1 where its headers have none. `is_void`: a record of a higher epoch is before it, or it has none.
    `is_repeated`: a record with its `ce_id` is before it, and not void. `unreadable` says why nothing of it could be
    decoded.
    """

    stream: Stream
    topic: str
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    epoch: int = -1
    is_void: bool = False
    is_recovered: bool = False
    is_repeated: bool = False
    unreadable: str | None = None

    @property
    def place(self) -> str:
        """Where it is: the stream and the offset."""
        return f"{self.stream.value}@{self.offset}"

    @property
    def marks(self) -> tuple[str, ...]:
        """What a reader should know of it before its content."""
        marks = ("void", self.is_void), ("recovered", self.is_recovered), ("repeated", self.is_repeated)
        return tuple(name for name, holds in marks if holds)

    def header(self, name: str) -> bytes | None:
        """Return the content of a header; None without it."""
        return next((content for one, content in self.headers if one == name), None)


class RecordMarker:
    """Marks the records of some topics, each in the order of its offsets."""

    def __init__(self) -> None:
        self._highest_epoch: dict[Stream, int] = {}
        self._ids: dict[tuple[Stream, bytes], None] = {}

    def knows_epoch(self, stream: Stream) -> bool:
        """Whether a record of this topic had an epoch."""
        return self._highest_epoch.get(stream, 0) > 0

    def mark(self, stream: Stream, topic: str, record: FetchedRecord) -> SeenRecord:
        """Return the next record of a topic with its marks."""
        found = dict(record.headers)
        epoch = names.parse_epoch(found.get(names.EPOCH))
        event_id = found.get(names.ID)
        is_void = stream in FENCED_STREAMS and self._is_void(stream, epoch)
        return SeenRecord(
            stream,
            topic,
            record.offset,
            record.timestamp_ms,
            record.key,
            record.value,
            record.headers,
            epoch,
            is_void,
            found.get(names.RECOVERED) == b"true",
            event_id is not None and self._was_seen((stream, event_id), is_void=is_void),
            record.unreadable,
        )

    def _is_void(self, stream: Stream, epoch: int) -> bool:
        highest = self._highest_epoch.get(stream, 0)
        if epoch >= highest:
            self._highest_epoch[stream] = epoch
        return epoch < highest

    def _was_seen(self, event_id: tuple[Stream, bytes], *, is_void: bool) -> bool:
        """Whether an id was there before. What repeats a void record is the first one that readers believe."""
        was_seen = event_id in self._ids
        if not is_void:
            self._ids[event_id] = None
        if len(self._ids) > _IDS_MAX:
            del self._ids[next(iter(self._ids))]
        return was_seen
