"""The common parts of all started brokers: settings, ports and the check of readiness."""

import asyncio
import contextlib
import random
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from bridge.errors import BridgeError

KAFKA_VERSION: Final = "4.3.1"
CLUSTER_ID: Final = "MkU3OEVBNTcwNTJENDM2Qg"

Progress = Callable[[str], None]
"""A function that receives the launcher's progress as text. It may be called from another thread."""

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.listener.names": "CONTROLLER",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # A killed broker can start again only after its old registration has expired.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
        "log.cleaner.dedupe.buffer.size": "2097152",
        "num.network.threads": "2",
        "num.io.threads": "2",
    }
)
"""The settings of one node with one replica of everything, and short delays for groups and restarts."""

_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST_PORT = 12_000


class BrokerError(BridgeError):
    """A broker could not be started or controlled; the text says what to do."""


def find_free_ports(count: int) -> list[int]:
    """Return `count` loopback ports on which nothing listens now.

    The ports lie below the range of the ports of outgoing connections. Otherwise a client that keeps connecting to a
    broker during its restart could get the broker's port for its own end, and would be connected to itself.
    """
    try:
        highest = int(_EPHEMERAL_RANGE.read_text().split()[0]) - 1
    except (OSError, ValueError, IndexError):
        highest = 0
    candidates = random.sample(range(_LOWEST_PORT, highest), 200) if highest > _LOWEST_PORT + 200 else []
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        for candidate in [*candidates, *[0] * count]:
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", candidate))
                ports.append(probe.getsockname()[1])
            if len(ports) == count:
                return ports
    raise BrokerError("no free port on 127.0.0.1")


def check_port_is_free(port: int, whose: str = "Kafka") -> None:
    """Raise BrokerError when a loopback port is in use; 0 means any free port."""
    with socket.socket() as probe:
        # A server may use a port whose last connections are still closing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BrokerError(f"{whose} cannot listen on port {port} of 127.0.0.1: {error.strerror}") from None


async def wait_until_answers(
    bootstrap_servers: str, *, deadline_s: float, check_still_starting: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Return once a broker answers metadata requests.

    `check_still_starting` is called between tries; it raises when the broker will never answer.
    Raises BrokerError after `deadline_s`.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + deadline_s
    trouble: BaseException | str = "no connection"
    while loop.time() < until:
        if check_still_starting is not None:
            await check_still_starting()
        try:
            async with asyncio.timeout(max(0.1, min(5.0, until - loop.time()))):
                if await _lists_a_broker(bootstrap_servers):
                    return
            trouble = "it lists no broker"
        except (KafkaError, OSError, TimeoutError) as error:
            trouble = str(error) or type(error).__name__
        await asyncio.sleep(0.1)
    raise BrokerError(f"no answer from {bootstrap_servers} within {deadline_s:.0f} s ({trouble})")


async def _lists_a_broker(bootstrap_servers: str) -> bool:
    # A plain connection first: the client library logs every refused connection as an error.
    await _connect_to_any(bootstrap_servers)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=3000)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    finally:
        await admin.close()


async def _connect_to_any(bootstrap_servers: str) -> None:
    refused: OSError = OSError("no address given")
    for address in bootstrap_servers.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except ValueError as error:
            raise BrokerError(f"{address!r} is not host:port") from error
        except OSError as error:
            refused = error
            continue
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return
    raise refused
