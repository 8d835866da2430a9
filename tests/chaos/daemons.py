"""The daemon's processes: one that owns the account, in some runs one that stands by, and those that have ended."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from tests.witness.replica import Replica

Start = Callable[[], contextlib.AbstractAsyncContextManager[Replica]]


class Daemons:
    """Starts and ends them. There are always as many as were asked for, but between an end and a start."""

    def __init__(self, start: Start, stop_s: float) -> None:
        self._start = start
        self._stop_s = stop_s
        self._lives: dict[Replica, contextlib.AsyncExitStack] = {}
        self._all: list[Replica] = []

    async def start(self) -> None:
        """Start one more."""
        life = contextlib.AsyncExitStack()
        daemon = await life.enter_async_context(self._start())
        self._lives[daemon] = life
        self._all.append(daemon)

    @property
    def owner(self) -> Replica:
        """The one that owns the account, as far as its log tells; else the oldest."""
        return max(
            self._lives, key=lambda daemon: max((one["epoch"] for one in daemon.logged("account.owned")), default=0)
        )

    async def kill(self) -> None:
        """End the owner as a power cut would."""
        owner = self.owner
        owner.kill()
        await self._ended(owner)

    async def stop(self, daemon: Replica | None = None) -> None:
        """End the owner, or another one, in good order."""
        daemon = daemon or self.owner
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._stop_s):
                daemon.stop()
                await daemon.ended()
        await self._ended(daemon)

    async def _ended(self, daemon: Replica) -> None:
        await self._lives.pop(daemon).aclose()

    async def close(self) -> None:
        """End them all in good order."""
        await asyncio.gather(*(self.stop(daemon) for daemon in list(self._lives)))

    def write_logs(self, folder: Path) -> None:
        """Keep what each of them logged."""
        for number, daemon in enumerate(self._all, 1):
            lines = "".join(json.dumps(line) + "\n" for line in daemon.lines)
            (folder / f"daemon-{number}.log").write_text(lines)
