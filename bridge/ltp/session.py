"""One logged-in session, kept open until it is stopped: connect, log in, read, and begin again after each end.

There is never more than one connection, so no command can go to two endpoints. A change of the endpoint is an end of
the session like any other.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Final, NamedTuple

from bridge.config import AccountConfig, Timing
from bridge.contract.session import Cause
from bridge.core.backoff import full_jitter
from bridge.core.now import Now
from bridge.core.records import InvalidFrame
from bridge.core.session_listener import SessionListener
from bridge.core.skew import ClockReading
from bridge.errors import LoginRefused, VenueUnreachable
from bridge.ltp import codes
from bridge.ltp.failover import EndpointSelector, RestProbe, wait_for_failback
from bridge.ltp.link import Disconnect, Link, LinkCallbacks
from bridge.ltp.login_refusals import KeyCheck, LoginRefusals
from bridge.ltp.logins import Logins
from bridge.ltp.network import NetworkSettings
from bridge.ltp.protocol import LoggedIn

BACKOFF_BASE_S: Final = 0.5
STABLE_S: Final = 60.0
"""After a session that lived for this long, earlier failures no longer count: the next attempt comes soon."""
_KEY_FILES_PERIOD_S: Final = 1.0
"""The time between two readings of the key's files while no login is tried."""


class SessionSettings(NamedTuple):
    """What a session works with.

    A refused login is final after `login_attempts_max` refusals in a row, once they have lasted for `login_give_up_s`.
    `other_login_boot_s` is when another program may last have logged in with the same key, in CLOCK_BOOTTIME seconds;
    the session's own logins keep `login_spacing_s` from it.
    """

    account: AccountConfig
    timing: Timing
    network: NetworkSettings
    login_attempts_max: int
    other_login_boot_s: float = -math.inf


