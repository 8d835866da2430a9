"""Time as an argument."""

from typing import NamedTuple


class Now(NamedTuple):
    """One instant on two clocks.

    `mono` is in seconds on a clock that never steps and counts suspend; every pacing, lease and expiry decision
    uses it. `wall_ms` is Unix time in ms; it is for what is published and for what the venue and callers wrote.
    """

    mono: float
    wall_ms: int

    def deadline(self, unix_ms: int) -> float:
        """Convert a Unix time into a deadline on the clock that never steps."""
        return self.mono + (unix_ms - self.wall_ms) / 1000
