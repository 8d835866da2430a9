"""A past to be remembered: commands and their results of the last hour, as if an earlier owner had left them."""

import time
import uuid
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition

from bridge.contract.headers import EVENT_TYPES, build_event_headers, format_source
from bridge.contract.results import Outcome, Result
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.core.commands.claims import CommitMetadata, encode
from tests.support.replica import replica
from tests.support.rig import PLACE, Rig, command

_OLDEST_S: Final = 3500
_YOUNGEST_S: Final = 70
"""Older than a rate limit's window: the past shall be remembered, and not hold up what comes."""
_BATCH_BYTES: Final = 400_000


async def write_past(rig: Rig, count: int) -> None:
    """Write commands with their results, and commit behind them, as the owner of epoch 1 that has ended."""
    async with replica(rig) as first:  # makes the topics
        await first.until("recovery.complete")
        first.stop()
        await first.ended()
    commands, results = (topic_name(rig.prefix, "main", stream) for stream in (Stream.COMMANDS, Stream.RESULTS))
    producer = AIOKafkaProducer(bootstrap_servers=rig.bootstrap, acks="all", max_batch_size=2 * _BATCH_BYTES)
    await producer.start()
    try:
        begin_ms = int((time.time() - _OLDEST_S) * 1000)
        step_ms = (_OLDEST_S - _YOUNGEST_S) * 1000 / count
        of_commands, of_results = _Batches(producer, commands), _Batches(producer, results)
        for offset in range(count):
            one = command("place_order", PLACE, command_id=str(uuid.uuid4()))
            key, at_ms = one["commandId"].encode(), begin_ms + int(offset * step_ms)
            await of_commands.add(at_ms, key, msgspec.json.encode(one), [])
            await of_results.add(at_ms, key, *_result(one["commandId"], offset, at_ms))
        await of_commands.flush()
        await of_results.flush()
    finally:
        await producer.stop()
    await _commit(rig, commands, count)


def _result(command_id: str, offset: int, at_ms: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    result = Result(
        command_id=command_id,
        command_offset=offset,
        outcome=Outcome.ACCEPTED,
        answered_at=at_ms,
        action="place_order",
        code=200000,
        message="Success",
        order_id=f"{10**15 + offset}",
        client_order_id=command_id.replace("-", ""),
        body_digest=f"{offset:064x}",
        sent_at=at_ms - 5,
    )
    headers = build_event_headers(
        event_id=f"result:{command_id}",
        event_source=format_source("sandbox", "main"),
        event_type=EVENT_TYPES[Stream.RESULTS],
        time_ms=at_ms,
        subject=command_id.encode(),
        epoch=1,
        sequence=offset + 1,
    )
    return msgspec.json.encode(result), headers


class _Batches:
    """Writes records in large batches: one future for thousands of them."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._batch = producer.create_batch()

    async def add(self, at_ms: int, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        while self._batch.append(timestamp=at_ms, key=key, value=value, headers=headers) is None:
            await self.flush()

    async def flush(self) -> None:
        batch, self._batch = self._batch, self._producer.create_batch()
        if batch.record_count():
            batch.close()
            await (await self._producer.send_batch(batch, self._topic, partition=0))


async def _commit(rig: Rig, topic: str, offset: int) -> None:
    """Commit for a group without members."""
    partition = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=rig.bootstrap, group_id=group_name(rig.prefix, "main"), enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign([partition])
        metadata = encode(CommitMetadata(1, int(time.time() * 1000), ()), offset)
        await consumer.commit({partition: OffsetAndMetadata(offset, metadata)})
    finally:
        await consumer.stop()
