"""The alarm for commands that wait too long on their topic before they are read.

A cancel that is produced now will wait about as long as the one that is read now has waited.
"""

from typing import Final

from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.clocks import Clocks
from bridge.core.now import Now

DELAY_MAX_S: Final = 1.0
_OTHERS_WAIT: Final = "so long do others wait as well, cancels among them, until what is before them has been read"
_UNREAD: Final = (
    "not all commands that were on the topic a second ago have been read; "
    "those that are written now, cancels among them, wait until they have been"
)
_PAUSED: Final = (
    "nothing is read while so many commands wait for a free slot, for the lease, or for Kafka to take their answers; "
    "those that are written now, cancels among them, are read later"
)


class ReadingDelay:
    """Raises and clears the alarm during one takeover or term."""

    def __init__(self, alarms: ActiveAlarms, clocks: Clocks) -> None:
        self._alarms = alarms
        self._clocks = clocks
        self._paused_since_boot_s: float | None = None
        self._known_end = 0
        """The end of the topic at `_known_boot_s`; what is below it was not all read then."""
        self._known_boot_s = 0.0

    def record_read(self, timestamp_ms: int, now: Now) -> None:
        """Raise the alarm if a record is read late by the broker's clock; an uncertain clock raises none."""
        if timestamp_ms <= 0:
            return  # an unreadable record has no timestamp
        waited_s = now.boot_s - self._clocks.appended_boot_s(timestamp_ms, now)
        if waited_s > DELAY_MAX_S:
            text = f"a command was read {waited_s:.1f} s after its append; {_OTHERS_WAIT}"
            self._alarms.raise_alarm(Alarm.COMMANDS_BEHIND, text, now)

    def position_reached(self, position: int, end: int, now: Now, *, is_paused: bool = False) -> None:
        """Note the offset to read next, the topic's end as far as it is known, and whether reading is paused.

        This uses no clock but the boot clock: what was on the topic a second ago and is unread has waited a second.
        """
        if is_paused:
            self._check_pause(now)
            return
        self._paused_since_boot_s = None
        if position >= end:
            self._alarms.clear_alarm(Alarm.COMMANDS_BEHIND, "every command has been read", now)
        if position >= self._known_end:
            self._known_end, self._known_boot_s = end, now.boot_s
        elif now.boot_s - self._known_boot_s > DELAY_MAX_S:
            self._alarms.raise_alarm(Alarm.COMMANDS_BEHIND, _UNREAD, now)

    def _check_pause(self, now: Now) -> None:
        if self._paused_since_boot_s is None:
            self._paused_since_boot_s = now.boot_s
        elif now.boot_s - self._paused_since_boot_s > DELAY_MAX_S:
            self._alarms.raise_alarm(Alarm.COMMANDS_BEHIND, _PAUSED, now)
