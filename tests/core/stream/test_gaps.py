"""The gap ledger: which gaps are open, since when, and how many records each has recovered."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.session import Cause, Lost, Recovered
from bridge.contract.topics import Stream
from bridge.core.now import Now
from bridge.core.stream.gaps import Gap, GapLedger, count_by_stream
from tests.support.one_account import START

T = START.wall_ms
OVERLAP_MS = 150_000


def _open(gaps: GapLedger, from_ms: int, cause: Cause = Cause.LINK_FAILED) -> str:
    return gaps.open(START, from_ms, cause, "why").gap_id


def _later(ms: int) -> Now:
    return Now(START.boot_s + ms / 1000, T + ms)


def test_a_gap_says_from_when_on_and_why() -> None:
    """Under a name that no other gap of any owner has."""
    opened = GapLedger(7).open(START, T - 5, Cause.PONG_OVERDUE, "no pong")
    assert (opened.at, opened.gap_id, opened.from_ms) == (T, "7-1", T - 5)
    assert (opened.cause, opened.detail) == (Cause.PONG_OVERDUE, "no pong")


def test_names_are_not_used_again() -> None:
    """Not after the gaps were closed either."""
    gaps = GapLedger(7)
    names = [_open(gaps, T), _open(gaps, T)]
    gaps.close(START, ())
    assert [*names, _open(gaps, T)] == ["7-1", "7-2", "7-3"]


def test_a_gap_ends_with_the_login_after_it() -> None:
    """And not with the one after that, which ends the next gap."""
    gaps = GapLedger(7)
    _open(gaps, T - 9)
    gaps.logged_in(_later(10))
    _open(gaps, T + 20)
    gaps.logged_in(_later(30))
    assert [(gap.from_ms, gap.to_ms) for gap in gaps.close(_later(40), ())] == [(T - 9, T + 10), (T + 20, T + 30)]


def test_a_closed_gap_has_what_was_recovered_and_what_is_lost() -> None:
    """Once for every gap that was open, the oldest first."""
    gaps = GapLedger(7)
    _open(gaps, T, Cause.BUFFER_FULL)
    gaps.logged_in(_later(10))
    gaps.count_recovered(Stream.TRADES, T + 1, START, missed=True, sure_ms=T)
    gaps.count_recovered(Stream.MARGIN_CALLS, T + 2, START, missed=False, sure_ms=T)
    (closed,) = gaps.close(_later(30), (Lost.LIQUIDATIONS,))
    assert (closed.at, closed.gap_id, closed.cause, closed.lost) == (
        *(T + 30, "7-1"),
        *(Cause.BUFFER_FULL, (Lost.LIQUIDATIONS,)),
    )
    assert closed.recovered == Recovered(trades=1, margin_calls=1)
    assert (len(gaps), gaps.since_ms(0, START), gaps.close(_later(40), ())) == (0, None, [])


def test_counts_are_named_as_in_the_contract() -> None:
    """Every stream that REST can recover has its number."""
    streams = (Stream.ORDERS, Stream.TRADES, Stream.ASSETS, Stream.POSITIONS, Stream.MARGIN_CALLS)
    counted = Counter({stream: n for n, stream in enumerate(streams, 1)})
    assert count_by_stream(counted) == Recovered(orders=1, trades=2, assets=3, positions=4, margin_calls=5)


@given(st.lists(st.integers(-1000, 1000), min_size=1), st.integers(0, 2000))
def test_durable_until_is_the_start_of_the_oldest_gap(starts: list[int], live: int) -> None:
    """However many links are lost while it is open, and however far the stream is durable by now."""
    gaps = GapLedger(7, T - 5000)
    for at in starts:
        _open(gaps, T + at)
        gaps.logged_in(START)
    assert gaps.durable_until_ms(T + live, START) == T + min(starts)
    gaps.close(START, ())
    assert gaps.durable_until_ms(T + live, START) == T + live


def test_without_gap_and_stream_the_predecessors_time_counts() -> None:
    """Nothing was received, so what it made durable is all there is."""
    assert GapLedger(7, T - 5).durable_until_ms(0, START) == T - 5
    assert GapLedger(7, T - 5).durable_until_ms(T, START) == T


def test_a_missed_row_from_before_all_gaps_moves_the_first_back() -> None:
    """That row was not pushed, so nothing after it is durable for sure."""
    gaps = GapLedger(7)
    _open(gaps, T)
    _open(gaps, T + 100)
    gaps.count_recovered(Stream.TRADES, T - 40, START, missed=True, sure_ms=T)
    assert gaps.durable_until_ms(T + 500, START) == T - 40
    assert gaps.since_ms(OVERLAP_MS, START) == T - 40 - OVERLAP_MS
    first, second = gaps.close(START, ())
    assert (first.from_ms, first.recovered, second.from_ms) == (T - 40, Recovered(trades=1), T + 100)


def test_before_a_missed_row_others_may_have_been_overtaken() -> None:
    """The gap begins where it was last known that nothing is missing, if that is earlier."""
    gaps = GapLedger(7)
    _open(gaps, T)
    gaps.count_recovered(Stream.ORDERS, T - 40, START, missed=True, sure_ms=T - 70)
    gaps.count_recovered(Stream.ORDERS, T - 90, START, missed=True, sure_ms=T - 70)
    assert gaps.start_ms(START) == T - 90


def test_gaps_that_were_left_open_are_closed_with_the_next_owners() -> None:
    """Each under its own name, ended by the login that ends them all."""
    gaps = GapLedger(7, T)
    gaps.inherit_gaps([Gap("6-1", T - 9, Cause.LINK_FAILED, T - 8), Gap("6-2", T - 7, Cause.STOPPED)])
    _open(gaps, T)
    gaps.logged_in(_later(10))
    closed = gaps.close(_later(30), ())
    ends = [(gap.gap_id, gap.from_ms, gap.to_ms) for gap in closed]
    assert ends == [("6-1", T - 9, T - 8), ("6-2", T - 7, T + 10), ("7-1", T, T + 10)]


@pytest.mark.parametrize(
    ("left", "from_ms"),
    [
        ([], T - 50),
        ([Gap("6-1", T - 50, Cause.LINK_FAILED, T - 8), Gap("6-2", T - 6, Cause.LINK_FAILED, T - 5)], T - 8),
        ([Gap("6-1", T - 49, Cause.LINK_FAILED, T - 8)], T - 50),
        ([Gap("6-1", T - 50, Cause.STOPPED)], T - 50),
    ],
)
def test_the_time_that_an_inherited_gap_accounts_for_opens_no_second_gap(left: list[Gap], from_ms: int) -> None:
    """The commit keeps the start of the oldest; from the login that ended that gap on nothing is sure."""
    gaps = GapLedger(7, T - 50)
    gaps.inherit_gaps(left)
    assert gaps.inherited_ms == from_ms


def test_a_missed_row_from_after_the_login_makes_the_gap_longer() -> None:
    """The stream may have fallen silent right after the login: that row lies within the gap too."""
    gaps = GapLedger(7)
    _open(gaps, T)
    gaps.logged_in(_later(10))
    gaps.count_recovered(Stream.TRADES, T + 12, START, missed=True, sure_ms=T)
    gaps.count_recovered(Stream.ASSETS, T + 14, START, missed=False, sure_ms=T)
    (closed,) = gaps.close(_later(30), ())
    assert (closed.from_ms, closed.to_ms) == (T, T + 12)


def test_what_was_not_missed_or_has_no_time_moves_nothing() -> None:
    """A balance that was unchanged for years makes no gap of years."""
    gaps = GapLedger(7)
    _open(gaps, T)
    gaps.count_recovered(Stream.ASSETS, T - 40, START, missed=False, sure_ms=T)
    gaps.count_recovered(Stream.ASSETS, 0, START, missed=True, sure_ms=T)
    (closed,) = gaps.close(START, ())
    assert (closed.from_ms, closed.recovered) == (T, Recovered(assets=2))


@given(st.sets(st.integers(0, 50), min_size=1), st.lists(st.integers(-5, 60)))
def test_a_row_counts_for_the_last_gap_that_began_before_it(starts: set[int], rows: list[int]) -> None:
    """One before all gaps counts for the first."""
    gaps = GapLedger(7)
    ordered = sorted(starts)
    for at in ordered:
        _open(gaps, T + at)
    for row in rows:
        gaps.count_recovered(Stream.TRADES, T + row, START, missed=False, sure_ms=T)
    bounds = [-1000, *ordered[1:], 1000]
    expected = [sum(begin <= row < end for row in rows) for begin, end in pairwise(bounds)]
    assert [closed.recovered.trades for closed in gaps.close(START, ())] == expected


def test_rows_matter_from_the_overlap_before_the_oldest_gap() -> None:
    """What was not pushed on the link before may have been missed too."""
    gaps = GapLedger(7)
    _open(gaps, T + 100)
    _open(gaps, T)
    assert gaps.since_ms(OVERLAP_MS, START) == T - OVERLAP_MS


def test_the_first_start_overlaps_with_nothing() -> None:
    """Nothing is asked for from before it: neither then, nor when a link is lost right afterwards."""
    gaps = GapLedger(7)
    _open(gaps, T, Cause.FIRST_START)
    assert gaps.since_ms(OVERLAP_MS, START) == T
    _open(gaps, T + 100)
    assert gaps.since_ms(OVERLAP_MS, START) == T
    gaps.close(START, ())
    _open(gaps, T + 200)
    assert gaps.since_ms(OVERLAP_MS, START) == T
    _open(gaps, T + 2 * OVERLAP_MS)
    gaps.close(START, ())
    _open(gaps, T + 2 * OVERLAP_MS)
    assert gaps.since_ms(OVERLAP_MS, START) == T + OVERLAP_MS
