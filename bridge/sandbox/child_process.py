"""A child process in a temporary folder; both are removed when this process ends, however it ends (`reaper.py`)."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from bridge.errors import BridgeError

REAPER: Final = Path(__file__).with_name("reaper.py")
LOG: Final = "output.log"
"""As `reaper.py` names it, from which nothing is imported."""
_END_DEADLINE_S = 10.0
_LOG_BYTES_MAX = 64 * 1024


class ChildProcessFailed(BridgeError):
    """A child process could not be started, or its reaper has ended; the text says why."""


class ProcessEnd(NamedTuple):
    """The exit code of a stopped process, None if it never started, and the end of its log."""

    exit_code: int | None
    log: str


class ChildProcess:
    """One child process at a time, controlled by orders to its reaper: one order, one answer."""

    def __init__(self, reaper: Process, folder: Path, stop_deadline_s: float) -> None:
        self._reaper = reaper
        self._stop_deadline_s = stop_deadline_s
        self._ordering = asyncio.Lock()
        self.folder = folder

    @classmethod
    async def open(
        cls, folder_prefix: str, *, stop_deadline_s: float = 0.0, environ: Mapping[str, str] | None = None
    ) -> Self:
        """Start a reaper, which makes the folder.

        A process that still runs when the owner closes or ends gets SIGTERM, and SIGKILL after `stop_deadline_s`; with
        0 it gets SIGKILL at once. Raises ChildProcessFailed.
        """
        # -I and -S: the reaper needs the standard library only, and starts in a few milliseconds.
        reaper = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(REAPER)),
            *("process", str(os.getpid()), folder_prefix, str(stop_deadline_s)),
            stdin=PIPE,
            stdout=PIPE,
            env=environ,
            start_new_session=True,
        )
        assert reaper.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            first = await reaper.stdout.readline()
            return cls(reaper, Path(json.loads(first)["folder"]), stop_deadline_s)
        except BaseException as error:
            with suppress(ProcessLookupError):
                reaper.kill()
            await reaper.wait()
            if isinstance(error, json.JSONDecodeError):
                raise ChildProcessFailed("the reaper of a child process ended at once; is the disk full?") from error
            raise

    async def start(self, command: Sequence[str]) -> int:
        """Start a command in the folder and return its process id. Raises ChildProcessFailed."""
        answer = await self._give_order(start=list(command))
        return int(answer["pid"])

    async def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it still runs. Raises ChildProcessFailed."""
        await self._give_order(signal=number)

    async def poll(self) -> int | None:
        """Return the exit code of the process; None while it runs. Raises ChildProcessFailed."""
        code: int | None = (await self._give_order(poll=True))["exit"]
        return code

    async def wait(self, poll_period_s: float) -> int:
        """Wait until the process has ended and return its exit code. Raises ChildProcessFailed."""
        while (code := await self.poll()) is None:  # noqa: ASYNC110 - another process, which sets no event
            await asyncio.sleep(poll_period_s)
        return code

    def read_log(self) -> str:
        """Return the end of the output of the process, 64 KiB at most; empty if there is none."""
        try:
            with (self.folder / LOG).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_BYTES_MAX))
                return log.read().decode(errors="replace")
        except OSError:
            return ""

    async def close(self) -> ProcessEnd:
        """End the process, remove the folder and return how the process ended."""
        stdin, stdout = self._reaper.stdin, self._reaper.stdout
        assert stdin is not None  # noqa: S101 - a pipe was asked for
        assert stdout is not None  # noqa: S101 - a pipe was asked for
        async with self._ordering:
            stdin.close()
            try:
                async with asyncio.timeout(self._stop_deadline_s + _END_DEADLINE_S):
                    last = await stdout.readline()
                    await self._reaper.wait()
            except TimeoutError:
                last = b""
                self._reaper.kill()
                await self._reaper.wait()
        end = json.loads(last or b"{}")
        return ProcessEnd(end.get("exit"), end.get("log", ""))

    async def _give_order(self, **order: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
        """Give one order. Shielded: a cancelled caller must not leave its answer to the next one."""
        answer = await asyncio.shield(asyncio.ensure_future(self._ask_reaper(order)))
        if "error" in answer:
            raise ChildProcessFailed(answer["error"])
        return answer

    async def _ask_reaper(self, order: Mapping[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._reaper.stdin, self._reaper.stdout
        assert stdin is not None  # noqa: S101 - a pipe was asked for
        assert stdout is not None  # noqa: S101 - a pipe was asked for
        async with self._ordering:
            with suppress(OSError, RuntimeError):  # uvloop's error for a pipe that was closed is a RuntimeError
                stdin.write(json.dumps(order).encode() + b"\n")
                await stdin.drain()
            line = await stdout.readline()
        if not line:
            raise ChildProcessFailed("the reaper of a child process has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer
