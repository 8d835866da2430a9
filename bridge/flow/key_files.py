"""Watches the files of the API key: an alarm lasts while one cannot be used. The key before it is used meanwhile."""

from bridge.contract.session import Alarm
from bridge.core.account import Account
from bridge.flow.ports import Clock, VenueRest


class KeyFileWatch:
    """Raises the alarm `key_unusable`, and clears it when the files have been mended."""

    def __init__(self, account: Account, rest: VenueRest, clock: Clock) -> None:
        self._account = account
        self._rest = rest
        self._clock = clock

    def check_files(self) -> None:
        """Raise or clear the alarm, by whether the files can be used now."""
        problem = self._rest.key_problem
        if problem is not None:
            detail = f"{problem}; until then the key that was last usable is used"
            self._account.raise_alarm(Alarm.KEY_UNUSABLE, detail, self._clock())
        else:
            self._account.clear_alarm(Alarm.KEY_UNUSABLE, "the files of the key can be used again", self._clock())
