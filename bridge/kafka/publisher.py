"""Publishing: every record is queued at once, sent in order, and kept until the brokers have acknowledged it.

aiokafka's idempotent producer is useless after any failed batch (its sequence has moved on), and never gives up
on brokers that are away. So the queues here hold what is to be published and the producer is replaceable: on a failure
it is abandoned, and what is not acknowledged goes through the next one, in order and under the same `ce_id`, epoch and
sequence. A reader may then see a record twice; it never sees a hole, nor an old record behind a newer one (renewal.py).
"""

import asyncio
import contextlib
import time
from collections.abc import Collection, Mapping
from typing import Final

from bridge.config import Kafka
from bridge.contract.headers import format_source
from bridge.contract.topics import Stream, topic_name
from bridge.core.records import OutgoingRecord
from bridge.core.skew import ClockReading
from bridge.kafka.cluster import require_c_extension
from bridge.kafka.record_sender import OnDurable, PublisherCallbacks, RecordSender
from bridge.kafka.topic_queue import PendingBytes, TopicQueue

STUCK_AFTER_S: Final = 5.0
"""A record that waits longer for its acknowledgement makes the publisher unhealthy."""

_RENEW_AFTER_S: Final = 30.0
_PROGRESS_S: Final = 1.0
_PAUSE_S: Final = 0.25


