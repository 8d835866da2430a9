"""Audits: sweeps while no gap is open. They show whether every push has come, and up to when that is sure.

A record that was not pushed is missing if it is older than REST may lag, and if the next audit finds it missing too.
What has no time, such as the end of a position, must be found for as long as REST may lag, with nothing pushed about it
in between; so must a state that changes all the time.

Then the session is renewed, and its gap begins where the last clean audit ended. A venue whose REST and stream disagree
for good must not end sessions for ever: after three renewals in an hour the gap is opened and closed on the session
that is there (session_renewals.py).

Each clean audit confirms that no push is missing up to a time, `audited_ms`. While audits fail, that time stands still.
Then the commit says that events are durable up to `audited_ms` + `detection_ms` + 30 s at the latest (`sure_until_ms`),
although the session is alive: a new owner asks REST for everything since then.
"""

from math import inf
from typing import Final, NamedTuple

from bridge.config import Timing
from bridge.core.now import Now
from bridge.core.stream.sweep import Sweep, name_some

_LATE_MS: Final = 30_000
"""An audit may be late by so much, for the venue's own limits."""


class _Finding(NamedTuple):
    """When the audit began that first found something missing, and the audit before it."""

    since_boot_s: float
    before_boot_s: float


class Audits:
    """What the audits of one term have found missing, and up to when nothing is missing."""

    def __init__(self, timing: Timing) -> None:
        self._rest_lag_s = timing.rest_lag_s
        self.detection_ms = int((timing.audit_period_s + 2 * timing.rest_lag_s) * 1000)
        """The longest time after which audits find a push missing; an earlier owner would have found it by then."""
        self._missing: dict[str, _Finding] = {}
        """What the last audit has found."""
        self._last_boot_s = -inf
        self._audited_boot_s = -inf

    @property
    def have_begun(self) -> bool:
        """Whether the gaps of this term were closed once."""
        return self._audited_boot_s > -inf

    def audited_ms(self, now: Now) -> int:
        """Return the time up to which nothing is missing, Unix ms; 0 before the first audit."""
        return now.unix_ms(self._audited_boot_s)

    def sure_until_ms(self, live_until_ms: int, now: Now) -> int:
        """Return the latest time that a commit may name as durable; `live_until_ms` before the first audit.

        While audits succeed, `audited_ms` is at most `detection_ms` + `_LATE_MS` old. A later time is not confirmed.
        """
        audited_ms = self.audited_ms(now)
        return audited_ms + self.detection_ms + _LATE_MS if audited_ms else live_until_ms

    def begin(self, login_boot_s: float) -> None:
        """Begin after the gaps were closed: the sweeps have asked for everything from before the login."""
        self._audited_boot_s = self._last_boot_s = login_boot_s

    def logged_in(self) -> None:
        """Forget what was found: a sweep recovers it."""
        self._missing = {}

    def confirm_missing(self, sweep: Sweep) -> bool:
        """Return whether an audit that has ended confirms that pushes are missing.

        A record of `sweep.missing` is confirmed if the audit before found it, too. A record of `sweep.undated` is
        confirmed if every audit for `rest_lag_s` found it. If none is confirmed and `sweep.missing` is empty, the time
        up to which no push is missing moves on.
        """
        began_boot_s, seen = sweep.began.boot_s, self._missing
        first = _Finding(began_boot_s, self._last_boot_s)
        self._missing = {name: seen.get(name, first) for name in sweep.missing | sweep.undated}
        self._last_boot_s = began_boot_s
        confirmed = sweep.missing & seen.keys()
        undated = sweep.undated & seen.keys()
        confirmed |= {name for name in undated if seen[name].since_boot_s <= began_boot_s - self._rest_lag_s}
        if confirmed:
            self._missing = {name: self._missing[name] for name in confirmed}
        elif not sweep.missing:
            # What this audit was the first to find may have been missing since the audit before it.
            earliest_boot_s = min([began_boot_s, *(found.before_boot_s for found in self._missing.values())])
            self._audited_boot_s = max(earliest_boot_s - self._rest_lag_s, self._audited_boot_s)
        return bool(confirmed)

    def describe_missing(self) -> str:
        """Return some of what the last audit missed, as text."""
        return f"REST knows what was not pushed: {name_some(sorted(self._missing))}"
