"""Reading topics between two times and on, on a real broker."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.config import Kafka
from bridge.contract.topics import Stream, topic_name
from bridge.errors import ClusterUnreachable, KafkaTrouble
from bridge.inspect.seen_record import SeenRecord
from bridge.inspect.streams_reader import LOOK_BACK_OFFSETS, StreamsReader, open_reader
from bridge.sandbox.broker.launcher import Broker
from tests.support.kafka_tool import delete_records
from tests.support.secured_broker import Grant, Grants, SecuredBroker, administrator_of
from tests.witness.waiting import until

MakeTopics = Callable[..., Awaitable[None]]
Write = Callable[..., Awaitable[list[int]]]
BEGIN_MS = 1_700_000_000_000
PAIR = (Stream.ORDERS, Stream.TRADES)


class Told:
    """What a reader said beside the records."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, text: str) -> None:
        """Note a text."""
        self.texts.append(text)


async def history(reader: StreamsReader, since_ms: int = 0, until_ms: int | None = None) -> list[SeenRecord]:
    """Return the records of a span."""
    await reader.find_span(since_ms, until_ms)
    return [record async for records in reader.read_history() for record in records]


def topic_of(kafka: Kafka, stream: Stream) -> str:
    """Return a topic of the test's account."""
    return topic_name(kafka.topic_prefix, "main", stream)


def values(records: list[SeenRecord]) -> list[bytes | None]:
    """Return their values."""
    return [record.value for record in records]


async def test_topics_come_in_the_order_of_their_times(kafka: Kafka, make_topics: MakeTopics, write: Write) -> None:
    """From a time, up to a time, as often as wanted; each record has its place."""
    await make_topics(kafka, *PAIR)
    for stream, at_ms in ((Stream.ORDERS, 1), (Stream.ORDERS, 4), (Stream.TRADES, 2), (Stream.TRADES, 3)):
        await write(kafka, topic_of(kafka, stream), b"%d" % at_ms, timestamp_ms=BEGIN_MS + at_ms)
    async with open_reader(kafka, "main", PAIR, print) as reader:
        found = await history(reader)
        assert values(found) == [b"1", b"2", b"3", b"4"]
        assert found[1].place == "trades@0"
        assert found[1].topic == topic_of(kafka, Stream.TRADES)
        assert found[1].timestamp_ms == BEGIN_MS + 2
        assert values(await history(reader, BEGIN_MS + 2)) == [b"2", b"3", b"4"]
        assert values(await history(reader, BEGIN_MS + 2, BEGIN_MS + 4)) == [b"2", b"3"]
        assert values(await history(reader, BEGIN_MS + 9)) == []
        assert values(await history(reader, 0, BEGIN_MS)) == []


async def test_what_is_before_the_span_tells_what_is_void(kafka: Kafka, make_topics: MakeTopics, write: Write) -> None:
    """A dead owner's record behind its successor's is void, although only the first of them is read."""
    await make_topics(kafka, *PAIR)
    for stream in PAIR:
        topic = topic_of(kafka, stream)
        await write(kafka, topic, b"new", timestamp_ms=BEGIN_MS, headers=[("ce_epoch", b"2")])
        await write(kafka, topic, b"late", timestamp_ms=BEGIN_MS + 5, headers=[("ce_epoch", b"1")])
    told = Told()
    async with open_reader(kafka, "main", PAIR, told) as reader:
        found = await history(reader, BEGIN_MS + 5)
    assert [(record.stream, record.value, record.is_void) for record in found] == [
        (Stream.ORDERS, b"late", True),
        (Stream.TRADES, b"late", False),
    ]
    assert told.texts == []


