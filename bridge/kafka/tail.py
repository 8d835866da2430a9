"""Reading a topic from a point in time to its end, without a group: how a new owner learns what was published."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka_errors
from msgspec import Struct

from bridge.config import Kafka
from bridge.core.records import CommandRecord
from bridge.errors import ClusterUnreachable, KafkaTrouble
from bridge.kafka import aiokafka_internals, fetches
from bridge.kafka.batches import FetchedRecord
from bridge.kafka.cluster import client_options, find_likely_cause, require_one_partition
from bridge.kafka.command_reader import to_command_record

_STALL_S: Final = 10.0
_REQUEST_TIMEOUT_MS: Final = 3000
_FETCH_MS: Final = 250
_FETCH_BYTES: Final = 2 * 1024 * 1024
"""A fetch is in memory up to four times while it is decoded, and a takeover reads several topics at once."""
_STOP_TIMEOUT_S: Final = 2.0
_LOST_TRIES: Final = 3
_RECORDS_AT_ONCE: Final = 500
_LAST_RECORDS: Final = 500
"""Offsets before the end, among which the highest epoch is: records that a predecessor flushed late stand behind it."""

_Result = TypeVar("_Result")


class TailRecord(Struct, frozen=True, gc=False):
    """A record as it was read; `timestamp_ms` is create or append time, as the topic is set. A header may be None."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


Take = Callable[[list[TailRecord]], None]
TakeCommands = Callable[[list[CommandRecord]], Awaitable[None]]


async def read_tail(kafka: Kafka, topic: str, take: Take, *, since_ms: int) -> None:
    """Read from the first record at or after `since_ms` (all with 0) to the end as of now.

    The records are handed over a few at a time, and other tasks run in between: a member that has much to remember must
    not miss its heartbeats. Raises ClusterUnreachable when nothing moves for 10 s, KafkaTrouble when the topic
    does not exist, has several partitions, or is refused.
    """

    async def read(consumer: AIOKafkaConsumer, partition: TopicPartition, deadline: asyncio.Timeout) -> None:
        end = await _read_end_offset(consumer, partition)
        begin = await _find_first_offset(consumer, partition, since_ms)
        await _read_range(consumer, partition, _let_others_run(take), (end if begin is None else begin, end), deadline)

    await _run_with_consumer(kafka, topic, read)


async def read_last(kafka: Kafka, topic: str, take: Take) -> int:
    """Read the last records, a small number at most; returns the end offset, 0 where the topic never held a record.

    Raises as `read_tail` does.
    """

    async def read(consumer: AIOKafkaConsumer, partition: TopicPartition, deadline: asyncio.Timeout) -> int:
        end = await _read_end_offset(consumer, partition)
        begin = await _find_first_offset(consumer, partition, 0) or 0
        await _read_range(consumer, partition, _let_others_run(take), (max(begin, end - _LAST_RECORDS), end), deadline)
        return end

    return await _run_with_consumer(kafka, topic, read)


async def read_commands(kafka: Kafka, topic: str, begin: int, end: int, take: TakeCommands) -> None:
    """Read the commands from one offset up to another, a few at a time; the next when `take` has returned.

    Records that retention has removed are passed over. Raises what `read_tail` raises.
    """

    async def hand_over(records: list[FetchedRecord]) -> None:
        await take([to_command_record(record, -inf) for record in records])

    async def read(consumer: AIOKafkaConsumer, partition: TopicPartition, deadline: asyncio.Timeout) -> None:
        first: int = (await consumer.beginning_offsets([partition]))[partition]
        await _read_range(consumer, partition, hand_over, (max(begin, first), end), deadline)

    await _run_with_consumer(kafka, topic, read)


async def _run_with_consumer(
    kafka: Kafka,
    topic: str,
    read: Callable[[AIOKafkaConsumer, TopicPartition, asyncio.Timeout], Awaitable[_Result]],
) -> _Result:
    """Read with a consumer that belongs to no group; once more where retention has removed what was to be read."""
    consumer = AIOKafkaConsumer(
        topic,
        **client_options(kafka),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=_FETCH_MS,
    )
    try:
        async with asyncio.timeout(_STALL_S) as deadline:
            await consumer.start()
            fetches.decode_fetches_within_bounds(consumer)
            require_one_partition(consumer, topic)
            for _ in range(_LOST_TRIES):
                try:
                    return await read(consumer, TopicPartition(topic, 0), deadline)
                except kafka_errors.OffsetOutOfRangeError:
                    continue  # retention removed the beginning after it was looked up
        raise KafkaTrouble(f"{topic} loses its oldest records faster than they can be read; raise its retention")
    except (TimeoutError, OSError, kafka_errors.KafkaConnectionError, kafka_errors.KafkaTimeoutError) as error:
        raise ClusterUnreachable(
            f"{topic} could not be read to its end ({type(error).__name__}): {await find_likely_cause(kafka)}"
        ) from error
    except kafka_errors.UnknownTopicOrPartitionError as error:
        raise KafkaTrouble(f"{topic} does not exist; create it, or set kafka.create_topics") from error
    except kafka_errors.TopicAuthorizationFailedError as error:
        raise KafkaTrouble(f"{topic} is refused to this principal; grant it Describe and Read") from error
    except kafka_errors.KafkaError as error:
        raise KafkaTrouble(f"{topic} could not be read: {error!r}") from error
    finally:
        await aiokafka_internals.end_consumer(consumer, _STOP_TIMEOUT_S)


async def _read_range(
    consumer: AIOKafkaConsumer,
    partition: TopicPartition,
    take: Callable[[list[FetchedRecord]], Awaitable[None]],
    span: tuple[int, int],
    deadline: asyncio.Timeout,
) -> None:
    """Read from one offset up to another; the deadline moves on with the position, and not while `take` runs."""
    position, end = span
    consumer.seek(partition, position)
    # The position, not the last record, says how far the reading is: the log may end in control records or holes.
    while position < end:
        found = await fetches.fetch_records(consumer, partition, _FETCH_MS, max_records=_RECORDS_AT_ONCE)
        if found:
            deadline.reschedule(None)
            await take([record for record in found if record.offset < end])
        reached = fetches.fetch_position(consumer, partition)
        if reached is not None and reached > position:
            position = reached
            deadline.reschedule(asyncio.get_running_loop().time() + _STALL_S)


def _let_others_run(take: Take) -> Callable[[list[FetchedRecord]], Awaitable[None]]:
    """Return what hands records over and then gives the other tasks their turn."""

    async def hand_over(records: list[FetchedRecord]) -> None:
        take([_to_tail_record(record) for record in records])
        await asyncio.sleep(0)

    return hand_over


async def _read_end_offset(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int:
    end: int = (await consumer.end_offsets([partition]))[partition]
    return end


async def _find_first_offset(consumer: AIOKafkaConsumer, partition: TopicPartition, since_ms: int) -> int | None:
    if since_ms <= 0:
        first: int = (await consumer.beginning_offsets([partition]))[partition]
        return first
    found = (await consumer.offsets_for_times({partition: since_ms}))[partition]
    return None if found is None else int(found.offset)


def _to_tail_record(record: FetchedRecord) -> TailRecord:
    return TailRecord(record.offset, record.timestamp_ms, record.key, record.value, record.headers)
