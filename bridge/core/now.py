"""One instant, which callers pass as an argument."""

from math import inf
from typing import NamedTuple


class Now(NamedTuple):
    """One instant on two clocks.

    `boot_s` is CLOCK_BOOTTIME in seconds, which is never set and counts suspend: every pacing, lease and expiry
    decision uses it. `wall_ms` is Unix time in ms, for what is published and for times of the venue and of callers.
    """

    boot_s: float
    wall_ms: int

    @property
    def boot_ms(self) -> int:
        """The instant on the boot clock in whole milliseconds."""
        return round(self.boot_s * 1000)

    def unix_ms(self, boot_s: float) -> int:
        """Return the Unix time of an instant by the wall clock as it is set now; 0 for minus infinity.

        Times that are kept for long are instants of the boot clock, because the wall clock may be set meanwhile.
        """
        return self.wall_ms + round((boot_s - self.boot_s) * 1000) if boot_s > -inf else 0

    def boot_s_of(self, unix_ms: int) -> float:
        """Return the instant on the boot clock of a Unix time, by the wall clock as it is set now."""
        return self.boot_s + (unix_ms - self.wall_ms) / 1000
