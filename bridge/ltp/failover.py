"""Which endpoint the next session is opened at, and when the session returns to the preferred one.

Not here: how long to wait between attempts, and the spacing of logins.

The endpoints stand in order of preference. Each of them in its turn gets two attempts and its share of
`failover_after_s`, so all have been tried when that time is over. A refused login does not change the endpoint: the
endpoint answered, and the venue would refuse the key at every other one too. There is one exception. After a return to
the preferred endpoint its first login may be refused, although the other endpoint accepted the same key a moment
before. Then the session leaves it at once, and each later return comes after a longer time. A probe cannot find this
out, because it does not log in.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from bridge.config import Endpoint, Timing
from bridge.core.now import Now
from bridge.ltp.connection import LinkEnded, connect
from bridge.ltp.login_refusals import KeyCheck
from bridge.ltp.network import NetworkSettings

_log = structlog.get_logger()

ATTEMPTS_MAX: Final = 2
"""Failures in a row after which the next endpoint is tried."""
PROBES_PER_STABLE_TIME: Final = 10
"""How often the preferred endpoint is probed within `failback_stable_s`."""
_DOUBLINGS_MAX: Final = 5
"""The time between two returns grows to 32 times `failback_period_s`: 8 h with the default of 15 minutes."""
PROBE_TIMEOUT_S: Final = 5.0
PROBE_STAYS_OPEN_S: Final = 1.0
"""A probed WebSocket has to stay open for this long: a venue may accept every handshake and close at once."""


class RestProbe(Protocol):
    """What a session asks the venue's REST. No call raises, and each ends in bounded time."""

    async def probe(self, endpoint: str) -> bool:
        """Return whether REST answers at the endpoint of this name."""

    async def check_key(self) -> KeyCheck:
        """Return what REST says about the account's key."""


