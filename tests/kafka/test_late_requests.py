"""What the network keeps back: a produce request that arrives when its producer has been given up for long."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from aiokafka import ConsumerRecord

from bridge.config import Kafka
from bridge.contract.topics import Stream, topic_name
from bridge.core.late_records import copy_to_republish
from bridge.core.records import OutgoingRecord
from bridge.flow.topic_replay import TopicReplay
from bridge.kafka.publisher import Publisher
from bridge.kafka.tail import Take, read_last, read_tail
from tests.support.proxy import PRODUCE, KafkaProxy

MakeTopics = Callable[..., Awaitable[None]]
ReadAll = Callable[[Kafka, str], Awaitable[list[ConsumerRecord]]]
Until = Callable[..., Awaitable[None]]
Publishers = Callable[..., Awaitable[Publisher]]

PUBLISHED = [stream for stream in Stream if stream is not Stream.COMMANDS]
STORIES = {
    Stream.ORDERS: ("NEW", "OPEN", "FILLED"),
    Stream.RESULTS: ("accepted before", "unknown", "filled"),
    Stream.SESSION: ("session.opened", "gap.opened", "gap.closed"),
}


@pytest.fixture
async def proxy(bootstrap: str) -> AsyncIterator[KafkaProxy]:
    """Return what stands between the publisher and the broker."""
    async with KafkaProxy(bootstrap) as proxy:
        yield proxy


@pytest.fixture
async def publisher(
    kafka: Kafka, proxy: KafkaProxy, make_topics: MakeTopics, publisher_of: Publishers
) -> Callable[..., Awaitable[Publisher]]:
    """Return what makes the publisher behind the proxy."""

    async def make(renew_after_s: float) -> Publisher:
        await make_topics(kafka, *PUBLISHED)
        through = kafka.model_copy(update={"bootstrap_servers": proxy.bootstrap})
        return await publisher_of(through, renew_after_s=renew_after_s)

    return make


def one_record(stream: Stream, word: str) -> OutgoingRecord:
    """Return a record of the one key of these tests, with this word as its value."""
    return OutgoingRecord(stream, b"17", json.dumps(word).encode(), 1_700_000_000_000, f"17:{word}")


def values_of(records: list[ConsumerRecord]) -> list[str]:
    """Return the values of the records, in the order in which they stand."""
    return [json.loads(record.value) for record in records]


async def read_since(kafka: Kafka, topic: str, since_ms: int, take: Take) -> None:
    """Read a topic as a term does."""
    await read_tail(kafka, topic, take, since_ms=since_ms)


def is_produce(kind: int, _: bytes) -> bool:
    """Mean the requests that append records."""
    return kind == PRODUCE


async def begin_story(stream: Stream, publisher: Publisher, proxy: KafkaProxy) -> None:
    """Publish the first word of a story, and the second, which the network keeps back."""
    first, kept_back, _ = STORIES[stream]
    publisher.publish(one_record(stream, first))
    assert await publisher.flush(5)
    proxy.hold_next(is_produce)
    publisher.publish(one_record(stream, kept_back))


@pytest.mark.parametrize("stream", STORIES)
async def test_what_a_producer_that_was_given_up_had_sent_lands_behind_nothing_newer(
    *, kafka: Kafka, proxy: KafkaProxy, publisher: Publishers, read_all: ReadAll, until: Until, stream: Stream
) -> None:
    """It arrives when the order is filled, the command answered, the gap closed: the last record stays the truth."""
    first, kept_back, last = STORIES[stream]
    publishing = await publisher(0.5)
    await begin_story(stream, publishing, proxy)
    assert await publishing.flush(20)
    publishing.publish(one_record(stream, last))
    assert await publishing.flush(5)
    assert proxy.held == 1
    proxy.release()
    await until(lambda: proxy.late == 1)
    assert proxy.late_and_reset == 1
    records = await read_all(kafka, topic_name(kafka.topic_prefix, "main", stream))
    assert [first, kept_back, last] == values_of(records)


async def test_many_producers_that_were_given_up(
    kafka: Kafka, proxy: KafkaProxy, publisher: Publishers, read_all: ReadAll, until: Until
) -> None:
    """Four in a row send and are given up, the last with the newest record; what they sent arrives, and harms none."""
    publishing = await publisher(0.5)
    publishing.publish(one_record(Stream.ORDERS, "0"))
    assert await publishing.flush(5)
    proxy.hold_next(is_produce, 4)
    for number in range(1, 5):
        publishing.publish(one_record(Stream.ORDERS, str(number)))
        await until(lambda number=number: proxy.held == number, 20)
    assert await publishing.flush(20)
    publishing.publish(one_record(Stream.ORDERS, "5"))
    assert await publishing.flush(5)
    proxy.release()
    await until(lambda: proxy.late == 4)
    assert proxy.late_and_reset == 4
    found = values_of(await read_all(kafka, topic_name(kafka.topic_prefix, "main", Stream.ORDERS)))
    assert [str(number) for number in range(6)] == found


async def test_a_request_that_the_client_itself_gives_up(
    kafka: Kafka, proxy: KafkaProxy, publisher: Publishers, read_all: ReadAll, until: Until
) -> None:
    """An overdue one is sent again on another connection; its own is reset, and the copy that arrives is none."""
    publishing = await publisher(30)
    proxy.hold_next(is_produce)
    publishing.publish(one_record(Stream.ORDERS, "NEW"))
    assert await publishing.flush(20)
    publishing.publish(one_record(Stream.ORDERS, "FILLED"))
    assert await publishing.flush(5)
    proxy.release()
    await until(lambda: proxy.late == 1)
    assert proxy.late_and_reset == 1
    records = await read_all(kafka, topic_name(kafka.topic_prefix, "main", Stream.ORDERS))
    assert ["NEW", "FILLED"] == values_of(records)


async def test_a_late_request_that_arrives_before_its_repeat(
    kafka: Kafka, proxy: KafkaProxy, publisher: Publishers, read_all: ReadAll, until: Until
) -> None:
    """Everything is held up; the old request arrives first, the new ones behind it: a repeat, and the truth last."""
    publishing = await publisher(0.5)
    proxy.hold(is_produce)
    publishing.publish(one_record(Stream.ORDERS, "OPEN"))
    await until(lambda: proxy.held == 2, 20)
    publishing.publish(one_record(Stream.ORDERS, "FILLED"))
    proxy.release()
    assert await publishing.flush(20)
    await until(lambda: proxy.late >= 1)
    found = values_of(await read_all(kafka, topic_name(kafka.topic_prefix, "main", Stream.ORDERS)))
    assert found[-1] == "FILLED"
    assert set(found) == {"OPEN", "FILLED"}


@pytest.mark.parametrize("stream", [Stream.ORDERS, Stream.RESULTS])
async def test_a_late_record_of_a_dead_owner_is_found_and_followed_by_the_true_one(
    *,
    kafka: Kafka,
    proxy: KafkaProxy,
    publisher: Publishers,
    publisher_of: Publishers,
    read_all: ReadAll,
    until: Until,
    stream: Stream,
) -> None:
    """No producer shuts out another process's: its request lands last, and the newest record is published again."""
    first, kept_back, last = STORIES[stream]
    dying = await publisher(30)
    await begin_story(stream, dying, proxy)
    await until(lambda: proxy.held == 1)
    await dying.stop(0)
    successor = await publisher_of(kafka)
    successor.begin_epoch(8)
    successor.publish(one_record(stream, last))
    assert await successor.flush(5)
    proxy.release()
    await until(lambda: proxy.late == 1)
    topic = topic_name(kafka.topic_prefix, "main", stream)
    assert [first, last, kept_back] == values_of(await read_all(kafka, topic))
    topics = TopicReplay(kafka.topic_prefix, "main", partial(read_since, kafka), partial(read_last, kafka))
    for record in await topics.read_overtaken_since(stream, 0):
        successor.publish(copy_to_republish(stream, record))
    assert await successor.flush(5)
    _, truth, _, again = await read_all(kafka, topic)
    assert (truth.key, truth.value) == (again.key, again.value)
    sequences = {"ce_sequence": b"00000000000000000002"}
    assert {**dict(truth.headers), **sequences} == dict(again.headers)
    assert await topics.read_overtaken_since(stream, 0) == []
