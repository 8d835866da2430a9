"""Watching what a member is not told by the client: the topic made again, the group changed to another protocol."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka_errors

from bridge.kafka import aiokafka_internals
from bridge.kafka.topic_metadata import describe_topics

_PERIOD_S: Final = 5.0
_ASK_TIMEOUT_S: Final = 5.0
_NOT_CLASSIC: Final = "Dead"
"""What a coordinator answers of a group that has members, and is none of the classic protocol."""
_NO_ANSWER: Final = (kafka_errors.KafkaError, TimeoutError, OSError)

log = structlog.get_logger(__name__)


async def topic_id(consumer: AIOKafkaConsumer, topic: str) -> str:
    """Return the topic's id; empty where the brokers tell none. Raises KafkaError."""
    found = (await describe_topics(aiokafka_internals.client_of(consumer), [topic]))[topic]
    if found.error is not kafka_errors.NoError:
        raise found.error
    return found.id


class GroupWatch:
    """Looks at once and then every few seconds, and says what has changed.

    `on_remade` is called when the topic is not the one any more whose id `expect` was told: the offsets that this
    member knows name other commands now. `on_protocol` is called with whether the group is of the classic protocol:
    where a consumer of the new one (KIP-848) has joined, the brokers assign the partition by rules of their own.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        topic: str,
        *,
        on_remade: Callable[[], None],
        on_protocol: Callable[[bool], None],
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._on_remade = on_remade
        self._on_protocol = on_protocol
        self._expected = ""
        self._task = asyncio.create_task(self._watch(), name=f"watch {topic}")

    def expect(self, topic_id: str) -> None:
        """Learn which topic it is whose offsets this member knows."""
        self._expected = topic_id

    async def is_remade(self) -> bool:
        """Ask whether the topic is another one by now; False where nobody can tell."""
        if not self._expected:
            return False
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                found = await topic_id(self._consumer, self._topic)
        except _NO_ANSWER:
            return False
        return bool(found) and found != self._expected

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(*_NO_ANSWER):
                async with asyncio.timeout(_ASK_TIMEOUT_S):
                    self._on_protocol(await aiokafka_internals.group_state(self._consumer) != _NOT_CLASSIC)
            await asyncio.sleep(_PERIOD_S)
            if await self.is_remade():
                self._on_remade()

    async def end(self) -> None:
        """Look no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
