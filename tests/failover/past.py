"""A past to be remembered: commands, results and ended orders of one hour, as an earlier owner leaves them."""

import time
import uuid
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition

from bridge.contract.headers import EVENT_TYPES, build_event_headers, format_source
from bridge.contract.results import Outcome, Reason, Result
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.core.commands.claims import CommitMetadata, encode
from tests.support.replica import replica
from tests.support.rig import PLACE, Rig, command

_OLDEST_S: Final = 3500
_YOUNGEST_S: Final = 70
"""Older than a rate limit's window: the past shall be remembered, and not hold up what comes."""
_BATCH_BYTES: Final = 400_000
_PLACES_MAX: Final = 1000
_ORDER_ID: Final = 10**15
"""The orderId of the first order."""


async def write_past(rig: Rig, count: int) -> None:
    """Write commands, results and orders, and commit behind them, as the owner of epoch 1 that has ended.

    Each order was cancelled: a takeover would ask the venue for every order that is not known to have ended. All
    but a thousand of the commands were denied: brokers date a result when it is appended, so a takeover counts every
    place of this past in the venue's limit.
    """
    async with replica(rig) as first:  # makes the topics
        await first.until("recovery.complete")
        first.stop()
        await first.ended()
    streams = (Stream.COMMANDS, Stream.RESULTS, Stream.ORDERS)
    commands, results, orders = (topic_name(rig.prefix, "main", stream) for stream in streams)
    producer = AIOKafkaProducer(bootstrap_servers=rig.bootstrap, acks="all", max_batch_size=2 * _BATCH_BYTES)
    await producer.start()
    try:
        begin_ms = int((time.time() - _OLDEST_S) * 1000)
        step_ms = (_OLDEST_S - _YOUNGEST_S) * 1000 / count
        of_commands, of_results, of_orders = (_Batches(producer, topic) for topic in (commands, results, orders))
        for offset in range(count):
            one = command("place_order", PLACE, command_id=str(uuid.uuid4()))
            key, at_ms = one["commandId"].encode(), begin_ms + int(offset * step_ms)
            await of_commands.add(at_ms, key, msgspec.json.encode(one), [])
            await of_results.add(at_ms, key, *_result(one["commandId"], offset, at_ms))
            if offset < _PLACES_MAX:
                await of_orders.add(at_ms, f"{_ORDER_ID + offset}".encode(), *_order(one["commandId"], offset, at_ms))
        for batches in (of_commands, of_results, of_orders):
            await batches.flush()
    finally:
        await producer.stop()
    await _commit(rig, commands, count)


def _result(command_id: str, offset: int, at_ms: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    about: dict[str, Any] = {"command_id": command_id, "command_offset": offset, "answered_at": at_ms}
    about |= {"action": "place_order", "body_digest": f"{offset:064x}"}
    if offset >= _PLACES_MAX:
        result = Result(**about, outcome=Outcome.DENIED, reason=Reason.OVER_BUDGET, retry_after_ms=1000)
    else:
        names: dict[str, Any] = {"order_id": f"{_ORDER_ID + offset}", "client_order_id": command_id.replace("-", "")}
        answer: dict[str, Any] = {"code": 200000, "message": "Success", "sent_at": at_ms - 5}
        result = Result(**about, **names, **answer, outcome=Outcome.ACCEPTED)
    return msgspec.json.encode(result), _headers(Stream.RESULTS, f"result:{command_id}", command_id, offset, at_ms)


def _order(command_id: str, offset: int, at_ms: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    order_id, name = f"{_ORDER_ID + offset}", command_id.replace("-", "")
    times = {"createAt": f"{at_ms}", "updateAt": f"{at_ms}"}
    order = {
        **PLACE,
        "orderId": order_id,
        "clientOrderId": name,
        "orderState": "CANCELLED",
        "executedQty": "0",
        **times,
    }
    headers = _headers(Stream.ORDERS, f"order:{order_id}:CANCELLED:0:{at_ms}", order_id, offset, at_ms)
    return msgspec.json.encode(order), headers


def _headers(stream: Stream, event_id: str, subject: str, offset: int, at_ms: int) -> list[tuple[str, bytes]]:
    return build_event_headers(
        event_id=event_id,
        event_source=format_source("sandbox", "main"),
        event_type=EVENT_TYPES[stream],
        time_ms=at_ms,
        subject=subject.encode(),
        epoch=1,
        sequence=offset + 1,
    )


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
