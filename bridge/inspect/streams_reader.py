"""Reading topics of an account between two points in time, and on as they grow; without a group, and without a trace.

All topics are read by one consumer. aiokafka keeps one fetch of each and fetches no more until it is read, so what is
in memory is bounded, and a topic that is ahead of the others in time waits.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka_errors
from msgspec import Struct

from bridge.config import Kafka
from bridge.contract.topics import Stream, topic_name
from bridge.errors import ClusterUnreachable, KafkaTrouble
from bridge.inspect.seen_record import FENCED_STREAMS, RecordMarker, SeenRecord
from bridge.inspect.time_merge import TimeMerge
from bridge.inspect.topic_access import describe_refused, require_readable
from bridge.kafka import aiokafka_internals, fetches
from bridge.kafka.cluster import NO_ANSWER, client_options, find_likely_cause
from bridge.kafka.rebootstrap import follow_bootstrap_servers

LOOK_BACK_OFFSETS: Final = 500
"""So many offsets before the first record that is shown are read, to know the epoch there."""
_START_S: Final = 10.0
_STALL_S: Final = 15.0
_STOP_S: Final = 2.0
_REQUEST_TIMEOUT_MS: Final = 5000
_FETCH_BYTES: Final = 1024 * 1024
_RECORDS_AT_ONCE: Final = 2000
_HISTORY_WAIT_MS: Final = 10
"""A broker holds a fetch of topics without new records for so long, and the next fetch of the others waits for it."""
_FOLLOW_WAIT_MS: Final = 250
_NO_END: Final = 2**63
_QUIET_S: Final = 5.0
"""After so long without a record the brokers are asked whether they are still there."""

_AWAY: Final = (TimeoutError, OSError, kafka_errors.KafkaConnectionError, kafka_errors.KafkaTimeoutError)

Tell = Callable[[str], None]


class TopicSpan(Struct):
    """What is read of one topic: the offsets from `begin` up to `end`, `end` excluded, and some before `begin`.

    `oldest` is the first offset that the topic holds; `position` the next one to be read.
    """

    stream: Stream
    partition: TopicPartition
    oldest: int
    begin: int
    end: int
    position: int = 0

    @property
    def looks_back_from(self) -> int:
        """The first offset to be read: before `begin` only where an epoch can make records void."""
        back = LOOK_BACK_OFFSETS if self.stream in FENCED_STREAMS else 0
        return max(self.oldest, self.begin - back)


class StreamsReader:
    """Reads streams of one account; `open_reader` makes one."""

    def __init__(self, kafka: Kafka, consumer: AIOKafkaConsumer, topics: Mapping[Stream, str], tell: Tell) -> None:
        self._kafka = kafka
        self._consumer = consumer
        self._tell = tell
        self._spans = {stream: TopicSpan(stream, TopicPartition(topic, 0), 0, 0, 0) for stream, topic in topics.items()}
        self._by_partition = {span.partition: span for span in self._spans.values()}
        self._marker = RecordMarker()

    async def find_span(self, since_ms: int, until_ms: int | None = None) -> None:
        """Find the offsets between two times, up to now without the second. Raises KafkaTrouble."""
        partitions = list(self._by_partition)
        try:
            async with asyncio.timeout(_START_S):
                oldest = await self._consumer.beginning_offsets(partitions)
                ends = await self._consumer.end_offsets(partitions)
                begins = await self._find_offsets(since_ms, oldest, ends)
                if until_ms is not None:
                    ends = await self._find_offsets(until_ms, oldest, ends)
        except NO_ANSWER as error:
            raise await self._describe_trouble(error) from error
        for partition, span in self._by_partition.items():
            span.oldest, span.end = oldest[partition], ends[partition]
            span.begin = min(begins[partition], span.end)

    async def _find_offsets(
        self, time_ms: int, oldest: dict[TopicPartition, int], ends: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Return the offset of the first record at or after a time, the end without one."""
        if time_ms <= 0:
            return oldest
        found = await self._consumer.offsets_for_times(dict.fromkeys(self._by_partition, time_ms))
        return {one: ends[one] if found[one] is None else int(found[one].offset) for one in self._by_partition}

    async def read_history(self) -> AsyncIterator[Sequence[SeenRecord]]:
        """Yield the records of the span, in the order of their times. May be called again. Raises KafkaTrouble."""
        self._marker = RecordMarker()
        merge = TimeMerge(self._spans)
        for span in self._spans.values():
            span.position = span.looks_back_from
            self._consumer.seek(span.partition, span.position)
            if span.position >= span.end:
                merge.finish(span.stream)
        fetches.set_fetch_wait(self._consumer, _HISTORY_WAIT_MS)
        loop = asyncio.get_running_loop()
        moved_monotonic_s = loop.time()
        while not merge.is_finished:
            lacking = [self._spans[stream] for stream in merge.lacking]
            found = await self._fetch([span.partition for span in lacking], _HISTORY_WAIT_MS)
            merge.add(found)
            has_moved = [self._has_moved(span) for span in lacking]
            for span in lacking:
                if span.position >= span.end:
                    merge.finish(span.stream)
            if ready := merge.pop_ready():
                yield ready
            if any(has_moved):
                moved_monotonic_s = loop.time()
            elif loop.time() - moved_monotonic_s > _STALL_S:
                raise await self._describe_trouble(TimeoutError())
        self._tell_unknown_epochs()

    async def follow(self) -> AsyncIterator[Sequence[SeenRecord]]:
        """Yield the records after the span as they come, until cancelled. `read_history` comes first."""
        fetches.set_fetch_wait(self._consumer, _FOLLOW_WAIT_MS)
        for span in self._spans.values():
            self._consumer.seek(span.partition, span.end)
            span.end = _NO_END
        loop = asyncio.get_running_loop()
        asked_monotonic_s, was_answered = loop.time(), True
        while True:
            if found := await self._fetch(list(self._by_partition), _FOLLOW_WAIT_MS):
                asked_monotonic_s = loop.time()
                merge = TimeMerge({record.stream for record in found})
                merge.add(found)
                for stream in self._spans:
                    merge.finish(stream)
                yield merge.pop_ready()
            elif loop.time() - asked_monotonic_s > _QUIET_S:
                was_answered = await self._tell_if_away(was_answered=was_answered)
                asked_monotonic_s = loop.time()

    async def _fetch(self, partitions: list[TopicPartition], wait_ms: int) -> list[SeenRecord]:
        """Return what has arrived of some topics, marked; only the marks need the records before the span."""
        try:
            found = await self._consumer.getmany(*partitions, timeout_ms=wait_ms, max_records=_RECORDS_AT_ONCE)
        except kafka_errors.OffsetOutOfRangeError as error:
            await self._go_on_where_the_topic_begins(error.args[0])
            return []
        except NO_ANSWER as error:
            raise await self._describe_trouble(error) from error
        mark, by_partition = self._marker.mark, self._by_partition
        return [
            seen
            for partition, records in found.items()
            for span in (by_partition[partition],)
            for record in records
            if record.offset < span.end and (seen := mark(span.stream, partition.topic, record)).offset >= span.begin
        ]

    def _has_moved(self, span: TopicSpan) -> bool:
        """Whether a topic was read further; its position passes what holds no records, which no record tells."""
        reached = fetches.fetch_position(self._consumer, span.partition)
        if reached is None or reached <= span.position:
            return False
        span.position = reached
        return True

    async def _go_on_where_the_topic_begins(self, lost: Mapping[TopicPartition, int]) -> None:
        """Seek to the first record that is left, and say what is missing: retention has removed it meanwhile."""
        oldest = await self._consumer.beginning_offsets(list(lost))
        for partition, offset in lost.items():
            self._consumer.seek(partition, oldest[partition])
            self._tell(
                f"{partition.topic}: the records from offset {offset} to {oldest[partition]} are gone (retention, or "
                "the topic was made again); going on with the first that is there"
            )

    def _tell_unknown_epochs(self) -> None:
        for stream in FENCED_STREAMS & self._spans.keys():
            span = self._spans[stream]
            if span.looks_back_from > span.oldest and not self._marker.knows_epoch(stream):
                self._tell(
                    f"{span.partition.topic}: no record from offset {span.looks_back_from} on has an epoch, so a void "
                    "record that comes next may not be marked; an earlier --since reads more"
                )

    async def _tell_if_away(self, *, was_answered: bool) -> bool:
        """Say once that no broker answers, and once that one answers again; return whether one does."""
        try:
            async with asyncio.timeout(_QUIET_S):
                await self._consumer.end_offsets(list(self._by_partition))
        except NO_ANSWER:
            if was_answered:
                self._tell(f"no broker answers; waiting ({await find_likely_cause(self._kafka)})")
            return False
        if not was_answered:
            self._tell("the brokers answer again")
        return True

    async def _describe_trouble(self, error: BaseException) -> KafkaTrouble:
        if isinstance(error, kafka_errors.TopicAuthorizationFailedError):
            topics = sorted({span.partition.topic for span in self._spans.values()} & set(map(str, error.args[0])))
            return KafkaTrouble(describe_refused(self._kafka, topics or ["the topics"]))
        if isinstance(error, _AWAY):
            return ClusterUnreachable(f"the topics could not be read: {await find_likely_cause(self._kafka)}")
        return KafkaTrouble(f"the topics could not be read: {error!r}")


