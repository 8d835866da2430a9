"""A plain consumer: every record of every topic of an account, from the beginning to the end."""

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from tests.records.record import STREAMS, Record, Records


async def read_all(bootstrap: str, prefix: str, account: str) -> Records:
    """Read what is on the topics now; nobody may be writing to them any more."""
    partitions = {TopicPartition(f"{prefix}.{account}.{stream}", 0): stream for stream in STREAMS}
    # read_uncommitted and no group: what any consumer sees that was told nothing but the names.
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="none"
    ) as consumer:
        consumer.assign(list(partitions))
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(list(partitions))
        found: list[Record] = []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            batches = await consumer.getmany(timeout_ms=1000)
            for partition, records in batches.items():
                found += [_record(partitions[partition], account, record) for record in records]
    return Records(found)


def _record(stream: str, account: str, record: ConsumerRecord) -> Record:
    return Record(
        stream=stream,
        account=account,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )
