"""The queue of one topic: sequence numbers, what waits, what is in flight, what is durable."""

from collections import deque
from itertools import chain
from math import inf
from typing import Final

from msgspec import Struct

from bridge.contract.headers import EVENT_TYPES, build_event_headers, count_memory_bytes
from bridge.core.records import OutgoingRecord

_HOLD_FIRST_S: Final = 1.0
_HOLD_LAST_S: Final = 60.0
_SIZE_TRIES: Final = 3
"""They take 7 s, in which the topic watch looks at the topics."""
_RECORD_OVERHEAD_BYTES: Final = 512
"""What a queued record takes in memory beside its key, value and headers of its own, roughly."""


class SequencedRecord(Struct, frozen=True, gc=False):
    """A record with its place in its topic: epoch and sequence never change, however often it is sent."""

    record: OutgoingRecord
    epoch: int
    sequence: int
    queued_monotonic_s: float = 0.0
    size_bytes: int = 0
    """What it takes in memory, roughly."""

    def headers(self, source: bytes) -> list[tuple[str, bytes]]:
        """Build the headers: the same ones at every attempt."""
        record = self.record
        headers = build_event_headers(
            event_id=record.event_id,
            event_source=source,
            event_type=record.event_type or EVENT_TYPES[record.stream],
            time_ms=record.time_ms,
            subject=record.key,
            epoch=self.epoch,
            sequence=self.sequence,
            recovered=record.recovered,
            is_json=record.is_json,
        )
        if record.headers:
            headers += record.headers
        return headers


class PendingBytes:
    """What the records that are not durable take in memory, roughly, in all queues that share it."""

    __slots__ = ("all", "events")

    def __init__(self) -> None:
        self.all = 0
        self.events = 0
        """The part that the venue's pushes take."""


class TopicQueue:
    """The records of one topic that are not durable, in the order of their sequence.

    One batch of them at a time is in flight: a broker takes the batches of an idempotent producer one after the other.
    `total` counts the bytes of all queues that share it.
    """

    def __init__(self, topic: str, total: PendingBytes | None = None) -> None:
        self.topic = topic
        self.waiting: deque[SequencedRecord] = deque()
        self.in_flight: list[SequencedRecord] = []
        self.batch_began_monotonic_s = 0.0
        self.pending_bytes = 0
        self.event_bytes = 0
        """The part of it that the venue's pushes take."""
        self.events_taken_monotonic_s = -inf
        """When brokers last took some of these."""
        self._total = PendingBytes() if total is None else total
        self.queued_count = 0
        self.acknowledged_count = 0
        self.held_until_monotonic_s = 0.0
        self.singles_left = 0
        """So many records are still sent one by one, to find the one for which their batch was refused."""
        self.refusals = 0
        """How often the broker has refused the topic since it last took a record."""
        self.takes_less = False
        """Whether the topic has a limit below what it must take, and the topic watch has not found that."""
        self.unwritable = ""
        """Why nothing can be written to the topic, as the topic watch has found; empty where it has found nothing."""
        self.unwritable_since_monotonic_s = 0.0
        self.trouble = ""
        """What went wrong last; empty once a record has become durable."""
        self.failed = False
        self._sequence = 0

    def begin_epoch(self) -> None:
        """Let the next record be the first of its epoch."""
        self._sequence = 0

    def add(self, record: OutgoingRecord, *, epoch: int, now_monotonic_s: float) -> None:
        """Give the record the next sequence number and queue it."""
        size_bytes = len(record.key) + len(record.value or b"") + _RECORD_OVERHEAD_BYTES
        if record.headers:
            size_bytes += count_memory_bytes(record.headers)
        self._sequence += 1
        self.waiting.append(SequencedRecord(record, epoch, self._sequence, now_monotonic_s, size_bytes))
        self.queued_count += 1
        self.pending_bytes += size_bytes
        self._total.all += size_bytes
        if record.received_boot_s is not None:
            self.event_bytes += size_bytes
            self._total.events += size_bytes

    def begin_batch(self, now_monotonic_s: float) -> None:
        """Begin the batch that `move_to_batch` fills; the one before must have ended."""
        self.batch_began_monotonic_s = now_monotonic_s

    def move_to_batch(self) -> None:
        """Move the first record that waits to the batch in flight."""
        self.in_flight.append(self.waiting.popleft())

    def requeue(self) -> None:
        """Let everything that is in flight wait again, in its order."""
        self.waiting.extendleft(reversed(self.in_flight))
        self.in_flight = []
        self.failed = False

    def hold_after_refusal(self, now_monotonic_s: float) -> None:
        """Hold the topic after a refusal, for longer each time: every try costs the other topics a new producer."""
        self.held_until_monotonic_s = now_monotonic_s + min(_HOLD_FIRST_S * 2**self.refusals, _HOLD_LAST_S)
        self.refusals = min(self.refusals + 1, 10)

    def gives_up_oversize(self, now_monotonic_s: float) -> bool:
        """Return whether a record that the topic refuses for its size is given up.

        At first the topic is held: if it was made again with a limit of its own, the topic watch finds that.
        """
        if not self.takes_less and self.refusals < _SIZE_TRIES:
            self.hold_after_refusal(now_monotonic_s)
        else:
            self.takes_less = True
        return self.takes_less

    def set_unwritable(self, why: str, now_monotonic_s: float) -> None:
        """Note why nothing can be written to the topic; empty means that records can be written again."""
        if why and not self.unwritable:
            self.unwritable_since_monotonic_s = now_monotonic_s
        elif self.unwritable and not why:
            self.held_until_monotonic_s, self.refusals, self.trouble, self.takes_less = 0.0, 0, "", False
        self.unwritable = why

    def acknowledge(self, now_monotonic_s: float) -> list[SequencedRecord]:
        """End the batch in flight, which is durable; return its records in their order."""
        if self.event_bytes:
            self.events_taken_monotonic_s = now_monotonic_s
        return self.end_batch()

    def end_batch(self) -> list[SequencedRecord]:
        """End the batch in flight, which is durable or given up; return its records in their order."""
        self.refusals, self.trouble = 0, ""
        durable, self.in_flight = self.in_flight, []
        self.singles_left = max(self.singles_left - len(durable), 0)
        size_bytes = sum([one.size_bytes for one in durable])
        event_bytes = sum([one.size_bytes for one in durable if one.record.received_boot_s is not None])
        self.pending_bytes -= size_bytes
        self._total.all -= size_bytes
        self.event_bytes -= event_bytes
        self._total.events -= event_bytes
        self.acknowledged_count += len(durable)
        return durable

    @property
    def oldest(self) -> SequencedRecord | None:
        """The first record that is not durable."""
        if self.in_flight:
            return self.in_flight[0]
        return self.waiting[0] if self.waiting else None

    @property
    def oldest_received_boot_s(self) -> float | None:
        """When the first push arrived that is not durable; None without one. Pushes are queued as they arrive."""
        if not self.event_bytes:
            return None
        arrivals = (sequenced.record.received_boot_s for sequenced in chain(self.in_flight, self.waiting))
        return next((at for at in arrivals if at is not None), None)
