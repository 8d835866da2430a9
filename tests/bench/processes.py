"""The processes that are measured: how they are started and ended, and what they have used."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from bridge.sandbox.child_process import LOG, ChildProcess
from tests.witness.child_process import ROOT, Conversation, end, start_module

START_DEADLINE_S: Final = 120.0
_END_DEADLINE_S: Final = 10.0
_LOOK_S: Final = 0.05
_LOG_LINES_SHOWN: Final = 20
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class BenchFailed(Exception):
    """What the bench waited for did not come, or came otherwise than it must; the text says what."""


@asynccontextmanager
async def deadline(seconds: float, what: str) -> AsyncIterator[None]:
    """Bound a wait. Raises BenchFailed, which names what was waited for, where it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise BenchFailed(f"waited {seconds:g} s in vain for {what}") from None


class Process:
    """One running process, by its id."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_s(self) -> float:
        """Return the processor time that all of its threads have used so far, in user and system mode."""
        # The name, in brackets, may hold spaces.
        fields = self._read("stat").rpartition(")")[2].split()
        if fields[0] == "Z":
            raise BenchFailed(f"process {self.pid} has ended before its time")
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def memory_mib(self) -> tuple[float, float]:
        """Return what it has in memory now, and the most that it ever had."""
        lines = dict(line.split(":", 1) for line in self._read("status").splitlines() if ":" in line)
        now, most = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return now, most

    def loop_name(self) -> str:
        """Return which event loop it has loaded."""
        return "uvloop" if "/uvloop/" in self._read("maps") else "asyncio"

    def _read(self, name: str) -> str:
        try:
            return Path(f"/proc/{self.pid}/{name}").read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise BenchFailed(f"process {self.pid} has ended before its time") from error


class Daemon(Process):
    """`ltp-bridge run`, with its log in a file."""

    def __init__(self, child: ChildProcess, pid: int) -> None:
        super().__init__(pid)
        self._child = child

    def kill(self) -> None:
        """End it without any warning."""
        os.kill(self.pid, signal.SIGKILL)

    def count_logged(self, event: str) -> int:
        """Return how many lines of its log are of an event."""
        return (self._child.folder / LOG).read_bytes().count(f'"{event}"'.encode())

    async def wait_until_logged(self, event: str, times: int) -> None:
        """Return once an event was logged so often. Raises BenchFailed with the end of the log."""
        try:
            async with deadline(START_DEADLINE_S, f"{times} times {event} in the daemon's log"):
                while self.count_logged(event) < times:
                    await self._require_running()
                    await asyncio.sleep(_LOOK_S)
        except BenchFailed as error:
            error.add_note("\n".join(self._child.read_log().splitlines()[-_LOG_LINES_SHOWN:]))
            raise

    async def _require_running(self) -> None:
        if (code := await self._child.poll()) is not None:
            raise BenchFailed(f"the daemon ended with code {code} before it was ready")


@asynccontextmanager
async def run_daemon(config: Path) -> AsyncIterator[Daemon]:
    """Run the daemon as its command line does; it is killed at the end of the block, and if this process ends."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = await ChildProcess.open("ltp-bridge-bench-", environ=environ)
    try:
        pid = await child.start([sys.executable, "-m", "bridge", "run", "--config", str(config)])
        yield Daemon(child, pid)
    finally:
        await child.close()


class Helper(Process):
    """A process of the bench that takes orders: the venue, or a floor."""

    def __init__(self, conversation: Conversation, name: str) -> None:
        super().__init__(conversation.process.pid)
        self._conversation = conversation
        self._name = name
        self._orders = 0

    async def ask(self, order: str, deadline_s: float = START_DEADLINE_S, **facts: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return the answer to an order. Raises BenchFailed where none comes."""
        try:
            async with deadline(deadline_s, f"the {self._name}'s answer to the order {order}"):
                self._orders += 1
                number, answer = await self._conversation.ask({"order": order, "number": self._orders, **facts})
                while number != self._orders:  # of an order whose answer nobody waited for any more
                    number, answer = await self._conversation.hear()
                return answer
        except (RuntimeError, OSError) as error:
            raise BenchFailed(f"the {self._name} ended before it answered the order {order}") from error

    async def hear(self) -> Any:  # noqa: ANN401 - any JSON
        """Return what it tells unasked. Raises BenchFailed where nothing comes."""
        try:
            async with deadline(START_DEADLINE_S, f"the first word of the {self._name}"):
                return await self._conversation.hear()
        except RuntimeError as error:
            raise BenchFailed(f"the {self._name} ended at once") from error


@asynccontextmanager
async def run_helper(module: str, argument: object) -> AsyncIterator[Helper]:
    """Run a module of the bench; it ends with the block, and with its input if this process ends."""
    process = await start_module(f"tests.bench.{module}", json.dumps(argument), stdin=asyncio.subprocess.PIPE)
    try:
        yield Helper(Conversation(process), module.replace("_", " "))
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await end(process, signal.SIGTERM, _END_DEADLINE_S)
