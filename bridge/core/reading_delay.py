"""How long a command waits on its topic before it is read, by the broker's clock; an alarm tells while that is long.

A cancel that is written now waits as long as one that was read now has waited.
"""

from typing import Final

from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.clocks import Clocks
from bridge.core.now import Now

DELAY_MAX_S: Final = 1.0
_SHORT_AGAIN_S: Final = 0.5
_BEHIND: Final = "so long do others wait as well, cancels among them, until what is before them has been read"
_RESTS: Final = (
    "nothing is read while so many commands wait for a free slot, for the lease, or for Kafka to take their answers; "
    "those that are written now, cancels among them, are read later"
)


class ReadingDelay:
    """Watches the reading of one term."""

    def __init__(self, alarms: ActiveAlarms, clocks: Clocks) -> None:
        self._alarms = alarms
        self._clocks = clocks
        self._rests_since_boot_s: float | None = None

    def record_read(self, timestamp_ms: int, now: Now) -> None:
        """Note when a record was read; what the broker's clock leaves open counts for the bridge."""
        if timestamp_ms <= 0:
            return  # it could not be read
        waited_s = now.mono - self._clocks.appended_boot_s(timestamp_ms, now)
        if waited_s > DELAY_MAX_S:
            text = f"a command was read {waited_s:.1f} s after its append; {_BEHIND}"
            self._alarms.raise_alarm(Alarm.COMMANDS_BEHIND, text, now)
        elif waited_s < _SHORT_AGAIN_S and self._rests_since_boot_s is None:
            self._alarms.clear_alarm(Alarm.COMMANDS_BEHIND, "commands are read at once again", now)

    def page_read(self, now: Now, *, left: int, rests: bool) -> None:
        """Note how many records are known to be left, and whether reading rests until something has gone."""
        if not rests:
            self._rests_since_boot_s = None
            if left <= 0:
                self._alarms.clear_alarm(Alarm.COMMANDS_BEHIND, "every command has been read", now)
            return
        if self._rests_since_boot_s is None:
            self._rests_since_boot_s = now.mono
        elif now.mono - self._rests_since_boot_s > DELAY_MAX_S:
            self._alarms.raise_alarm(Alarm.COMMANDS_BEHIND, _RESTS, now)
