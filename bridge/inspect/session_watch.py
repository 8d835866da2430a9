"""Following the topics `session` of many accounts at once, from a point in time on and as they grow."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from bridge.config import Kafka
from bridge.contract import headers as names
from bridge.contract.session import SessionEvent
from bridge.contract.topics import Stream, topic_name
from bridge.errors import ClusterUnreachable, KafkaTrouble
from bridge.inspect.topic_access import require_readable
from bridge.kafka import aiokafka_internals, fetches
from bridge.kafka.batches import FetchedRecord
from bridge.kafka.cluster import NO_ANSWER, client_options, find_likely_cause
from bridge.kafka.rebootstrap import follow_bootstrap_servers

_START_S: Final = 30.0
_STOP_S: Final = 2.0
_REQUEST_TIMEOUT_MS: Final = 5000
_FETCH_WAIT_MS: Final = 250

TakeEvent = Callable[[str, SessionEvent, int], None]
"""Account, event, and the time of its record in Unix ms."""


class SessionWatch:
    """Reads the events of some accounts and hands them to `take`, each account's in their order; void ones not."""

    def __init__(self, kafka: Kafka, consumer: AIOKafkaConsumer, accounts: Collection[str], take: TakeEvent) -> None:
        self._kafka = kafka
        self._consumer = consumer
        topics = {account: topic_name(kafka.topic_prefix, account, Stream.SESSION) for account in accounts}
        self._accounts = {TopicPartition(topic, 0): account for account, topic in topics.items()}
        self._epochs = dict.fromkeys(self._accounts, 0)
        self._take = take

    async def start(self, since_ms: int) -> None:
        """Connect, and read what has come since a time, Unix ms. Raises KafkaTrouble."""
        partitions = list(self._accounts)
        try:
            async with asyncio.timeout(_START_S):
                await self._consumer.start()
                for partition in partitions:
                    await require_readable(self._consumer, self._kafka, {Stream.SESSION: partition.topic})
                follow_bootstrap_servers(aiokafka_internals.client_of(self._consumer), self._kafka)
                fetches.decode_fetches_within_bounds(self._consumer)
                self._consumer.assign(partitions)
                ends = await self._consumer.end_offsets(partitions)
                found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
                for partition in partitions:
                    first = found[partition]
                    self._consumer.seek(partition, ends[partition] if first is None else first.offset)
                while any([await self._consumer.position(one) < end for one, end in ends.items()]):
                    await self._read_records()
        except NO_ANSWER as error:
            raise await self._describe_trouble(error) from error

    async def follow(self) -> None:
        """Read on until cancelled. Raises KafkaTrouble."""
        while True:
            try:
                await self._read_records()
            except NO_ANSWER as error:
                raise await self._describe_trouble(error) from error

    async def _read_records(self) -> None:
        for partition, records in (await self._consumer.getmany(timeout_ms=_FETCH_WAIT_MS)).items():
            for record in records:
                self._hand_over(partition, record)

    def _hand_over(self, partition: TopicPartition, record: FetchedRecord) -> None:
        epoch = names.parse_epoch(dict(record.headers).get(names.EPOCH))
        if epoch < self._epochs[partition]:
            return
        self._epochs[partition] = epoch
        try:
            event = msgspec.json.decode(record.value or b"", type=SessionEvent)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # a later version wrote it, or somebody who should not write there
        self._take(self._accounts[partition], event, record.timestamp_ms)

    async def _describe_trouble(self, error: BaseException) -> KafkaTrouble:
        cause = f"({type(error).__name__}): {await find_likely_cause(self._kafka)}"
        return ClusterUnreachable(f"the topics session could not be read {cause}")


@asynccontextmanager
async def watch_sessions(
    kafka: Kafka, accounts: Collection[str], take: TakeEvent, *, since_ms: int
) -> AsyncIterator[asyncio.Task[None]]:
    """Hand over what has come since a time, and then what comes; yield the task that follows, which ends by a failure.

    Raises ClusterUnreachable when no broker answers, KafkaTrouble when a topic is missing or refused.
    """
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="latest",
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
    )
    watch = SessionWatch(kafka, consumer, accounts, take)
    following: asyncio.Task[None] | None = None
    try:
        await watch.start(since_ms)
        following = asyncio.create_task(watch.follow(), name="sessions")
        yield following
    finally:
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        await aiokafka_internals.end_consumer(consumer, _STOP_S)