class Publisher:
    """Publishes one account's records through one producer.

    A producer that gets no acknowledgement for `renew_after_s` is replaced.
    """

    def __init__(
        self,
        kafka: Kafka,
        *,
        environment: str,
        account: str,
        buffer_bytes_max: int,
        pause_bytes: int,
        callbacks: PublisherCallbacks | None = None,
        renew_after_s: float = _RENEW_AFTER_S,
    ) -> None:
        self._buffer_bytes_max = buffer_bytes_max
        self._pause_bytes = min(pause_bytes, buffer_bytes_max)
        self._epoch = 0
        self._pending_bytes = PendingBytes()
        self._queues: dict[Stream, TopicQueue] = {
            stream: TopicQueue(topic_name(kafka.topic_prefix, account, stream), self._pending_bytes)
            for stream in Stream
            if stream is not Stream.COMMANDS
        }
        self._sender = RecordSender(
            kafka,
            tuple(self._queues.values()),
            account=account,
            event_source=format_source(environment, account),
            callbacks=PublisherCallbacks() if callbacks is None else callbacks,
            renew_after_s=renew_after_s,
        )

    async def start(self) -> None:
        """Connect, again and again until a broker answers; what was published meanwhile is sent first."""
        require_c_extension()
        await self._sender.start()

    def begin_epoch(self, epoch: int, on_durable: OnDurable | None = None) -> None:
        """Begin a new term: what is published from now on carries it, and is numbered from 1 in each topic.

        `on_durable` gets those of its records that answer commands, batch by batch, as brokers acknowledge them.
        """
        self._epoch = epoch
        self._sender.begin_epoch(epoch, on_durable)
        for queue in self._queues.values():
            queue.begin_epoch()

    def publish(self, record: OutgoingRecord) -> None:
        """Queue a record; never waits and never fails for want of room (see `overfull`)."""
        self._queues[record.stream].add(record, epoch=self._epoch, now_monotonic_s=time.monotonic())
        self._sender.wake()

    @property
    def clock_reading(self) -> ClockReading | None:
        """What the broker's clock read, by the last record that it stamped and acknowledged."""
        return self._sender.append_clock.reading

    @property
    def pending_bytes(self) -> int:
        """What the records that are not durable take in memory, roughly."""
        return self._pending_bytes.all

    @property
    def overfull(self) -> bool:
        """Whether the venue's pushes that are not durable take more than `buffer_bytes_max`."""
        return self._pending_bytes.events > self._buffer_bytes_max

    @property
    def is_draining(self) -> bool:
        """Whether more than `pause_bytes` of pushes wait for topics of which brokers took some in the last second.

        Then waiting makes room. Pushes of a topic that takes nothing do not count.
        """
        if self._pending_bytes.events <= self._pause_bytes:
            return False
        since_monotonic_s = time.monotonic() - _PROGRESS_S
        queues = self._queues.values()
        return sum(one.event_bytes for one in queues if one.events_taken_monotonic_s > since_monotonic_s) > (
            self._pause_bytes
        )

    async def wait_for_room(self) -> bool:
        """Wait for the next acknowledgement, 0.25 s at most, while that makes room (`is_draining`).

        Returns False at once otherwise: without brokers, memory is what a session outlasts them with.
        """
        if not self.is_draining:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PAUSE_S):
                await self._sender.wait_for_progress()
        return True

    @property
    def answer_bytes(self) -> int:
        """What results and dead letters that are not durable take in memory, roughly."""
        return sum(self._queues[stream].pending_bytes for stream in (Stream.RESULTS, Stream.DEAD_LETTERS))

    def oldest_pending_boot_s(self) -> float | None:
        """Return the smallest `received_boot_s` of the records that are not durable; None when all are."""
        found = [queue.oldest_received_boot_s for queue in self._queues.values()]
        return min((at for at in found if at is not None), default=None)

    @property
    def healthy(self) -> bool:
        """Whether a broker has been reached, and for 5 s at most a record has waited, or nothing could be written."""
        return self._sender.is_running and self.oldest_wait_s < STUCK_AFTER_S

    @property
    def oldest_wait_s(self) -> float:
        """For how long the oldest record that is not durable has waited, or a topic been unwritable; 0 without any."""
        oldest = [queue.oldest.queued_monotonic_s for queue in self._queues.values() if queue.oldest is not None]
        unwritable = [queue.unwritable_since_monotonic_s for queue in self._queues.values() if queue.unwritable]
        since = min((*oldest, *unwritable), default=None)
        return 0.0 if since is None else time.monotonic() - since

    @property
    def stuck_streams(self) -> Collection[Stream]:
        """The streams that take nothing: those of unwritable topics, and all while any other record waits for long."""
        since_monotonic_s = time.monotonic() - STUCK_AFTER_S
        waiting = [one.oldest for one in self._queues.values() if not one.unwritable]
        if not self._sender.is_running or any(
            one is not None and one.queued_monotonic_s <= since_monotonic_s for one in waiting
        ):
            return self._queues.keys()
        return [stream for stream, queue in self._queues.items() if queue.unwritable]

    @property
    def problems(self) -> list[str]:
        """What keeps records of which topic from being published, in words."""
        return [why for queue in self._queues.values() if (why := queue.unwritable or queue.trouble)]

    def note_unwritable(self, topics: Mapping[str, str]) -> None:
        """Send nothing to these topics, for the reasons given, and send again to all others."""
        for queue in self._queues.values():
            queue.set_unwritable(topics.get(queue.topic, ""), time.monotonic())
            if queue.unwritable and queue.in_flight and not queue.failed:
                queue.failed = True  # aiokafka would look for the topic all the time
                self._sender.renew_producer(queue.unwritable)
        self._sender.wake()

    @property
    def renewals(self) -> int:
        """How often a producer was given up, and what it had no acknowledgement for was sent by the next one."""
        return self._sender.producer.renewals

    async def flush(self, timeout_s: float, streams: Collection[Stream] | None = None) -> bool:
        """Wait until what was published before is durable, of some streams or of all; False when the time ran out."""
        queues = self._queues.values() if streams is None else [self._queues[stream] for stream in streams]
        goals = [(queue, queue.queued_count) for queue in queues]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while any(queue.acknowledged_count < goal for queue, goal in goals):
                    await self._sender.wait_for_progress()
        return all(queue.acknowledged_count >= goal for queue, goal in goals)

    async def stop(self, timeout_s: float) -> None:
        """Flush for at most `timeout_s`, then end; what is not durable by then stays unpublished."""
        try:
            if self._sender.is_running:
                await self.flush(timeout_s)
        finally:
            await self._sender.stop()
