"""Publishing: numbered, in order, and kept until durable, whatever happens to brokers and topics."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from bridge.config import Kafka
from bridge.contract.topics import Stream, topic_name
from bridge.core.records import OutgoingRecord
from bridge.errors import ClusterUnreachable, TermEnded
from bridge.kafka.membership import Membership
from bridge.kafka.producer import MAX_RECORD_BYTES
from bridge.kafka.publisher import Publisher
from bridge.kafka.record_sender import PublisherCallbacks
from bridge.sandbox.broker.cluster import wait_until_answers
from bridge.sandbox.broker.launcher import Broker

MakeTopics = Callable[..., Awaitable[None]]
ReadAll = Callable[[Kafka, str], Awaitable[list[ConsumerRecord]]]
SettingsFor = Callable[..., Kafka]
Until = Callable[..., Awaitable[None]]
Publishers = Callable[..., Awaitable[Publisher]]

PUBLISHED = [stream for stream in Stream if stream is not Stream.COMMANDS]


def order(number: int, *, stream: Stream = Stream.ORDERS, size: int = 0, **more: object) -> OutgoingRecord:
    """Make a record whose value names its number."""
    value = json.dumps({"n": number, "pad": "x" * size}).encode()
    return OutgoingRecord(stream, b"key", value, 1_700_000_000_000, **more)  # type: ignore[arg-type] # a test's own keywords


def numbers(records: list[ConsumerRecord]) -> list[int]:
    """Return the numbers of the records that a reader keeps: the first of every epoch and sequence."""
    seen: set[tuple[bytes, bytes]] = set()
    kept = []
    for record in records:
        headers = dict(record.headers)
        place = headers["ce_epoch"], headers["ce_sequence"]
        if place not in seen:
            seen.add(place)
            kept.append(json.loads(record.value)["n"])
    return kept


def sequences(records: list[ConsumerRecord]) -> list[int]:
    """Return the distinct sequence numbers in the order of their first appearance."""
    return list(dict.fromkeys(int(dict(record.headers)["ce_sequence"]) for record in records))


def orders_of(kafka: Kafka) -> str:
    """Name the topic that most tests write to."""
    return topic_name(kafka.topic_prefix, "main", Stream.ORDERS)


async def test_record_as_published(
    kafka: Kafka, make_topics: MakeTopics, publisher_of: Publishers, read_all: ReadAll
) -> None:
    """A record carries its key and bytes, the CloudEvents headers, its own headers, and the time of publishing."""
    await make_topics(kafka, *PUBLISHED)
    publisher = await publisher_of(kafka)
    before = int(time.time() * 1000)
    publisher.publish(
        OutgoingRecord(Stream.ORDERS, b"42", b'{"a":1}', 1_700_000_000_000, "the-id", headers=(("h", b"1"),))
    )
    publisher.publish(OutgoingRecord(Stream.POSITIONS, b"S", None, 1_700_000_000_000, recovered=True))
    assert await publisher.flush(5)
    (record,) = await read_all(kafka, orders_of(kafka))
    assert (b"42", b'{"a":1}') == (record.key, record.value)
    assert before <= record.timestamp <= int(time.time() * 1000)
    assert {
        "ce_specversion": b"1.0",
        "ce_id": b"the-id",
        "ce_source": b"/ltp/test/main",
        "ce_type": b"ltp.order.v1",
        "ce_time": b"2023-11-14T22:13:20.000Z",
        "ce_subject": b"42",
        "content-type": b"application/json",
        "ce_sequence": b"00000000000000000001",
        "ce_epoch": b"7",
        "h": b"1",
    } == dict(record.headers)
    (tombstone,) = await read_all(kafka, topic_name(kafka.topic_prefix, "main", Stream.POSITIONS))
    assert (None, b"true") == (tombstone.value, dict(tombstone.headers)["ce_recovered"])


async def test_order_sequence_and_callbacks(
    kafka: Kafka, make_topics: MakeTopics, publisher_of: Publishers, read_all: ReadAll
) -> None:
    """Thousands of records arrive in order with contiguous sequences; each is reported durable once and in order."""
    await make_topics(kafka, *PUBLISHED)
    publisher = await publisher_of(kafka)
    durable: dict[Stream, list[int | None]] = {Stream.ORDERS: [], Stream.TRADES: []}

    def on_durable(records: Sequence[OutgoingRecord]) -> None:
        for record in records:
            durable[record.stream].append(record.answers_offset)

    publisher.begin_epoch(8, on_durable)
    for number in range(3000):
        for stream in durable:
            publisher.publish(order(number, stream=stream, size=300, answers_offset=number))
    assert await publisher.flush(20)
    assert {Stream.ORDERS: list(range(3000)), Stream.TRADES: list(range(3000))} == durable
    for stream in durable:
        records = await read_all(kafka, topic_name(kafka.topic_prefix, "main", stream))
        assert list(range(3000)) == [json.loads(record.value)["n"] for record in records]
        assert list(range(1, 3001)) == [int(dict(record.headers)["ce_sequence"]) for record in records]


async def test_a_clock_that_jumps_ahead_holds_no_record_up(
    kafka: Kafka, make_topics: MakeTopics, publisher_of: Publishers, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ahead by 25 h, for one record or for good: brokers would refuse its timestamp, and with it all behind it."""
    await make_topics(kafka, *(stream for stream in PUBLISHED if stream is not Stream.RESULTS))
    await make_topics(kafka, Stream.RESULTS, message_timestamp_type="LogAppendTime")
    publisher = await publisher_of(kafka)
    publisher.publish(order(0, stream=Stream.RESULTS))
    assert await publisher.flush(20)
    right = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: right() + 25 * 3_600_000_000_000)
    publisher.publish(order(1))
    assert await publisher.flush(20)
    monkeypatch.undo()
    publisher.publish(order(2))
    assert await publisher.flush(20)
    ahead, now = await read_all(kafka, orders_of(kafka))
    # 30 min, and by how much the reading of the broker's clock may be wrong: as long as its acknowledgement took.
    assert 0 < ahead.timestamp - now.timestamp < 31 * 60 * 1000


