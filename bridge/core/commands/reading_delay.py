"""How long a command waits on its topic before it is read; an alarm tells while that is long.

A cancel that is written now waits as long as one that was read now has waited.
"""

from typing import Final

from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.clocks import Clocks
from bridge.core.now import Now

DELAY_MAX_S: Final = 1.0
_BEHIND: Final = "so long do others wait as well, cancels among them, until what is before them has been read"
_UNREAD: Final = (
    "not all commands that were on the topic a second ago have been read; "
    "those that are written now, cancels among them, wait until they have been"
)
_RESTS: Final = (
    "nothing is read while so many commands wait for a free slot, for the lease, or for Kafka to take their answers; "
    "those that are written now, cancels among them, are read later"
)


class ReadingDelay:
    """Watches the reading of one takeover or term."""

    def __init__(self, alarms: ActiveAlarms, clocks: Clocks) -> None:
        self._alarms = alarms
        self._clocks = clocks
        self._rests_since_boot_s: float | None = None
        self._known_end = 0
        """What was there, of all that there is, at `_known_boot_s`, and was not read then."""
        self._known_boot_s = 0.0

    def record_read(self, timestamp_ms: int, now: Now) -> None:
        """Note when a record was read, by the broker's clock; what that leaves open counts for the bridge."""
        if timestamp_ms <= 0:
            return  # it could not be read
        waited_s = now.boot_s - self._clocks.appended_boot_s(timestamp_ms, now)
        if waited_s > DELAY_MAX_S:
            text = f"a command was read {waited_s:.1f} s after its append; {_BEHIND}"
            self._alarms.raise_alarm(Alarm.COMMANDS_BEHIND, text, now)

    def position_reached(self, position: int, end: int, now: Now, *, is_paused: bool = False) -> None:
        """Note the offset to read next, the topic's end as far as it is known, and whether reading rests.

        It asks no clock but ours: what was there a second ago and has not been read has waited for a second.
        """
        if is_paused:
            self._note_rest(now)
            return
        self._rests_since_boot_s = None
        if position >= end:
            self._alarms.clear_alarm(Alarm.COMMANDS_BEHIND, "every command has been read", now)
        if position >= self._known_end:
            self._known_end, self._known_boot_s = end, now.boot_s
        elif now.boot_s - self._known_boot_s > DELAY_MAX_S:
            self._alarms.raise_alarm(Alarm.COMMANDS_BEHIND, _UNREAD, now)

    def _note_rest(self, now: Now) -> None:
        if self._rests_since_boot_s is None:
            self._rests_since_boot_s = now.boot_s
        elif now.boot_s - self._rests_since_boot_s > DELAY_MAX_S:
            self._alarms.raise_alarm(Alarm.COMMANDS_BEHIND, _RESTS, now)
