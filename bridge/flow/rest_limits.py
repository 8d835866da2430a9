"""The alarm for limits of the venue's REST: it lasts from a refusal for its rate until as much is asked as before."""

from bridge.contract.session import Alarm
from bridge.core.account import Account
from bridge.flow.ports import Clock, VenueRest


class RestLimitWatch:
    """Raises the alarm `rate_rejected` for a limit of REST, and clears it when as much is asked as before."""

    def __init__(self, account: Account, rest: VenueRest, clock: Clock) -> None:
        self._account = account
        self._rest = rest
        self._clock = clock
        self._slowed: set[str] = set()

    def check_limits(self) -> None:
        """Raise or clear the alarm of each limit by how much of it is used now."""
        slowed, now = set(self._rest.slowed_limits), self._clock()
        if slowed == self._slowed:
            return
        for limit in slowed - self._slowed:
            detail = f"{limit} was refused for its rate; half as much is asked at once, and more while none is refused"
            self._account.raise_alarm(Alarm.RATE_REJECTED, detail, now, limit)
        for limit in self._slowed - slowed:
            detail = f"{limit} has its whole limit again; none was refused for its rate of late"
            self._account.clear_alarm(Alarm.RATE_REJECTED, detail, now, limit)
        self._slowed = slowed
