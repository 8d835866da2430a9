"""Watching what aiokafka does not report: that the topic was made again, or that the group changed the protocol."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka_errors

from bridge.kafka import aiokafka_internals
from bridge.kafka.cluster import NO_ANSWER
from bridge.kafka.topic_metadata import describe_topics

_PERIOD_S: Final = 5.0
_ASK_TIMEOUT_S: Final = 5.0
_NOT_CLASSIC: Final = "Dead"
"""What a coordinator answers of a group that has members, and is none of the classic protocol."""

log = structlog.get_logger(__name__)


async def read_topic_id(consumer: AIOKafkaConsumer, topic: str) -> str:
    """Return the topic's id; empty where the brokers know no ids. Raises KafkaError."""
    found = (await describe_topics(aiokafka_internals.client_of(consumer), [topic]))[topic]
    if found.error is not kafka_errors.NoError:
        raise found.error
    return found.id


class GroupWatch:
    """Asks the brokers at once and then every few seconds, and reports what has changed.

    `on_topic_replaced` is called when the topic has another id than the one given to `expect_topic`: the offsets that
    this member knows name other commands now. `on_protocol_change` is called when `is_classic` has changed.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        topic: str,
        *,
        on_topic_replaced: Callable[[], None],
        on_protocol_change: Callable[[], None],
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._on_topic_replaced = on_topic_replaced
        self._on_protocol_change = on_protocol_change
        self._expected_id = ""
        self.is_classic = True
        """Whether the group is of the classic protocol.

        It is not while a consumer of the new one (KIP-848) is in it: then the brokers assign the partition, by rules
        of their own.
        """
        self._task = asyncio.create_task(self._run(), name=f"watch {topic}")

    def expect_topic(self, topic_id: str) -> None:
        """Note the id of the topic whose offsets this member knows."""
        self._expected_id = topic_id

    async def is_topic_replaced(self) -> bool:
        """Ask whether the topic has another id by now; False where no broker answers."""
        if not self._expected_id:
            return False
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                found = await read_topic_id(self._consumer, self._topic)
        except NO_ANSWER:
            return False
        return bool(found) and found != self._expected_id

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(*NO_ANSWER):
                async with asyncio.timeout(_ASK_TIMEOUT_S):
                    self._note_protocol(await aiokafka_internals.read_group_state(self._consumer))
            await asyncio.sleep(_PERIOD_S)
            if await self.is_topic_replaced():
                self._on_topic_replaced()

    def _note_protocol(self, read_group_state: str) -> None:
        was_classic, self.is_classic = self.is_classic, read_group_state != _NOT_CLASSIC
        if self.is_classic != was_classic:
            self._on_protocol_change()

    async def end(self) -> None:
        """Ask no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
