"""What a signal means to a run that has started processes: nothing of them may stay behind."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from enum import Enum, auto


class RunPhase(Enum):
    """How far a run has come."""

    SETTING_UP = auto()
    RUNNING = auto()
    ENDING = auto()
    TAKING_DOWN = auto()


class Interruption:
    """What Ctrl-C, SIGTERM and a closed terminal mean: end in good order, asked twice end now, never leave half-way."""

    def __init__(self, task: asyncio.Task[object]) -> None:
        self.stop_requested = asyncio.Event()
        self.phase = RunPhase.SETTING_UP
        self._task = task
        self._cancelled = False

    def __call__(self) -> None:
        """Take a signal."""
        if self.phase is RunPhase.RUNNING and not self.stop_requested.is_set():
            self.stop_requested.set()
        elif self.phase is not RunPhase.TAKING_DOWN and not self._cancelled:
            self._cancelled = True
            self._task.cancel()


@contextlib.contextmanager
def interruptible() -> Iterator[Interruption]:
    """Take SIGINT, SIGTERM and SIGHUP for the length of the block, on behalf of the task that enters it."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - only coroutines come here
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
