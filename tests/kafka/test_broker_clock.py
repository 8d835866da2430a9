"""Reading a real broker's clock."""

import asyncio
from collections.abc import Awaitable, Callable

from bridge.account_parts import clock
from bridge.config import Kafka
from bridge.contract.topics import Stream
from bridge.core.records import CommandRecord, OutgoingRecord
from bridge.kafka.membership import Membership
from bridge.kafka.publisher import Publisher

Members = Callable[..., Membership]
MakeTopics = Callable[..., Awaitable[None]]
Write = Callable[..., Awaitable[list[int]]]
Until = Callable[..., Awaitable[None]]
RESULT = OutgoingRecord(Stream.RESULTS, b"key", b"{}", 1_700_000_000_000)
STAMPED = {"message_timestamp_type": "LogAppendTime"}


def _publisher(kafka: Kafka) -> Publisher:
    return Publisher(kafka, environment="test", account="main", buffer_bytes_max=100_000, pause_bytes=100_000)


async def test_the_brokers_time_is_read_from_an_acknowledgement(kafka: Kafka, make_topics: MakeTopics) -> None:
    """Where the broker stamps records: here it has our own clock, which lies within the bounds that are read."""
    await make_topics(kafka, Stream.RESULTS, **STAMPED)
    await make_topics(kafka, Stream.ORDERS)
    publisher = _publisher(kafka)
    await publisher.start()
    try:
        publisher.publish(OutgoingRecord(Stream.ORDERS, b"key", b"{}", 1_700_000_000_000))
        assert await publisher.flush(10)
        before = publisher.clock_reading
        publisher.publish(RESULT)
        assert await publisher.flush(10)
        reading = publisher.clock_reading
    finally:
        await publisher.stop(0)
    assert before is None
    assert reading is not None
    skew = reading.skew(clock())
    assert skew.low_ms - 5 <= 0 <= skew.high_ms + 5
    assert skew.high_ms - skew.low_ms < 10_000


async def test_a_command_has_the_time_at_which_it_was_not_there_yet(
    kafka: Kafka, make_topics: MakeTopics, member_of: Members, write: Write, until: Until
) -> None:
    """It was not there at the fetch before the one that found nothing; for a backlog there is no such time."""
    await make_topics(kafka, Stream.COMMANDS, **STAMPED)
    owner = member_of(kafka)
    await owner.join()
    await owner.wait_owned()
    topic = owner._partition.topic
    await write(kafka, topic, b"old")
    owner.seek(0)
    records: list[CommandRecord] = []
    async with asyncio.timeout(30):
        while not records:
            records += await owner.poll(0.5)
        assert records[0].absent_boot_s == float("-inf")
        before_s = clock().boot_s
        assert owner._member is not None
        while owner._member.reader._absence.absent_boot_s < before_s:
            await owner.poll(0.2)
        await write(kafka, topic, b"new")
        while len(records) < 2:
            records += await owner.poll(0.5)
    new, now = records[1], clock()
    assert before_s <= new.absent_boot_s <= now.boot_s
    appended_boot_s = now.boot_s + (new.timestamp_ms - now.wall_ms) / 1000
    assert new.absent_boot_s <= appended_boot_s + 0.005
