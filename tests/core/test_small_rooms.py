"""Backoff and gaps."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.session import Cause
from bridge.core.backoff import full_jitter
from bridge.core.now import Now
from bridge.core.records import Rows
from bridge.core.stream.gaps import GapLedger

NOW = Now(1.0, 50_000)


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
def test_the_wait_is_between_floor_and_a_doubling_ceiling(attempt: int, roll: float) -> None:
    """However often it failed, the wait stays within its bounds."""
    wait_s = full_jitter(attempt, roll, base_s=0.5, cap_s=30, floor_s=0.1)
    assert 0.1 <= wait_s <= max(0.1, min(30, 0.5 * 2.0 ** min(attempt, 10)))


def test_the_wait_is_spread_over_all_of_it() -> None:
    """Full jitter: many clients do not come back at one time."""
    assert full_jitter(3, 0.5, base_s=1, cap_s=30, floor_s=0) == 4
    assert full_jitter(9, 0.5, base_s=1, cap_s=30, floor_s=0) == 15


def test_the_oldest_open_gap_bounds_what_is_durable() -> None:
    """Gaps have names of their own within a term; without one the live point counts, else the inherited."""
    gaps = GapLedger(3, 1000)
    assert [gaps.durable_until_ms(0, NOW), gaps.durable_until_ms(2000, NOW)] == [1000, 2000]
    first = gaps.open(NOW, 5000, Cause.LINK_FAILED, "cut")
    second = gaps.open(NOW, 4000, Cause.PONG_OVERDUE, "no pong")
    assert [first.gap_id, second.gap_id] == ["3-1", "3-2"]
    assert (first.at, first.from_ms, first.cause, first.detail) == (50_000, 5000, Cause.LINK_FAILED, "cut")
    assert gaps.durable_until_ms(9000, NOW) == 4000


def test_rows_say_how_many_were_not_understood() -> None:
    """They are those that were."""
    rows = Rows(["a", "b"], 1)
    assert (rows, rows.unreadable, Rows().unreadable) == (("a", "b"), 1, 0)
