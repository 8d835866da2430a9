"""Clients that find their cluster again when every broker has moved.

aiokafka (written against 0.14) asks the bootstrap servers only once, at its start. Later it asks the brokers that it
knows, so when all of them have come back under other addresses behind the same name, it tries the old ones for ever.
Here, as in Kafka's own clients since 4.0 (KIP-899), it asks the bootstrap servers again when no known broker answers.
"""
# ruff: noqa: SLF001 - as in aiokafka_internals.py: aiokafka has no public way

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import collect_hosts
from aiokafka.protocol.metadata import MetadataRequest

from bridge.config import Kafka
from bridge.errors import ConfigError
from bridge.kafka.cluster import NO_ANSWER, client_options
from bridge.kafka.connections import create_connection
from bridge.kafka.retry_wait import RetryWait

_KNOWN_BROKERS_S: Final = 3.0
"""How long the known brokers may take together: packets to an address that has gone are often not even refused."""
_BOOTSTRAP_SERVER_S: Final = 3.0

_RETRY_FIRST_S: Final = 0.5
_RETRY_LAST_S: Final = 8.0
"""How long the bootstrap servers are not asked after they were of no help: twice as long each time."""

_AskKnownBrokers = Callable[[ClusterMetadata, Collection[str]], Awaitable[bool]]

log = structlog.get_logger(__name__)


def follow_bootstrap_servers(client: AIOKafkaClient, kafka: Kafka) -> None:
    """Let a client ask the bootstrap servers whenever none of the brokers that it knows answers."""
    client._metadata_update = _MetadataUpdate(client._metadata_update, kafka)


class _MetadataUpdate:
    """Replaces the client's own request for metadata.

    It must not raise: the client would never ask again.
    """

    def __init__(self, ask_known_brokers: _AskKnownBrokers, kafka: Kafka) -> None:
        self._ask_known_brokers = ask_known_brokers
        self._kafka = kafka
        self._retry_wait = RetryWait(_RETRY_FIRST_S, _RETRY_LAST_S)
        self._retry_at_monotonic_s = 0.0

    async def __call__(self, cluster: ClusterMetadata, topics: Collection[str]) -> bool:
        """Learn the metadata of the topics, of all without any; return whether a broker answered."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_KNOWN_BROKERS_S):
                if await self._ask_known_brokers(cluster, topics):
                    self._retry_wait.reset()
                    return True
        if time.monotonic() < self._retry_at_monotonic_s:
            return False
        try:
            request = MetadataRequest(list(topics) if topics else None, allow_auto_topic_creation=False)
            if await self._ask_bootstrap_servers(cluster, request):
                return True
        except ConfigError as error:  # certificates that are being replaced; they are read anew the next time
            log.warning("kafka.bootstrap_failed", detail=str(error))
        self._retry_at_monotonic_s = time.monotonic() + self._retry_wait.next_s()
        return False

    async def _ask_bootstrap_servers(self, cluster: ClusterMetadata, request: MetadataRequest) -> bool:
        options = client_options(self._kafka)
        for host, port, _ in collect_hosts(options.pop("bootstrap_servers")):
            try:
                async with asyncio.timeout(_BOOTSTRAP_SERVER_S):
                    metadata = await _read_metadata(host, port, request, options)
            except NO_ANSWER:
                continue
            if metadata.brokers:
                cluster.update_metadata(metadata)
                log.warning("kafka.bootstrapped_again", server=f"{host}:{port}", brokers=len(metadata.brokers))
                return True
        return False


async def _read_metadata(host: str, port: int, request: MetadataRequest, options: dict[str, Any]) -> Any:  # noqa: ANN401
    timeout_ms = int(_BOOTSTRAP_SERVER_S * 1000)
    connection = await create_connection(host, port, request_timeout_ms=timeout_ms, **options)
    try:
        return await connection.send(request)
    finally:
        connection.close()
