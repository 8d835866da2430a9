"""Reading a topic's tail: all of it, from a time on, up to an offset, and past what is no record."""

import time
from collections.abc import Awaitable, Callable

import pytest

from bridge.config import Kafka
from bridge.contract.topics import Stream, topic_name
from bridge.errors import ClusterUnreachable, KafkaTrouble
from bridge.kafka.tail import read_tail

MakeTopics = Callable[..., Awaitable[None]]
Write = Callable[..., Awaitable[list[int]]]


@pytest.fixture
async def topic(kafka: Kafka, make_topics: MakeTopics) -> str:
    """Return an empty topic."""
    await make_topics(kafka, Stream.RESULTS)
    return topic_name(kafka.topic_prefix, "main", Stream.RESULTS)


async def test_empty_topic(kafka: Kafka, topic: str) -> None:
    """An empty topic has an empty tail, whatever the time."""
    assert [] == await read_tail(kafka, topic, since_ms=0)
    assert [] == await read_tail(kafka, topic, since_ms=1)


async def test_whole_records(kafka: Kafka, topic: str, write: Write) -> None:
    """Records come with offset, time, key, value and headers; a value of None is a tombstone."""
    await write(kafka, topic, b"v", None, timestamp_ms=1_700_000_000_000, headers=[("h", b"1")])
    first, second = await read_tail(kafka, topic, since_ms=0)
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
    found = await read_tail(kafka, topic, since_ms=1_700_000_002_000)
    assert [b"2000", b"1500", b"3000"] == [one.value for one in found]
    assert [] == await read_tail(kafka, topic, since_ms=int(time.time() * 1000) + 60_000)


async def test_until(kafka: Kafka, topic: str, write: Write) -> None:
    """The offset up to which is read is included, also where a batch goes on behind it."""
    await write(kafka, topic, b"0", b"1", b"2")
    assert [b"0", b"1"] == [one.value for one in await read_tail(kafka, topic, since_ms=0, until_offset=1)]


async def test_end_in_control_records(kafka: Kafka, topic: str, write: Write) -> None:
    """A log whose last offsets are a transaction's end is read to its end."""
    await write(kafka, topic, b"0")
    await write(kafka, topic, b"1", transactional_id=topic)
    await write(kafka, topic, b"3", b"4", transactional_id=topic)
    assert [0, 1, 3, 4] == [one.offset for one in await read_tail(kafka, topic, since_ms=0)]


async def test_many_records(kafka: Kafka, topic: str, write: Write) -> None:
    """A tail that needs several fetches is complete and in order."""
    values = [bytes([number % 256]) * 90_000 for number in range(150)]
    await write(kafka, topic, *values)
    assert values == [one.value for one in await read_tail(kafka, topic, since_ms=0)]


async def test_unreachable_and_missing(kafka: Kafka, settings_for: Callable[..., Kafka]) -> None:
    """No broker and no topic are two different troubles, both told within a bound."""
    with pytest.raises(ClusterUnreachable, match=r"127\.0\.0\.1:1"):
        await read_tail(settings_for("127.0.0.1:1"), "any", since_ms=0)
    with pytest.raises(KafkaTrouble, match="does not exist"):
        await read_tail(kafka, "missing", since_ms=0)