class Session:
    """The session of one account, at the endpoint that `endpoints` selects.

    Without `rest` it does not return to the preferred endpoint while the other one works, and no refusal is final.

    A caller that awaits nothing between `ready_to_write` and `send` makes both in one step: nothing else runs between.
    """

    def __init__(
        self,
        settings: SessionSettings,
        endpoints: EndpointSelector,
        listener: SessionListener,
        *,
        clock: Callable[[], Now],
        random: Callable[[], float],
        rest: RestProbe | None = None,
    ) -> None:
        self._timing = timing = settings.timing
        self._network = settings.network
        self._endpoints = endpoints
        self._endpoint = endpoints.current
        self._listener = listener
        self._clock = clock
        self._random = random
        self._rest = rest
        self._logins = Logins(settings.account, timing, settings.other_login_boot_s)
        self._refusals = LoginRefusals(proven_max=settings.login_attempts_max, give_up_s=timing.login_give_up_s)
        self._link: Link | None = None
        self._earlier_frame_boot_s = -math.inf
        self._clock_reading: ClockReading | None = None

    @property
    def logged_in(self) -> bool:
        """Whether the venue accepted the login and the session has not ended since."""
        return self._link is not None and self._link.logged_in

    @property
    def last_frame_boot_s(self) -> float:
        """When the last frame came, a pong included, in CLOCK_BOOTTIME seconds; minus infinity before the first."""
        return max(self._earlier_frame_boot_s, self._link.last_frame_boot_s if self._link is not None else -math.inf)

    def ready_to_write(self, now: Now) -> bool:
        """Return whether a command may be written: logged in, pings answered, nothing unsent."""
        return self._link is not None and self._link.ready_to_write(now)

    def login_due(self, now: Now) -> bool:
        """Return whether another login with the same key would keep its distance from the last one."""
        return self._logins.is_due(now)

    def send(self, frame: bytes) -> None:
        """Hand a frame to the transport before returning.

        Raises VenueUnreachable when there is no logged-in session; then nothing was written.
        """
        if self._link is None or not self._link.logged_in:
            raise VenueUnreachable("there is no session to write to")
        self._link.write(frame)

    def drop(self, cause: Cause, detail: str) -> None:
        """End the connection now and discard what it has buffered. `run` informs the listener and connects again."""
        if self._link is not None:
            self._link.end(Disconnect(cause, detail))

    async def run(self) -> None:
        """Keep the session until cancelled. Raises LoginRefused when a refusal of the login is final."""
        tasks = [asyncio.create_task(self._keep_session())]
        if self._rest is not None and self._endpoints.has_choice:
            tasks.append(asyncio.create_task(self._watch_preferred(self._rest)))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def wait_for_new_key(self) -> None:
        """Return when the account's files hold another key than the last login used."""
        await self._sleep_until(math.inf, unless=self._logins.has_new_key)

    async def _keep_session(self) -> None:
        attempt = 0
        self._endpoints.restart_turn()
        await self._sleep_until(self._logins.next_boot_s)
        while True:
            lived_s, end = await self._run_link()
            if lived_s is not None:
                self._refusals.note_login()
                attempt = 0 if lived_s >= STABLE_S else attempt
            refusal = self._describe_refusal(end)
            if refusal is not None and self._endpoints.note_refused_return(self._clock()):
                await self._sleep_until(self._logins.next_boot_s)
                continue
            if refusal is not None and not codes.is_out_of_service(refusal.code):
                await self._wait_after_refusal(refusal)
                continue
            cap_s = self._timing.reconnect_cap_s
            delay_s = full_jitter(attempt, self._random(), base_s=BACKOFF_BASE_S, cap_s=cap_s, floor_s=0)
            if self._note_end_at_endpoint(lived_s, end):
                delay_s = 0.0  # the wait belongs to the endpoint that was left
            attempt += 1
            await self._sleep_until(max(self._clock().boot_s + delay_s, self._logins.next_boot_s))

    async def _wait_after_refusal(self, refusal: LoginRefused) -> None:
        """Wait for the next login after a refused one, or for a new key. Raises `refusal` when it is final."""
        self._endpoints.note_refused_login()
        check = KeyCheck.INCONCLUSIVE if self._rest is None else await self._rest.check_key()
        now = self._clock()
        if self._refusals.note_refusal(check, now):
            raise refusal
        until_boot_s = max(now.boot_s + self._refusals.next_wait_s(self._random()), self._logins.next_boot_s)
        await self._sleep_until(until_boot_s, unless=self._logins.has_new_key)
        await self._sleep_until(self._logins.next_boot_s)

    def _note_end_at_endpoint(self, lived_s: float | None, end: Disconnect) -> bool:
        """Note what an end says about the endpoint. Returns whether the next attempt is due at once."""
        now = self._clock()
        if end.cause is Cause.FAILED_BACK:
            self._endpoints.fail_back(now)
            return True
        if lived_s is not None:
            self._endpoints.note_lost_session(lived_s, now)
            return False
        if end.hold_off_s:
            self._endpoints.hold_off(end.hold_off_s, now)
        elif end.cause is Cause.LOGIN_REFUSED and end.rejected is None:
            self._endpoints.note_refused_login()  # the key could not be read: the endpoint did not cause that
            return False
        return self._endpoints.note_failed_attempt(now)

    async def _watch_preferred(self, rest: RestProbe) -> None:
        """End a session that is not at the preferred endpoint when it may return there."""
        while True:
            await wait_for_failback(self._endpoints, rest, network=self._network, clock=self._clock)
            if self.logged_in:
                preferred, stable_s = self._endpoints.preferred.name, self._timing.failback_stable_s
                self.drop(Cause.FAILED_BACK, f"{preferred} has been well for {stable_s:g} s")

    async def _run_link(self) -> tuple[float | None, Disconnect]:
        """Run one link to its end. Returns for how long it was logged in, None if it never was, and why it ended."""
        give_up_boot_s = await self._begin_attempt()
        self._earlier_frame_boot_s = self.last_frame_boot_s
        self._link = link = Link(
            self._endpoint.ws_url,
            network=self._network,
            timing=self._timing,
            clock=self._clock,
            callbacks=LinkCallbacks(
                self._logins.make_frame, self._listener.received, self._on_event, self._listener.wait_for_room
            ),
        )
        try:
            end = await link.run(give_up_boot_s)
        except asyncio.CancelledError:
            if link.logged_in_boot_s is not None:
                self._report_loss(link.ended_by or Disconnect(Cause.STOPPED, "the session was stopped"))
            raise
        except Exception as error:
            end = link.ended_by or Disconnect(Cause.BRIDGE_FAILED, f"a mistake: {type(error).__name__}")
            lived_s = None if link.logged_in_boot_s is None else self._report_loss(end) - link.logged_in_boot_s
            self._note_end_at_endpoint(lived_s, end)  # the next term is to begin at an endpoint that does not cause it
            raise
        finally:
            self._logins.note_end(self._clock())
        if link.logged_in_boot_s is not None:
            return self._report_loss(end) - link.logged_in_boot_s, end
        self._report_failed_attempt(end)
        return None, end

    async def _begin_attempt(self) -> float:
        """Select the endpoint, wait while it is held off, and return when to give the attempt up."""
        while True:
            give_up_boot_s = self._endpoints.begin_attempt(self._clock())
            self._endpoint = self._endpoints.current
            if self._endpoints.held_off_until_boot_s <= self._clock().boot_s:
                return give_up_boot_s
            await self._sleep_until(min(self._endpoints.held_off_until_boot_s, give_up_boot_s))

    def _on_event(self, event: LoggedIn | ClockReading | InvalidFrame, now: Now) -> None:
        match event:
            case LoggedIn():
                self._logins.note_answer(now)
                self._listener.logged_in(self._endpoint.name, now)
            case ClockReading():
                self._clock_reading = event
                self._listener.clock_read(event, now)
            case InvalidFrame():
                self._listener.received(self._logins.mask_frame(event), now)

    def _report_loss(self, end: Disconnect) -> float:
        """Inform the listener of the end of a logged-in session. Returns when, in CLOCK_BOOTTIME seconds."""
        now = self._clock()
        self._listener.lost(self._endpoint.name, end.cause, self._logins.mask_text(end.detail), now)
        return now.boot_s

    def _report_failed_attempt(self, end: Disconnect) -> None:
        refusal = self._describe_refusal(end)
        detail = self._logins.mask_text(end.detail) if refusal is None else str(refusal)
        if refusal is not None and self._endpoints.is_returning:
            wait_s = self._endpoints.next_return_after_s
            detail += f"; another endpoint has taken the key, and is used; the next return is made in {wait_s:g} s"
        self._listener.attempt_failed(self._endpoint.name, end.cause, detail, self._clock())

    def _describe_refusal(self, end: Disconnect) -> LoginRefused | None:
        if end.rejected is None:
            return None
        return self._logins.describe_refusal(end.rejected, self._clock_reading, self._clock())

    async def _sleep_until(self, until_boot_s: float, *, unless: Callable[[], bool] | None = None) -> None:
        while (left_s := until_boot_s - self._clock().boot_s) > 0:  # a sleep may end early by our clock
            if unless is not None and unless():
                return
            await asyncio.sleep(left_s if unless is None else min(left_s, _KEY_FILES_PERIOD_S))
