"""Time as an argument."""

from math import inf
from typing import NamedTuple


class Now(NamedTuple):
    """One instant on two clocks.

    `mono` is in seconds on a clock that never steps and counts suspend; every pacing, lease and expiry decision
    uses it. `wall_ms` is Unix time in ms; it is for what is published and for what the venue and callers wrote.
    """

    boot_s: float
    wall_ms: int

    @property
    def boot_ms(self) -> int:
        """The instant in whole milliseconds on the clock that never steps."""
        return round(self.boot_s * 1000)

    def unix_ms(self, boot_s: float) -> int:
        """Convert an instant into Unix time by the wall clock as it is set now; 0 for one before all time.

        What is kept for longer than a moment is kept as an instant: a wall clock may be set in between.
        """
        return self.wall_ms + round((boot_s - self.boot_s) * 1000) if boot_s > -inf else 0

    def boot_s_of(self, unix_ms: int) -> float:
        """Convert a Unix time into a deadline on the clock that never steps."""
        return self.boot_s + (unix_ms - self.wall_ms) / 1000