async def test_what_cannot_be_known_of_epochs_is_told(kafka: Kafka, make_topics: MakeTopics, write: Write) -> None:
    """Where no record within reach has an epoch, and there are older ones."""
    await make_topics(kafka, Stream.ORDERS)
    topic = topic_of(kafka, Stream.ORDERS)
    await write(kafka, topic, b"first", timestamp_ms=BEGIN_MS, headers=[("ce_epoch", b"2")])
    await write(kafka, topic, *[b""] * LOOK_BACK_OFFSETS, timestamp_ms=BEGIN_MS)
    await write(kafka, topic, b"late", timestamp_ms=BEGIN_MS + 5)
    told = Told()
    async with open_reader(kafka, "main", (Stream.ORDERS,), told) as reader:
        assert values(await history(reader, BEGIN_MS + 5)) == [b"late"]
        assert len(told.texts) == 1
        assert "no record from offset 1 on has an epoch" in told.texts[0]
        assert (await history(reader))[-1].is_void
    assert len(told.texts) == 1


async def test_following_goes_on_where_the_history_ends(kafka: Kafka, make_topics: MakeTopics, write: Write) -> None:
    """What comes meanwhile is not lost, and nothing comes twice."""
    await make_topics(kafka, *PAIR)
    await write(kafka, topic_of(kafka, Stream.ORDERS), b"0", headers=[("ce_id", b"a"), ("ce_epoch", b"1")])
    found: list[SeenRecord] = []
    async with open_reader(kafka, "main", PAIR, print) as reader, asyncio.timeout(30):
        await reader.find_span(0)
        await write(kafka, topic_of(kafka, Stream.ORDERS), b"1", headers=[("ce_id", b"b"), ("ce_epoch", b"1")])
        found += [record async for records in reader.read_history() for record in records]
        assert values(found) == [b"0"]
        following = reader.follow()
        found += await anext(following)
        await write(kafka, topic_of(kafka, Stream.TRADES), b"2")
        found += await anext(following)
        await write(kafka, topic_of(kafka, Stream.ORDERS), b"3", headers=[("ce_id", b"a"), ("ce_epoch", b"1")])
        found += await anext(following)
        await following.aclose()  # type: ignore[attr-defined]
    assert values(found) == [b"0", b"1", b"2", b"3"]
    assert [record.is_repeated for record in found] == [False, False, False, True]


async def test_a_log_that_ends_in_no_record_has_an_end(kafka: Kafka, make_topics: MakeTopics, write: Write) -> None:
    """The end of a transaction takes an offset."""
    await make_topics(kafka, *PAIR)
    await write(kafka, topic_of(kafka, Stream.ORDERS), b"0", transactional_id=kafka.topic_prefix)
    await write(kafka, topic_of(kafka, Stream.TRADES), b"1", b"2")
    async with open_reader(kafka, "main", PAIR, print) as reader, asyncio.timeout(30):
        assert sorted(filter(None, values(await history(reader)))) == [b"0", b"1", b"2"]


async def test_many_records_are_read_in_order(kafka: Kafka, make_topics: MakeTopics, write: Write) -> None:
    """More than a fetch holds, on one topic, while another has few."""
    await make_topics(kafka, *PAIR)
    expected = [b"%03d" % number * 20_000 for number in range(120)]
    await write(kafka, topic_of(kafka, Stream.ORDERS), *expected)
    await write(kafka, topic_of(kafka, Stream.TRADES), b"last")
    async with open_reader(kafka, "main", PAIR, print) as reader:
        assert values(await history(reader)) == [*expected, b"last"]


async def test_records_that_retention_has_removed_are_told(kafka: Kafka, make_topics: MakeTopics, write: Write) -> None:
    """The reader goes on with the first that is left."""
    await make_topics(kafka, Stream.TRADES)
    topic = topic_of(kafka, Stream.TRADES)
    await write(kafka, topic, b"0", b"1", b"2")
    told = Told()
    async with open_reader(kafka, "main", (Stream.TRADES,), told) as reader:
        await reader.find_span(0)
        await delete_records(kafka.bootstrap_servers, topic, 2)
        found = [record async for records in reader.read_history() for record in records]
    assert values(found) == [b"2"]
    (text,) = told.texts
    assert text.startswith(f"{topic}: the records from offset 0 to 2 are gone")