class EndpointSelector:
    """Selects the endpoint for the sessions of one account, in all terms of this process.

    It begins at the preferred endpoint, the first.
    """

    def __init__(self, endpoints: Sequence[Endpoint], timing: Timing) -> None:
        self._endpoints = tuple(endpoints)
        self._timing = timing
        self._index = 0
        self._turn_s = timing.failover_after_s / len(endpoints) if len(endpoints) > 1 else math.inf
        self._turn_began_boot_s: float | None = None
        self._failures = 0
        self._failed_back_boot_s = -math.inf
        self._is_returning = False
        self._returns_refused = 0
        self._healthy_since_boot_s: float | None = None
        self._probed_boot_s = -math.inf
        self._held_off_until_boot_s = [-math.inf] * len(endpoints)

    @property
    def preferred(self) -> Endpoint:
        """The first endpoint."""
        return self._endpoints[0]

    @property
    def current(self) -> Endpoint:
        """The endpoint of the next attempt, or of the session that is open."""
        return self._endpoints[self._index]

    @property
    def has_choice(self) -> bool:
        """Whether there is more than one endpoint."""
        return len(self._endpoints) > 1

    @property
    def is_at_preferred(self) -> bool:
        """Whether `current` is the preferred endpoint."""
        return self._index == 0

    @property
    def probe_period_s(self) -> float:
        """The time between two probes of the preferred endpoint."""
        return self._timing.failback_stable_s / PROBES_PER_STABLE_TIME

    @property
    def held_off_until_boot_s(self) -> float:
        """When `current` accepts an attempt again, in CLOCK_BOOTTIME seconds."""
        return self._held_off_until_boot_s[self._index]

    @property
    def is_returning(self) -> bool:
        """Whether the session returned to the preferred endpoint and no login was accepted there since."""
        return self._is_returning

    @property
    def next_return_after_s(self) -> float:
        """The least time until the next return, if the present one is refused; it doubles with each refusal."""
        return self._return_after_s(self._returns_refused + 1)

    def restart_turn(self) -> None:
        """Let the turn of `current` begin with its next attempt, as after a time in which no session was wanted."""
        self._turn_began_boot_s = None

    def hold_off(self, duration_s: float, now: Now) -> None:
        """Note that `current` asked for no further attempt within this time."""
        self._held_off_until_boot_s[self._index] = now.boot_s + duration_s

    def begin_attempt(self, now: Now) -> float:
        """Begin an attempt and return when to give it up, in CLOCK_BOOTTIME seconds.

        If the turn of `current` is over, the next endpoint becomes `current` first.
        """
        if self._is_turn_over(now):
            self._select_next(now)
        if self._turn_began_boot_s is None:
            self._turn_began_boot_s = now.boot_s
        return self._turn_began_boot_s + self._turn_s

    def note_failed_attempt(self, now: Now) -> bool:
        """Note that an attempt failed. Returns whether `current` changed."""
        self._failures += 1
        return (self._is_turn_over(now) or self._failures >= ATTEMPTS_MAX) and self._select_next(now)

    def note_refused_login(self) -> None:
        """Note that the endpoint answered and refused the login because of the key: the endpoint is healthy."""
        self._failures = 0
        self.restart_turn()

    def note_refused_return(self, now: Now) -> bool:
        """Note that a login was refused. Returns whether `current` changed, which it does after a return only."""
        if not self._is_returning:
            return False
        self._returns_refused += 1
        return self._select_next(now)

    def note_lost_session(self, lived_s: float, now: Now) -> None:
        """Note that a session ended. If it lived for less than `failover_after_s`, it counts as a failed attempt."""
        if self._is_returning:
            self._is_returning, self._returns_refused = False, 0
        self._turn_began_boot_s = now.boot_s
        self._failures = self._failures + 1 if lived_s < self._timing.failover_after_s else 0
        if self._failures >= ATTEMPTS_MAX:
            self._select_next(now)

    def note_probe(self, asked: Now, now: Now, *, healthy: bool) -> bool:
        """Note the answer to a probe of the preferred endpoint. Returns whether to return there now.

        If no probe ran for too long, as while the machine slept, the earlier ones prove nothing about that time.
        """
        unbroken = asked.boot_s - self._probed_boot_s <= 2 * self.probe_period_s
        self._probed_boot_s = now.boot_s
        if not healthy:
            self._healthy_since_boot_s = None
        elif self._healthy_since_boot_s is None or not unbroken:
            self._healthy_since_boot_s = now.boot_s
        return (
            self._healthy_since_boot_s is not None
            and now.boot_s - self._healthy_since_boot_s >= self._timing.failback_stable_s
            and now.boot_s - self._failed_back_boot_s >= self._return_after_s(self._returns_refused)
        )

    def fail_back(self, now: Now) -> None:
        """Select the preferred endpoint: the session at the other one was ended for that."""
        self._index = 0
        self._is_returning = True
        self._failures = 0
        self._turn_began_boot_s = self._failed_back_boot_s = now.boot_s

    def _is_turn_over(self, now: Now) -> bool:
        return self._turn_began_boot_s is not None and now.boot_s >= self._turn_began_boot_s + self._turn_s

    def _return_after_s(self, refused: int) -> float:
        return self._timing.failback_period_s * 2.0 ** min(refused, _DOUBLINGS_MAX)

    def _select_next(self, now: Now) -> bool:
        """Select the next endpoint, and after the last one the first. Returns whether there is another."""
        self._is_returning = False
        self._failures = 0
        self._turn_began_boot_s = now.boot_s
        self._healthy_since_boot_s = None
        self._index = (self._index + 1) % len(self._endpoints)
        return self.has_choice


async def wait_for_failback(
    selector: EndpointSelector, rest: RestProbe, *, network: NetworkSettings, clock: Callable[[], Now]
) -> None:
    """Probe the preferred endpoint while the session is at another, and end when the session may return.

    REST has to answer and a WebSocket has to open: each may be down without the other.
    """
    while True:
        await asyncio.sleep(selector.probe_period_s)
        if selector.is_at_preferred:
            continue
        asked = clock()
        healthy = await rest.probe(selector.preferred.name) and await probe_websocket(selector.preferred, network)
        if selector.note_probe(asked, clock(), healthy=healthy):
            return


async def probe_websocket(endpoint: Endpoint, network: NetworkSettings) -> bool:
    """Return whether a WebSocket opens at an endpoint and stays open for a moment, without a login."""
    try:
        async with connect(endpoint.ws_url, network=network, timeout_s=PROBE_TIMEOUT_S) as connection:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_STAYS_OPEN_S):
                    await connection.receive()
    except LinkEnded as error:
        _log.info("session.probe_failed", endpoint=endpoint.name, detail=error.detail)
        return False
    return True
