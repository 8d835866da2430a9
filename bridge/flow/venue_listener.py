"""The listener of a session: what the venue sends goes through the account to the publisher, and nothing waits."""

import asyncio
from collections.abc import Callable
from math import inf

import structlog

from bridge.contract.session import Alarm, Cause
from bridge.core.account import Account
from bridge.core.now import Now
from bridge.core.records import Answer, OutgoingRecord, Received
from bridge.core.skew import ClockReading
from bridge.core.stream.live_until import live_until_ms
from bridge.flow.ports import Publisher, VenueSession
from bridge.flow.readiness import SESSION, Missing

_log = structlog.get_logger()


class VenueListener:
    """Listens to the session of one term."""

    def __init__(
        self,
        name: str,
        account: Account,
        publisher: Publisher,
        *,
        wake: Callable[[], None],
        on_login: Callable[[str], None],
        began_ms: int,
    ) -> None:
        self._log = _log.bind(account=name)
        self._account = account
        self._publisher = publisher
        self.wake = wake
        """Wakes the command loop, which then checks whether something is due."""
        self._on_login = on_login
        self._logged_in_ms = 0
        self.endpoint = ""
        """Where the last login was accepted; empty before the first."""
        self._logged_in_boot_s = -inf
        self.session_missing: Missing | None = Missing(SESSION, began_ms, "not logged in yet")
        """Why there is no session, and since when; None while there is one."""
        self.ended = asyncio.Event()
        """Set when a session has ended, or did not come about."""
        self.session: VenueSession | None = None
        """Set once the session exists; it needs its listener first."""

    @property
    def logged_in_ms(self) -> int:
        """When the last login was accepted, Unix ms; 0 before the first."""
        return self._logged_in_ms

    def live_until_ms(self, now: Now) -> int:
        """Return up to when, not later than now, everything that was pushed is durable; 0 before the first login."""
        return live_until_ms(
            now,
            last_frame_boot_s=self.session.last_frame_boot_s if self.session is not None else -inf,
            logged_in_boot_s=self._logged_in_boot_s,
            oldest_pending_boot_s=self._publisher.oldest_pending_boot_s(),
        )

    def logged_in(self, endpoint: str, now: Now) -> None:
        """Begin the sweep of a new session."""
        self._log.info("session.logged_in", endpoint=endpoint)
        self._logged_in_ms, self._logged_in_boot_s, self.endpoint = now.wall_ms, now.boot_s, endpoint
        self.session_missing = None
        self._account.logged_in(endpoint, now)
        self._on_login(endpoint)

    def received(self, event: Received, now: Now) -> None:
        """Publish a push, or settle a command by its answer."""
        is_ours = self._account.on_frame(event, now)
        if isinstance(event, Answer):
            if not is_ours:
                self._log.warning("answer.unmatched", request_id=event.request_id, answer=event.event, code=event.code)
            self.wake()
        elif self._publisher.overfull and not self._publisher.is_draining and self.session is not None:
            self.session.drop(Cause.BUFFER_FULL, "more events wait for Kafka than may be held in memory")

    async def wait_for_room(self) -> bool:
        """Return False if further pushes may be read; otherwise wait for a moment and return True."""
        return await self._publisher.wait_for_room()

    def lost(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Open a gap from the last durable point."""
        self._log.warning("session.lost", endpoint=endpoint, cause=cause.value, detail=detail)
        self.session_missing = Missing(SESSION, now.wall_ms, f"{endpoint}: {cause.value}: {detail}")
        self._account.session_lost(endpoint, cause, detail, self.live_until_ms(now), now)
        self.ended.set()
        self.wake()

    def attempt_failed(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Log that a connection or login did not come about; a refused login is an alarm at once."""
        if self.session_missing is not None:
            since_ms = self.session_missing.since_ms
            self.session_missing = Missing(SESSION, since_ms, f"{endpoint}: {cause.value}: {detail}")
        if cause is Cause.LOGIN_REFUSED:
            self._account.raise_alarm(Alarm.LOGIN_REFUSED, f"{endpoint}: {detail}", now)
        self._log.warning("session.attempt_failed", endpoint=endpoint, cause=cause.value, detail=detail)
        self.ended.set()

    def clock_read(self, reading: ClockReading | None, now: Now) -> None:
        """Compare the venue's clock with ours; an alarm lasts while they differ by more than they may."""
        self._account.venue_clock_read(reading, now)
        self.wake()  # a pong may have made the link ready again

    def read_broker_clock(self, now: Now) -> None:
        """Compare the broker's clock with ours by what it has acknowledged last."""
        self._account.broker_clock_read(self._publisher.clock_reading, now)

    def record_too_large(self, record: OutgoingRecord, now: Now) -> None:
        """Raise the alarm for a record that no topic takes: its readers miss it."""
        self._account.record_too_large(record, now)
        self.wake()
