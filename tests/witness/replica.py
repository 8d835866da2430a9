"""A replica of the bridge as a process of its own: to be killed, frozen, and asked for what it logged."""

import asyncio
import contextlib
import json
import signal
from typing import Any

from tests.witness.child_process import send_signal
from tests.witness.waiting import DEADLINE_S, until


class Replica:
    """One process, and its log as it comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        # Always read: a full pipe would stop the process.
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            with contextlib.suppress(ValueError):
                self.lines.append(json.loads(line))

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one event."""
        return [line for line in self.lines if line["event"] == event]

    async def until(self, event: str, times: int = 1, deadline_s: float = DEADLINE_S) -> None:
        """Wait until an event has been logged so often."""
        await until(lambda: len(self.logged(event)) >= times, deadline_s, f"{event} of process {self.process.pid}")

    def freeze(self) -> None:
        """Stop its clockwork (SIGSTOP): sockets stay open, nothing moves."""
        send_signal(self.process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        send_signal(self.process, signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        send_signal(self.process, signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end in good order (SIGTERM)."""
        send_signal(self.process, signal.SIGTERM)

    async def ended(self) -> int:
        """Wait for its end; return the exit code."""
        return await self.process.wait()

    async def close(self) -> None:
        """Read no more."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
