"""A venue whose clock is not ours."""

from bridge.sandbox.venue.clock import SystemClock


class AheadClock(SystemClock):
    """Ahead of the machine's by so many seconds, behind it when negative; may be changed while it runs."""

    def __init__(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s

    def wall_ms(self) -> int:
        """Return unix time in milliseconds, as the venue believes."""
        return super().wall_ms() + int(self.ahead_s * 1000)
