"""Making one idempotent producer: tries until a broker answers, and reports what is wrong."""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final

from aiokafka import AIOKafkaProducer

from bridge.config import Kafka
from bridge.errors import ConfigError
from bridge.kafka import aiokafka_internals
from bridge.kafka.cluster import NO_ANSWER, client_options, find_likely_cause
from bridge.kafka.rebootstrap import follow_bootstrap_servers
from bridge.kafka.retry_wait import RetryWait
from bridge.producer_identity import ProducerIdentity, take_identity

MAX_RECORD_BYTES: Final = 1_000_000
"""The largest record, key and headers included; below the broker's default `message.max.bytes`."""

MAX_BATCH_BYTES: Final = 524_288
"""What one open batch of a topic holds; `send` waits for room in it."""

_REQUEST_TIMEOUT_MS: Final = 5000
_CONNECT_TIMEOUT_S: Final = 10.0
RETRY_FIRST_S: Final = 0.1
RETRY_LAST_S: Final = 2.0
_REPEAT_S: Final = 30.0


class ThrottledReport:
    """Reports what is wrong to a callback; the same text at most every 30 s."""

    def __init__(self, on_trouble: Callable[[str], None]) -> None:
        self._on_trouble = on_trouble
        self._reported_monotonic_s: dict[str, float] = {}

    def report(self, text: str) -> None:
        """Report a text unless it was just reported."""
        if self._is_due(text):
            self._on_trouble(text)

    async def report_unreachable(self, kafka: Kafka, error: BaseException) -> None:
        """Report that no broker answers, with the likely cause."""
        if self._is_due(describe_error(error)):
            self._on_trouble(f"no producer yet ({describe_error(error)}): {await find_likely_cause(kafka)}")

    def _is_due(self, key: str) -> bool:
        """Return whether a text is to be reported, and count it as reported if so."""
        now_s = time.monotonic()
        recent = {one: at_s for one, at_s in self._reported_monotonic_s.items() if now_s - at_s < _REPEAT_S}
        self._reported_monotonic_s = recent
        return recent.setdefault(key, now_s) == now_s


async def connect(
    kafka: Kafka, topics: Collection[str], report: ThrottledReport, identity: ProducerIdentity | None = None
) -> AIOKafkaProducer:
    """Return a producer that knows the topics, of the identity given or a new one; tries until a broker answers."""
    retry_wait = RetryWait(RETRY_FIRST_S, RETRY_LAST_S)
    while True:
        try:
            options = client_options(kafka)
        except ConfigError as error:  # a file of the settings that was good at the start, and may be replaced right now
            report.report("; ".join(error.problems))
            await asyncio.sleep(RETRY_LAST_S)
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
        except NO_ANSWER as error:
            await aiokafka_internals.abandon_producer(producer)
            await report.report_unreachable(kafka, error)
            await asyncio.sleep(retry_wait.next_s())
        except BaseException:
            await aiokafka_internals.abandon_producer(producer)
            raise
        else:
            return producer


def describe_unknown_topic(producer: AIOKafkaProducer, topic: str) -> str | None:
    """Return why nothing can be sent to the topic now; None when `send` would not wait for its metadata."""
    partitions = aiokafka_internals.known_partitions(producer, topic)
    if partitions is not None and len(partitions) == 1:
        return None
    if aiokafka_internals.is_unauthorized(producer, topic):
        return f"{topic} is refused to this principal; grant it Describe and Write"
    if partitions is None:
        return f"{topic} does not exist; create it, or set kafka.create_topics and restart"
    return f"{topic} has {len(partitions)} partitions; it needs exactly one"


def describe_error(error: BaseException) -> str:
    """Return an error in words for a person."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
