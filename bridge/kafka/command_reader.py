"""Reading commands: aiokafka's consumer forgets its position and its pause at every rebalance."""

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
from bridge.kafka.cluster import FETCH_WAIT_MS

_FETCH_MS: Final = 1000
_QUIET_POLLS: Final = 4
"""After so many empty polls the broker holds fetches for longer: they are most of what an idle account costs. A record
ends a fetch at once, so it is read no later."""
_QUIET_WAIT_MS: Final = 1000
_RECORDS_AT_ONCE: Final = 500
"""A bound, so that a backlog does not keep the loop from heartbeats, cancels and the venue's pings."""
_ASK_TIMEOUT_S: Final = 5.0
_BEFORE_SEEK: Final = -1

log = structlog.get_logger(__name__)


class CommandReader:
    """Returns every offset once and in order, across rebalances."""

    def __init__(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
        self._consumer = consumer
        self._partition = partition
        self._next_offset = _BEFORE_SEEK
        self._paused = False
        self._is_assigned = False
        self._fetching: asyncio.Task[list[FetchedRecord]] | None = None
        self._seek_count = 0
        self._fetch_seek_count = 0
        self._absence = AbsenceWatch()
        self._empty_polls = 0

    @property
    def position(self) -> int:
        """The offset that comes next."""
        if self._next_offset == _BEFORE_SEEK:
            raise RuntimeError("there is no position before the first seek")
        return self._next_offset

    def seek(self, offset: int) -> None:
        """Go on at `offset`; what was fetched before is dropped."""
        self._next_offset = offset
        self._absence.reset()
        self._seek_count += 1
        self._shorten_fetch_waits()
        self._restore_consumer()

    def pause(self) -> None:
        """Fetch nothing."""
        self._paused = True
        self._restore_consumer()

    def resume(self) -> None:
        """Fetch again, once there is a position."""
        self._paused = False
        self._restore_consumer()

    def on_assigned(self) -> None:
        """Give the consumer its position and its pause again."""
        self._is_assigned = True
        self._seek_count += 1
        self._shorten_fetch_waits()
        self._restore_consumer()

    def on_revoked(self) -> None:
        """Drop what is being fetched: the next owner of the partition fetches it again."""
        self._is_assigned = False
        self._seek_count += 1

    def _shorten_fetch_waits(self) -> None:
        self._empty_polls = 0
        fetches.set_fetch_wait(self._consumer, FETCH_WAIT_MS)

    def _restore_consumer(self) -> None:
        if not self._is_assigned:
            return
        self._consumer.seek(self._partition, max(self._next_offset, 0))
        if self._paused or self._next_offset == _BEFORE_SEEK:
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
        # A fetch is never cancelled: the client would count it as running for ever, and never call this member idle.
        # It may last longer than this call, because the client waits in it for the end of a rebalance.
        if self._fetching is None:
            self._fetch_seek_count = self._seek_count
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
            if self._fetch_seek_count != self._seek_count:
                return []
            raise await self._find_lost_offset() from None
        if self._fetch_seek_count != self._seek_count or (found and self._paused):
            self._restore_consumer()  # the consumer has gone past records that were not returned
            return []
        return self._accept_records(found)

    def _accept_records(self, found: list[FetchedRecord]) -> list[CommandRecord]:
        absent_boot_s = self._absence.absent_boot_s
        records = [to_command_record(record, absent_boot_s) for record in found if record.offset >= self._next_offset]
        if records:
            self._next_offset = records[-1].last_offset + 1
        self._empty_polls = 0 if records else self._empty_polls + 1
        if self._empty_polls == _QUIET_POLLS:
            fetches.set_fetch_wait(self._consumer, _QUIET_WAIT_MS)
        position = fetches.fetch_position(self._consumer, self._partition)
        if self._next_offset != _BEFORE_SEEK and position is not None:
            self._next_offset = max(self._next_offset, position)
            self._absence.note_fetch(self._consumer, self._partition, self._next_offset)
        return records

    async def _find_lost_offset(self) -> OffsetLost:
        begin = end = None
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                begin = (await self._consumer.beginning_offsets([self._partition]))[self._partition]
                end = (await self._consumer.end_offsets([self._partition]))[self._partition]
        except (TimeoutError, kafka_errors.KafkaError) as error:
            log.warning("commands.offsets_unknown", reason=repr(error))
        return OffsetLost(self._partition.topic, self._next_offset, begin, end)

    def end(self) -> None:
        """Drop the fetch; the consumer has ended."""
        if self._fetching is not None:
            self._fetching.cancel()
            self._fetching = None


def to_command_record(record: FetchedRecord, absent_boot_s: float) -> CommandRecord:
    """Return a fetched record as a command record, with those of its headers that answers carry back.

    Only those: a command may wait for long, and a record may have a mebibyte of other headers.
    """
    headers = select_correlation_headers(
        [(name, value or b"") for name, value in record.headers if name in CORRELATION_HEADERS]
    )
    return CommandRecord(
        record.offset,
        record.timestamp_ms,
        record.key,
        record.value,
        headers,
        last_offset=record.last_offset,
        transactional=record.transactional,
        unreadable=record.unreadable,
        absent_boot_s=absent_boot_s,
    )
