"""What aiokafka does not report to a member: the topic made again, and a consumer of the new protocol."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError

from bridge.config import Kafka
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.errors import ForeignMember, TermEnded
from bridge.kafka import group_watch
from bridge.kafka.membership import Membership
from bridge.kafka.tail import TailRecord, read_last
from tests.support import kafka_tool

MakeTopics = Callable[..., Awaitable[None]]
Members = Callable[..., Membership]
Write = Callable[..., Awaitable[list[int]]]
MakeAgain = Callable[[Kafka], Awaitable[None]]
AdminOf = Callable[[Kafka], AbstractAsyncContextManager[AIOKafkaAdminClient]]


@pytest.fixture(autouse=True)
def short_period(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the brokers often, so that a test is short."""
    monkeypatch.setattr(group_watch, "_PERIOD_S", 0.2)


@pytest.fixture
def make_again(admin_of: AdminOf, make_topics: MakeTopics) -> MakeAgain:
    """Return what deletes the commands topic and makes it again, as an operator would."""

    async def again(kafka: Kafka) -> None:
        name = topic_name(kafka.topic_prefix, "main", Stream.COMMANDS)
        async with admin_of(kafka) as admin:
            await admin.delete_topics([name])
            async with asyncio.timeout(20):
                while not (await admin.describe_topics([name]))[0]["error_code"]:  # noqa: ASYNC110 - no event for it
                    await asyncio.sleep(0.05)
        async with asyncio.timeout(20):
            while True:
                try:
                    return await make_topics(kafka, Stream.COMMANDS)
                except (AssertionError, UnknownTopicOrPartitionError):
                    await asyncio.sleep(0.1)

    return again


async def _poll_for_ever(member: Membership) -> None:
    async with asyncio.timeout(30):
        while True:
            await member.poll(0.1)


async def test_a_topic_made_again_ends_the_term(
    kafka: Kafka,
    make_topics: MakeTopics,
    member_of: Members,
    write: Write,
    make_again: MakeAgain,
) -> None:
    """The client would read on at its old offset, past unread commands; the next owner sees another id."""
    topic = topic_name(kafka.topic_prefix, "main", Stream.COMMANDS)
    await make_topics(kafka, Stream.COMMANDS)
    await write(kafka, topic, b"0", b"1")
    owner = member_of(kafka)
    await owner.join()
    await owner.wait_owned()
    before = await owner.topic_id()
    owner.seek(0)
    assert [b"0", b"1"] == [record.value for record in await owner.poll(10)]
    reading = asyncio.create_task(_poll_for_ever(owner))
    await make_again(kafka)
    await write(kafka, topic, *(b"%d" % number for number in range(5)))
    with pytest.raises(TermEnded):
        await reading
    successor = member_of(kafka)
    await owner.leave()
    await successor.join()
    await successor.wait_owned()
    after = await successor.topic_id()
    assert (22, 22, False) == (len(before), len(after), before == after)
    assert (await successor.committed()).offset is None


async def test_a_log_that_does_not_hold_the_next_offset_because_it_was_made_again(
    kafka: Kafka,
    make_topics: MakeTopics,
    member_of: Members,
    write: Write,
    make_again: MakeAgain,
) -> None:
    """That is no lost offset, which would stop the account until a person sets it: the term ends."""
    topic = topic_name(kafka.topic_prefix, "main", Stream.COMMANDS)
    await make_topics(kafka, Stream.COMMANDS)
    await write(kafka, topic, *(b"%d" % number for number in range(5)))
    owner = member_of(kafka)
    await owner.join()
    await owner.wait_owned()
    await owner.topic_id()
    owner.seek(5)
    reading = asyncio.create_task(_poll_for_ever(owner))
    await make_again(kafka)
    await write(kafka, topic, b"0")
    with pytest.raises(TermEnded):
        await reading


async def test_the_last_records_and_the_end(kafka: Kafka, make_topics: MakeTopics, write: Write) -> None:
    """A topic that never held a record ends at 0; of a long one only the end is read; an emptied one keeps its end."""
    await make_topics(kafka, Stream.RESULTS)
    topic = topic_name(kafka.topic_prefix, "main", Stream.RESULTS)
    found: list[TailRecord] = []
    assert await read_last(kafka, topic, found.extend) == 0
    await write(kafka, topic, *(b"%d" % number for number in range(520)))
    assert await read_last(kafka, topic, found.extend) == 520
    assert [b"%d" % number for number in range(20, 520)] == [record.value for record in found]
    await kafka_tool.delete_records(kafka.bootstrap_servers, topic, 520)
    found.clear()
    assert (await read_last(kafka, topic, found.extend), found) == (520, [])


async def test_a_standby_reports_that_a_consumer_of_the_new_protocol_has_the_partition(
    kafka: Kafka, make_topics: MakeTopics, member_of: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker assigns by its own rules then; the bridge would wait as a standby for ever, and ready.

    It asks as soon as it has joined, so that the reason is known while it joins again and again.
    """
    monkeypatch.setattr(group_watch, "_PERIOD_S", 3600.0)
    await make_topics(kafka, Stream.COMMANDS)
    topic, group = (topic_name(kafka.topic_prefix, "main", Stream.COMMANDS), group_name(kafka.topic_prefix, "main"))
    async with kafka_tool.foreign_consumer(kafka.bootstrap_servers, topic, group):
        standby = member_of(kafka)
        await standby.join()
        with pytest.raises(ForeignMember, match="KIP-848"):
            async with asyncio.timeout(40):
                await standby.wait_owned()
        await standby.leave()
    async with asyncio.timeout(60):
        while True:
            await standby.join()
            try:
                await standby.wait_owned()
            except ForeignMember:
                await standby.leave()
                continue
            break
    assert standby._member is not None
    assert standby._member.is_classic