async def test_topics_that_are_missing_or_wrong_are_named(kafka: Kafka, make_topics: MakeTopics) -> None:
    """All of them: the prefix or the account is wrong; some: they are named. No topic is made by asking."""
    for _ in range(2):
        with pytest.raises(KafkaTrouble, match=r"no such topic; check --account and kafka.topic_prefix"):
            async with open_reader(kafka, "main", PAIR, print):
                pass
    await make_topics(kafka, Stream.ORDERS)
    with pytest.raises(KafkaTrouble, match=f"{topic_of(kafka, Stream.TRADES)}: no such topic; make them"):
        async with open_reader(kafka, "main", PAIR, print):
            pass
    await make_topics(kafka, Stream.TRADES, partitions=2)
    with pytest.raises(KafkaTrouble, match="has several partitions"):
        async with open_reader(kafka, "main", PAIR, print):
            pass


async def test_no_broker_is_told(unused_tcp_port: int) -> None:
    """With the address and what to check."""
    kafka = Kafka(bootstrap_servers=f"127.0.0.1:{unused_tcp_port}")
    with pytest.raises(ClusterUnreachable, match=f"127.0.0.1:{unused_tcp_port}.* check kafka.bootstrap_servers"):
        async with open_reader(kafka, "main", PAIR, print):
            pass


async def test_an_outage_of_the_brokers_is_told_while_it_follows(
    own_broker: Broker, make_topics: MakeTopics, write: Write
) -> None:
    """Once when it begins and once when it ends; what was written then is shown."""
    kafka = Kafka(bootstrap_servers=own_broker.bootstrap_servers, topic_prefix="outage")
    await make_topics(kafka, Stream.TRADES)
    told = Told()
    found: list[SeenRecord] = []

    async def follow(reader: StreamsReader) -> None:
        async for records in reader.follow():
            found.extend(records)

    async with open_reader(kafka, "main", (Stream.TRADES,), told) as reader:
        assert await history(reader) == []
        following = asyncio.create_task(follow(reader))
        await own_broker.kill()
        await until(lambda: told.texts, what="the outage")
        await own_broker.restart()
        await until(lambda: len(told.texts) > 1, what="the end of the outage")
        await write(kafka, topic_of(kafka, Stream.TRADES), b"after")
        await until(lambda: found, what="the record")
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert values(found) == [b"after"]
    assert told.texts[0].startswith("no broker answers; waiting (127.0.0.1:")
    assert told.texts[1:] == ["the brokers answer again"]


@pytest_asyncio.fixture(loop_scope="session")
async def secured(may_start_broker: None) -> AsyncIterator[SecuredBroker]:
    """Return a broker with an authorizer."""
    broker = await SecuredBroker.start(print)
    try:
        yield broker
    finally:
        await broker.close()


async def test_read_alone_is_needed(
    secured: SecuredBroker, make_topics: MakeTopics, write: Write, tmp_path: Path
) -> None:
    """No group, no Describe of its own, no Write; without it the command that grants it is told."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    free = Kafka(bootstrap_servers=secured.bootstrap_servers, topic_prefix=prefix)
    await make_topics(free, *PAIR)
    await write(free, topic_of(free, Stream.ORDERS), b"0")
    kafka = secured.kafka("bridge-0", tmp_path, prefix)
    async with administrator_of(secured) as admin:
        grants = Grants(admin)
        await grants.give("bridge-0", prefix, [Grant(Stream.ORDERS, "Read"), Grant(Stream.TRADES, "Describe")])
        with pytest.raises(KafkaTrouble) as raised:
            async with open_reader(kafka, "main", PAIR, print):
                pass
        trades = topic_of(kafka, Stream.TRADES)
        assert str(raised.value).startswith(
            f"{trades}: this principal may not read there; grant it Read: kafka-acls.sh"
        )
        assert str(raised.value).endswith(f"--allow-principal User:bridge-0 --operation Read --topic {trades}")
        async with open_reader(kafka, "main", (Stream.ORDERS,), print) as reader:
            assert values(await history(reader)) == [b"0"]
