"""The events street: what the session brings goes through the account to the publisher, and nothing waits."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from math import inf
from typing import Final

import structlog

from bridge.contract.session import Alarm, Cause
from bridge.core.account import Account
from bridge.core.now import Now
from bridge.core.records import Answer, OutgoingRecord, Received
from bridge.core.skew import ClockReading
from bridge.flow.ports import Publisher, VenueSession
from bridge.flow.readiness import SESSION, Missing

_log = structlog.get_logger()
_NAME_CHARS_MAX = 200
ON_THE_WAY_S: Final = 1.0
"""Longer than a frame takes from the venue on a link that is alive."""


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
        self._wake = wake
        self._on_login = on_login
        self._logged_in_ms = 0
        self._logged_in_boot_s = -inf
        self._broker_reading: ClockReading | None = None
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

    def durable_until_ms(self, now: Now) -> int:
        """Return up to when, and not later than now, everything that was pushed is durable; 0 before the first login.

        What it pushed and was never received was made before the last frame arrived, by the time a frame takes.
        """
        last_frame_boot_s = self.session.last_frame_boot_s if self.session is not None else -inf
        until_boot_s = max(last_frame_boot_s - ON_THE_WAY_S, self._logged_in_boot_s)
        pending_boot_s = self._publisher.oldest_pending_boot_s()
        if pending_boot_s is not None:
            until_boot_s = min(until_boot_s, pending_boot_s - ON_THE_WAY_S)
        return now.unix_ms(until_boot_s)

    def logged_in(self, endpoint: str, now: Now) -> None:
        """Begin the sweep of a new session."""
        self._account.alarms.clear_alarm(Alarm.LOGIN_REFUSED, f"logged in at {endpoint}", now)
        self._log.info("session.logged_in", endpoint=endpoint)
        self._logged_in_ms, self._logged_in_boot_s = now.wall_ms, now.boot_s
        self.session_missing = None
        self._account.listening.logged_in(endpoint, now)
        self._on_login(endpoint)

    def received(self, event: Received, now: Now) -> None:
        """Publish a push, or settle a command by its answer."""
        if not self._account.on_frame(event, now) and isinstance(event, Answer):
            self._log.warning("answer.unmatched", request_id=event.request_id, answer=event.event, code=event.code)
        if isinstance(event, Answer):
            self._wake()
        elif self._publisher.overfull and self.session is not None:
            self.session.drop(Cause.BUFFER_FULL, "more events wait for Kafka than may be held in memory")

    def lost(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Open a gap from the last durable point."""
        self._log.warning("session.lost", endpoint=endpoint, cause=cause.value, detail=detail)
        self.session_missing = Missing(SESSION, now.wall_ms, f"{endpoint}: {cause.value}: {detail}")
        self._account.session_lost(endpoint, cause, detail, self.durable_until_ms(now), now)
        self.ended.set()
        self._wake()

    def attempt_failed(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Tell that a connection or login did not come about; a refused one is an alarm at once."""
        if self.session_missing is not None:
            since_ms = self.session_missing.since_ms
            self.session_missing = Missing(SESSION, since_ms, f"{endpoint}: {cause.value}: {detail}")
        if cause is Cause.LOGIN_REFUSED:
            self._account.alarms.raise_alarm(Alarm.LOGIN_REFUSED, f"{endpoint}: {detail}", now)
        self._log.warning("session.attempt_failed", endpoint=endpoint, cause=cause.value, detail=detail)
        self.ended.set()

    def clock_read(self, reading: ClockReading, now: Now) -> None:
        """Compare the venue's clock with ours; an alarm tells when they part, and when they agree again."""
        with self._logging(Alarm.CLOCK_SKEW):
            self._account.clocks.venue_read(reading, now)

    def learn_broker_clock(self, now: Now) -> None:
        """Compare the broker's clock with ours by what it has acknowledged last."""
        reading = self._publisher.clock_reading
        if reading is not None and reading is not self._broker_reading:
            self._broker_reading = reading
            with self._logging(Alarm.BROKER_CLOCK_SKEW):
                self._account.clocks.broker_read(reading, now)

    @contextlib.contextmanager
    def _logging(self, alarm: Alarm) -> Iterator[None]:
        """Log that two clocks have parted, or agree again."""
        alarms = self._account.alarms
        before = alarms.is_active(alarm)
        yield
        if alarms.is_active(alarm) != before:
            (self._log.info if before else self._log.error)(
                "clock.mended" if before else "clock.skewed", alarm=alarm.value
            )

    def too_large(self, record: OutgoingRecord, now: Now) -> None:
        """Raise the alarm for a record that no topic takes: its readers miss it."""
        name = (record.event_id or record.key.decode("utf-8", "replace"))[:_NAME_CHARS_MAX]
        detail = f"{name} of {record.stream.value} has {len(record.value or b'')} bytes and was not published"
        self._account.outbox.publish_alarm(Alarm.RECORD_TOO_LARGE, detail, now)
        self._wake()
