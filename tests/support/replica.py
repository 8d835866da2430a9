"""Replicas of the bridge as processes of their own: to be killed, frozen, and asked for what they logged."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from typing import Any

from tests.support.rig import DEADLINE_S, Rig, until

_LINES_SHOWN = 60


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
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self.process.kill()

    def stop(self) -> None:
        """Ask it to end in good order (SIGTERM)."""
        self.process.terminate()

    async def ended(self) -> int:
        """Wait for its end; return the exit code."""
        return await self.process.wait()

    async def close(self) -> None:
        """Read no more."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@contextlib.asynccontextmanager
async def replica(rig: Rig, **changes: Any) -> AsyncIterator[Replica]:  # noqa: ANN401 - sections of the settings
    """Run one more replica; it is killed at the end of the block if it still runs."""
    async with rig.daemon_process(**changes) as process:
        running = Replica(process)
        try:
            yield running
        except AssertionError:
            for line in running.lines[-_LINES_SHOWN:]:
                print(json.dumps(line))  # noqa: T201 - what it logged tells why
            raise
        finally:
            await running.close()


@contextlib.asynccontextmanager
async def owner_and_standby(
    rig: Rig,
    *,
    owner_kafka: dict[str, Any] | None = None,
    **changes: Any,  # noqa: ANN401 - as above
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Run two replicas: the first owns the account and trades, the second waits in the group.

    `owner_kafka` is the first one's way to the broker, where that is another.
    """
    of_owner = {"kafka": owner_kafka} if owner_kafka is not None else {}
    async with replica(rig, **changes, **of_owner) as owner:
        await owner.until("recovery.complete")
        async with replica(rig, **changes) as standby:
            await standby.until("account.standby")
            yield owner, standby
