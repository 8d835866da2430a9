"""Topics that are deleted, or made again by another: noticed, reported, and corrected where that is allowed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from aiokafka import ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream, topic_name
from bridge.core.records import OutgoingRecord
from bridge.core.topic_losses import LostTopic
from bridge.kafka import publisher as publisher_room
from bridge.kafka import topic_watch
from bridge.kafka.preflight import check_topics, reach_cluster
from bridge.kafka.producer import ThrottledReport, connect
from bridge.kafka.publisher import Publisher
from bridge.kafka.record_sender import PublisherCallbacks
from bridge.kafka.topic_making import TopicConfigs, read_configs
from bridge.kafka.topic_watch import TopicWatch
from bridge.sandbox.broker.embedded import EmbeddedBroker
from tests.support import kafka_tool

AdminOf = Callable[[Kafka], AbstractAsyncContextManager[AIOKafkaAdminClient]]
MakeTopics = Callable[..., Awaitable[None]]
ReadAll = Callable[[Kafka, str], Awaitable[list[ConsumerRecord]]]
SettingsFor = Callable[..., Kafka]
Until = Callable[..., Awaitable[None]]
Delete = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def short_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check often, so that a test is short."""
    monkeypatch.setattr(topic_watch, "_PERIOD_S", 0.2)
    monkeypatch.setattr(topic_watch, "_SOON_S", 0.1)


@pytest.fixture
async def made(bootstrap: str, settings_for: SettingsFor, timing: Timing) -> Kafka:
    """Return settings with which topics may be made, and have been."""
    kafka = settings_for(bootstrap, create_topics=True)
    assert await check_topics(kafka, timing, ["main"]) == []
    return kafka


@pytest.fixture
def delete(admin_of: AdminOf) -> Delete:
    """Return what deletes topics and waits until they are gone."""

    async def gone(kafka: Kafka, *streams: Stream) -> None:
        names = [topic_name(kafka.topic_prefix, "main", stream) for stream in streams]
        async with admin_of(kafka) as admin:
            await admin.delete_topics(names)

    return gone


@asynccontextmanager
async def watched(
    kafka: Kafka, timing: Timing, on_oversize: Callable[[OutgoingRecord], None] = print
) -> AsyncIterator[tuple[TopicWatch, Publisher]]:
    """Have a publisher of the account and a watch beside it, which has checked once."""
    checks: list[Mapping[str, str]] = []
    callbacks = PublisherCallbacks(on_oversize=on_oversize)
    publisher = Publisher(
        kafka, environment="test", account="main", buffer_bytes_max=100_000, pause_bytes=100_000, callbacks=callbacks
    )

    def note_check(topics: Mapping[str, str]) -> None:
        checks.append(topics)
        publisher.note_unwritable(topics)

    watch = TopicWatch(kafka, timing, "main", on_unwritable=note_check)
    await publisher.start()
    running = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(20):
            while not checks:  # noqa: ASYNC110 - a broker has no event to wait for
                await asyncio.sleep(0.01)
        yield watch, publisher
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await publisher.stop(0)


def record(stream: Stream, value: bytes) -> OutgoingRecord:
    """Make a record."""
    return OutgoingRecord(stream, b"OKX:USDT", value, 1_700_000_000_000)


async def configs_of(kafka: Kafka, stream: Stream) -> TopicConfigs:
    """Return the settings of a topic."""
    name = topic_name(kafka.topic_prefix, "main", stream)
    admin = await reach_cluster(kafka)
    try:
        found, _ = await read_configs(admin, [name])
    finally:
        await admin.close()
    return found[name]


async def test_a_deleted_topic_is_made_again_as_it_was(
    made: Kafka, timing: Timing, delete: Delete, until: Until, read_all: ReadAll
) -> None:
    """With its settings; what is published meanwhile and afterwards is on it, and no other topic waits."""
    before = await configs_of(made, Stream.ASSETS)
    async with watched(made, timing) as (watch, publisher):
        publisher.publish(record(Stream.ASSETS, b"1"))
        assert await publisher.flush(10)
        await delete(made, Stream.ASSETS, Stream.LIQUIDATIONS)
        await until(lambda: bool(watch.lost_topics()), 20)  # until then what is being deleted may take a record
        publisher.publish(record(Stream.ASSETS, b"2"))
        publisher.publish(record(Stream.TRADES, b"2"))
        await until(lambda: len(watch.lost_topics()) == 2 and not any(one.problem for one in watch.lost_topics()), 20)
        assert await publisher.flush(20)
        assert {(one.stream, one.is_empty) for one in watch.lost_topics()} == {
            (Stream.ASSETS, True),
            (Stream.LIQUIDATIONS, True),
        }
        for one in watch.lost_topics():
            watch.mark_reported(one.topic)
        assert watch.lost_topics() == []
    assert before == await configs_of(made, Stream.ASSETS)
    assert await check_topics(made, timing, ["main"]) == []
    assert [b"2"] == [one.value for one in await read_all(made, topic_name(made.topic_prefix, "main", Stream.ASSETS))]


