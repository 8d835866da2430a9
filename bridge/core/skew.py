"""How far this machine's clock is from another one, by one reading of it."""

from msgspec import Struct

from bridge.core.now import Now


class Skew(Struct, frozen=True):
    """This machine's wall clock minus another clock lies between `low_ms` and `high_ms`."""

    low_ms: int
    high_ms: int

    def exceeds(self, bound_s: float) -> bool:
        """Whether the clocks certainly differ by more than `bound_s`."""
        bound_ms = bound_s * 1000
        return self.low_ms > bound_ms or self.high_ms < -bound_ms

    def within(self, bound_s: float) -> bool:
        """Whether the clocks certainly differ by no more than `bound_s`."""
        bound_ms = bound_s * 1000
        return -bound_ms <= self.low_ms and self.high_ms <= bound_ms

    def describe(self, whose: str = "the venue's") -> str:
        """Return the skew as text; `whose` names the other clock."""
        low_s, high_s = self.low_ms / 1000, self.high_ms / 1000
        if low_s > 0:
            return f"this machine's clock is {low_s:.1f} to {high_s:.1f} s ahead of {whose}"
        if high_s < 0:
            return f"this machine's clock is {-high_s:.1f} to {-low_s:.1f} s behind {whose}"
        return f"this machine's clock is at most {-low_s:.1f} s behind and {high_s:.1f} s ahead of {whose}"


class ClockReading(Struct, frozen=True):
    """One answer with a time: between `asked_boot_s` and `answered_boot_s` another clock read `read_ms`.

    The time was rounded down to a multiple of `granularity_ms`. The other two are on our boot clock, so that it does
    not matter if our wall clock is set meanwhile.
    """

    asked_boot_s: float
    answered_boot_s: float
    read_ms: int
    granularity_ms: int = 1

    @property
    def offset_low_ms(self) -> float:
        """The least by which the other clock is ahead of our boot clock."""
        return self.read_ms - self.answered_boot_s * 1000

    @property
    def offset_high_ms(self) -> float:
        """The most by which the other clock is ahead of our boot clock."""
        return self.read_ms + self.granularity_ms - self.asked_boot_s * 1000

    def skew(self, now: Now) -> Skew:
        """Return how far our wall clock, as it is set now, is from the clock that was read."""
        return skew_between(self.offset_low_ms, self.offset_high_ms, now)


def skew_between(offset_low_ms: float, offset_high_ms: float, now: Now) -> Skew:
    """Return how far our wall clock is from a clock that is ahead of our boot clock by this interval."""
    wall_offset_ms = now.wall_ms - now.boot_s * 1000
    return Skew(round(wall_offset_ms - offset_high_ms), round(wall_offset_ms - offset_low_ms))
