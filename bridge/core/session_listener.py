"""What the venue's session calls when something happened to it."""

from typing import Protocol

from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import Received
from bridge.core.skew import ClockReading


class SessionListener(Protocol):
    """The callbacks of a session. An exception ends the session and leaves its `run`.

    Each but `wait_for_room` returns at once.
    """

    def logged_in(self, endpoint: str, now: Now) -> None:
        """Note that the venue accepted the login."""

    def received(self, event: Received, now: Now) -> None:
        """Process one frame of the logged-in session."""

    async def wait_for_room(self) -> bool:
        """Return False if further frames may be read; otherwise wait for a moment and return True."""

    def lost(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Note the end of a logged-in session; called once for each."""

    def attempt_failed(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Note that a connection or a login failed."""

    def clock_read(self, reading: ClockReading, now: Now) -> None:
        """Note a reading of the venue's clock."""
