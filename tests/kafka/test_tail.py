"""Reading a topic's tail: all of it, from a time on, up to an offset, and past what is no record."""

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise

import pytest
from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from bridge.config import Kafka
from bridge.contract.topics import Stream, topic_name
from bridge.core.records import CommandRecord
from bridge.errors import ClusterUnreachable, KafkaTrouble
from bridge.kafka.tail import TailRecord, read_commands, read_tail

MakeTopics = Callable[..., Awaitable[None]]
Write = Callable[..., Awaitable[list[int]]]
MIB = 1024 * 1024


@pytest.fixture
async def topic(kafka: Kafka, make_topics: MakeTopics) -> str:
    """Return an empty topic."""
    await make_topics(kafka, Stream.RESULTS)
    return topic_name(kafka.topic_prefix, "main", Stream.RESULTS)


async def tail(kafka: Kafka, topic: str, *, since_ms: int) -> list[TailRecord]:
    """Read a tail, and require that it comes a few records at a time."""
    parts: list[list[TailRecord]] = []
    await read_tail(kafka, topic, parts.append, since_ms=since_ms)
    assert all(len(part) <= 500 for part in parts)
    return [record for part in parts for record in part]


async def test_empty_topic(kafka: Kafka, topic: str) -> None:
    """An empty topic has an empty tail, whatever the time."""
    assert [] == await tail(kafka, topic, since_ms=0)
    assert [] == await tail(kafka, topic, since_ms=1)


async def test_whole_records(kafka: Kafka, topic: str, write: Write) -> None:
    """Records come with offset, time, key, value and headers; a value of None is a tombstone."""
    await write(kafka, topic, b"v", None, timestamp_ms=1_700_000_000_000, headers=[("h", b"1")])
    first, second = await tail(kafka, topic, since_ms=0)
    assert (0, 1_700_000_000_000, b"k", b"v", (("h", b"1"),)) == (
        first.offset,
        first.timestamp_ms,
        first.key,
        first.value,
        first.headers,
    )
    assert (1, None) == (second.offset, second.value)


async def test_since(kafka: Kafka, topic: str, write: Write) -> None:
    """Reading begins with the first record at or after the time, and does not leave out older ones behind it."""
    for at in (1000, 2000, 1500, 3000):
        await write(kafka, topic, b"%d" % at, timestamp_ms=1_700_000_000_000 + at)
    found = await tail(kafka, topic, since_ms=1_700_000_002_000)
    assert [b"2000", b"1500", b"3000"] == [one.value for one in found]
    assert [] == await tail(kafka, topic, since_ms=int(time.time() * 1000) + 60_000)


async def test_end_in_control_records(kafka: Kafka, topic: str, write: Write) -> None:
    """A log whose last offsets are a transaction's end is read to its end."""
    await write(kafka, topic, b"0")
    await write(kafka, topic, b"1", transactional_id=topic)
    await write(kafka, topic, b"3", b"4", transactional_id=topic)
    assert [0, 1, 3, 4] == [one.offset for one in await tail(kafka, topic, since_ms=0)]


async def test_many_records(kafka: Kafka, topic: str, write: Write) -> None:
    """A tail that needs several fetches is complete and in order."""
    values = [bytes([number % 256]) * 90_000 for number in range(150)]
    await write(kafka, topic, *values)
    assert values == [one.value for one in await tail(kafka, topic, since_ms=0)]


async def test_fetches_that_were_read_are_freed(kafka: Kafka, topic: str, write: Write) -> None:
    """Without a collection of garbage, which hundreds of fetches may not bring: their bytes are not in a circle.

    Nor is what an ended reader had fetched and not read.
    """
    await write(kafka, topic, *(bytes(2_000) for _ in range(1000)), *(bytes(900_000) for _ in range(40)))

    async def take(_: Sequence[CommandRecord]) -> None:
        pass

    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        await read_tail(kafka, topic, lambda _: None, since_ms=0)
        left, peak = tracemalloc.get_traced_memory()
        await read_commands(kafka, topic, 0, 100, take)
        left_unread = tracemalloc.get_traced_memory()[0] - left
    finally:
        tracemalloc.stop()
        gc.enable()
    assert left < 2 * MIB
    assert peak < 16 * MIB
    assert left_unread < MIB


async def test_others_run_while_much_is_read(kafka: Kafka, topic: str, write: Write) -> None:
    """Between any two parts the loop turns: a member that remembers an hour keeps its heartbeats."""
    await write(kafka, topic, *(b"%d" % number for number in range(5000)))
    turns: list[int] = []
    ended = False

    async def beat() -> None:
        while not ended:
            turns.append(0)
            await asyncio.sleep(0)

    def take(records: list[TailRecord]) -> None:
        turns.append(len(records))

    beating = asyncio.create_task(beat())
    await read_tail(kafka, topic, take, since_ms=0)
    ended = True
    await beating
    assert sum(turns) == 5000
    assert not any(one and other for one, other in pairwise(turns))


async def test_unreachable_and_missing(kafka: Kafka, settings_for: Callable[..., Kafka]) -> None:
    """No broker and no topic are two different errors, both raised within a bound."""
    with pytest.raises(ClusterUnreachable, match=r"127\.0\.0\.1:1"):
        await tail(settings_for("127.0.0.1:1"), "any", since_ms=0)
    with pytest.raises(KafkaTrouble, match="does not exist"):
        await tail(kafka, "missing", since_ms=0)


async def test_commands_are_read_again_between_two_offsets(
    kafka: Kafka, make_topics: MakeTopics, write: Write, admin_of: Callable[[Kafka], object]
) -> None:
    """From one offset up to another, each part when the one before is done with; what is no longer there is passed."""
    topic = topic_name(kafka.topic_prefix, "main", Stream.COMMANDS)
    await make_topics(kafka, Stream.COMMANDS)
    await write(kafka, topic, *(b"%d" % number for number in range(1200)))
    async with admin_of(kafka) as admin:  # type: ignore[attr-defined] # a fixture's context manager
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(100)})
    taken: list[CommandRecord] = []

    async def take(records: Sequence[CommandRecord]) -> None:
        taken.extend(records)
        await asyncio.sleep(0)

    await read_commands(kafka, topic, 50, 1100, take)
    assert [(number, b"%d" % number) for number in range(100, 1100)] == [(one.offset, one.value) for one in taken]
