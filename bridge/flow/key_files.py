"""Watching the files of the key: while one cannot be used, the key that was last usable is, and an alarm says so."""

import asyncio

import structlog

from bridge.contract.session import Alarm
from bridge.core.account import Account
from bridge.flow.ports import Clock, VenueRest

_log = structlog.get_logger()
_LOOK_S = 1.0


class KeyFileWatch:
    """Raises the alarm `key_unusable`, and clears it when the files have been mended."""

    def __init__(self, name: str, account: Account, rest: VenueRest, clock: Clock) -> None:
        self._account = account
        self._rest = rest
        self._clock = clock
        self._log = _log.bind(account=name)

    async def run(self) -> None:
        """Look at the files every second until cancelled."""
        while True:
            self.look_at_files()
            await asyncio.sleep(_LOOK_S)

    def look_at_files(self) -> None:
        """Raise or clear the alarm by what the files hold now."""
        problem, alarms = self._rest.key_problem, self._account.alarms
        if problem is not None:
            detail = f"{problem}; until then the key that was last usable is used"
            if alarms.raise_alarm(Alarm.KEY_UNUSABLE, detail, self._clock()):
                self._log.error("key.unusable", detail=detail)
        elif alarms.clear_alarm(Alarm.KEY_UNUSABLE, "the files of the key can be used again", self._clock()):
            self._log.info("key.usable_again")
