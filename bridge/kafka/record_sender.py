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
from aiokafka.producer.message_accumulator import BatchBuilder
from msgspec import Struct

from bridge.config import Kafka
from bridge.core.records import OutgoingRecord
from bridge.kafka.broker_clock import AppendClock, read_boot_s
from bridge.kafka.producer import MAX_RECORD_BYTES, ThrottledReport, describe_error
from bridge.kafka.renewal import RenewableProducer
from bridge.kafka.topic_queue import SequencedRecord, TopicQueue
from bridge.metrics import DurableBatch

_BATCH_RECORDS_MAX: Final = 10_000
_HOLD_S: Final = 1.0
_QUIET_WAIT_S: Final = 1.0
_TOO_LARGE: Final = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)

log = structlog.get_logger(__name__)


def log_oversize(record: OutgoingRecord) -> None:
    """Log a record that is larger than brokers take."""
    log.error("record.oversize", stream=record.stream.value, bytes=len(record.value or b""))


def _log_trouble(text: str) -> None:
    log.warning("publisher.troubled", reason=text)


OnDurable = Callable[[Sequence[OutgoingRecord]], None]


class PublisherCallbacks(Struct, frozen=True):
    """What a publisher calls. Each must return at once; what one raises is logged and stops no record."""

    on_durable: OnDurable | None = None
    """Gets the records of each batch that brokers have acknowledged, in the order of their topic, of any epoch."""
    on_batch: Callable[[DurableBatch], None] | None = None
    """Gets what was in each batch that brokers have acknowledged."""
    on_oversize: Callable[[OutgoingRecord], None] = log_oversize
    """Gets a record that is larger than brokers take, which then counts as durable."""
    on_trouble: Callable[[str], None] = _log_trouble
    """Gets what keeps records from being published, in words; the same words at most every 30 s."""


