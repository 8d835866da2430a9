"""Sweeps that the venue does not answer: an alarm lasts from when they have failed for long to the next success."""

from math import inf
from typing import Final

from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.now import Now

_STALLED_S: Final = 120.0
"""So long sweeps may fail before the alarm is raised."""


class SweepFailures:
    """Counts for how long the sweeps of one term have failed."""

    def __init__(self, alarms: ActiveAlarms) -> None:
        self._alarms = alarms
        self._failing_since_boot_s = inf

    def sweep_failed(self, why: str, now: Now, *, is_lasting: bool) -> None:
        """Note that a sweep failed; `is_lasting`: so will the next, until a person does something about it."""
        self._failing_since_boot_s = min(self._failing_since_boot_s, now.boot_s)
        if is_lasting or now.boot_s - self._failing_since_boot_s >= _STALLED_S:
            self._alarms.raise_alarm(Alarm.RECOVERY_STALLED, why, now)

    def sweep_succeeded(self, now: Now) -> None:
        """Note that a sweep was answered."""
        self._failing_since_boot_s = inf
        text = "the venue has answered every question of a sweep"
        self._alarms.clear_alarm(Alarm.RECOVERY_STALLED, text, now)
