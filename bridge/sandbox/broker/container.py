"""Apache Kafka in a container of a Docker engine."""

import asyncio
import os
import socket
import sys
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Self

from bridge.sandbox.broker.cluster import (
    CLUSTER_ID,
    KAFKA_VERSION,
    SETTINGS,
    BrokerError,
    Progress,
    find_free_ports,
    wait_until_answers,
)
from bridge.sandbox.child_process import REAPER

_Container = Any  # docker's own, which publishes no types
IMAGE: Final = f"apache/kafka:{KAFKA_VERSION}"
_PROBE_TIMEOUT_S = 3
_START_DEADLINE_S = 90.0
_STOP_DEADLINE_S = 20
_END_DEADLINE_S = 30.0
_START_TRIES = 3
_LOG_TAIL_LINES = 25
_DEFAULT_HOST = "unix:///var/run/docker.sock"
_LABEL = "ltp-bridge.broker"


class ContainerBroker:
    """A broker in its own container, which a test may kill, stop, freeze and start again."""

    kind: Final = "container"

    def __init__(self, reaper: Process, container: _Container, port: int) -> None:
        self._reaper = reaper
        self._container = container
        self._port = port

    @property
    def bootstrap_servers(self) -> str:
        """The broker's only client address."""
        return f"127.0.0.1:{self._port}"

    @classmethod
    async def start(cls, progress: Progress, port: int = 0) -> Self:
        """Start a container whose broker listens on this port, or on any free one; pull the image first if needed.

        Raises BrokerError when no engine answers or the container does not come up, and ImportError
        without the `demo` extra.
        """
        await asyncio.to_thread(_check_engine)
        progress(f"starting a container of {IMAGE}; the first time, its image is pulled")
        label = uuid.uuid4().hex
        # -P: the reaper must not import the modules of its own folder.
        reaper = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(REAPER), "container", str(os.getpid()), f"{_LABEL}={label}"),
            stdin=PIPE,
            start_new_session=True,
        )
        try:
            container, taken_port = await _run_to_end(_run_container, label, port)
            broker = cls(reaper, container, taken_port)
            try:
                await broker._wait_until_answers()
            except BrokerError as error:
                raise BrokerError(f"{error}; the end of its log:\n{await broker._log_tail()}") from None
        except BaseException:
            await _end_reaper(reaper)
            raise
        return broker

    async def close(self) -> None:
        """Remove the container with its data."""
        await _end_reaper(self._reaper)

    async def kill(self) -> None:
        """End the broker as a power cut would (SIGKILL)."""
        await asyncio.to_thread(self._container.kill)
        await asyncio.to_thread(self._container.wait)

    async def stop(self) -> None:
        """Shut the broker down in order (SIGTERM, then SIGKILL after 20 s)."""
        await asyncio.to_thread(self._container.stop, timeout=_STOP_DEADLINE_S)

    async def restart(self) -> None:
        """Return once the broker runs again on the same port and data; stops it first if it still runs."""
        if await self._container_status() == "paused":
            await self.resume()
        if await self._container_status() == "running":
            await self.stop()
        await asyncio.to_thread(self._container.start)
        await self._wait_until_answers()

    async def pause(self) -> None:
        """Freeze the broker: its sockets stay open and nothing answers."""
        await asyncio.to_thread(self._container.pause)

    async def resume(self) -> None:
        """Resume a frozen broker."""
        await asyncio.to_thread(self._container.unpause)

    async def _wait_until_answers(self) -> None:
        await wait_until_answers(
            self.bootstrap_servers, deadline_s=_START_DEADLINE_S, check_still_starting=self._check_still_starting
        )

    async def _check_still_starting(self) -> None:
        status = await self._container_status()
        if status not in {"created", "running"}:
            raise BrokerError(f"the container ended while starting (it is {status})")

    async def _container_status(self) -> str:
        await asyncio.to_thread(self._container.reload)
        return str(self._container.status)

    async def _log_tail(self) -> str:
        log: bytes = await asyncio.to_thread(self._container.logs, tail=_LOG_TAIL_LINES)
        return "\n".join(f"    {line}" for line in log.decode(errors="replace").splitlines())


def _check_engine() -> None:
    """Raise BrokerError unless a Docker engine answers soon."""
    from testcontainers.core.docker_client import (  # noqa: PLC0415 - of the optional extra
        DockerClient,
        get_docker_host,
    )

    try:
        _check_socket(get_docker_host() or _DEFAULT_HOST)
        engine = DockerClient(timeout=_PROBE_TIMEOUT_S).client
        try:
            engine.ping()
        finally:
            engine.close()
    except Exception as error:  # noqa: BLE001 - after any error another kind of broker is tried
        raise BrokerError(f"no Docker engine answers: {error}") from None


def _check_socket(host: str) -> None:
    """Raise OSError when nothing listens on the engine's local socket; the library would leak a socket then."""
    scheme, _, path = host.partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_PROBE_TIMEOUT_S)
            probe.connect(path)


def _run_container(label: str, wanted_port: int) -> tuple[_Container, int]:
    """Create and start the container; try again if its port has been taken meanwhile."""
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415 - of the optional extra
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - of the optional extra

    # The reaper of this package removes the container, so the image of that library's reaper is not needed.
    testcontainers_config.ryuk_disabled = True
    for tries_left in reversed(range(_START_TRIES)):
        port = wanted_port or find_free_ports(1)[0]
        kafka = DockerContainer(IMAGE).with_kwargs(labels={_LABEL: label}).with_envs(**_container_environment(port))
        kafka.ports["9092/tcp"] = ("127.0.0.1", port)  # type: ignore[assignment] # the engine's own form
        try:
            return kafka.start().get_wrapped_container(), port
        except Exception as error:  # noqa: BLE001 - after any error another kind of broker is tried
            if not (tries_left and "address already in use" in str(error).lower()):
                raise BrokerError(f"{IMAGE} cannot be run: {error}") from None
    raise AssertionError("the last try returns or raises")


def _container_environment(port: int) -> dict[str, str]:
    settings = {
        **SETTINGS,
        "listeners": "PLAINTEXT://:9092,INSIDE://:9094,CONTROLLER://:9093",
        # The broker reaches itself by its own listener: the published port exists only outside the container.
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},INSIDE://localhost:9094",
        "inter.broker.listener.name": "INSIDE",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.voters": "1@localhost:9093",
    }
    names = {name: "KAFKA_" + name.upper().replace(".", "_") for name in settings}
    return {"CLUSTER_ID": CLUSTER_ID, **{names[name]: value for name, value in settings.items()}}


async def _run_to_end(
    step: Callable[[str, int], tuple[_Container, int]], label: str, port: int
) -> tuple[_Container, int]:
    """Run `step` in a thread to its end, also after a cancel: the reaper must find the container that it creates."""
    running = asyncio.ensure_future(asyncio.to_thread(step, label, port))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()
        raise


async def _end_reaper(reaper: Process) -> None:
    """Make the reaper remove the container, and wait for its end."""
    assert reaper.stdin is not None  # noqa: S101 - a pipe was asked for
    with suppress(OSError):
        reaper.stdin.write(b"settled\n")
        await reaper.stdin.drain()
    reaper.stdin.close()
    try:
        async with asyncio.timeout(_END_DEADLINE_S):
            await reaper.wait()
    except TimeoutError:
        reaper.kill()
        await reaper.wait()
