"""How far this machine's clock is from the venue's, as far as one answer can tell."""

from typing import Self

from msgspec import Struct


class Skew(Struct, frozen=True):
    """Our clock minus the venue's lies between `low_ms` and `high_ms`."""

    low_ms: int
    high_ms: int

    @classmethod
    def measured(cls, *, sent_ms: int, received_ms: int, server_ms: int, granularity_ms: int) -> Self:
        """Measure from one answer: our clock before the question and at the answer, and the venue's stamp between them.

        All are Unix ms; the stamp was cut down to a multiple of `granularity_ms`. Where our own clock stepped in
        between, both of its readings count.
        """
        earlier, later = sorted((sent_ms, received_ms))
        return cls(low_ms=earlier - server_ms - granularity_ms, high_ms=later - server_ms)

    def exceeds(self, bound_s: float) -> bool:
        """Whether the clocks certainly differ by more than `bound_s`."""
        bound_ms = bound_s * 1000
        return self.low_ms > bound_ms or self.high_ms < -bound_ms

    def within(self, bound_s: float) -> bool:
        """Whether the clocks certainly differ by no more than `bound_s`."""
        bound_ms = bound_s * 1000
        return -bound_ms <= self.low_ms and self.high_ms <= bound_ms

    def in_words(self) -> str:
        """Say it to a person."""
        low_s, high_s = self.low_ms / 1000, self.high_ms / 1000
        if low_s > 0:
            return f"this machine's clock is {low_s:.1f} to {high_s:.1f} s ahead of the venue's"
        if high_s < 0:
            return f"this machine's clock is {-high_s:.1f} to {-low_s:.1f} s behind the venue's"
        return f"this machine's clock is at most {-low_s:.1f} s behind and {high_s:.1f} s ahead of the venue's"
