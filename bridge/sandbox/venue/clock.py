"""The venue's time: the wall clock for stamps and signatures, the monotonic one for limits."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where the venue reads the time."""

    def wall_ms(self) -> int:
        """Return unix time in milliseconds."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that only grow."""
        ...


class SystemClock:
    """The machine's own time."""

    def wall_ms(self) -> int:
        """Return unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()


class ManualClock:
    """Time that stands still until it is moved, so that a test of a minute takes no minute."""

    def __init__(self, wall_ms: int | None = None) -> None:
        self._wall_ms = float(wall_ms if wall_ms is not None else SystemClock().wall_ms())
        self._monotonic_s = 0.0

    def wall_ms(self) -> int:
        """Return unix time in milliseconds."""
        return int(self._wall_ms)

    def monotonic_s(self) -> float:
        """Return seconds that only grow."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Move both clocks on."""
        self._wall_ms += seconds * 1000
        self._monotonic_s += seconds