async def test_new_epoch_begins_at_one(
    kafka: Kafka, make_topics: MakeTopics, publisher_of: Publishers, read_all: ReadAll
) -> None:
    """Sequences begin at 1 in every epoch, and what was queued before keeps the epoch of its time."""
    await make_topics(kafka, *PUBLISHED)
    publisher = await publisher_of(kafka)
    publisher.publish(order(0))
    publisher.publish(order(1))
    publisher.begin_epoch(8)
    publisher.publish(order(2))
    assert await publisher.flush(5)
    found = [dict(record.headers) for record in await read_all(kafka, orders_of(kafka))]
    assert [(b"7", 1), (b"7", 2), (b"8", 1)] == [(one["ce_epoch"], int(one["ce_sequence"])) for one in found]


async def test_budget_and_oldest(kafka: Kafka, make_topics: MakeTopics, publisher_of: Publishers) -> None:
    """Only the venue's pushes count against the budget; the oldest of those not durable is known exactly."""
    await make_topics(kafka, *PUBLISHED)
    publisher = await publisher_of(kafka)
    publisher.publish(order(0, size=200_000))
    assert (False, None) == (publisher.overfull, publisher.oldest_pending_boot_s())
    publisher.publish(order(1, received_boot_s=500, size=60_000))
    publisher.publish(order(2, received_boot_s=400, size=60_000, stream=Stream.TRADES))
    publisher.publish(order(3, received_boot_s=450))
    assert (True, 400) == (publisher.overfull, publisher.oldest_pending_boot_s())
    assert publisher.pending_bytes > 320_000
    assert await publisher.flush(5)
    assert (False, 0, None) == (publisher.overfull, publisher.pending_bytes, publisher.oldest_pending_boot_s())


async def test_reading_pauses_only_while_brokers_take_pushes(
    kafka: Kafka, make_topics: MakeTopics, publisher_of: Publishers
) -> None:
    """Without an acknowledgement of a push there is no pause, however much waits; else it lasts until there is room."""
    await make_topics(kafka, *PUBLISHED)
    publisher = await publisher_of(kafka, buffer_bytes_max=10**8, pause_bytes=10_000)
    publisher.publish(order(0, size=20_000, received_boot_s=1))
    assert (publisher.is_draining, await publisher.wait_for_room()) == (False, False)
    publisher.publish(order(1, stream=Stream.RESULTS))
    assert await publisher.flush(5, [Stream.RESULTS])
    assert await publisher.flush(5)
    assert (publisher.is_draining, await publisher.wait_for_room()) == (False, False)
    publisher.note_unwritable({topic_name(kafka.topic_prefix, "main", Stream.POSITIONS): "lacks Write"})
    publisher.publish(order(1, size=20_000, received_boot_s=1, stream=Stream.POSITIONS))
    publisher.publish(order(1, received_boot_s=1))
    assert await publisher.flush(5, [Stream.ORDERS])
    assert (publisher.is_draining, await publisher.wait_for_room()) == (False, False)
    publisher.note_unwritable({})
    assert await publisher.flush(5)
    pauses = 0
    for number in range(2, 3000):
        publisher.publish(order(number, size=1000, received_boot_s=number))
    while await publisher.wait_for_room():
        pauses += 1
    assert pauses > 0
    assert publisher.pending_bytes <= 10_000


