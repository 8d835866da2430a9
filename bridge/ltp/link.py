"""One connection and the conversation on it, from the handshake to the end."""

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import Final, NamedTuple

from bridge.config import Timing
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import Received
from bridge.core.skew import ClockReading
from bridge.ltp.connection import Connection, LinkEnded, connect
from bridge.ltp.network import Way
from bridge.ltp.protocol import Conversation, LoggedIn, LoginDenied, Over

LOGIN_DEADLINE_S: Final = 10.0
TURN_S: Final = 0.02
"""So long frames that are buffered are taken one after the other, before whatever else waits has its turn."""


class Ending(NamedTuple):
    """Why a link ended; `denied` is the venue's answer when it refused the login.

    `hold_off_s` is for how long the venue wants no further attempt at this endpoint.
    """

    cause: Cause
    detail: str
    denied: LoginDenied | None = None
    hold_off_s: float = 0.0


class Link:
    """Feeds a conversation from a connection and the connection from the conversation.

    Connection and login are given up at `give_up_at`, on the clock that never steps, or when they take too long each.
    `login` makes the login frame when the connection is open; `heard_boot_s` is that of the links before this one;
    `tell` is given what happened, and what it raises ends the link and comes out of `live`.
    """

    def __init__(
        self,
        url: str,
        *,
        way: Way,
        timing: Timing,
        clock: Callable[[], Now],
        give_up_at: float,
        heard_boot_s: float,
        login: Callable[[Now], bytes],
        tell: Callable[[LoggedIn | ClockReading | Received, Now], None],
    ) -> None:
        self._url = url
        self._way = way
        self._timing = timing
        self._clock = clock
        self._give_up_at = give_up_at
        self._heard_boot_s = heard_boot_s
        self._opened_at: float | None = None
        self._login = login
        self._tell = tell
        self._connection: Connection | None = None
        self._conversation: Conversation | None = None
        self._ending: Ending | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    @property
    def logged_in(self) -> bool:
        """Whether the venue accepted the login and the link has not ended since."""
        return self._ending is None and self._conversation is not None and self._conversation.logged_in

    @property
    def ending(self) -> Ending | None:
        """Why the link ended; None while it lives."""
        return self._ending

    @property
    def opened_at(self) -> float | None:
        """When the venue accepted the login, on the clock that never steps; None if it has not."""
        return self._opened_at

    @property
    def heard_boot_s(self) -> float:
        """When the last frame came, of this link or of those before it."""
        return self._heard_boot_s

    def ready_to_write(self, now: Now) -> bool:
        """Whether a command may be written: logged in, pings answered, nothing unsent."""
        return (
            self.logged_in
            and self._conversation is not None
            and self._conversation.fresh(now)
            and self._connection is not None
            and self._connection.write_buffer_empty
        )

    def write(self, frame: bytes) -> None:
        """Hand a frame to the transport before returning. Raises LinkEnded; then nothing was written."""
        if self._ending is not None or self._connection is None:
            raise LinkEnded(Cause.LINK_FAILED, "the connection has ended")
        self._connection.write(frame)

    def end(self, ending: Ending) -> None:
        """End the link now, with what it has buffered; the first ending is the one that `live` returns."""
        if self._ending is None:
            self._ending = ending
            if self._connection is not None:
                self._connection.abort()

    async def live(self) -> Ending:
        """Connect, log in and read until the end."""
        timeout_s = min(self._timing.connect_timeout_s, self._give_up_at - self._clock().boot_s)
        try:
            async with connect(self._url, way=self._way, timeout_s=timeout_s) as connection:
                if self.ending is None:
                    self._begin(connection)
                turn_began_s = self._clock().boot_s
                while self.ending is None:
                    self._take(await connection.receive())
                    if self._clock().boot_s - turn_began_s >= TURN_S:  # tens of thousands may be buffered
                        await asyncio.sleep(0)
                        turn_began_s = self._clock().boot_s
        except LinkEnded as error:
            self.end(Ending(error.cause, error.detail, hold_off_s=error.hold_off_s))
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._conversation = None
        return self._ending or Ending(Cause.LINK_FAILED, "the connection ended")

    def _begin(self, connection: Connection) -> None:
        now = self._clock()
        self._conversation = Conversation(
            self._login(now),
            ping_interval_s=self._timing.ping_interval_s,
            pong_deadline_s=self._timing.pong_deadline_s,
            login_deadline_s=min(LOGIN_DEADLINE_S, self._give_up_at - now.boot_s),
            now=now,
        )
        self._connection = connection
        self._advance(self._conversation)

    def _take(self, raw: bytes) -> None:
        if self._conversation is None or self.ending is not None:
            return
        now = self._clock()
        for event in self._conversation.receive(raw, now):
            if self._ending is not None:
                return  # dropped: what is buffered is no longer ours to tell
            match event:
                case Over(cause, detail):
                    self.end(Ending(cause, detail))
                case LoginDenied(code, message):
                    self.end(Ending(Cause.LOGIN_REFUSED, f"{code} {message}", event))
                case LoggedIn():
                    self._opened_at = now.boot_s
                    self._tell(event, now)
                case _:
                    self._tell(event, now)
        # Only now: what nobody could be told was not heard, and belongs to the gap.
        self._heard_boot_s = now.boot_s
        self._advance(self._conversation)

    def _advance(self, conversation: Conversation) -> None:
        """Send what the conversation wants sent, and arm the timer where it wants to be woken sooner."""
        with contextlib.suppress(LinkEnded):  # the reader finds out, and says so
            for frame in conversation.outgoing():
                self.write(frame)
        wake_at = conversation.wake_at()
        if wake_at is None or wake_at >= self._timer_at or self._ending is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = wake_at
        delay_s = max(0.0, wake_at - self._clock().boot_s)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick, conversation)

    def _tick(self, conversation: Conversation) -> None:
        self._timer, self._timer_at = None, math.inf
        over = conversation.tick(self._clock())
        if over is not None:
            self.end(Ending(over.cause, over.detail))
        self._advance(conversation)
