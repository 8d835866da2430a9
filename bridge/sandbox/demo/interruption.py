"""The handling of signals by a run, which must end every process that it has started."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from enum import Enum, auto


class RunPhase(Enum):
    """The phase of a run."""

    SETTING_UP = auto()
    RUNNING = auto()
    ENDING = auto()
    TAKING_DOWN = auto()


class Interruption:
    """Handles SIGINT, SIGTERM and SIGHUP: the first ends a run in order, the second cancels it.

    Before the run a signal cancels at once; while everything is taken down, signals are ignored.
    """

    def __init__(self, task: asyncio.Task[object]) -> None:
        self.stop_requested = asyncio.Event()
        self.phase = RunPhase.SETTING_UP
        self._task = task
        self._cancelled = False

    def __call__(self) -> None:
        """Handle one signal."""
        if self.phase is RunPhase.RUNNING and not self.stop_requested.is_set():
            self.stop_requested.set()
        elif self.phase is not RunPhase.TAKING_DOWN and not self._cancelled:
            self._cancelled = True
            self._task.cancel()


@contextlib.contextmanager
def handle_signals() -> Iterator[Interruption]:
    """Handle SIGINT, SIGTERM and SIGHUP for the length of the block, for the task that enters it."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - called by coroutines only
    interruption = Interruption(task)
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, interruption)
    try:
        yield interruption
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
