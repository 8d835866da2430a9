"""An event loop on which time passes when nobody has anything to do, and the clock that goes with it."""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from bridge.core.now import Now
from tests.support.one_account import START

T = TypeVar("T")


class _JumpingSelector(selectors.SelectSelector):
    """Waits for nobody: where it should, that time has passed. Tells how long the loop has worked in between."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0
        self.longest_turn_s = 0.0
        """Of the processor's time: what else the machine does is not the loop's doing."""
        self._began_s = time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.longest_turn_s = max(self.longest_turn_s, time.thread_time() - self._began_s)
        assert timeout is not None, "everybody waits for ever"
        self.passed_s += timeout
        found = super().select(0)
        self._began_s = time.thread_time()
        return found


class VirtualTime(asyncio.SelectorEventLoop):
    """The loop. Its time begins at START."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the time, in seconds."""
        return START.boot_s + self._jumping.passed_s

    def clock(self) -> Now:
        """Return the time on both clocks."""
        return Now(self.time(), START.wall_ms + int(self._jumping.passed_s * 1000))

    def pop_longest_turn_s(self) -> float:
        """Return for how long the loop has stood still at the most since the last call."""
        longest_s, self._jumping.longest_turn_s = self._jumping.longest_turn_s, 0.0
        return longest_s


def run_in_virtual_time(main: Coroutine[Any, Any, T], loop: VirtualTime) -> T:
    """Run something to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
