"""Read the answers from two partitions, without a gap, while the client is open.

aiokafka (written against 0.14) asks the bootstrap servers only once, at its start. When all brokers come back under
other addresses behind the same name, its consumer reads nothing and raises nothing. So when no record arrives, the
reader asks the brokers for the ends of the topics. A consumer without an answer is replaced by a new one, which
continues at the same offsets.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

from bridge.forced_end import run_within

_POLL_MS: Final = 1000
_RECORDS_PER_TURN: Final = 500
_SILENT_POLLS: Final = 3
"""After so many polls without a record the reader asks the brokers whether they are still there."""
_ASK_S: Final = 5.0
_RETRY_FIRST_S: Final = 0.5
_RETRY_LAST_S: Final = 15.0
_END_S: Final = 2.0
_AWAY: Final = (KafkaConnectionError, KafkaTimeoutError, TimeoutError, OSError)


class AnswerReader:
    """The reader of the answers' partitions; it has one consumer at a time."""

    def __init__(self, options: Mapping[str, Any], partitions: Sequence[TopicPartition]) -> None:
        # When retention has removed the next records, the reader continues with the first that is left.
        self._options = {**options, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
        self._partitions = list(partitions)
        self._positions: dict[TopicPartition, int] = {}
        self._silent_polls = 0
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self, look_back: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Start `look_back` records before the end of each partition; return the ends. Raises what aiokafka raises."""
        self._consumer = await self._connect()
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(self._partitions)
        begins = await self._consumer.beginning_offsets(self._partitions)
        self._positions = {one: max(begins[one], end - look_back.get(one, 0)) for one, end in ends.items()}
        self._seek()
        return ends

    async def read(self) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Return the next records, or none when a second brings none. Raises what aiokafka raises."""
        if self._consumer is None:
            await self._connect_again()
        consumer = self._consumer
        assert consumer is not None  # noqa: S101 - just made
        found: dict[TopicPartition, list[ConsumerRecord]] = await consumer.getmany(
            timeout_ms=_POLL_MS, max_records=_RECORDS_PER_TURN
        )
        self._silent_polls = 0 if found else self._silent_polls + 1
        if self._silent_polls >= _SILENT_POLLS:
            self._silent_polls = 0
            if not await self._is_consumer_answered(consumer):
                await self.close()
                return {}
        for partition in self._partitions:
            self._positions[partition] = await consumer.position(partition)
        return found

    def position(self, partition: TopicPartition) -> int:
        """Return the offset of the next record to be read."""
        return self._positions[partition]

    async def close(self) -> None:
        """End the consumer, also while no broker answers."""
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        # stop() may raise CancelledError half-way when brokers are away, and leave the connections.
        await run_within(consumer.stop(), _END_S)
        await run_within(consumer._client.close(), _END_S)  # noqa: SLF001

    async def _is_consumer_answered(self, consumer: AIOKafkaConsumer) -> bool:
        try:
            async with asyncio.timeout(_ASK_S):
                await consumer.end_offsets(self._partitions)
        except _AWAY:
            return False
        return True

    async def _connect_again(self) -> None:
        wait_s = _RETRY_FIRST_S
        while self._consumer is None:
            try:
                async with asyncio.timeout(2 * _ASK_S):
                    self._consumer = await self._connect()
            except _AWAY:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _RETRY_LAST_S)
        self._seek()

    async def _connect(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(**self._options)
        try:
            # Assigned, not subscribed: a subscription starts again whenever a topic is missing from the metadata.
            consumer.assign(self._partitions)
            await consumer.start()
        except BaseException:
            await run_within(consumer.stop(), _END_S)
            await run_within(consumer._client.close(), _END_S)  # noqa: SLF001
            raise
        return consumer

    def _seek(self) -> None:
        assert self._consumer is not None  # noqa: S101 - its callers have made it
        for partition, offset in self._positions.items():
            self._consumer.seek(partition, offset)
