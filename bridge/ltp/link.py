"""One connection to the venue with its protocol, from the handshake to the end."""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from bridge.config import Timing
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import Answer, InvalidFrame, Push
from bridge.core.skew import ClockReading
from bridge.ltp.connection import Connection, LinkEnded, connect
from bridge.ltp.network import NetworkSettings
from bridge.ltp.protocol import LoggedIn, LoginRejected, Protocol, ProtocolEnd

LOGIN_DEADLINE_S: Final = 10.0
TURN_S: Final = 0.02
"""Buffered frames are read one after the other for this long, before other tasks run."""
FRAMES_PER_READING: Final = 32
"""So many buffered frames are taken in as of one instant: reading the clocks would cost more than most of a frame."""


class Disconnect(NamedTuple):
    """Why a link ended; `rejected` is the venue's answer if it refused the login.

    `hold_off_s` is for how long the venue wants no further attempt at this endpoint.
    """

    cause: Cause
    detail: str
    rejected: LoginRejected | None = None
    hold_off_s: float = 0.0


class LinkCallbacks(NamedTuple):
    """What a link calls: for the login frame once the connection is open, with what happened, and before it reads on.

    While `wait_for_room` returns True the link reads no frame, so TCP slows the venue down.
    """

    make_login: Callable[[Now], bytes]
    on_frame: Callable[[Push | Answer, Now], None]
    on_event: Callable[[LoggedIn | ClockReading | InvalidFrame, Now], None]
    wait_for_room: Callable[[], Awaitable[bool]]


