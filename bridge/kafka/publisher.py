"""Publishing: every record is queued at once, sent in order, and kept until the brokers have acknowledged it.

aiokafka's idempotent producer is useless after any failed batch (its sequence has moved on), and never gives up
on brokers that are away. So the queue here is the truth and the producer is replaceable: on a failure it is
abandoned, and what is not acknowledged goes through the next one, in order and under the same `ce_id`, epoch and
sequence. A reader may then see a record twice; it never sees a hole, nor an old record behind a newer one (renewal.py).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka_errors

from bridge.config import Kafka
from bridge.contract.headers import format_source
from bridge.contract.topics import Stream, topic_name
from bridge.core.records import OutgoingRecord
from bridge.core.skew import ClockReading
from bridge.kafka.broker_clock import AppendClock, boot_s
from bridge.kafka.cluster import require_c_extension
from bridge.kafka.producer import ThrottledReport, words
from bridge.kafka.renewal import ProducerSuccession
from bridge.kafka.topic_queue import SequencedRecord, TopicQueue

STUCK_AFTER_S: Final = 5.0
"""A record that waits longer for its acknowledgement makes the publisher unhealthy."""

# Half of an open batch. A lane never hands over more, so `send` never waits and no topic holds up another.
_WINDOW_BYTES: Final = 262_144
_RECORDS_PER_TURN: Final = 200

_HOLD_S: Final = 1.0
_QUIET_WAIT_S: Final = 1.0
_RENEW_STUCK_S: Final = 30.0

log = structlog.get_logger(__name__)


def _log_oversize(record: OutgoingRecord) -> None:
    log.error("record.oversize", stream=record.stream.value, bytes=len(record.value or b""))


def _log_trouble(text: str) -> None:
    log.warning("publisher.troubled", reason=text)


class Publisher:
    """Publishes one account's records through one producer.

    `on_oversize` is called with a record that is larger than brokers take; it is then done with, as if durable.
    `on_trouble` is told, in words, what keeps records from being published; the same words at most every 30 s.
    A producer that gets no acknowledgement for `renew_after_s` is replaced.
    """

    def __init__(
        self,
        kafka: Kafka,
        *,
        environment: str,
        account: str,
        buffer_bytes_max: int,
        on_oversize: Callable[[OutgoingRecord], None] = _log_oversize,
        on_trouble: Callable[[str], None] = _log_trouble,
        renew_after_s: float | None = None,
    ) -> None:
        self._account = account
        self._source = format_source(environment, account)
        self._buffer_bytes_max = buffer_bytes_max
        self._on_oversize = on_oversize
        self._renew_after_s = _RENEW_STUCK_S if renew_after_s is None else renew_after_s
        self._epoch = 0
        self._on_durable: Callable[[OutgoingRecord], None] | None = None
        self._append_clock = AppendClock()
        self._lanes: dict[Stream, TopicQueue] = {
            stream: TopicQueue(topic_name(kafka.topic_prefix, account, stream))
            for stream in Stream
            if stream is not Stream.COMMANDS
        }
        self._feeding: asyncio.Task[None] | None = None
        self._broken = False
        self._work, self._progress = asyncio.Event(), asyncio.Event()
        self._trouble = ThrottledReport(partial(self._call, on_trouble))
        self._producers = ProducerSuccession(kafka, [lane.topic for lane in self._lanes.values()], self._trouble)

    async def start(self) -> None:
        """Connect, again and again until a broker answers; what was published meanwhile is sent first."""
        require_c_extension()
        await self._producers.begin()
        self._feeding = asyncio.create_task(self._feed(), name=f"publisher {self._account}")

    def begin_epoch(self, epoch: int, on_durable: Callable[[OutgoingRecord], None] | None = None) -> None:
        """Begin a new term: what is published from now on carries it, and is numbered from 1 in each topic.

        `on_durable` is called for each of its records that answers a command, when the brokers have acknowledged it.
        """
        self._epoch = epoch
        self._on_durable = on_durable
        for lane in self._lanes.values():
            lane.begin_epoch()

    def publish(self, record: OutgoingRecord) -> None:
        """Queue a record; never waits and never fails for want of room (see `overfull`)."""
        self._lanes[record.stream].add(record, epoch=self._epoch, now_monotonic_s=time.monotonic())
        self._work.set()

    @property
    def clock_reading(self) -> ClockReading | None:
        """What the broker's clock read, by the last record that it stamped and acknowledged."""
        return self._append_clock.reading

    @property
    def pending_bytes(self) -> int:
        """What the records that are not durable take in memory, roughly."""
        return sum(lane.pending_bytes for lane in self._lanes.values())

    @property
    def overfull(self) -> bool:
        """Whether the venue's pushes that are not durable take more than `buffer_bytes_max`."""
        return sum(lane.event_bytes for lane in self._lanes.values()) > self._buffer_bytes_max

    @property
    def answer_bytes(self) -> int:
        """What results and dead letters that are not durable take in memory, roughly."""
        return sum(self._lanes[stream].pending_bytes for stream in (Stream.RESULTS, Stream.DEAD_LETTERS))

    def oldest_pending_boot_s(self) -> float | None:
        """Return the smallest `received_boot_s` of the records that are not durable; None when all are."""
        found = [lane.oldest_received_boot_s for lane in self._lanes.values()]
        return min((at for at in found if at is not None), default=None)

    @property
    def healthy(self) -> bool:
        """Whether a broker has been reached, and for 5 s at most a record has waited, or nothing could be written."""
        return self._feeding is not None and self.oldest_wait_s < STUCK_AFTER_S

    @property
    def oldest_wait_s(self) -> float:
        """For how long the oldest record that is not durable has waited, or a topic been unwritable; 0 without any."""
        oldest = [lane.oldest.queued_monotonic_s for lane in self._lanes.values() if lane.oldest is not None]
        unwritable = [lane.unwritable_since_monotonic_s for lane in self._lanes.values() if lane.unwritable]
        since = min((*oldest, *unwritable), default=None)
        return 0.0 if since is None else time.monotonic() - since

    @property
    def stuck_streams(self) -> Collection[Stream]:
        """The streams that take nothing: those of unwritable topics, and all while any other record waits for long."""
        since_s = time.monotonic() - STUCK_AFTER_S
        waiting = [one.oldest for one in self._lanes.values() if not one.unwritable]
        if self._feeding is None or any(one is not None and one.queued_monotonic_s <= since_s for one in waiting):
            return self._lanes.keys()
        return [stream for stream, lane in self._lanes.items() if lane.unwritable]

    @property
    def problems(self) -> list[str]:
        """What keeps records of which topic from being published, in words."""
        return [told for lane in self._lanes.values() if (told := lane.unwritable or lane.trouble)]

    def note_unwritable(self, topics: Mapping[str, str]) -> None:
        """Hand over nothing to these topics, for the reasons given, and hand over again to all others."""
        for lane in self._lanes.values():
            lane.set_unwritable(topics.get(lane.topic, ""), time.monotonic())
            if lane.unwritable and lane.in_flight and not lane.failed:
                lane.failed = True  # aiokafka would look for the topic all the time
                self._break(lane.unwritable)
        self._work.set()

    @property
    def renewals(self) -> int:
        """How often a producer was given up, and what it had no acknowledgement for was sent by the next one."""
        return self._producers.renewals

    async def flush(self, timeout_s: float, streams: Collection[Stream] | None = None) -> bool:
        """Wait until what was published before is durable, of some streams or of all; False when the time ran out."""
        lanes = self._lanes.values() if streams is None else [self._lanes[stream] for stream in streams]
        wanted = [(lane, lane.queued_count) for lane in lanes]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while any(lane.acknowledged_count < published for lane, published in wanted):
                    self._progress.clear()
                    await self._progress.wait()
        return all(lane.acknowledged_count >= published for lane, published in wanted)

    async def stop(self, timeout_s: float) -> None:
        """Flush for at most `timeout_s`, then end; what is not durable by then stays unpublished."""
        try:
            if self._feeding is not None:
                await self.flush(timeout_s)
        finally:
            feeding, self._feeding = self._feeding, None
            if feeding is not None:
                feeding.cancel()
                await asyncio.wait({feeding})
            await self._producers.give_up()

    async def _feed(self) -> None:
        """Hand records to the producer, and renew it when it is of no more use."""
        while True:
            try:
                if self._broken or self._producers.current is None:
                    await self._renew()
                self._work.clear()
                more = await self._feed_lanes()
                if not more:
                    await self._wait_for_work()
                if self._is_stuck():
                    self._break(f"no acknowledgement for {self._renew_after_s:g} s")
            except Exception as error:  # noqa: BLE001 - whatever the client comes up with, a new one is the answer
                self._break(words(error))

    async def _wait_for_work(self) -> None:
        if not any(lane.waiting or lane.in_flight for lane in self._lanes.values()):
            await self._work.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HOLD_S):
                await self._work.wait()

    def _is_stuck(self) -> bool:
        since = time.monotonic() - self._renew_after_s
        return any(lane.in_flight and lane.progress_monotonic_s < since for lane in self._lanes.values())

    async def _feed_lanes(self) -> bool:
        """Give every lane its turn; True when one has more to hand over right now."""
        more = False
        for lane in self._lanes.values():
            if not lane.waiting or lane.unwritable or time.monotonic() < lane.held_until_monotonic_s:
                continue
            if self._producers.has_metadata(lane.topic):
                more |= await self._feed_lane(lane)
            else:
                lane.held_until_monotonic_s = time.monotonic() + _HOLD_S
        if more:
            await asyncio.sleep(0)
        return more

    async def _feed_lane(self, lane: TopicQueue) -> bool:
        for _ in range(_RECORDS_PER_TURN):
            if not lane.waiting or self._broken:
                return False
            window = 1 if lane.one_by_one or lane.refusals else _WINDOW_BYTES
            if lane.in_flight and lane.in_flight_bytes + lane.waiting[0].size_bytes > window:
                return False  # an acknowledgement wakes us
            await self._send(lane, lane.mark_in_flight(time.monotonic()))
        return True

    async def _send(self, lane: TopicQueue, numbered: SequencedRecord) -> None:
        producer, record = self._producers.current, numbered.record
        if producer is None or numbered.is_durable:
            return
        asked_boot_s = boot_s()
        try:
            future = await producer.send(
                lane.topic,
                value=record.value,
                key=record.key,
                partition=0,
                timestamp_ms=self._append_clock.stamp_ms(),
                headers=numbered.headers(self._source),
            )
        except kafka_errors.MessageSizeTooLargeError:
            self._pass_over(lane, numbered)
            return
        future.add_done_callback(partial(self._append_clock.acknowledged, asked_boot_s))
        future.add_done_callback(partial(self._answered, lane, numbered, producer))

    def _answered(
        self, lane: TopicQueue, numbered: SequencedRecord, producer: AIOKafkaProducer, future: asyncio.Future[Any]
    ) -> None:
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if producer is not self._producers.current:
            return  # of a producer that was given up; the record has been or will be sent by another one
        if error is None:
            self._producers.proved_useful()
            self._settle(lane, numbered)
            if not lane.waiting:
                lane.one_by_one = False
        elif isinstance(error, kafka_errors.MessageSizeTooLargeError | kafka_errors.RecordListTooLargeError):
            if len(lane.in_flight) == 1 and lane.gives_up_oversize(time.monotonic()):
                self._pass_over(lane, numbered)
            lane.failed = lane.one_by_one = True  # a batch was refused: find the record that is too large
            self._break(f"{lane.topic}: {words(error)}")
        else:
            if isinstance(error, kafka_errors.TopicAuthorizationFailedError) and not lane.failed:
                lane.hold_after_refusal(time.monotonic())
            lane.failed, lane.trouble = True, f"{lane.topic}: {words(error)}"
            self._break(lane.trouble)

    def _pass_over(self, lane: TopicQueue, numbered: SequencedRecord) -> None:
        self._call(self._on_oversize, numbered.record)
        self._settle(lane, numbered)

    def _settle(self, lane: TopicQueue, numbered: SequencedRecord) -> None:
        lane.acknowledge(numbered, time.monotonic(), self._notify_durable)
        self._progress.set()
        if lane.waiting:
            self._work.set()

    def _notify_durable(self, numbered: SequencedRecord) -> None:
        """Tell the account of its durable record; one of an earlier term concerns nobody any more."""
        is_answer = numbered.epoch == self._epoch and numbered.record.answers_offset is not None
        if is_answer and self._on_durable is not None:
            self._call(self._on_durable, numbered.record)

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:  # a caller's mistake must not stop the other records
            log.exception("publisher.callback_failed", account=self._account)

    def _break(self, why: str) -> None:
        self._broken = True
        self._work.set()
        self._trouble.tell(why)

    async def _renew(self) -> None:
        """Replace the producer, and take back all that it has not been acknowledged for."""
        with contextlib.suppress(TimeoutError):
            # The other topics' records are on their way: leave them the time, and nothing is sent twice.
            async with asyncio.timeout(_QUIET_WAIT_S):
                while any(lane.in_flight and not lane.failed for lane in self._lanes.values()):
                    self._progress.clear()
                    await self._progress.wait()
        await self._producers.give_up()
        for lane in self._lanes.values():
            lane.requeue()
        await self._producers.wait_before_next()
        self._broken = False
        await self._producers.begin()
