"""Which endpoint the next session is sought at, and when the preferred one has earned its return.

EndpointSelector are numbers here: their places in the list, which is in order of preference. Not here: how long to wait
between attempts, and the spacing of logins.

Each endpoint in its turn gets two attempts and its share of `failover_after_s`, so that all of them have been tried
when that is over. A venue that answers but does not want the key is the same everywhere: that moves nothing. But an
endpoint that was gone back to, and refuses the key that another one has just taken, is left at once, and gone back to
ever more seldom: a probe does not log in, so it cannot tell.
"""

import math
from typing import Final

from bridge.core.now import Now

ATTEMPTS_MAX: Final = 2
"""Failures in a row, after which the next endpoint is tried."""
_DOUBLINGS_MAX: Final = 5
"""The time between two returns grows to 32 times what is set: 8 h with the default of 15 minutes."""
PROBES: Final = 10
"""How often the preferred endpoint is probed in the time that it has to answer for."""


class EndpointSelector:
    """Decides for the sessions of one account, in all terms of this process. Begins at the preferred endpoint."""

    def __init__(
        self, count: int, *, failover_after_s: float, failback_stable_s: float, failback_period_s: float
    ) -> None:
        self.current = 0
        self.probe_period_s: Final = failback_stable_s / PROBES
        self._count = count
        self._failover_after_s = failover_after_s
        self._turn_s = failover_after_s / count if count > 1 else math.inf
        self._turn_began: float | None = None
        self._failures = 0
        self._stable_s = failback_stable_s
        self._period_s = failback_period_s
        self._failed_back_at = -math.inf
        self._is_returning = False
        self._returns_refused = 0
        self._good_since: float | None = None
        self._probed_at = -math.inf
        self._free_at = [-math.inf] * count

    def resume(self) -> None:
        """Begin to seek a session after there was none for a while: the turn begins with the first attempt."""
        self._turn_began = None

    @property
    def free_at(self) -> float:
        """From when on an attempt at `current` is wanted there, on the clock that never steps."""
        return self._free_at[self.current]

    def hold_off(self, time_s: float, now: Now) -> None:
        """Take in that `current` wants no further attempt for so long."""
        self._free_at[self.current] = now.boot_s + time_s

    def attempt(self, now: Now) -> float:
        """Begin an attempt at `current`, which a turn that is over has moved on; return when to give it up."""
        if self._turn_began is not None and now.boot_s >= self._turn_began + self._turn_s:
            self._move(now)
        if self._turn_began is None:
            self._turn_began = now.boot_s
        return self._turn_began + self._turn_s

    def failed(self, now: Now) -> bool:
        """Take in that an attempt failed. Returns whether that moved `current`."""
        self._failures += 1
        over = self._turn_began is not None and now.boot_s >= self._turn_began + self._turn_s
        return (over or self._failures >= ATTEMPTS_MAX) and self._move(now)

    def refused(self) -> None:
        """Take in that the endpoint answered, and refused the login for the key's sake: it is well."""
        self._failures = 0
        self.resume()

    @property
    def is_returning(self) -> bool:
        """Whether the preferred endpoint was gone back to, and no login was accepted there since."""
        return self._is_returning

    @property
    def next_return_s(self) -> float:
        """How long after a return that is refused now the next is made at the earliest; it doubles with each."""
        return self._return_after_s(self._returns_refused + 1)

    def return_refused(self, now: Now) -> bool:
        """Take in that a login was refused. Returns whether that moved `current`, because it had been gone back to."""
        if not self._is_returning:
            return False
        self._returns_refused += 1
        return self._move(now)

    def _return_after_s(self, refused: int) -> float:
        return self._period_s * 2.0 ** min(refused, _DOUBLINGS_MAX)

    def lost(self, lived_s: float, now: Now) -> None:
        """Take in that a session ended. One that did not live for `failover_after_s` is no better than a failure."""
        if self._is_returning:
            self._is_returning, self._returns_refused = False, 0
        self._turn_began = now.boot_s
        self._failures = self._failures + 1 if lived_s < self._failover_after_s else 0
        if self._failures >= ATTEMPTS_MAX:
            self._move(now)

    def probed(self, asked: Now, now: Now, *, good: bool) -> bool:
        """Take in what a probe of the preferred endpoint has answered. Returns whether to go back to it now.

        When nobody asked for too long, as while the machine slept, the probes say nothing about the time between them.
        """
        unbroken = asked.boot_s - self._probed_at <= 2 * self.probe_period_s
        self._probed_at = now.boot_s
        if not good:
            self._good_since = None
        elif self._good_since is None or not unbroken:
            self._good_since = now.boot_s
        return (
            self._good_since is not None
            and now.boot_s - self._good_since >= self._stable_s
            and now.boot_s - self._failed_back_at >= self._return_after_s(self._returns_refused)
        )

    def fail_back(self, now: Now) -> None:
        """Go back to the preferred endpoint: the session at the other one was ended for it."""
        self.current = 0
        self._is_returning = True
        self._failures = 0
        self._turn_began = self._failed_back_at = now.boot_s

    def _move(self, now: Now) -> bool:
        """Go to the next endpoint, round the list. Returns whether there is another."""
        self._is_returning = False
        self._failures = 0
        self._turn_began = now.boot_s
        self._good_since = None
        self.current = (self.current + 1) % self._count
        return self._count > 1
