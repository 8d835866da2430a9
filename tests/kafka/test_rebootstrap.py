"""All brokers come back under other addresses behind the same bootstrap name: every client finds them again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream, topic_name
from bridge.core.records import CommandRecord, OutgoingRecord
from bridge.kafka.membership import Membership
from bridge.kafka.publisher import Publisher
from tests.support.moving import MovingCluster

TIMING = Timing(session_timeout_s=20, rebalance_timeout_s=10)
DEADLINE_S = 20
"""Far below the 30 s after which a producer is replaced, and the 600 s for which a commit waits for brokers."""


@pytest.fixture
async def cluster(bootstrap: str) -> AsyncIterator[MovingCluster]:
    """Return a way to the run's broker whose addresses can move."""
    async with MovingCluster(bootstrap) as cluster:
        yield cluster


@pytest.fixture
def through(cluster: MovingCluster, settings_for: Callable[..., Kafka]) -> Kafka:
    """Return settings that name the address that stays."""
    return settings_for(cluster.bootstrap)


async def test_the_owner_reads_and_commits_again_when_all_brokers_have_moved(
    cluster: MovingCluster,
    through: Kafka,
    make_topics: Callable[..., Awaitable[None]],
    member_of: Callable[..., Membership],
    write: Callable[..., Awaitable[list[int]]],
) -> None:
    """It stays the owner: what comes next is read, and its commits are acknowledged."""
    await make_topics(through, Stream.COMMANDS)
    topic = topic_name(through.topic_prefix, "main", Stream.COMMANDS)
    member = member_of(through, times=TIMING)
    await member.join()
    await member.wait_owned()
    member.seek(0)
    await member.commit(0, "before", DEADLINE_S)
    await cluster.move()
    await write(through, topic, b"cancel everything")
    await member.commit(0, "after", DEADLINE_S)
    records: list[CommandRecord] = []
    async with asyncio.timeout(DEADLINE_S):
        while not records:
            records += await member.poll(1.0)
    assert [record.value for record in records] == [b"cancel everything"]


async def test_the_publisher_goes_on_when_all_brokers_have_moved(
    cluster: MovingCluster,
    through: Kafka,
    make_topics: Callable[..., Awaitable[None]],
) -> None:
    """Without being replaced: what it is given becomes durable."""
    await make_topics(through, *(stream for stream in Stream if stream is not Stream.COMMANDS))
    publisher = Publisher(through, environment="test", account="main", buffer_bytes_max=10**6, pause_bytes=10**6)
    await publisher.start()
    try:
        publisher.begin_epoch(1)
        publisher.publish(OutgoingRecord(stream=Stream.RESULTS, key=b"k", value=b"{}", time_ms=0))
        assert await publisher.flush(DEADLINE_S)
        await cluster.move()
        publisher.publish(OutgoingRecord(stream=Stream.RESULTS, key=b"k", value=b"{}", time_ms=0))
        assert await publisher.flush(DEADLINE_S)
    finally:
        await publisher.stop(1)
