"""Reading commands: every offset once and in order, through rebalances, holes and records that cannot be decoded."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from bridge.config import Kafka
from bridge.contract.topics import Stream
from bridge.core.records import CommandRecord
from bridge.errors import OffsetLost
from bridge.kafka.membership import Membership
from tests.support.raw_batches import (
    batch,
    gzip_with_more_behind,
    lz4_with_wrong_checksum,
    produce,
    record,
    snappy_of_version_2,
    zstd_bomb,
)

Members = Callable[..., Membership]
MakeTopics = Callable[..., Awaitable[None]]
Write = Callable[..., Awaitable[list[int]]]
Until = Callable[..., Awaitable[None]]


@pytest.fixture
async def owner(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> Membership:
    """Return the owner of a new account."""
    await make_topics(kafka, Stream.COMMANDS)
    member = member_of(kafka)
    await member.join()
    await member.wait_owned()
    member.set_epoch(1)
    return member


async def read(owner: Membership, count: int) -> list[CommandRecord]:
    """Poll until so many records have come."""
    records: list[CommandRecord] = []
    async with asyncio.timeout(30):
        while len(records) < count:
            records += await owner.poll(1)
    return records


async def test_nothing_before_seek(owner: Membership, kafka: Kafka, write: Write) -> None:
    """Nothing is read before `seek`, and everything from there on after it."""
    topic = owner._partition.topic
    await write(kafka, topic, b"0", b"1", b"2")
    assert [] == await owner.poll(0.2)
    with pytest.raises(RuntimeError):
        _ = owner.position
    owner.seek(1)
    assert [(1, b"1"), (2, b"2")] == [(one.offset, one.value) for one in await read(owner, 2)]
    assert 3 == owner.position == await owner.end_offset()


async def test_seek_back_reads_again(owner: Membership, kafka: Kafka, write: Write) -> None:
    """A seek drops what was already fetched, forwards and backwards."""
    await write(kafka, owner._partition.topic, *(b"%d" % number for number in range(10)))
    owner.seek(5)
    assert [5, 6, 7, 8, 9] == [one.offset for one in await read(owner, 5)]
    await asyncio.gather(owner.poll(0), write(kafka, owner._partition.topic, b"10"))
    owner.seek(0)
    assert list(range(11)) == [one.offset for one in await read(owner, 11)]


async def test_rebalances_repeat_nothing(
    owner: Membership, kafka: Kafka, write: Write, member_of: Members, until: Until
) -> None:
    """While standbys join and leave under a stream of commands, every offset is delivered once and in order."""
    owner.seek(0)
    await owner.commit(0, "never moves, so a rebalance would begin here again", 5)
    standby = member_of(kafka)

    async def disturb() -> None:
        for _ in range(4):
            generation = owner.generation
            await standby.join()
            await until(lambda before=generation: owner.owned and owner.generation > before)
            await standby.leave()

    total = 400
    values = [b"%d" % number for number in range(total)]
    records, _, _ = await asyncio.gather(read(owner, total), disturb(), write(kafka, owner._partition.topic, *values))
    assert values == [one.value for one in records]
    assert list(range(total)) == [one.offset for one in records]
    assert [] == await owner.poll(0.3)


async def test_pause_outlasts_a_rebalance(
    owner: Membership, kafka: Kafka, write: Write, member_of: Members, until: Until
) -> None:
    """A paused partition stays paused when it is revoked and assigned again; `resume` delivers what came meanwhile."""
    owner.seek(0)
    owner.pause()
    await write(kafka, owner._partition.topic, b"0", b"1")
    generation = owner.generation
    await member_of(kafka).join()
    await until(lambda: owner.owned and owner.generation > generation)
    assert [] == await owner.poll(0.3)
    owner.resume()
    assert [0, 1] == [one.offset for one in await read(owner, 2)]


async def test_tombstones_and_control_records(owner: Membership, kafka: Kafka, write: Write) -> None:
    """A record without value is delivered, and the position goes past a transaction's end, which is no record."""
    topic = owner._partition.topic
    owner.seek(0)
    await write(kafka, topic, None, headers=[("a", b"1")])
    await write(kafka, topic, b"in a transaction", transactional_id=topic)
    assert [(0, None), (1, b"in a transaction")] == [(one.offset, one.value) for one in await read(owner, 2)]
    async with asyncio.timeout(30):
        while owner.position < 3:
            assert [] == await owner.poll(0.1)
    assert 3 == owner.position == await owner.end_offset()


async def test_what_cannot_be_decoded_blocks_nothing(owner: Membership, kafka: Kafka, write: Write) -> None:
    """Batches that the broker takes and no client can read are passed over by their offsets, within bounded memory."""
    topic = owner._partition.topic
    await write(kafka, topic, b"before")
    name_is_no_text = record(0, b"good") + record(1, b"bad", headers=[(b"\xff\xfe", b"x")]) + record(2, b"behind it")
    hostile = (
        batch(name_is_no_text, 3),
        gzip_with_more_behind(record(0, b"behind its end")),
        snappy_of_version_2(record(0, b"of version 2")),
        lz4_with_wrong_checksum(record(0, b"never read")),
        zstd_bomb(256),
    )
    assert [0] * len(hostile) == [(await produce(kafka.bootstrap_servers, topic, data))[0] for data in hostile]
    await write(kafka, topic, b"after")
    owner.seek(0)
    records = await read(owner, 9)
    values = [b"before", b"good", None, b"behind it", b"behind its end", b"of version 2", None, None, b"after"]
    assert list(enumerate(values)) == [(one.offset, one.value) for one in records]
    assert [2, 6, 7] == [one.offset for one in records if one.unreadable]


async def test_only_headers_that_answers_carry_back_are_kept(owner: Membership, kafka: Kafka, write: Write) -> None:
    """A command may wait for long, and a caller may give it a mebibyte of headers; an empty one is none."""
    owner.seek(0)
    many = [("x", b"1")] * 400
    headers = [*many, ("traceparent", b"2"), ("correlation_id", b""), *many]
    await write(kafka, owner._partition.topic, b"{}", headers=headers)
    (found,) = await read(owner, 1)
    assert [("traceparent", b"2")] == found.headers


async def test_a_record_of_a_transaction_is_marked(owner: Membership, kafka: Kafka, write: Write) -> None:
    """A record that came in a transaction is marked, because the transaction may have been aborted."""
    topic = owner._partition.topic
    owner.seek(0)
    await write(kafka, topic, b"without")
    await write(kafka, topic, b"within", transactional_id=topic)
    assert [False, True] == [one.transactional for one in await read(owner, 2)]


async def test_lost_offset_is_named(
    owner: Membership, kafka: Kafka, write: Write, admin_of: Callable[[Kafka], object]
) -> None:
    """When retention has removed the next offset, the error names it and what the log still holds."""
    topic = owner._partition.topic
    await write(kafka, topic, b"0", b"1", b"2")
    async with admin_of(kafka) as admin:  # type: ignore[attr-defined] # a fixture's context manager
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(2)})
    owner.seek(0)
    with pytest.raises(OffsetLost, match="offset 0") as lost:
        await owner.poll(5)
    assert (0, 2, 3) == (lost.value.offset, lost.value.begin, lost.value.end)
    owner.seek(2)
    assert [2] == [one.offset for one in await read(owner, 1)]
