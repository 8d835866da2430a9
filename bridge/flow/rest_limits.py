"""The alarm for limits of the venue's REST: it lasts from a refusal for its rate until as much is asked as before."""

import asyncio

import structlog

from bridge.contract.session import Alarm
from bridge.core.account import Account
from bridge.flow.ports import Clock, VenueRest

_log = structlog.get_logger()
_LOOK_S = 1.0


class RestLimitWatch:
    """Raises the alarm `rate_rejected` for a limit of REST, and clears it when as much is asked as before."""

    def __init__(self, name: str, account: Account, rest: VenueRest, clock: Clock) -> None:
        self._alarms = account.alarms
        self._rest = rest
        self._clock = clock
        self._told: set[str] = set()
        self._log = _log.bind(account=name)

    async def run(self) -> None:
        """Look at the limits every second until cancelled."""
        while True:
            self.look_at_limits()
            await asyncio.sleep(_LOOK_S)

    def look_at_limits(self) -> None:
        """Raise or clear the alarm of each limit by how much of it is used now."""
        slowed, now = set(self._rest.slowed_limits), self._clock()
        if slowed == self._told:
            return
        for limit in slowed - self._told:
            told = f"{limit} was refused for its rate; half as much is asked at once, and more while none is refused"
            self._log.warning("rest.slowed", limit=limit)
            self._alarms.raise_alarm(Alarm.RATE_REJECTED, told, now, limit)
        for limit in self._told - slowed:
            self._log.info("rest.whole_again", limit=limit)
            told = f"{limit} has its whole limit again; none was refused for its rate of late"
            self._alarms.clear_alarm(Alarm.RATE_REJECTED, told, now, limit)
        self._told = slowed
