"""The venue's clocks: the wall clock for timestamps and signatures, the monotonic clock for rate limits."""

import time
from typing import Protocol


class Clock(Protocol):
    """A source of the time for the venue."""

    def wall_ms(self) -> int:
        """Return Unix time in milliseconds."""
        ...

    def monotonic_s(self) -> float:
        """Return the seconds of a clock that never goes back."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def wall_ms(self) -> int:
        """Return Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Return the seconds of a clock that never goes back."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, wall_ms: int | None = None) -> None:
        self._wall_ms = float(wall_ms if wall_ms is not None else SystemClock().wall_ms())
        self._monotonic_s = 0.0

    def wall_ms(self) -> int:
        """Return Unix time in milliseconds."""
        return int(self._wall_ms)

    def monotonic_s(self) -> float:
        """Return the seconds of a clock that never goes back."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._wall_ms += seconds * 1000
        self._monotonic_s += seconds
