"""One logged-in session, kept alive for ever: connect, log in, read, and begin again when it ends.

There is never more than one, so no command can go to two endpoints: a change of the endpoint is an end like any other.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec import structs

from bridge.config import Account, Endpoint, Timing
from bridge.contract.session import Cause
from bridge.core.backoff import full_jitter
from bridge.core.endpoints import EndpointSelector
from bridge.core.login_refusals import KeyCheck, LoginRefusals
from bridge.core.now import Now
from bridge.core.records import InvalidFrame, Received
from bridge.core.skew import ClockReading
from bridge.errors import LoginRefused, VenueUnreachable
from bridge.ltp import codes, wire
from bridge.ltp.connection import LinkEnded
from bridge.ltp.failover import Probe, begin_choice, wait_for_preferred
from bridge.ltp.keys import read_keys
from bridge.ltp.link import Ending, Link
from bridge.ltp.listener import Listener
from bridge.ltp.network import Way, way_to_venue
from bridge.ltp.protocol import LoggedIn
from bridge.ltp.signing import login_signature, without_secrets

BACKOFF_BASE_S: Final = 0.5
_LOOK_S: Final = 1.0
"""How often the files of the key are looked at while no login is tried."""
STABLE_S: Final = 60.0
"""A session that lived this long makes earlier failures forgotten: the next attempt comes quickly."""

CheckKey = Callable[[], Awaitable[KeyCheck]]
"""What the venue's REST says about the account's key. It does not raise, and it ends in time."""


class Session:
    """The session of one account, at one of the endpoints, the first of which is preferred.

    Without a `probe` it stays where it is while that goes well; without a `check_key` no refusal of a login is final.

    `choice` is what the sessions before this one have learned of the endpoints.

    `other_login_at` is when somebody else may last have logged in with the same key; ours keep their distance from it.

    A caller that awaits nothing between `ready_to_write` and `send` has one step: nothing else runs in between.
    """

    def __init__(
        self,
        *,
        endpoints: Sequence[Endpoint],
        account: Account,
        timing: Timing,
        login_attempts_max: int,
        listener: Listener,
        clock: Callable[[], Now],
        random: Callable[[], float],
        way: Way | None = None,
        choice: EndpointSelector | None = None,
        probe: Probe | None = None,
        check_key: CheckKey | None = None,
        other_login_at: float = -math.inf,
    ) -> None:
        self._endpoints = endpoints
        self._endpoint = endpoints[0]
        self._choice = choice or begin_choice(endpoints, timing)
        self._probe = probe
        self._check_key = check_key
        self._account = account
        self._timing = timing
        self._refusals = LoginRefusals(proven_max=login_attempts_max, proven_for_s=timing.login_give_up_s)
        self._listener = listener
        self._clock = clock
        self._random = random
        self._way = way or way_to_venue()
        self._link: Link | None = None
        self._login_pending = False
        self._next_login_at = other_login_at + timing.login_spacing_s
        self._last_timestamp_s = 0
        self._keys: tuple[str, str] | None = None
        self._secrets: tuple[str, ...] = ()
        self._clock_reading: ClockReading | None = None

    @property
    def logged_in(self) -> bool:
        """Whether the venue accepted the login and the session has not ended since."""
        return self._link is not None and self._link.logged_in

    @property
    def heard_boot_s(self) -> float:
        """When the last frame came, a pong included, on the clock that never steps; before all time without one."""
        return self._link.heard_boot_s if self._link is not None else -math.inf

    def ready_to_write(self, now: Now) -> bool:
        """Whether a command may be written: logged in, pings answered, nothing unsent."""
        return self._link is not None and self._link.ready_to_write(now)

    def login_due(self, now: Now) -> bool:
        """Whether another login with the same key would keep its distance from the last."""
        return not self._login_pending and now.boot_s >= self._next_login_at

    async def send(self, frame: bytes) -> None:
        """Write a frame. It is with the transport before anything else runs.

        Raises VenueUnreachable when there is no logged-in session; then nothing was written.
        """
        if self._link is None or not self._link.logged_in:
            raise VenueUnreachable("there is no session to write to")
        self._link.write(frame)

    def drop(self, cause: Cause, detail: str) -> None:
        """End the connection now, with what it has buffered. `run` tells the listener and connects again."""
        if self._link is not None:
            self._link.end(Ending(cause, detail))

    async def run(self) -> None:
        """Keep the session until cancelled.

        Raises LoginRefused when the venue's REST has refused the key as well, at `login_attempts_max` refused logins
        in a row and for `login_give_up_s`.
        """
        work = [asyncio.create_task(self._keep())]
        if self._probe is not None and len(self._endpoints) > 1:
            work.append(asyncio.create_task(self._watch_preferred(self._probe)))
        try:
            await asyncio.gather(*work)
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    async def _keep(self) -> None:
        attempt = 0
        self._choice.resume()
        await self._sleep_until(self._next_login_at)
        while True:
            lived_s, ending = await self._one_life()
            if lived_s is not None:
                self._refusals.logged_in()
                attempt = 0 if lived_s >= STABLE_S else attempt
            refusal = self._refusal(ending)
            if refusal is not None and self._choice.return_refused(self._clock()):
                await self._sleep_until(self._next_login_at)
                continue
            if refusal is not None and not codes.is_out_of_service(refusal.code):
                await self._wait_after(refusal)
                continue
            cap_s = self._timing.reconnect_cap_s
            delay_s = full_jitter(attempt, self._random(), base_s=BACKOFF_BASE_S, cap_s=cap_s, floor_s=0)
            if self._changes_endpoint(lived_s, ending):
                delay_s = 0.0  # it is the other one that earned the wait
            attempt += 1
            await self._sleep_until(max(self._clock().boot_s + delay_s, self._next_login_at))

    async def _wait_after(self, refusal: LoginRefused) -> None:
        """Wait for the next login after a refused one, or for a new key. Raises `refusal` when it is final."""
        self._choice.refused()
        check = KeyCheck.UNTOLD if self._check_key is None else await self._check_key()
        now = self._clock()
        if self._refusals.refused(check, now):
            raise refusal
        until = max(now.boot_s + self._refusals.wait_s(self._random()), self._next_login_at)
        await self._sleep_until(until, unless=self._key_changed)
        await self._sleep_until(self._next_login_at)

    async def wait_for_new_key(self) -> None:
        """Return when the account's files hold another key than the last login used."""
        await self._sleep_until(math.inf, unless=self._key_changed)

    def _key_changed(self) -> bool:
        try:
            return read_keys(self._account) != self._keys
        except VenueUnreachable:
            return False  # it is being replaced

    def _changes_endpoint(self, lived_s: float | None, ending: Ending) -> bool:
        """Draw from an ending what it says about the endpoint. Returns whether the next attempt is due at once."""
        now = self._clock()
        if ending.cause is Cause.FAILED_BACK:
            self._choice.fail_back(now)
            return True
        if lived_s is not None:
            self._choice.lost(lived_s, now)
            return False
        if ending.hold_off_s:
            self._choice.hold_off(ending.hold_off_s, now)
        elif ending.cause is Cause.LOGIN_REFUSED and ending.denied is None:
            self._choice.refused()  # the key could not be read, which is no fault of the endpoint's
            return False
        return self._choice.failed(now)

    async def _watch_preferred(self, probe: Probe) -> None:
        """End a session that is not at the preferred endpoint when it may go back."""
        preferred = self._endpoints[0]
        while True:
            await wait_for_preferred(preferred, self._choice, probe, way=self._way, clock=self._clock)
            if self.logged_in:
                self.drop(Cause.FAILED_BACK, f"{preferred.name} has been well for {self._timing.failback_stable_s:g} s")

    async def _one_life(self) -> tuple[float | None, Ending]:
        """Live through one link. Returns for how long it was logged in, None if it never was, and how it ended."""
        give_up_at = await self._choose_endpoint()
        self._link = link = Link(
            self._endpoint.ws_url,
            way=self._way,
            timing=self._timing,
            clock=self._clock,
            give_up_at=give_up_at,
            heard_boot_s=self.heard_boot_s,
            login=self._login_frame,
            tell=self._tell,
        )
        try:
            ending = await link.live()
        except asyncio.CancelledError:
            if link.opened_at is not None:
                self._tell_lost(link.ending or Ending(Cause.STOPPED, "the session was stopped"))
            raise
        except Exception as error:
            ending = link.ending or Ending(Cause.BRIDGE_FAILED, f"a mistake: {type(error).__name__}")
            lived_s = None if link.opened_at is None else self._tell_lost(ending) - link.opened_at
            self._changes_endpoint(lived_s, ending)  # the term after this one is to begin where that does not happen
            raise
        finally:
            if self._login_pending:
                self._login_answered(self._clock())
        if link.opened_at is not None:
            return self._tell_lost(ending) - link.opened_at, ending
        refusal = self._refusal(ending)
        detail = without_secrets(ending.detail, *self._secrets) if refusal is None else str(refusal)
        if refusal is not None and self._choice.is_returning:
            wait_s = self._choice.next_return_s
            detail += f"; another endpoint has taken the key, and is used; the next return is made in {wait_s:g} s"
        self._listener.attempt_failed(self._endpoint.name, ending.cause, detail, self._clock())
        return None, ending

    async def _choose_endpoint(self) -> float:
        """Choose where the next attempt is made, and wait while none is wanted there; return when to give it up."""
        while True:
            give_up_at = self._choice.attempt(self._clock())
            self._endpoint = self._endpoints[self._choice.current]
            if self._choice.free_at <= self._clock().boot_s:
                return give_up_at
            await self._sleep_until(min(self._choice.free_at, give_up_at))

    def _login_frame(self, now: Now) -> bytes:
        try:
            key, secret = read_keys(self._account)
        except VenueUnreachable as error:
            raise LinkEnded(Cause.LOGIN_REFUSED, str(error)) from None
        timestamp_s = now.wall_ms // 1000
        if timestamp_s == self._last_timestamp_s:
            timestamp_s += 1  # the same login twice could pass for a replay
        self._last_timestamp_s = timestamp_s
        self._login_pending = True
        sign = login_signature(secret, timestamp_s)
        self._keys = (key, secret)
        self._secrets = (key, secret, sign)
        return wire.encode_login(key, timestamp_s, sign)

    def _login_answered(self, now: Now) -> None:
        self._login_pending = False
        self._next_login_at = now.boot_s + self._timing.login_spacing_s

    def _tell(self, event: LoggedIn | ClockReading | Received, now: Now) -> None:
        match event:
            case LoggedIn():
                self._login_answered(now)
                self._listener.logged_in(self._endpoint.name, now)
            case ClockReading():
                self._clock_reading = event
                self._listener.clock_read(event, now)
            case InvalidFrame(frame):
                # It is published whole; but a peer may send back what it was sent.
                for secret in self._secrets:
                    frame = frame.replace(secret.encode(), b"***")
                self._listener.received(structs.replace(event, frame=frame), now)
            case _:
                self._listener.received(event, now)

    def _tell_lost(self, ending: Ending) -> float:
        now = self._clock()
        detail = without_secrets(ending.detail, *self._secrets)
        self._listener.lost(self._endpoint.name, ending.cause, detail, now)
        return now.boot_s

    def _refusal(self, ending: Ending) -> LoginRefused | None:
        if ending.denied is None:
            return None
        code = ending.denied.code
        read = self._clock_reading
        advice = [codes.advice(code), read.skew(self._clock()).in_words() if read is not None else ""]
        reason = without_secrets(ending.denied.message, *self._secrets)
        return LoginRefused(code, reason, "; ".join(filter(None, advice)))

    async def _sleep_until(self, mono: float, *, unless: Callable[[], bool] | None = None) -> None:
        while (left_s := mono - self._clock().boot_s) > 0:  # a sleep may end early by our clock
            if unless is not None and unless():
                return
            await asyncio.sleep(left_s if unless is None else min(left_s, _LOOK_S))
