"""The topics of the bench: made as the daemon makes them, read with the time at which each record came, and removed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream, topic_name
from bridge.kafka.topic_rules import wanted_configs
from tests.bench.processes import BenchFailed, deadline

ACCOUNT: Final = "a00"
"""The account of all that needs one only; the venue names its accounts so."""
_ASK_DEADLINE_S: Final = 60.0
_LOOK_S: Final = 0.01

TakeRecord = Callable[[ConsumerRecord, int], None]
"""Gets a record, and when it was read (CLOCK_MONOTONIC ns)."""


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    async with deadline(_ASK_DEADLINE_S, "the broker's answers about topics"):
        await client.start()
        try:
            yield client
        finally:
            await client.close()


async def create_topics(bootstrap: str, prefix: str, streams: Sequence[Stream]) -> None:
    """Create topics of one account with the settings that the daemon gives them."""
    kafka = Kafka(bootstrap_servers=bootstrap, topic_prefix=prefix, replication_factor=1, min_insync_replicas=1)
    topics = [
        NewTopic(topic_name(prefix, ACCOUNT, stream), 1, 1, topic_configs=wanted_configs(stream, kafka, Timing()))
        for stream in streams
    ]
    async with _admin(bootstrap) as admin:
        await admin.create_topics(topics)


async def delete_topics(bootstrap: str, prefix: str) -> None:
    """Delete every topic of a prefix, so that the disk does not fill up with the rounds."""
    async with _admin(bootstrap) as admin:
        names = [name for name in await admin.list_topics() if name.startswith(f"{prefix}.")]
        if names:
            await admin.delete_topics(names)


class Reader:
    """Reads topics, from their beginning or from where they end now, until the end of a block."""

    def __init__(self, bootstrap: str, topics: Sequence[str], take: TakeRecord, *, from_beginning: bool) -> None:
        self._partitions = [TopicPartition(topic, 0) for topic in topics]
        self._take = take
        self._from_beginning = from_beginning
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="none"
        )
        self._reading: asyncio.Task[None] | None = None
        self.read_count = 0

    async def __aenter__(self) -> Self:
        async with deadline(_ASK_DEADLINE_S, f"a reader of {self._partitions[0].topic}"):
            await self._consumer.start()
            self._consumer.assign(self._partitions)
            seek = self._consumer.seek_to_beginning if self._from_beginning else self._consumer.seek_to_end
            await seek(*self._partitions)
            for partition in self._partitions:
                await self._consumer.position(partition)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._consumer.stop()

    async def _read(self) -> None:
        while True:
            found = await self._consumer.getmany(timeout_ms=500)
            read_ns = time.monotonic_ns()
            for records in found.values():
                for record in records:
                    self._take(record, read_ns)
                self.read_count += len(records)

    async def wait_for_records(self, count: int, stall_s: float) -> bool:
        """Wait until so many records were read; return False where none came for `stall_s`."""
        seen, since_s = self.read_count, time.monotonic()
        while self.read_count < count:
            if self._reading is not None and self._reading.done():
                raise BenchFailed("the reader of the topics has failed") from self._reading.exception()
            if self.read_count > seen:
                seen, since_s = self.read_count, time.monotonic()
            elif time.monotonic() - since_s > stall_s:
                return False
            await asyncio.sleep(_LOOK_S)
        return True


class EndOfTopic:
    """Where a topic ends, asked of the broker; for the length of a block."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._partition = TopicPartition(topic, 0)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)

    async def __aenter__(self) -> Self:
        async with deadline(_ASK_DEADLINE_S, "a connection to ask where topics end"):
            await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def read_offset(self) -> int:
        """Return the offset behind the last durable record."""
        async with deadline(_ASK_DEADLINE_S, f"the end of {self._partition.topic}"):
            return int((await self._consumer.end_offsets([self._partition]))[self._partition])

    async def wait_for_offset(self, offset: int, stall_s: float) -> int:
        """Wait until the topic ends there; return where it ends once nothing has come for `stall_s`."""
        end, since_s = await self.read_offset(), time.monotonic()
        while end < offset and time.monotonic() - since_s < stall_s:
            await asyncio.sleep(_LOOK_S)
            now = await self.read_offset()
            if now > end:
                end, since_s = now, time.monotonic()
        return end
