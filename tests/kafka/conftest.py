"""Fixtures of the Kafka room: settings, topics and raw clients on the real broker of the run."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream, topic_name
from bridge.kafka.membership import Membership
from bridge.kafka.publisher import Publisher
from tests.witness import waiting
from tests.witness.topic_log import read_consumer_records

ACCOUNT = "main"


@pytest.fixture
def kafka(bootstrap: str) -> Kafka:
    """Return settings with a prefix of the test's own."""
    return settings(bootstrap)


@pytest.fixture
def settings_for() -> Callable[..., Kafka]:
    """Return what makes settings for another broker."""
    return settings


def settings(bootstrap: str, **more: object) -> Kafka:
    """Make settings that fit one broker."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    values = {"topic_prefix": prefix, "replication_factor": 1, "min_insync_replicas": 1} | more
    return Kafka.model_validate({"bootstrap_servers": bootstrap, **values})


@pytest.fixture
def timing() -> Timing:
    """Return short times, so that an eviction takes a second and not six."""
    return Timing(
        session_timeout_s=1.2, heartbeat_s=0.1, rebalance_timeout_s=2, lease_s=0.5, commit_period_s=0.2, horizon_s=3600
    )


MakeTopics = Callable[..., Awaitable[None]]


@pytest.fixture
def make_topics() -> MakeTopics:
    """Return what makes the topics of the given streams, all with the same settings."""

    async def make(kafka: Kafka, *streams: Stream, partitions: int = 1, **configs: str) -> None:
        names = [topic_name(kafka.topic_prefix, ACCOUNT, stream) for stream in streams]
        dotted = {name.replace("_", "."): value for name, value in configs.items()}
        async with administration(kafka) as admin:
            response = await admin.create_topics(
                [NewTopic(name, partitions, 1, topic_configs=dotted) for name in names]
            )
            assert [0] * len(names) == [code for _, code, _ in response.topic_errors]
            await _until_led(admin, names)

    return make


async def _until_led(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    async with asyncio.timeout(30):
        while any(  # noqa: ASYNC110 - a broker has no event to wait for
            topic["error_code"] or any(one["leader"] < 0 for one in topic["partitions"])
            for topic in await admin.describe_topics(names)
        ):
            await asyncio.sleep(0.02)


@asynccontextmanager
async def administration(kafka: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    """Have a raw admin client for the length of the block."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


@pytest.fixture
def admin_of() -> Callable[[Kafka], object]:
    """Return what opens a raw admin client."""
    return administration


@pytest.fixture
def write() -> Callable[..., Awaitable[list[int]]]:
    """Return what writes values to a topic as any caller would, and returns their offsets."""

    async def write_values(
        kafka: Kafka, topic: str, *values: bytes | None, transactional_id: str | None = None, **more: object
    ) -> list[int]:
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers, acks="all", transactional_id=transactional_id
        )
        try:
            await producer.start()
            if transactional_id is not None:
                await producer.begin_transaction()
            offsets = [(await producer.send_and_wait(topic, value=one, key=b"k", **more)).offset for one in values]
            if transactional_id is not None:
                await producer.commit_transaction()
        finally:
            await producer.stop()
        return offsets

    return write_values


@pytest.fixture
def read_all() -> Callable[[Kafka, str], Awaitable[list[ConsumerRecord]]]:
    """Return what reads a one-partition topic from its beginning to its end."""

    async def read(kafka: Kafka, topic: str) -> list[ConsumerRecord]:
        return await read_consumer_records(kafka.bootstrap_servers, topic)

    return read


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Return what waits for a condition, and fails when it has not come true in time."""

    async def wait(condition: Callable[[], bool], timeout_s: float = 10) -> None:
        await waiting.until(condition, timeout_s)

    return wait


@pytest.fixture
async def publisher_of() -> AsyncIterator[Callable[..., Awaitable[Publisher]]]:
    """Return what makes started publishers, which are stopped when the test ends."""
    publishers: list[Publisher] = []

    async def make(kafka: Kafka, **more: object) -> Publisher:
        values = {"environment": "test", "account": "main", "buffer_bytes_max": 100_000, "pause_bytes": 100_000} | more
        publisher = Publisher(kafka, **values)  # type: ignore[arg-type] # a test's own keywords
        publishers.append(publisher)
        await publisher.start()
        publisher.begin_epoch(7)
        return publisher

    yield make
    for publisher in publishers:
        await publisher.stop(0)


@pytest.fixture
async def member_of(timing: Timing) -> AsyncIterator[Callable[..., Membership]]:
    """Return what makes members, which leave their groups when the test ends."""
    members: list[Membership] = []

    def make(
        kafka: Kafka, *, events: list[str] | None = None, times: Timing = timing, instance: str = "here"
    ) -> Membership:
        noted = [] if events is None else events
        member = Membership(
            kafka,
            times,
            ACCOUNT,
            instance,
            on_revoked=lambda: noted.append("revoked"),
            on_assigned=lambda: noted.append("assigned"),
        )
        members.append(member)
        return member

    yield make
    await asyncio.gather(*(member.leave() for member in members))
