"""Between which times a command that was written, or may have been, can be carried out at the venue."""

from bridge.core.clocks import Clocks
from bridge.core.commands.command import ADDS_RISK, TrackedCommand


class CommandTimes:
    """The earliest and the latest time for each command of one term."""

    def __init__(self, clocks: Clocks, late_landing_s: float) -> None:
        self._clocks = clocks
        self._late_landing_s = late_landing_s

    def since_ms(self, command: TrackedCommand) -> int:
        """Return the earliest time of the venue, Unix ms, at which a command can have been carried out."""
        return self._clocks.happened_since_ms(command.first_written_boot_s, command.timestamp_ms)

    def lands_until_boot_s(self, command: TrackedCommand) -> float:
        """Return the time from which on a command can no longer land.

        One that the venue says has failed cannot land any more: only REST has to catch up.
        """
        landed_boot_s = command.last_write_boot_s + self._late_landing_s
        if command.general_failure is None or command.action not in ADDS_RISK:
            return landed_boot_s
        return min(landed_boot_s, command.general_failure[2] + self._clocks.rest_lag_ms / 1000)