async def test_oversize_record_harms_nothing(
    kafka: Kafka, make_topics: MakeTopics, publisher_of: Publishers, read_all: ReadAll
) -> None:
    """A record above the limit is named and done with, in its turn; the records around it are published."""
    await make_topics(kafka, *PUBLISHED)
    oversize: list[OutgoingRecord] = []
    noted: list[int | None] = []
    publisher = await publisher_of(kafka, callbacks=PublisherCallbacks(on_oversize=oversize.append))
    publisher.begin_epoch(8, lambda records: noted.extend(record.answers_offset for record in records))
    sizes = (10, MAX_RECORD_BYTES - 2_000, 10, MAX_RECORD_BYTES, 10)
    for number, size in enumerate(sizes):
        publisher.publish(order(number, size=size, answers_offset=number))
    assert await publisher.flush(5)
    assert [3] == [json.loads(record.value or b"")["n"] for record in oversize]
    assert [0, 1, 2, 3, 4] == noted
    assert [0, 1, 2, 4] == numbers(await read_all(kafka, orders_of(kafka)))


async def test_record_too_large_for_its_topic(
    kafka: Kafka, make_topics: MakeTopics, publisher_of: Publishers, read_all: ReadAll
) -> None:
    """Where a topic takes less than we thought, the refused batch is taken apart and only the large record is lost."""
    await make_topics(kafka, Stream.ORDERS, max_message_bytes="4000")
    await make_topics(kafka, *(stream for stream in PUBLISHED if stream is not Stream.ORDERS))
    oversize: list[OutgoingRecord] = []
    publisher = await publisher_of(kafka, callbacks=PublisherCallbacks(on_oversize=oversize.append))
    for number in range(40):
        publisher.publish(order(number, size=5000 if number == 17 else 10))
    assert not await publisher.flush(4)
    assert oversize == []  # it may have been made again, and be set right
    assert await publisher.flush(20)
    assert [17] == [json.loads(record.value or b"")["n"] for record in oversize]
    assert [number for number in range(40) if number != 17] == numbers(await read_all(kafka, orders_of(kafka)))


async def test_failed_producer_is_replaced(
    kafka: Kafka, make_topics: MakeTopics, publisher_of: Publishers, read_all: ReadAll, until: Until
) -> None:
    """When the broker refuses the producer's sequence, what was not acknowledged is sent again: no hole, one order."""
    await make_topics(kafka, *PUBLISHED)
    troubles: list[str] = []
    publisher = await publisher_of(kafka, callbacks=PublisherCallbacks(on_trouble=troubles.append))
    noted: list[int | None] = []
    publisher.begin_epoch(8, lambda records: noted.extend(record.answers_offset for record in records))
    for number in range(2000):
        publisher.publish(order(number, size=300, answers_offset=number))
        if number % 500 == 250:
            producer = publisher._sender.producer
            await until(lambda producer=producer: producer.current is not None and len(noted) > 0)
            assert producer.current is not None
            producer.current._txn_manager.increment_sequence_number(TopicPartition(orders_of(kafka), 0), 5)
    assert await publisher.flush(20)
    assert any("OutOfOrderSequenceNumber" in one for one in troubles)
    assert list(range(2000)) == noted
    records = await read_all(kafka, orders_of(kafka))
    assert list(range(2000)) == numbers(records)
    assert list(range(1, 2001)) == sequences(records)


async def test_missing_topic_holds_up_no_other(
    kafka: Kafka, make_topics: MakeTopics, publisher_of: Publishers, read_all: ReadAll, until: Until
) -> None:
    """A topic that does not exist is reported, and holds up only its own records, until it exists."""
    await make_topics(kafka, *(stream for stream in PUBLISHED if stream is not Stream.ORDERS))
    troubles: list[str] = []
    publisher = await publisher_of(kafka, callbacks=PublisherCallbacks(on_trouble=troubles.append))
    done = asyncio.Event()
    publisher.begin_epoch(8, lambda _: done.set())
    publisher.publish(order(0))
    publisher.publish(order(1, stream=Stream.TRADES, answers_offset=1))
    await asyncio.wait_for(done.wait(), 2)
    assert [f"{orders_of(kafka)} does not exist; create it, or set kafka.create_topics and restart"] == troubles
    assert not await publisher.flush(0)
    await make_topics(kafka, Stream.ORDERS)
    assert await publisher.flush(5)
    assert [0] == numbers(await read_all(kafka, orders_of(kafka)))