class Link:
    """Passes frames between a connection and its protocol, and wakes the protocol when it asks for that.

    What a callback raises ends the link and leaves `run`.
    """

    def __init__(
        self,
        url: str,
        *,
        network: NetworkSettings,
        timing: Timing,
        clock: Callable[[], Now],
        callbacks: LinkCallbacks,
    ) -> None:
        self._url = url
        self._network = network
        self._timing = timing
        self._clock = clock
        self._callbacks = callbacks
        self._on_frame = callbacks.on_frame
        self._last_frame_boot_s = -math.inf
        self._logged_in_boot_s: float | None = None
        self._connection: Connection | None = None
        self._protocol: Protocol | None = None
        self._ended_by: Disconnect | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_boot_s = math.inf

    @property
    def logged_in(self) -> bool:
        """Whether the venue accepted the login and the link has not ended since."""
        return self._ended_by is None and self._protocol is not None and self._protocol.logged_in

    @property
    def ended_by(self) -> Disconnect | None:
        """Why the link ended; None before its end."""
        return self._ended_by

    @property
    def logged_in_boot_s(self) -> float | None:
        """When the venue accepted the login, in CLOCK_BOOTTIME seconds; None if it has not."""
        return self._logged_in_boot_s

    @property
    def last_frame_boot_s(self) -> float:
        """When the last frame came, in CLOCK_BOOTTIME seconds; minus infinity before the first."""
        return self._last_frame_boot_s

    def ready_to_write(self, now: Now) -> bool:
        """Return whether a command may be written: logged in, pings answered, nothing unsent."""
        return (
            self.logged_in
            and self._protocol is not None
            and self._protocol.is_fresh(now)
            and self._connection is not None
            and self._connection.write_buffer_empty
        )

    def write(self, frame: bytes) -> None:
        """Hand a frame to the transport before returning. Raises LinkEnded; then nothing was written."""
        if self._ended_by is not None or self._connection is None:
            raise LinkEnded(Cause.LINK_FAILED, "the connection has ended")
        self._connection.write(frame)

    def end(self, why: Disconnect) -> None:
        """End the link now and discard what it has buffered. The first reason is the one that `run` returns."""
        if self._ended_by is None:
            self._ended_by = why
            if self._connection is not None:
                self._connection.abort()

    async def run(self, give_up_boot_s: float) -> Disconnect:
        """Connect, log in and read until the end; return why it ended.

        Connection and login are given up at `give_up_boot_s`, in CLOCK_BOOTTIME seconds, or after a time limit each.
        """
        timeout_s = min(self._timing.connect_timeout_s, give_up_boot_s - self._clock().boot_s)
        try:
            async with connect(self._url, network=self._network, timeout_s=timeout_s) as connection:
                if self.ended_by is None:
                    self._begin_protocol(connection, give_up_boot_s)
                turn_began_boot_s = self._clock().boot_s
                while self.ended_by is None:
                    await self._receive_frames(connection)
                    await self._pause_while_full()
                    if self._clock().boot_s - turn_began_boot_s >= TURN_S:  # tens of thousands may be buffered
                        await asyncio.sleep(0)
                        turn_began_boot_s = self._clock().boot_s
        except LinkEnded as error:
            self.end(Disconnect(error.cause, error.detail, hold_off_s=error.hold_off_s))
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._protocol = None
        return self._ended_by or Disconnect(Cause.LINK_FAILED, "the connection ended")

    def _begin_protocol(self, connection: Connection, give_up_boot_s: float) -> None:
        now = self._clock()
        login_deadline_s = min(LOGIN_DEADLINE_S, give_up_boot_s - now.boot_s)
        self._protocol = Protocol(self._callbacks.make_login(now), self._timing, login_deadline_s, now)
        self._connection = connection
        self._flush_and_arm_timer(self._protocol)

    async def _receive_frames(self, connection: Connection) -> None:
        """Wait for the next frame, and take in the frames that came with it as of one instant."""
        raw = await connection.receive()
        now, frames = self._clock(), 1
        self._receive_frame(raw, now)
        while frames < FRAMES_PER_READING and connection.has_frame and self._ended_by is None:
            self._receive_frame(await connection.receive(), now)
            frames += 1
        if self._protocol is not None:
            self._flush_and_arm_timer(self._protocol)

    async def _pause_while_full(self) -> None:
        while self.ended_by is None and await self._callbacks.wait_for_room():
            if self._protocol is not None:
                self._protocol.note_pause(self._clock())

    def _receive_frame(self, raw: bytes, now: Now) -> None:
        if self._protocol is None or self.ended_by is not None:
            return
        for event in self._protocol.receive(raw, now):
            if self._ended_by is not None:
                return  # the session was dropped: what is buffered belongs to no session
            match event:
                case Push() | Answer():
                    self._on_frame(event, now)
                case ProtocolEnd(cause, detail):
                    self.end(Disconnect(cause, detail))
                case LoginRejected(code, message):
                    self.end(Disconnect(Cause.LOGIN_REFUSED, f"{code} {message}", event))
                case LoggedIn():
                    self._logged_in_boot_s = now.boot_s
                    self._callbacks.on_event(event, now)
                case _:
                    self._callbacks.on_event(event, now)
        # Only after the callback: a frame that it did not take belongs to the gap.
        self._last_frame_boot_s = now.boot_s

    def _flush_and_arm_timer(self, protocol: Protocol) -> None:
        """Send the protocol's frames, and arm the timer if the protocol has to be woken sooner."""
        with contextlib.suppress(LinkEnded):  # the next read raises it again, with the cause
            for frame in protocol.take_outgoing():
                self.write(frame)
        wake_boot_s = protocol.wake_boot_s
        if wake_boot_s is None or wake_boot_s >= self._timer_boot_s or self._ended_by is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_boot_s = wake_boot_s
        delay_s = max(0.0, wake_boot_s - self._clock().boot_s)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick, protocol)

    def _tick(self, protocol: Protocol) -> None:
        self._timer, self._timer_boot_s = None, math.inf
        end = protocol.tick(self._clock())
        if end is not None:
            self.end(Disconnect(end.cause, end.detail))
        self._flush_and_arm_timer(protocol)
