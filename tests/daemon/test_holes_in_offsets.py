"""Holes in the offsets of `commands` are nothing special, whatever made them."""

import json

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from bridge.contract.topics import Stream, group_name, topic_name
from tests.support.rig import PLACE, Rig, command


async def test_a_transactional_caller_does_not_stop_the_account(rig: Rig) -> None:
    """The end of a transaction is no record: it is committed over, and missed by nobody when retention removes it."""
    place, later = command("place_order", PLACE), command("place_order", PLACE)
    partition = TopicPartition(topic_name(rig.prefix, "main", Stream.COMMANDS), 0)
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        await _write_in_transaction(rig, partition.topic, json.dumps(place).encode())
        await results.result(place)
    end = await _end_of(rig, partition)
    assert end == 2
    assert await _committed_of(rig, partition) == end
    await _delete_up_to(rig, partition, end)
    async with rig.daemon():
        await rig.send(later)
        assert (await results.result(later))["outcome"] == "accepted"


async def _write_in_transaction(rig: Rig, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=rig.bootstrap, transactional_id=rig.prefix)
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(topic, value, key=b"k")
    finally:
        await producer.stop()


async def _end_of(rig: Rig, partition: TopicPartition) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=rig.bootstrap)
    await consumer.start()
    try:
        end: int = (await consumer.end_offsets([partition]))[partition]
    finally:
        await consumer.stop()
    return end


async def _committed_of(rig: Rig, partition: TopicPartition) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.bootstrap)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group_name(rig.prefix, "main"))
    finally:
        await admin.close()
    offset: int = found[partition].offset
    return offset


async def _delete_up_to(rig: Rig, partition: TopicPartition, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.bootstrap)
    await admin.start()
    try:
        await admin.delete_records({partition: RecordsToDelete(offset)})
    finally:
        await admin.close()
