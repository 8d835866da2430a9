"""Reading commands through a consumer that forgets, at every rebalance, where we were and that we paused."""

import asyncio
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka_errors

from bridge.contract.headers import CORRELATION_HEADERS, select_correlation_headers
from bridge.core.records import CommandRecord
from bridge.errors import OffsetLost
from bridge.kafka import fetches
from bridge.kafka.batches import FetchedRecord
from bridge.kafka.broker_clock import AbsenceWatch

_FETCH_MS: Final = 200
_RECORDS_AT_ONCE: Final = 500
"""So that a backlog does not keep the loop from heartbeats, cancels and the venue's pings."""
_ASK_TIMEOUT_S: Final = 5.0
_BEFORE_SEEK: Final = -1

log = structlog.get_logger(__name__)


class CommandReader:
    """Returns every offset once and in order, whatever the consumer is told by rebalances."""

    def __init__(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
        self._consumer = consumer
        self._partition = partition
        self._next = _BEFORE_SEEK
        self._paused = False
        self._is_assigned = False
        self._fetching: asyncio.Task[list[FetchedRecord]] | None = None
        self._reading = 0
        self._fetching_for = 0
        self._absence = AbsenceWatch()

    @property
    def position(self) -> int:
        """The offset that comes next."""
        if self._next == _BEFORE_SEEK:
            raise RuntimeError("there is no position before the first seek")
        return self._next

    def seek(self, offset: int) -> None:
        """Go on at `offset`; what was fetched before is dropped."""
        self._next = offset
        self._absence.forget()
        self._reading += 1
        self._restore()

    def pause(self) -> None:
        """Fetch nothing."""
        self._paused = True
        self._restore()

    def resume(self) -> None:
        """Fetch again, if there is a position."""
        self._paused = False
        self._restore()

    def assigned(self) -> None:
        """Put the consumer where we are."""
        self._is_assigned = True
        self._reading += 1
        self._restore()

    def revoked(self) -> None:
        """Drop what is being fetched: whoever gets the partition fetches it again."""
        self._is_assigned = False
        self._reading += 1

    def _restore(self) -> None:
        if not self._is_assigned:
            return
        self._consumer.seek(self._partition, max(self._next, 0))
        if self._paused or self._next == _BEFORE_SEEK:
            self._consumer.pause(self._partition)
        else:
            self._consumer.resume(self._partition)

    async def poll(self, timeout_s: float, woken: asyncio.Future[None]) -> list[CommandRecord]:
        """Return new records; an empty list when the time is over or `woken` is done. Raises the client's errors."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while not (records := await self._poll_once(until - loop.time(), woken)):
            if woken.done() or loop.time() >= until:
                return []
        return records

    async def _poll_once(self, timeout_s: float, woken: asyncio.Future[None]) -> list[CommandRecord]:
        # A fetch is never cancelled: the client would count it as running for ever, and never find us idle.
        # It may outlast this call, because the client waits in it for the end of a rebalance.
        if self._fetching is None:
            self._fetching_for = self._reading
            self._fetching = asyncio.create_task(
                fetches.fetch_records(self._consumer, self._partition, _FETCH_MS, _RECORDS_AT_ONCE),
                name="fetch commands",
            )
        fetching = self._fetching
        waited_for: set[asyncio.Future[Any]] = {fetching, woken}
        await asyncio.wait(waited_for, timeout=max(timeout_s, 0), return_when=asyncio.FIRST_COMPLETED)
        if not fetching.done():
            return []
        self._fetching = None
        try:
            found = fetching.result()
        except kafka_errors.OffsetOutOfRangeError:
            if self._fetching_for != self._reading:
                return []
            raise await self._offset_lost() from None
        if self._fetching_for != self._reading or (found and self._paused):
            self._restore()  # the consumer has gone past records that nobody was given
            return []
        return self._take(found)

    def _take(self, found: list[FetchedRecord]) -> list[CommandRecord]:
        absent_boot_s = self._absence.absent_boot_s
        records = [command_record(record, absent_boot_s) for record in found if record.offset >= self._next]
        if records:
            self._next = records[-1].last_offset + 1
        position = fetches.fetch_position(self._consumer, self._partition)
        if self._next != _BEFORE_SEEK and position is not None:
            self._next = max(self._next, position)
            self._absence.look(self._consumer, self._partition, self._next)
        return records

    async def _offset_lost(self) -> OffsetLost:
        begin = end = None
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                begin = (await self._consumer.beginning_offsets([self._partition]))[self._partition]
                end = (await self._consumer.end_offsets([self._partition]))[self._partition]
        except (TimeoutError, kafka_errors.KafkaError) as error:
            log.warning("intake.offsets_unknown", reason=repr(error))
        return OffsetLost(self._partition.topic, self._next, begin, end)

    def end(self) -> None:
        """Let go of the fetch; the consumer has ended."""
        if self._fetching is not None:
            self._fetching.cancel()
            self._fetching = None


def command_record(record: FetchedRecord, absent_boot_s: float) -> CommandRecord:
    """Return a fetched record as one of the commands topic, with those of its headers that answers carry back.

    It may wait for long, and may have a mebibyte of others.
    """
    headers = select_correlation_headers(
        [(name, value or b"") for name, value in record.headers if name in CORRELATION_HEADERS]
    )
    return CommandRecord(
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        headers,
        last_offset=record.last_offset,
        transactional=record.transactional,
        unreadable=record.unreadable,
        absent_boot_s=absent_boot_s,
    )