async def test_durable_records_are_reported_in_order(
    kafka: Kafka, make_topics: MakeTopics, publisher_of: Publishers
) -> None:
    """Each once, after the account has its answers, oversized ones too; a callback that raises stops none of them."""
    await make_topics(kafka, *PUBLISHED)
    noted: list[object] = []

    def on_durable(records: Sequence[OutgoingRecord]) -> None:
        noted.extend(json.loads(record.value or b"")["n"] for record in records)
        raise ValueError("a mistake")

    callbacks = PublisherCallbacks(on_durable=on_durable, on_oversize=lambda _: None)
    publisher = await publisher_of(kafka, callbacks=callbacks)
    publisher.begin_epoch(8, lambda records: noted.extend(f"answer {record.answers_offset}" for record in records))
    publisher.publish(order(0, answers_offset=0))
    publisher.publish(order(1, size=MAX_RECORD_BYTES, answers_offset=1))
    publisher.publish(order(2))
    assert await publisher.flush(5)
    assert noted == ["answer 0", 0, "answer 1", 1, 2]


async def test_callers_mistake_stops_nothing(kafka: Kafka, make_topics: MakeTopics, publisher_of: Publishers) -> None:
    """A callback that raises does not keep the next record from becoming durable."""
    await make_topics(kafka, *PUBLISHED)
    publisher = await publisher_of(kafka)

    def fail(_: Sequence[OutgoingRecord]) -> None:
        raise ValueError("a mistake")

    publisher.begin_epoch(8, fail)
    publisher.publish(order(0, answers_offset=0))
    publisher.publish(order(1))
    assert await publisher.flush(5)


async def test_killed_broker_loses_nothing(
    *,
    own_broker: Broker,
    settings_for: SettingsFor,
    make_topics: MakeTopics,
    publisher_of: Publishers,
    read_all: ReadAll,
    until: Until,
) -> None:
    """The broker is killed and started again under a stream of records: a reader finds all of them, in order."""
    kafka = settings_for(own_broker.bootstrap_servers)
    await make_topics(kafka, *PUBLISHED)
    publisher = await publisher_of(kafka)
    assert publisher.healthy
    total = 0

    async def stream(count: int) -> None:
        nonlocal total
        for _ in range(count):
            publisher.publish(order(total, size=300, received_boot_s=total))
            total += 1
            if total % 20 == 0:
                await asyncio.sleep(0.002)

    await stream(500)
    killed = asyncio.create_task(own_broker.kill())
    await stream(1000)
    await killed
    await stream(1500)
    await until(lambda: not publisher.healthy, 15)
    assert publisher.overfull
    assert publisher.oldest_pending_boot_s() is not None
    await own_broker.restart()
    await stream(500)
    assert await publisher.flush(30)
    assert publisher.healthy
    records = await read_all(kafka, orders_of(kafka))
    assert list(range(total)) == numbers(records)
    assert list(range(1, total + 1)) == sequences(records)


async def _joined(member_of: Callable[..., Membership], kafka: Kafka) -> Membership:
    """Return a member that has joined: right after its pause a broker may not lead the group yet."""
    async with asyncio.timeout(60):
        while True:
            member = member_of(kafka)
            with contextlib.suppress(ClusterUnreachable):
                await member.join()
                return member


async def test_ending_without_broker(
    own_broker: Broker,
    settings_for: SettingsFor,
    make_topics: MakeTopics,
    publisher_of: Publishers,
    member_of: Callable[..., Membership],
) -> None:
    """With the broker gone, and again with it frozen, a publisher and a member end within their bounds."""
    kafka = settings_for(own_broker.bootstrap_servers)
    await make_topics(kafka, *Stream)
    for interrupt, recover in ((own_broker.pause, own_broker.resume), (own_broker.kill, None)):
        publisher, member = await publisher_of(kafka), await _joined(member_of, kafka)
        await interrupt()
        for number in range(2000):
            publisher.publish(order(number, size=600))
        with pytest.raises(TermEnded):
            await member.commit(0, "no broker answers", 0.2)
        begun = time.monotonic()
        await asyncio.gather(publisher.stop(0.5), member.leave())
        assert time.monotonic() - begun < 9
        assert publisher.oldest_pending_boot_s() is None
        assert publisher.pending_bytes > 0
        if recover is not None:
            await recover()
            await wait_until_answers(kafka.bootstrap_servers, deadline_s=10)


async def test_start_waits_for_a_broker(settings_for: SettingsFor, until: Until) -> None:
    """Without a broker `start` goes on trying, reports why, and can be cancelled; publishing meanwhile is possible."""
    troubles: list[str] = []
    publisher = Publisher(
        settings_for("127.0.0.1:1"),
        environment="test",
        account="main",
        buffer_bytes_max=1,
        pause_bytes=1,
        callbacks=PublisherCallbacks(on_trouble=troubles.append),
    )
    publisher.publish(order(0))
    starting = asyncio.create_task(publisher.start())
    await until(lambda: bool(troubles))
    assert "check kafka.bootstrap_servers" in troubles[0]
    assert not publisher.healthy
    starting.cancel()
    await asyncio.wait({starting})
    await publisher.stop(0)
