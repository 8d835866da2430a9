"""The conversation of one connection: frames and time in; events, frames to send and the next deadline out.

Not here: the socket, the clock, reconnecting, and what pushes and answers mean.

A connection is alive when the venue answers pings. Other frames do not count: pushes may still arrive while nothing
of ours gets through. A link that died right after a pong is found `ping_interval_s` + `pong_deadline_s` later.
"""

from enum import Enum, auto
from typing import Final

from msgspec import Struct

from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import Answer, InvalidFrame, Push, Received
from bridge.core.skew import ClockReading
from bridge.ltp import codes, wire

FRESH_S: Final = 1.0
"""A ping unanswered, or due, for longer than this leaves the link's health in doubt."""
EARLY_FRAMES_MAX: Final = 1000
EARLY_BYTES_MAX: Final = 1024 * 1024
"""What may come before the answer to the login."""


class LoggedIn(Struct, frozen=True):
    """The venue accepted the login."""


class LoginDenied(Struct, frozen=True):
    """The venue refused the login; the conversation is over."""

    code: int
    message: str


class Over(Struct, frozen=True):
    """The conversation is over."""

    cause: Cause
    detail: str


Event = LoggedIn | LoginDenied | Over | ClockReading | Received


class _Stage(Enum):
    LOGIN = auto()
    LIVE = auto()
    OVER = auto()


class Conversation:
    """One connection's conversation, from its login to its end."""

    def __init__(
        self, login: bytes, *, ping_interval_s: float, pong_deadline_s: float, login_deadline_s: float, now: Now
    ) -> None:
        self._stage = _Stage.LOGIN
        self._outgoing = [login]
        self._ping_interval_s = ping_interval_s
        self._pong_deadline_s = pong_deadline_s
        self._login_deadline_s = login_deadline_s
        self._login_due = now.boot_s + login_deadline_s
        self._early: list[Event] = []
        self._early_bytes = 0
        self._ping_due = 0.0
        self._pinged_at: float | None = None
        self._text_pings = False
        self._other_style_at: float | None = None

    @property
    def logged_in(self) -> bool:
        """Whether the venue accepted the login and the conversation goes on."""
        return self._stage is _Stage.LIVE

    def fresh(self, now: Now) -> bool:
        """Whether no ping has been without its answer, or overdue to be sent, for more than a second."""
        since = self._ping_due if self._pinged_at is None else self._pinged_at
        return self.logged_in and now.boot_s - since <= FRESH_S

    def wake_at(self) -> float | None:
        """Tell when `tick` has something to do, on the clock that never steps; None when it is over."""
        if self._stage is _Stage.OVER:
            return None
        if self._stage is _Stage.LOGIN:
            return self._login_due
        if self._pinged_at is None:
            return self._ping_due
        return self._other_style_at or self._pinged_at + self._pong_deadline_s

    def outgoing(self) -> list[bytes]:
        """Take the frames to send now."""
        frames, self._outgoing = self._outgoing, []
        return frames

    def receive(self, raw: bytes, now: Now) -> list[Event]:
        """Take in one frame."""
        frame = wire.decode(raw)
        if self._stage is _Stage.LOGIN:
            self._early_bytes += len(raw)
            return self._before_login(frame, now)
        if self._stage is _Stage.OVER:
            return []
        events: list[Event] = []
        match frame:
            case wire.Pong(as_text, server_ms):
                if server_ms is not None and self._pinged_at is not None:
                    events.append(
                        ClockReading(asked_boot_s=self._pinged_at, answered_boot_s=now.boot_s, read_ms=server_ms)
                    )
                self._pinged_at = None
                self._text_pings = as_text
            case wire.LoginAnswer(code, message) if code != 0:
                events.append(self._end(Cause.CLOSED_BY_VENUE, f"the venue ended the login: {code} {message}"))
            case Answer(code=codes.LOGIN_INVALID):
                events.append(frame)
                events.append(self._end(Cause.CLOSED_BY_VENUE, "the venue no longer knows the login (4000)"))
            case Push() | Answer() | InvalidFrame():
                events.append(frame)
        return events

    def tick(self, now: Now) -> Over | None:
        """Let time pass. Returns the end if this is it."""
        if self._stage is _Stage.LOGIN and now.boot_s >= self._login_due:
            return self._end(Cause.LINK_FAILED, f"no answer to the login within {self._login_deadline_s:.3g} s")
        if self._stage is not _Stage.LIVE:
            return None
        if self._pinged_at is None:
            if now.boot_s >= self._ping_due:
                self._ping(now)
        elif now.boot_s >= self._pinged_at + self._pong_deadline_s:
            return self._end(Cause.PONG_OVERDUE, f"no pong within {self._pong_deadline_s:g} s")
        elif self._other_style_at is not None and now.boot_s >= self._other_style_at:
            self._other_style_at = None
            self._outgoing.append(self._ping_frame(now, as_text=not self._text_pings))
        return None

    def _before_login(self, frame: wire.Frame, now: Now) -> list[Event]:
        match frame:
            case wire.Pong():
                return []
            case wire.LoginAnswer(0):
                self._stage = _Stage.LIVE
                self._ping_due = now.boot_s + self._ping_interval_s
                early, self._early = self._early, []
                return [LoggedIn(), *early]
            case wire.LoginAnswer(code, message):
                return [self._deny(code, message)]
            case Answer(request_id=None, push=None, code=code, message=message) if codes.refuses_login(code):
                return [self._deny(code, message)]
            case Push() | InvalidFrame() | Answer():
                # Undocumented, but a push or a greeting may come before the answer; it is told after the login.
                self._early.append(frame)
                if len(self._early) > EARLY_FRAMES_MAX or self._early_bytes > EARLY_BYTES_MAX:
                    told = f"{len(self._early)} frames, {self._early_bytes} bytes, and no answer to the login"
                    return [self._end(Cause.PROTOCOL_ERROR, told)]
                return []

    def _deny(self, code: int, message: str) -> LoginDenied:
        self._stage = _Stage.OVER
        return LoginDenied(code, message)

    def _ping(self, now: Now) -> None:
        """Ask for a pong. The documents disagree on the style, so half-way to the deadline the other one is tried."""
        self._pinged_at = now.boot_s
        self._ping_due = now.boot_s + self._ping_interval_s
        self._other_style_at = now.boot_s + self._pong_deadline_s / 2
        self._outgoing.append(self._ping_frame(now, as_text=self._text_pings))

    @staticmethod
    def _ping_frame(now: Now, *, as_text: bool) -> bytes:
        return wire.TEXT_PING if as_text else wire.encode_ping(now.wall_ms)

    def _end(self, cause: Cause, detail: str) -> Over:
        self._stage = _Stage.OVER
        return Over(cause, detail)
