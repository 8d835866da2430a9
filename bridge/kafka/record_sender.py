"""Sending the queued records through the producer, in order, and renewing the producer when it is of no more use."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka_errors
from msgspec import Struct

from bridge.config import Kafka
from bridge.core.records import OutgoingRecord
from bridge.kafka.broker_clock import AppendClock, read_boot_s
from bridge.kafka.producer import ThrottledReport, describe_error
from bridge.kafka.renewal import RenewableProducer
from bridge.kafka.topic_queue import SequencedRecord, TopicQueue

# Half of an open batch. A queue never has more in flight, so `send` never waits and no topic holds up another.
_WINDOW_BYTES: Final = 262_144
_RECORDS_PER_TURN: Final = 200

_HOLD_S: Final = 1.0
_QUIET_WAIT_S: Final = 1.0
_TOO_LARGE: Final = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)

log = structlog.get_logger(__name__)


def _ignore_durable(record: OutgoingRecord) -> None:
    del record


def _log_oversize(record: OutgoingRecord) -> None:
    log.error("record.oversize", stream=record.stream.value, bytes=len(record.value or b""))


def _log_trouble(text: str) -> None:
    log.warning("publisher.troubled", reason=text)


class PublisherCallbacks(Struct, frozen=True):
    """What a publisher calls. Each must return at once; what one raises is logged and stops no record."""

    on_durable: Callable[[OutgoingRecord], None] = _ignore_durable
    """Gets every record once brokers have acknowledged it, in the order of its topic, whatever its epoch."""
    on_oversize: Callable[[OutgoingRecord], None] = _log_oversize
    """Gets a record that is larger than brokers take, which then counts as durable."""
    on_trouble: Callable[[str], None] = _log_trouble
    """Gets what keeps records from being published, in words; the same words at most every 30 s."""


class RecordSender:
    """Sends the records of all queues through one producer at a time.

    A producer that gets no acknowledgement for `renew_after_s` is replaced.
    """

    def __init__(
        self,
        kafka: Kafka,
        queues: Sequence[TopicQueue],
        *,
        account: str,
        event_source: bytes,
        callbacks: PublisherCallbacks,
        renew_after_s: float,
    ) -> None:
        self._queues = queues
        self._account = account
        self._event_source = event_source
        self._callbacks = callbacks
        self._renew_after_s = renew_after_s
        self._work, self._progress = asyncio.Event(), asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._epoch = 0
        self._on_answer_durable: Callable[[OutgoingRecord], None] | None = None
        self._report = ThrottledReport(partial(self._call_back, callbacks.on_trouble))
        self.append_clock = AppendClock()
        self.producer = RenewableProducer(kafka, [queue.topic for queue in queues], self._report)

    @property
    def is_running(self) -> bool:
        """Whether a broker has been reached since `start`, and `stop` has not been called."""
        return self._sending is not None

    async def start(self) -> None:
        """Connect, again and again until a broker answers, then send in a task."""
        await self.producer.connect()
        self._sending = asyncio.create_task(self._run(), name=f"publisher {self._account}")

    async def stop(self) -> None:
        """End the task and the producer; what is in flight may not become durable."""
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
            await asyncio.wait({sending})
        await self.producer.end()

    def begin_epoch(self, epoch: int, on_answer_durable: Callable[[OutgoingRecord], None] | None) -> None:
        """Report the durable answers of this epoch, and of no earlier one, from now on."""
        self._epoch = epoch
        self._on_answer_durable = on_answer_durable

    def wake(self) -> None:
        """Look at the queues again."""
        self._work.set()

    async def wait_for_progress(self) -> None:
        """Wait until the next record is acknowledged."""
        self._progress.clear()
        await self._progress.wait()

    def renew_producer(self, why: str) -> None:
        """Have the producer replaced, and report why."""
        self.producer.require_renewal()
        self._work.set()
        self._report.report(why)

    async def _run(self) -> None:
        """Give records to the producer, and renew it when it is of no more use."""
        while True:
            try:
                if not self.producer.is_live:
                    await self._renew_producer_now()
                self._work.clear()
                if not await self._send_from_queues():
                    await self._wait_for_work()
                if self._has_no_progress():
                    self.renew_producer(f"no acknowledgement for {self._renew_after_s:g} s")
            except Exception as error:  # noqa: BLE001 - for every error of the client a new producer is the answer
                self.renew_producer(describe_error(error))

    async def _wait_for_work(self) -> None:
        if not any(queue.waiting or queue.in_flight for queue in self._queues):
            await self._work.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HOLD_S):
                await self._work.wait()

    def _has_no_progress(self) -> bool:
        since_monotonic_s = time.monotonic() - self._renew_after_s
        return any(queue.in_flight and queue.progress_monotonic_s < since_monotonic_s for queue in self._queues)

    async def _send_from_queues(self) -> bool:
        """Give every queue its turn. Return whether one has more that can be sent right now."""
        has_more = False
        for queue in self._queues:
            if not queue.waiting or queue.unwritable or time.monotonic() < queue.held_until_monotonic_s:
                continue
            if self.producer.has_metadata(queue.topic):
                has_more |= await self._send_from_queue(queue)
            else:
                queue.held_until_monotonic_s = time.monotonic() + _HOLD_S
        if has_more:
            await asyncio.sleep(0)
        return has_more

    async def _send_from_queue(self, queue: TopicQueue) -> bool:
        for _ in range(_RECORDS_PER_TURN):
            if not queue.waiting or not self.producer.is_live:
                return False
            window = 1 if queue.one_by_one or queue.refusals else _WINDOW_BYTES
            if queue.in_flight and queue.in_flight_bytes + queue.waiting[0].size_bytes > window:
                return False  # an acknowledgement wakes the task
            await self._send(queue, queue.mark_in_flight(time.monotonic()))
        return True

    async def _send(self, queue: TopicQueue, sequenced: SequencedRecord) -> None:
        producer, record = self.producer.current, sequenced.record
        if producer is None or sequenced.is_durable:
            return
        sent_boot_s = read_boot_s()
        try:
            future = await producer.send(
                queue.topic,
                value=record.value,
                key=record.key,
                partition=0,
                timestamp_ms=self.append_clock.current_timestamp_ms(),
                headers=sequenced.headers(self._event_source),
            )
        except kafka_errors.MessageSizeTooLargeError:
            self._pass_over(queue, sequenced)
            return
        future.add_done_callback(partial(self.append_clock.on_acknowledgement, sent_boot_s))
        future.add_done_callback(partial(self._on_answer, queue, sequenced, producer))

    def _on_answer(
        self, queue: TopicQueue, sequenced: SequencedRecord, producer: AIOKafkaProducer, future: asyncio.Future[Any]
    ) -> None:
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if producer is not self.producer.current:
            return  # of a producer that was given up; the record has been or will be sent by another one
        if error is None:
            self.producer.note_acknowledgement()
            self._acknowledge(queue, sequenced)
            if not queue.waiting:
                queue.one_by_one = False
        elif isinstance(error, _TOO_LARGE):
            if len(queue.in_flight) == 1 and queue.gives_up_oversize(time.monotonic()):
                self._pass_over(queue, sequenced)
            queue.failed = queue.one_by_one = True  # a batch was refused: find the record that is too large
            self.renew_producer(f"{queue.topic}: {describe_error(error)}")
        else:
            if isinstance(error, kafka_errors.TopicAuthorizationFailedError) and not queue.failed:
                queue.hold_after_refusal(time.monotonic())
            queue.failed, queue.trouble = True, f"{queue.topic}: {describe_error(error)}"
            self.renew_producer(queue.trouble)

    def _pass_over(self, queue: TopicQueue, sequenced: SequencedRecord) -> None:
        self._call_back(self._callbacks.on_oversize, sequenced.record)
        self._acknowledge(queue, sequenced)

    def _acknowledge(self, queue: TopicQueue, sequenced: SequencedRecord) -> None:
        self._report_durable(queue.acknowledge(sequenced, time.monotonic()))
        self._progress.set()
        if queue.waiting:
            self._work.set()

    def _report_durable(self, records: Sequence[SequencedRecord]) -> None:
        """Call back for records of one topic that have become durable; answers of an earlier epoch concern no term."""
        for sequenced in records:
            is_answer = sequenced.epoch == self._epoch and sequenced.record.answers_offset is not None
            if is_answer and self._on_answer_durable is not None:
                self._call_back(self._on_answer_durable, sequenced.record)
            self._call_back(self._callbacks.on_durable, sequenced.record)

    def _call_back(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:  # a caller's mistake must not stop the other records
            log.exception("publisher.callback_failed", account=self._account)

    async def _renew_producer_now(self) -> None:
        """Replace the producer, and queue again all that it has not been acknowledged for."""
        with contextlib.suppress(TimeoutError):
            # Records of other topics are in flight: give them the time, and nothing is sent twice.
            async with asyncio.timeout(_QUIET_WAIT_S):
                while any(queue.in_flight and not queue.failed for queue in self._queues):
                    await self.wait_for_progress()
        await self.producer.end()
        for queue in self._queues:
            queue.requeue()
        await self.producer.wait_before_next()
        await self.producer.connect()