async def test_a_topic_that_a_broker_made_with_its_defaults_is_set_right(
    made: Kafka, timing: Timing, delete: Delete, make_topics: MakeTopics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it would have been created, but for settings that were chosen for it and break nothing."""
    before = await configs_of(made, Stream.RESULTS)
    monkeypatch.setattr(topic_watch, "_PERIOD_S", 3600)
    async with watched(made, timing) as (watch, _):
        await delete(made, Stream.RESULTS, Stream.ORDERS)
        await _make_again(made, make_topics, Stream.RESULTS, {})
        await _make_again(made, make_topics, Stream.ORDERS, {"retention_ms": "9999999999"})
        problems_seen: set[str] = set()
        async with asyncio.timeout(20):
            while len(watch.lost_topics()) < 2 or any(one.problem for one in watch.lost_topics()):
                await watch._check_topics()  # the broker may not know the new topics at first
                problems_seen |= {one.problem for one in watch.lost_topics()}
        assert {
            name
            for one in problems_seen
            for name in ("cleanup.policy", "message.timestamp.type")
            if f"{name} is" in one
        } == {
            *("cleanup.policy", "message.timestamp.type"),
        }
    assert before == await configs_of(made, Stream.RESULTS)
    orders = await configs_of(made, Stream.ORDERS)
    assert (orders.values["retention.ms"], orders.values["cleanup.policy"]) == ("9999999999", "compact,delete")
    assert await check_topics(made, timing, ["main"]) == []


async def _make_again(
    kafka: Kafka, make_topics: MakeTopics, stream: Stream, configs: dict[str, str], partitions: int = 1
) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                return await make_topics(kafka, stream, partitions=partitions, **configs)
            except (AssertionError, UnknownTopicOrPartitionError):
                await asyncio.sleep(0.1)


async def test_a_topic_that_was_made_again_at_once_is_another_one(
    made: Kafka, timing: Timing, delete: Delete, make_topics: MakeTopics, until: Until
) -> None:
    """Its id differs, however short the time without it; without the right to create topics the problem is reported."""
    async with watched(made.model_copy(update={"create_topics": False}), timing) as (watch, publisher):
        await delete(made, Stream.ASSETS)
        await _make_again(made, make_topics, Stream.ASSETS, {})
        await until(lambda: any("cleanup.policy is delete" in one.problem for one in watch.lost_topics()), 20)
        publisher.publish(record(Stream.ASSETS, b"1"))
        assert await publisher.flush(20)
        (lost,) = watch.lost_topics()
        watch.mark_reported(lost.topic)
        assert watch.lost_topics() == [lost]
        await kafka_tool.run_told_command(lost.problem, made.bootstrap_servers)
        await until(lambda: watch.lost_topics()[0].problem == "", 20)
        assert watch.lost_topics()[0].since_ms == lost.since_ms


async def test_without_the_right_to_make_topics_it_is_said_until_somebody_has(
    made: Kafka, timing: Timing, delete: Delete, until: Until, read_all: ReadAll
) -> None:
    """With the command; its records wait and no others; once it has been run, they are there by themselves."""
    async with watched(made.model_copy(update={"create_topics": False}), timing) as (watch, publisher):
        await delete(made, Stream.ORDERS)
        await until(lambda: bool(watch.lost_topics()), 20)
        publisher.publish(record(Stream.ORDERS, b"1"))
        publisher.publish(record(Stream.ORDERS, b"2"))
        (lost,) = watch.lost_topics()
        assert "does not exist any more; make it again: kafka-topics.sh" in lost.problem
        await until(lambda: publisher.problems == [lost.problem] and not publisher.healthy, 20)
        publisher.publish(OutgoingRecord(Stream.TRADES, b"k", b"1", 1))
        assert await publisher.flush(5, [Stream.TRADES])
        await kafka_tool.run_told_command(lost.problem, made.bootstrap_servers)
        assert await publisher.flush(20)
        await until(lambda: publisher.healthy and watch.lost_topics()[0].problem == "", 20)
    name = topic_name(made.topic_prefix, "main", Stream.ORDERS)
    assert [b"1", b"2"] == [one.value for one in await read_all(made, name)]
    assert await check_topics(made, timing, ["main"]) == []


async def test_a_topic_that_cannot_be_made_again_is_reported(
    made: Kafka, timing: Timing, delete: Delete, make_topics: MakeTopics, until: Until
) -> None:
    """With the broker's reason; and no setting is tried that would let nothing be written."""
    strict = made.model_copy(update={"replication_factor": 3, "min_insync_replicas": 2})
    async with watched(strict, timing) as (watch, publisher):
        await delete(made, Stream.SESSION)
        await until(lambda: any("InvalidReplicationFactor" in one.problem for one in watch.lost_topics()), 20)
        await _make_again(made, make_topics, Stream.SESSION, {})
        await until(lambda: any("add replicas (it has 1)" in one.problem for one in watch.lost_topics()), 20)
        publisher.publish(record(Stream.SESSION, b"1"))
        assert await publisher.flush(20)
    assert (await configs_of(made, Stream.SESSION)).values["min.insync.replicas"] == "1"


def test_a_broker_that_lags_behind_loses_no_topic(kafka: Kafka, timing: Timing) -> None:
    """One that still answers the id of the topic before does not know the new one yet."""
    watch = TopicWatch(kafka, timing, "main", on_unwritable=print)
    topic = topic_name(kafka.topic_prefix, "main", Stream.TRADES)
    for topic_id in ("first", "second", "first", "second"):
        watch._note_id(topic, topic_id)
    (lost,) = watch.lost_topics()
    watch._lost[topic] = LostTopic(topic, Stream.TRADES, lost.since_ms, "")
    for topic_id in ("first", "second"):
        watch._note_id(topic, topic_id)
    assert [one.problem for one in watch.lost_topics()] == [""]


class _AutoCreatingBroker(EmbeddedBroker):
    """A broker that makes every topic that is asked for: Kafka's default."""

    def settings(self, controller_port: int) -> dict[str, str]:
        return {**super().settings(controller_port), "auto.create.topics.enable": "true"}


async def test_asking_for_a_topic_does_not_create_it(settings_for: SettingsFor, timing: Timing) -> None:
    """A broker would create it with its own defaults, and it would not be noticed that it had been deleted."""
    broker = await _AutoCreatingBroker.start(print)
    try:
        kafka = settings_for(broker.bootstrap_servers)
        names = {topic_name(kafka.topic_prefix, "main", stream) for stream in Stream}
        producer = await connect(kafka, names, ThrottledReport(print))
        await producer.client.force_metadata_update()
        await producer.stop()
        assert len(await check_topics(kafka, timing, ["main"])) == len(Stream)
        admin = await reach_cluster(kafka)
        assert not names & set(await admin.list_topics())
        await admin.close()
    finally:
        await broker.close()


async def test_nothing_is_written_to_a_topic_that_would_not_keep_it(
    *, made: Kafka, timing: Timing, delete: Delete, make_topics: MakeTopics, until: Until, read_all: ReadAll
) -> None:
    """One that was made again with a limit of its own, or in two parts: the records wait, and none is passed over."""
    lost: list[OutgoingRecord] = []
    strict = made.model_copy(update={"create_topics": False})
    trades, orders = (topic_name(made.topic_prefix, "main", stream) for stream in (Stream.TRADES, Stream.ORDERS))
    async with watched(strict, timing, lost.append) as (watch, publisher):
        await delete(made, Stream.TRADES, Stream.ORDERS)
        await _make_again(made, make_topics, Stream.TRADES, {"max_message_bytes": "1000"})
        await _make_again(made, make_topics, Stream.ORDERS, {}, partitions=2)
        publisher.publish(record(Stream.TRADES, b"1" * 2000))
        publisher.publish(record(Stream.TRADES, b"2"))
        await until(lambda: set(publisher.stuck_streams) == {Stream.TRADES, Stream.ORDERS}, 20)
        publisher.publish(record(Stream.ORDERS, b"1"))
        publisher.publish(record(Stream.ASSETS, b"1"))
        assert await publisher.flush(10, [Stream.ASSETS])
        assert not await publisher.flush(1, [Stream.TRADES])
        assert not await publisher.flush(0, [Stream.ORDERS])
        problems = {one.topic: one.problem for one in watch.lost_topics()}
        assert "max.message.bytes is 1000" in problems[trades]
        assert "partitions is 2" in problems[orders]
        await kafka_tool.run_told_command(problems[trades], made.bootstrap_servers)
        assert await publisher.flush(20, [Stream.TRADES])
        await delete(made, Stream.ORDERS)
        await _make_again(made, make_topics, Stream.ORDERS, {"cleanup_policy": "compact,delete"})
        assert await publisher.flush(20)
        await until(lambda: not any(one.problem for one in watch.lost_topics()), 20)
    assert not lost
    assert [2000, 1] == [len(one.value or b"") for one in await read_all(made, trades)]
    assert [b"1"] == [one.value for one in await read_all(made, orders)]


async def test_only_the_topic_that_takes_nothing_is_stuck(
    made: Kafka, timing: Timing, delete: Delete, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While records of others become durable; where they do not either, all are."""
    async with watched(made.model_copy(update={"create_topics": False}), timing) as (watch, publisher):
        assert list(publisher.stuck_streams) == []
        await delete(made, Stream.ORDERS)
        await until(lambda: bool(watch.lost_topics()), 20)
        publisher.publish(record(Stream.ORDERS, b"1"))
        await until(lambda: list(publisher.stuck_streams) == [Stream.ORDERS] and not publisher.healthy, 20)
        monkeypatch.setattr(publisher_room, "STUCK_AFTER_S", 0.0)
        publisher.publish(record(Stream.ASSETS, b"1"))
        assert set(publisher.stuck_streams) == set(Stream) - {Stream.COMMANDS}
