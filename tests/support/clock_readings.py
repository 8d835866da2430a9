"""Readings of the clocks that the bridge compares with its own."""

from bridge.core.account import Account
from bridge.core.now import Now
from bridge.core.skew import ClockReading, Skew


def reading_of(skew: Skew, now: Now) -> ClockReading:
    """Return an answer that tells no more and no less than that our clock is so far from another."""
    return ClockReading(now.boot_s, now.boot_s, now.wall_ms - skew.high_ms, skew.high_ms - skew.low_ms)


def read_clocks(account: Account, now: Now, *, venue_ahead_ms: int = 0, broker_ahead_ms: int = 0) -> None:
    """Let the venue's clock and the broker's be read, which are so far ahead of the account's own."""
    account.clocks.learn_venue_time(reading_of(Skew(-venue_ahead_ms, -venue_ahead_ms), now), now)
    account.clocks.learn_broker_time(reading_of(Skew(-broker_ahead_ms, -broker_ahead_ms), now), now)
