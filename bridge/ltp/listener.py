"""Who is told what a session does."""

from typing import Protocol

from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import Received
from bridge.core.skew import ClockReading


class Listener(Protocol):
    """Who is told. The callbacks return at once; what they raise ends the session and comes out of `run`."""

    def logged_in(self, endpoint: str, now: Now) -> None:
        """Note that the venue accepted the login."""

    def received(self, event: Received, now: Now) -> None:
        """Take one frame of the logged-in session."""

    def lost(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Note the end of a logged-in session; called once for each."""

    def attempt_failed(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Note a connection or login that did not come about."""

    def clock_read(self, reading: ClockReading, now: Now) -> None:
        """Note how far this machine's clock is from the venue's."""
