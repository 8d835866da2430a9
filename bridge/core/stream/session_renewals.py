"""How often a session is renewed because the venue's REST knows of pushes that never came."""

from math import inf
from typing import Final

from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.now import Now

_RENEWALS_MAX: Final = 3
_RENEWALS_S: Final = 3600.0
"""So often, in such a time, a session is ended because pushes were missed."""


class SessionRenewals:
    """Counts the renewals of one term; an alarm lasts while renewing has not helped."""

    def __init__(self, alarms: ActiveAlarms) -> None:
        self._alarms = alarms
        self._renewed_boot_s: list[float] = []
        self._missed_boot_s = -inf

    def pushes_missed(self, missing: str, now: Now) -> bool:
        """Return whether to renew the session; False, and an alarm, where that has not helped often enough."""
        self._missed_boot_s = now.boot_s
        self._renewed_boot_s = [at for at in self._renewed_boot_s if now.boot_s - at < _RENEWALS_S]
        if len(self._renewed_boot_s) < _RENEWALS_MAX:
            self._renewed_boot_s.append(now.boot_s)
            return True
        self._alarms.raise_alarm(Alarm.AUDIT_DISAGREES, missing, now)
        return False

    def nothing_missed(self, now: Now) -> None:
        """Note an audit that has not found missed pushes: the alarm ends after an hour of them."""
        if now.boot_s - self._missed_boot_s >= _RENEWALS_S:
            text = f"for {_RENEWALS_S / 3600:g} h REST has told nothing that was not pushed"
            self._alarms.clear_alarm(Alarm.AUDIT_DISAGREES, text, now)
