"""Lists that change while they are read, and how far back to ask."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.ltp.rest_pages import is_whole
from bridge.ltp.rest_reach import ARCHIVE_REACH_MS, RECENT_REACH_MS, Span, spans

SIZE = 3
HOUR_MS = 3600 * 1000
NOW_MS = 10**12
ADDED = st.tuples(st.just("add"), st.integers(0, 20))
GONE = st.tuples(st.just("remove"), st.integers(0, 20))


def _read(count: int, turns: list[list[tuple[str, int]]], *, on_top: bool) -> tuple[list[int], set[int], set[int]]:
    """Read a list of so many rows, which changes after each page: the totals, what was read, what never went."""
    rows, fresh, read, totals = list(range(count)), iter(range(1000, 2000)), set[int](), list[int]()
    lasting = set(rows)
    number = 1
    while True:
        page = rows[(number - 1) * SIZE : number * SIZE]
        read |= set(page)
        totals.append(len(rows))
        if not page or number >= -(-len(rows) // SIZE):
            return totals, read, lasting
        for what, where in turns.pop() if turns else []:
            if what == "add":
                rows.insert(0 if on_top else where % (len(rows) + 1), next(fresh))
            elif rows:
                lasting.discard(rows.pop(where % len(rows)))
        number += 1


@given(st.integers(0, 15), st.lists(st.lists(ADDED | GONE, max_size=4), max_size=8))
def test_a_whole_reading_misses_nothing_that_stayed(count: int, turns: list[list[tuple[str, int]]]) -> None:
    """Whatever comes on top and goes anywhere between two pages."""
    totals, read, lasting = _read(count, turns, on_top=True)
    if is_whole(totals, len(read), only_grows=False):
        assert lasting <= read


@given(st.integers(0, 15), st.lists(st.lists(ADDED, max_size=4), max_size=8))
def test_a_list_that_only_grows_is_whole_at_once(count: int, turns: list[list[tuple[str, int]]]) -> None:
    """Wherever rows come in."""
    totals, read, lasting = _read(count, turns, on_top=False)
    assert is_whole(totals, len(read), only_grows=True)
    assert lasting <= read


def test_a_list_that_holds_still_is_whole() -> None:
    """Nothing is read twice for nothing."""
    assert is_whole([7, 7, 7], 7, only_grows=False)
    assert is_whole([], 5, only_grows=False)
    assert is_whole([900], 5, only_grows=False)


def test_what_should_only_grow_and_shrinks_is_not_whole() -> None:
    """Then it is read again like any other."""
    assert not is_whole([7, 6], 7, only_grows=True)
    assert not is_whole([7, 7], 6, only_grows=True)


def _recent(begin_ms: int, end_ms: int) -> Span:
    return Span(archived=False, begin_ms=begin_ms, end_ms=end_ms)


def _archived(begin_ms: int, end_ms: int) -> Span:
    return Span(archived=True, begin_ms=begin_ms, end_ms=end_ms)


def test_the_last_days_are_in_one_list() -> None:
    """The end lies as far ahead as the venue's clock may."""
    assert spans(NOW_MS - HOUR_MS, None, NOW_MS) == [_recent(NOW_MS - HOUR_MS, NOW_MS + 60_000)]
    assert spans(NOW_MS - RECENT_REACH_MS, None, NOW_MS)[0].begin_ms == NOW_MS - RECENT_REACH_MS


def test_a_time_over_the_boundary_is_asked_for_on_both_sides_of_it() -> None:
    """With an hour in both."""
    boundary_ms = NOW_MS - RECENT_REACH_MS
    assert spans(boundary_ms - HOUR_MS, NOW_MS, NOW_MS) == [
        _recent(boundary_ms, NOW_MS),
        _archived(boundary_ms - HOUR_MS, boundary_ms + HOUR_MS),
    ]


def test_a_time_long_ago_is_in_the_archive_alone() -> None:
    """The recent list would refuse it."""
    begin_ms = NOW_MS - 2 * RECENT_REACH_MS
    assert spans(begin_ms, begin_ms + HOUR_MS, NOW_MS) == [_archived(begin_ms, begin_ms + HOUR_MS)]


def test_nothing_is_asked_for_from_before_the_archive() -> None:
    """What is older is lost."""
    assert spans(0, None, NOW_MS)[1].begin_ms == NOW_MS - ARCHIVE_REACH_MS
    assert spans(0, NOW_MS - ARCHIVE_REACH_MS, NOW_MS) == []


@given(st.integers(0, 100), st.integers(0, 100))
def test_spans_leave_no_hole(begin_days: int, length_days: int) -> None:
    """Every moment between begin and end within reach is in one of them."""
    begin_ms = NOW_MS - begin_days * 24 * HOUR_MS
    end_ms = begin_ms + length_days * 24 * HOUR_MS
    asked = spans(begin_ms, end_ms, NOW_MS)
    for at_ms in range(max(begin_ms, NOW_MS - ARCHIVE_REACH_MS), end_ms, HOUR_MS * 11):
        assert any(span.begin_ms <= at_ms < span.end_ms for span in asked)