class RecordSender:
    """Sends the records of all queues through one producer at a time, each topic's in one batch after the other.

    A batch takes what waits: one record where nothing does, as many as it holds where records come faster than
    acknowledgements. A producer that gets no acknowledgement for `renew_after_s` is replaced.
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
        self._on_answers_durable: OnDurable | None = None
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

    def begin_epoch(self, epoch: int, on_answers_durable: OnDurable | None) -> None:
        """Report the durable answers of this epoch, and of no earlier one, from now on."""
        self._epoch = epoch
        self._on_answers_durable = on_answers_durable

    def wake(self) -> None:
        """Look at the queues again."""
        self._work.set()

    async def wait_for_progress(self) -> None:
        """Wait until the next batch is acknowledged, given up or refused."""
        self._progress.clear()
        await self._progress.wait()

    def renew_producer(self, why: str) -> None:
        """Have the producer replaced, and report why."""
        self.producer.require_renewal()
        self._work.set()
        self._progress.set()
        self._report.report(why)

    async def _run(self) -> None:
        """Give records to the producer, and renew it when it is of no more use."""
        while True:
            try:
                if not self.producer.is_live:
                    await self._renew_producer_now()
                self._work.clear()
                await self._send_from_queues()
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
        return any(queue.in_flight and queue.batch_began_monotonic_s < since_monotonic_s for queue in self._queues)

    async def _send_from_queues(self) -> None:
        """Send what waits in every queue that has nothing in flight; an acknowledgement wakes the task for the rest."""
        for queue in self._queues:
            if not queue.waiting or queue.in_flight or queue.unwritable or not self.producer.is_live:
                continue
            if time.monotonic() < queue.held_until_monotonic_s:
                continue
            if self.producer.has_metadata(queue.topic):
                await self._send_batch(queue)
                if queue.waiting:  # the batch was a large one: let other tasks have their turn
                    await asyncio.sleep(0)
            else:
                queue.held_until_monotonic_s = time.monotonic() + _HOLD_S

    async def _send_batch(self, queue: TopicQueue) -> None:
        producer = self.producer.current
        if producer is None:
            return
        queue.begin_batch(time.monotonic())
        while True:
            batch = producer.create_batch()
            self._fill_batch(queue, batch)
            if batch.size() <= MAX_RECORD_BYTES:
                break
            self._pass_over(queue)  # aiokafka lets a batch take its first record, no matter how large that is
        if not queue.in_flight:
            return
        sent_boot_s = read_boot_s()
        future = await producer.send_batch(batch, queue.topic, partition=0)
        future.add_done_callback(partial(self._on_answer, queue, producer, sent_boot_s))

    def _fill_batch(self, queue: TopicQueue, batch: BatchBuilder) -> None:
        """Move as many records of the queue to the batch as it takes: only one to find out which one is refused."""
        timestamp_ms, source = self.append_clock.current_timestamp_ms(), self._event_source
        records_max = 1 if queue.singles_left or queue.refusals else _BATCH_RECORDS_MAX
        waiting, append = queue.waiting, batch.append
        while waiting and len(queue.in_flight) < records_max:
            sequenced = waiting[0]
            record, headers = sequenced.record, sequenced.headers(source)
            if append(timestamp=timestamp_ms, key=record.key, value=record.value, headers=headers) is None:
                return
            queue.move_to_batch()

    def _on_answer(
        self, queue: TopicQueue, producer: AIOKafkaProducer, sent_boot_s: float, future: asyncio.Future[Any]
    ) -> None:
        self.append_clock.on_acknowledgement(sent_boot_s, future)
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if producer is not self.producer.current:
            return  # of a producer that was given up; the records have been or will be sent by another one
        if error is None:
            self.producer.note_acknowledgement()
            now_monotonic_s = time.monotonic()
            durable = queue.acknowledge(now_monotonic_s)
            self._report_durable(queue, durable)
            if self._callbacks.on_batch is not None:
                self._call_back(self._callbacks.on_batch, _describe_batch(durable, now_monotonic_s))
        elif isinstance(error, _TOO_LARGE):
            queue.singles_left = max(queue.singles_left, len(queue.in_flight))
            if len(queue.in_flight) == 1 and queue.gives_up_oversize(time.monotonic()):
                self._pass_over(queue)
            queue.failed = True
            self.renew_producer(f"{queue.topic}: {describe_error(error)}")
        else:
            if isinstance(error, kafka_errors.TopicAuthorizationFailedError) and not queue.failed:
                queue.hold_after_refusal(time.monotonic())
            queue.failed, queue.trouble = True, f"{queue.topic}: {describe_error(error)}"
            self.renew_producer(queue.trouble)

    def _pass_over(self, queue: TopicQueue) -> None:
        """Count the only record in flight as durable, because no broker takes it."""
        self._call_back(self._callbacks.on_oversize, queue.in_flight[0].record)
        self._report_durable(queue, queue.end_batch())

    def _report_durable(self, queue: TopicQueue, durable: Sequence[SequencedRecord]) -> None:
        """Call back for the records of a batch; answers of an earlier epoch concern no term."""
        self._progress.set()
        if queue.waiting:
            self._work.set()
        if self._on_answers_durable is not None:
            answers = [
                one.record for one in durable if one.record.answers_offset is not None and one.epoch == self._epoch
            ]
            if answers:
                self._call_back(self._on_answers_durable, answers)
        if self._callbacks.on_durable is not None:
            self._call_back(self._callbacks.on_durable, [sequenced.record for sequenced in durable])

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


def _describe_batch(durable: Sequence[SequencedRecord], now_monotonic_s: float) -> DurableBatch:
    first = durable[0]
    return DurableBatch(
        first.record.stream,
        len(durable),
        sum([len(one.record.value or b"") for one in durable]),
        sum([one.record.recovered for one in durable]),
        now_monotonic_s - first.queued_monotonic_s,
        first.record.time_ms if first.record.received_boot_s is not None else 0,
    )
