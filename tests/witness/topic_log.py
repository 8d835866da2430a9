"""A plain consumer: every record of a topic from its beginning to where it ends now."""

import asyncio

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from tests.witness.record import Record

_DEADLINE_S = 60.0
"""For the next records of a topic, which are all there."""


async def read_topic(bootstrap: str, topic: str) -> list[Record]:
    """Return the records of a topic with one partition. Raises TimeoutError where they do not come."""
    return [record_of(one) for one in await read_consumer_records(bootstrap, topic)]


async def read_consumer_records(bootstrap: str, topic: str) -> list[ConsumerRecord]:
    """Return what `read_topic` does, as the client library gives it."""
    partition = TopicPartition(topic, 0)
    found: list[ConsumerRecord] = []
    # read_uncommitted and no group: what any consumer sees that was told nothing but the name.
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="none"
    ) as consumer:
        consumer.assign([partition])
        await consumer.seek_to_beginning()
        end = (await consumer.end_offsets([partition]))[partition]
        async with asyncio.timeout(_DEADLINE_S) as deadline:
            while await consumer.position(partition) < end:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [one for one in records if one.offset < end]
                    deadline.reschedule(asyncio.get_running_loop().time() + _DEADLINE_S)
    return found


def record_of(record: ConsumerRecord) -> Record:
    """Return a consumer's record; its topic is named `<prefix>.<account>.<stream>`."""
    _, account, stream = record.topic.rsplit(".", 2)
    return Record(stream, account, record.offset, record.timestamp, record.key, record.value, tuple(record.headers))