@asynccontextmanager
async def open_reader(
    kafka: Kafka, account: str, streams: Sequence[Stream], tell: Tell
) -> AsyncIterator[StreamsReader]:
    """Open a reader of topics that exist and may be read; `tell` takes what a person should know meanwhile.

    Raises ClusterUnreachable when no broker answers, KafkaTrouble when a topic is missing or refused.
    """
    topics = {stream: topic_name(kafka.topic_prefix, account, stream) for stream in streams}
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=_HISTORY_WAIT_MS,
        # As the bridge reads: a transaction that is open hides nothing.
        isolation_level="read_uncommitted",
    )
    try:
        try:
            async with asyncio.timeout(_START_S):
                await consumer.start()
                await require_readable(consumer, kafka, topics)
        except NO_ANSWER as error:
            raise ClusterUnreachable(
                f"no broker of {kafka.bootstrap_servers} gives access: {await find_likely_cause(kafka)}"
            ) from error
        follow_bootstrap_servers(aiokafka_internals.client_of(consumer), kafka)
        fetches.decode_fetches_within_bounds(consumer)
        consumer.assign([TopicPartition(topic, 0) for topic in topics.values()])
        yield StreamsReader(kafka, consumer, topics, tell)
    finally:
        await aiokafka_internals.end_consumer(consumer, _STOP_S)
