"""How far two clocks are apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.now import Now
from bridge.core.skew import ClockReading, Skew

MS = st.integers(0, 10**6)
NOW = Now(1000.0, 10**12)


@given(skew_ms=st.integers(-(10**6), 10**6), there_ms=MS, back_ms=MS, granularity_ms=st.sampled_from([1, 1000]))
def test_the_true_difference_lies_within_the_bounds(
    skew_ms: int, there_ms: int, back_ms: int, granularity_ms: int
) -> None:
    """However long the ways are and wherever in its second the venue stamped."""
    stamped_ms = NOW.wall_ms + there_ms - skew_ms
    reading = ClockReading(
        NOW.boot_s,
        NOW.boot_s + (there_ms + back_ms) / 1000,
        stamped_ms - stamped_ms % granularity_ms,
        granularity_ms,
    )
    skew = reading.skew(NOW)
    assert skew.low_ms <= skew_ms <= skew.high_ms
    assert there_ms + back_ms + granularity_ms == skew.high_ms - skew.low_ms


def test_a_wall_clock_that_steps_on_the_way_changes_nothing_but_what_it_says_itself() -> None:
    """A reading is on the boot clock: one reading is enough for the skew of each wall clock."""
    reading = ClockReading(NOW.boot_s, NOW.boot_s + 0.5, NOW.wall_ms, 0)
    assert reading.skew(NOW) == Skew(0, 500)
    assert reading.skew(Now(NOW.boot_s + 9, NOW.wall_ms + 9000 - 7000)) == Skew(-7000, -6500)


@pytest.mark.parametrize(
    ("low_ms", "high_ms", "exceeds"),
    [
        (5001, 9000, True),
        (5000, 9000, False),
        (-9000, -5001, True),
        (-9000, -5000, False),
        (-60_000, 60_000, False),
        (-100, 100, False),
    ],
)
def test_only_what_is_certain_exceeds(low_ms: int, high_ms: int, *, exceeds: bool) -> None:
    """The whole interval has to lie outside the bound: a slow answer raises no alarm."""
    assert exceeds == Skew(low_ms, high_ms).exceeds(5)


@pytest.mark.parametrize(
    ("low_ms", "high_ms", "words"),
    [
        (6000, 7250, "this machine's clock is 6.0 to 7.2 s ahead of the venue's"),
        (-7000, -6000, "this machine's clock is 6.0 to 7.0 s behind the venue's"),
        (-1000, 200, "this machine's clock is at most 1.0 s behind and 0.2 s ahead of the venue's"),
    ],
)
def test_a_skew_is_described(low_ms: int, high_ms: int, words: str) -> None:
    """Which way, and how far."""
    assert words == Skew(low_ms, high_ms).describe()


@pytest.mark.parametrize(
    ("low_ms", "high_ms", "within"),
    [(-5000, 5000, True), (-5001, 0, False), (0, 5001, False), (6000, 7000, False)],
)
def test_within_a_bound_only_if_certain(low_ms: int, high_ms: int, *, within: bool) -> None:
    """The whole interval must lie within it."""
    assert Skew(low_ms, high_ms).within(5) is within
