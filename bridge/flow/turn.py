"""How long one task may keep the event loop: heartbeats, pings and cancels need it too."""

import asyncio
from typing import Final

from bridge.flow.ports import Clock

TURN_S: Final = 0.02


class Turn:
    """The time that a task has before it should let the others run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = clock().boot_s

    @property
    def over(self) -> bool:
        """Whether the others should run now."""
        return self._clock().boot_s - self._began_s >= TURN_S

    async def rest(self) -> None:
        """Let the others run, and begin again."""
        await asyncio.sleep(0)
        self._began_s = self._clock().boot_s
