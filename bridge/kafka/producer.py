"""One idempotent producer: how it is made, until a broker answers, and what keeps a topic from it."""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka_errors

from bridge.config import Kafka
from bridge.errors import ConfigError
from bridge.kafka import aiokafka_internals
from bridge.kafka.cluster import client_options, likely_cause
from bridge.kafka.rebootstrap import follow_bootstrap_servers
from bridge.producer_identity import ProducerIdentity, take_identity

MAX_RECORD_BYTES: Final = 1_000_000
"""The largest record, key and headers included; below the broker's default `message.max.bytes`."""

MAX_BATCH_BYTES: Final = 524_288
"""What one open batch of a topic holds; a producer that is given more must wait."""

_REQUEST_TIMEOUT_MS: Final = 5000
_CONNECT_TIMEOUT_S: Final = 10.0
_RETRY_FIRST_S: Final = 0.1
_RETRY_LAST_S: Final = 2.0
_REPEAT_S: Final = 30.0


class ThrottledReport:
    """Passes on what is wrong, in words; the same words at most every 30 s."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told_at: dict[str, float] = {}

    def is_news(self, key: str) -> bool:
        """Tell whether these words would be passed on, and count them as passed on if so."""
        now = time.monotonic()
        self._told_at = {one: at for one, at in self._told_at.items() if now - at < _REPEAT_S}
        return self._told_at.setdefault(key, now) == now

    def tell(self, text: str) -> None:
        """Pass the words on unless they just were."""
        if self.is_news(text):
            self._tell(text)

    async def tell_unreachable(self, kafka: Kafka, error: BaseException) -> None:
        """Pass on that no broker answers, with the likely cause."""
        if self.is_news(words(error)):
            self._tell(f"no producer yet ({words(error)}): {await likely_cause(kafka)}")


async def connect(
    kafka: Kafka, topics: Collection[str], trouble: ThrottledReport, identity: ProducerIdentity | None = None
) -> AIOKafkaProducer:
    """Return a producer that knows the topics, of the identity given or a new one; tries until a broker answers."""
    retry_s = _RETRY_FIRST_S
    while True:
        try:
            options = client_options(kafka)
        except ConfigError as error:  # a file of the settings was good at the start and will be again
            trouble.tell("; ".join(error.problems))
            await asyncio.sleep(_RETRY_LAST_S)
            continue
        producer = AIOKafkaProducer(
            **options,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            retry_backoff_ms=50,
            metadata_max_age_ms=60_000,
        )
        follow_bootstrap_servers(producer.client, kafka)
        if identity is not None:
            take_identity(producer, identity)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await producer.start()
                await aiokafka_internals.learn_topics(producer, topics)
        except (kafka_errors.KafkaError, OSError, TimeoutError) as error:
            await aiokafka_internals.abandon_producer(producer)
            await trouble.tell_unreachable(kafka, error)
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, _RETRY_LAST_S)
        except BaseException:
            await aiokafka_internals.abandon_producer(producer)
            raise
        else:
            return producer


def unknown_because(producer: AIOKafkaProducer, topic: str) -> str | None:
    """Say why nothing can be sent to the topic now; None when `send` would not wait for its metadata."""
    partitions = aiokafka_internals.known_partitions(producer, topic)
    if partitions is not None and len(partitions) == 1:
        return None
    if aiokafka_internals.is_unauthorized(producer, topic):
        return f"{topic} is refused to this principal; grant it Describe and Write"
    if partitions is None:
        return f"{topic} does not exist; create it, or set kafka.create_topics and restart"
    return f"{topic} has {len(partitions)} partitions; it needs exactly one"


def words(error: BaseException) -> str:
    """Write an error for a person."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
