"""A listener that records the events of a session, and a session that runs during a block."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from bridge.config import AccountConfig, Endpoint, Timing
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import Received
from bridge.core.session_listener import SessionListener
from bridge.core.skew import ClockReading
from bridge.ltp.failover import EndpointSelector, RestProbe
from bridge.ltp.login_refusals import KeyCheck
from bridge.ltp.network import NetworkSettings, load_network_settings
from bridge.ltp.session import Session, SessionSettings


class RecordingListener:
    """What was told, in order: of which kind, what, and when on the clock that never steps."""

    def __init__(self) -> None:
        self.events: list[tuple[str, object]] = []
        self.times: list[float] = []
        self._changed = asyncio.Event()

    def logged_in(self, endpoint: str, now: Now) -> None:
        """Write it down."""
        self._note("logged_in", endpoint)

    def received(self, event: Received, now: Now) -> None:
        """Write it down."""
        self._note("received", event)

    async def wait_for_room(self) -> bool:
        """Have room."""
        return False

    def lost(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Write it down."""
        self._note("lost", (cause, detail))

    def attempt_failed(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Write it down."""
        self._note("attempt_failed", (cause, detail))

    def clock_read(self, reading: ClockReading, now: Now) -> None:
        """Write it down."""
        self._note("clock_read", reading)

    def _note(self, kind: str, what: object) -> None:
        self.events.append((kind, what))
        self.times.append(time.monotonic())
        self._changed.set()

    def of(self, kind: str) -> list[object]:
        """Return what was told of one kind."""
        return [what for noted, what in self.events if noted == kind]

    def causes(self, kind: str) -> list[Cause]:
        """Return the causes of what was told of losses, or of attempts that failed."""
        return [what[0] for what in self.of(kind) if isinstance(what, tuple)]

    def times_of(self, kind: str) -> list[float]:
        """Return when things of one kind were told."""
        return [when for (noted, _), when in zip(self.events, self.times, strict=True) if noted == kind]

    async def wait(self, kind: str, count: int = 1, deadline_s: float = 30) -> list[object]:
        """Wait until it was told that often."""
        async with asyncio.timeout(deadline_s):
            while len(self.of(kind)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.of(kind)


class FixedRest:
    """A REST that answers every question of a session with the same."""

    def __init__(
        self, check: KeyCheck = KeyCheck.INCONCLUSIVE, probe: Callable[[str], Awaitable[bool]] | None = None
    ) -> None:
        self._check = check
        self._probe = probe

    async def probe(self, endpoint: str) -> bool:
        """Return whether the endpoint is well, as the given function says; without one it is not."""
        return self._probe is not None and await self._probe(endpoint)

    async def check_key(self) -> KeyCheck:
        """Return the given answer."""
        return self._check


def real_time() -> Now:
    """Return the real time."""
    return Now(time.monotonic(), time.time_ns() // 1_000_000)


def make_session(
    listener: SessionListener,
    endpoints: Sequence[Endpoint] | EndpointSelector,
    account: AccountConfig,
    timing: Timing,
    *,
    random: Callable[[], float] = lambda: 0.5,
    rest: RestProbe | None = None,
    network: NetworkSettings | None = None,
) -> Session:
    """Return a session in real time that gives up after three proven refusals; by default jitter draws a half."""
    if not isinstance(endpoints, EndpointSelector):
        endpoints = EndpointSelector(endpoints, timing)
    settings = SessionSettings(account, timing, network or load_network_settings(), login_attempts_max=3)
    return Session(settings, endpoints, listener, clock=real_time, random=random, rest=rest)


@asynccontextmanager
async def running(session: Session) -> AsyncIterator[asyncio.Task[None]]:
    """Run a session for a while."""
    task = asyncio.create_task(session.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
