"""The protocol of one connection: frames and time go in; events, frames to send and the next deadline come out.

Not here: the socket, the clock, reconnecting, and the meaning of pushes and answers.

A connection is alive while the venue answers pings. Other frames do not count: pushes may still arrive while nothing
that we send gets through. A link that died right after a pong is detected `ping_interval_s` + `pong_deadline_s` later.
If reading was paused, the pong may be behind frames that were not read: its deadline begins again, and pings go on.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from msgspec import Struct

from bridge.config import Timing
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import Answer, InvalidFrame, Push, Received
from bridge.core.skew import ClockReading
from bridge.ltp import codes, wire

FRESH_S: Final = 1.0
"""If a ping is unanswered, or due, for longer than this, the link may be dead."""
EARLY_FRAMES_MAX: Final = 1000
EARLY_BYTES_MAX: Final = 1024 * 1024
"""The most that may come before the answer to the login."""


class LoggedIn(Struct, frozen=True):
    """The venue accepted the login."""


class LoginRejected(Struct, frozen=True):
    """The venue refused the login; the protocol has ended."""

    code: int
    message: str


class ProtocolEnd(Struct, frozen=True):
    """The protocol has ended, and why."""

    cause: Cause
    detail: str


ProtocolEvent = LoggedIn | LoginRejected | ProtocolEnd | ClockReading | Received


class _Stage(Enum):
    LOGIN = auto()
    LIVE = auto()
    ENDED = auto()


_LIVE: Final = _Stage.LIVE


class Protocol:
    """The protocol of one connection, from its login to its end."""

    def __init__(self, login: bytes, timing: Timing, login_deadline_s: float, now: Now) -> None:
        self._stage = _Stage.LOGIN
        self._outgoing = [login]
        self._ping_interval_s = timing.ping_interval_s
        self._pong_deadline_s = timing.pong_deadline_s
        self._login_deadline_s = login_deadline_s
        self._login_due_boot_s = now.boot_s + login_deadline_s
        self._early: list[ProtocolEvent] = []
        self._early_bytes = 0
        self._ping_due_boot_s = 0.0
        self._pinged_boot_s: float | None = None
        self._pong_due_boot_s = 0.0
        self._later_pinged_boot_s: deque[float] = deque()
        """When further pings were sent while one was unanswered, because reading was paused."""
        self._was_paused = False
        """Whether reading was paused since the oldest unanswered ping: then its pong came before it is read."""
        self._text_pings = False
        self._other_style_boot_s: float | None = None

    @property
    def logged_in(self) -> bool:
        """Whether the venue accepted the login and the protocol has not ended."""
        return self._stage is _Stage.LIVE

    @property
    def wake_boot_s(self) -> float | None:
        """When to call `tick`, in CLOCK_BOOTTIME seconds; None after the end."""
        if self._stage is _Stage.ENDED:
            return None
        if self._stage is _Stage.LOGIN:
            return self._login_due_boot_s
        if self._pinged_boot_s is None:
            return self._ping_due_boot_s
        due_boot_s = self._other_style_boot_s or self._pong_due_boot_s
        return min(due_boot_s, self._ping_due_boot_s) if self._was_paused else due_boot_s

    def is_fresh(self, now: Now) -> bool:
        """Return whether no ping has been unanswered, or overdue to be sent, for more than a second."""
        since_boot_s = self._ping_due_boot_s if self._pinged_boot_s is None else self._pinged_boot_s
        return self.logged_in and now.boot_s - since_boot_s <= FRESH_S

    def note_pause(self, now: Now) -> None:
        """Note that no frame was read for a while up to now."""
        self._pong_due_boot_s = now.boot_s + self._pong_deadline_s
        self._was_paused = self._pinged_boot_s is not None

    def take_outgoing(self) -> list[bytes]:
        """Return the frames to send now; they are returned once."""
        frames, self._outgoing = self._outgoing, []
        return frames

    def receive(self, raw: bytes, now: Now) -> Sequence[ProtocolEvent]:
        """Process one frame and return what it means."""
        frame = wire.decode_frame(raw)
        if type(frame) is Push and self._stage is _LIVE:
            return (frame,)
        if self._stage is _Stage.LOGIN:
            self._early_bytes += len(raw)
            return self._receive_before_login(frame, now)
        if self._stage is _Stage.ENDED:
            return []
        events: list[ProtocolEvent] = []
        match frame:
            case wire.Pong(as_text, server_ms):
                if server_ms is not None and self._pinged_boot_s is not None and not self._was_paused:
                    reading = ClockReading(
                        asked_boot_s=self._pinged_boot_s, answered_boot_s=now.boot_s, read_ms=server_ms
                    )
                    events.append(reading)
                self._pinged_boot_s = self._later_pinged_boot_s.popleft() if self._later_pinged_boot_s else None
                self._text_pings = as_text
            case wire.LoginAnswer(code, message) if code != 0:
                events.append(self._end(Cause.CLOSED_BY_VENUE, f"the venue ended the login: {code} {message}"))
            case Answer(code=code) if codes.is_logged_out(code):
                events.append(frame)
                events.append(self._end(Cause.CLOSED_BY_VENUE, f"the venue no longer knows the login ({code})"))
            case Push() | Answer() | InvalidFrame():
                events.append(frame)
        return events

    def tick(self, now: Now) -> ProtocolEnd | None:
        """Do what is due by now. Returns the end if the protocol has ended by it."""
        if self._stage is _Stage.LOGIN and now.boot_s >= self._login_due_boot_s:
            return self._end(Cause.LINK_FAILED, f"no answer to the login within {self._login_deadline_s:.3g} s")
        if self._stage is not _Stage.LIVE:
            return None
        if self._pinged_boot_s is None:
            if now.boot_s >= self._ping_due_boot_s:
                self._send_ping(now)
        elif now.boot_s >= self._pong_due_boot_s:
            return self._end(Cause.PONG_OVERDUE, f"no pong within {self._pong_deadline_s:g} s")
        elif self._was_paused and now.boot_s >= self._ping_due_boot_s:
            self._ping_due_boot_s = now.boot_s + self._ping_interval_s
            self._later_pinged_boot_s.append(now.boot_s)
            self._outgoing.append(self._encode_ping(now, as_text=self._text_pings))
        elif self._other_style_boot_s is not None and now.boot_s >= self._other_style_boot_s:
            self._other_style_boot_s = None
            self._outgoing.append(self._encode_ping(now, as_text=not self._text_pings))
        return None

    def _receive_before_login(self, frame: wire.Frame, now: Now) -> list[ProtocolEvent]:
        match frame:
            case wire.Pong():
                return []
            case wire.LoginAnswer(0):
                self._stage = _Stage.LIVE
                self._ping_due_boot_s = now.boot_s + self._ping_interval_s
                early, self._early = self._early, []
                return [LoggedIn(), *early]
            case wire.LoginAnswer(code, message):
                return [self._reject_login(code, message)]
            case Answer(request_id=None, push=None, code=code, message=message) if codes.refuses_login(code):
                return [self._reject_login(code, message)]
            case Push() | InvalidFrame() | Answer():
                # Undocumented, but a push or a greeting may come before the answer; it is returned after the login.
                self._early.append(frame)
                if len(self._early) > EARLY_FRAMES_MAX or self._early_bytes > EARLY_BYTES_MAX:
                    detail = f"{len(self._early)} frames, {self._early_bytes} bytes, and no answer to the login"
                    return [self._end(Cause.PROTOCOL_ERROR, detail)]
                return []

    def _reject_login(self, code: int, message: str) -> LoginRejected:
        self._stage = _Stage.ENDED
        return LoginRejected(code, message)

    def _send_ping(self, now: Now) -> None:
        """Send a ping. The documents disagree on its style, so half-way to the deadline the other style is sent."""
        self._pinged_boot_s, self._was_paused = now.boot_s, False
        self._ping_due_boot_s = now.boot_s + self._ping_interval_s
        self._pong_due_boot_s = now.boot_s + self._pong_deadline_s
        self._other_style_boot_s = now.boot_s + self._pong_deadline_s / 2
        self._outgoing.append(self._encode_ping(now, as_text=self._text_pings))

    @staticmethod
    def _encode_ping(now: Now, *, as_text: bool) -> bytes:
        return wire.TEXT_PING if as_text else wire.encode_ping(now.wall_ms)

    def _end(self, cause: Cause, detail: str) -> ProtocolEnd:
        self._stage = _Stage.ENDED
        return ProtocolEnd(cause, detail)
