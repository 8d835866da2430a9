"""Lists that change while they are read, and how far back to ask."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.pushes import OrderPush
from bridge.core.stream.sweep import ARCHIVE_REACH_MS
from bridge.ltp.rest_pages import Listing
from bridge.ltp.rest_reach import RECENT_REACH_MS, Span, spans
from bridge.ltp.rows import OrderRow

SIZE = 3
HOUR_MS = 3600 * 1000
NOW_MS = 10**12
ADDED = st.tuples(st.just("add"), st.integers(0, 20))
GONE = st.tuples(st.just("remove"), st.integers(0, 20))


def _row(number: int, updated_ms: int = 0, raw: bytes = b"") -> OrderRow:
    return OrderRow(OrderPush(order_id=number, order_state="OPEN", update_at=updated_ms), raw)


def _read(count: int, turns: list[list[tuple[str, int]]], *, on_top: bool) -> tuple[Listing, set[str], set[str]]:
    """Read a list of so many rows, which changes after each page: what was read, its names, and what never went."""
    rows, fresh = list(range(count)), iter(range(1000, 2000))
    lasting = set(rows)
    listing, found = Listing(), set[str]()
    listing.begin()
    number = 1
    while True:
        page = rows[(number - 1) * SIZE : number * SIZE]
        listing.page(len(rows))
        for one in page:
            listing.note(_row(one))
            found.add(str(one))
        if not page or number >= -(-len(rows) // SIZE):
            return listing, found, set(map(str, lasting))
        for what, where in turns.pop() if turns else []:
            if what == "add":
                rows.insert(0 if on_top else where % (len(rows) + 1), next(fresh))
            elif rows:
                lasting.discard(rows.pop(where % len(rows)))
        number += 1


@given(st.integers(0, 15), st.lists(st.lists(ADDED | GONE, max_size=4), max_size=8))
def test_a_whole_reading_misses_nothing_that_stayed(count: int, turns: list[list[tuple[str, int]]]) -> None:
    """Whatever comes on top and goes anywhere between two pages."""
    listing, found, lasting = _read(count, turns, on_top=True)
    if listing.is_whole(only_grows=False):
        assert lasting <= found


@given(st.integers(0, 15), st.lists(st.lists(ADDED, max_size=4), max_size=8))
def test_a_list_that_only_grows_is_whole_at_once(count: int, turns: list[list[tuple[str, int]]]) -> None:
    """Wherever rows come in."""
    listing, found, lasting = _read(count, turns, on_top=False)
    assert listing.is_whole(only_grows=True)
    assert lasting <= found


def _whole(totals: list[int | None], met: int, *, only_grows: bool = False) -> bool:
    listing = Listing()
    listing.begin()
    for total in totals:
        listing.page(total)
    for number in range(met):
        listing.note(_row(number))
    return listing.is_whole(only_grows=only_grows)


def test_a_list_that_holds_still_is_whole() -> None:
    """Nothing is read twice for nothing, nor where the venue does not count."""
    assert _whole([7, 7, 7], 7)
    assert _whole([None, None], 5)
    assert _whole([5], 5)
    assert _whole([0], 5)


def test_what_should_only_grow_and_shrinks_is_not_whole() -> None:
    """Then it is read again like any other."""
    assert not _whole([7, 6], 7, only_grows=True)
    assert not _whole([7, 7], 6, only_grows=True)


def test_a_list_that_says_of_itself_that_there_is_more_is_not_whole() -> None:
    """Nothing may be concluded from what it lacks: the rows that it does not show count as not understood."""
    for only_grows in (False, True):
        assert not _whole([423], 100, only_grows=only_grows)
    listing = Listing()
    for totals, untold in (([423], 323), ([423, 423], 323), ([423, 424], 0)):
        listing.begin()
        for total in totals:
            listing.page(total)
        for number in range(100):
            listing.note(_row(number))
        assert listing.missing == untold
    for totals in ([], [7]):
        again = Listing()
        again.begin()
        for total in totals:
            again.page(total)
        for number in range(10):
            again.note(_row(number))
        assert again.missing == 0


def test_rows_that_are_none_were_met_too() -> None:
    """They make no list incomplete, and each counts once."""
    listing, new = Listing(), []
    for _ in range(2):
        listing.begin()
        for raw in (b"2", b"3", b"3"):
            listing.page(3)
            new.append(listing.note_unreadable(raw))
        listing.note(_row(1))
        assert listing.is_whole(only_grows=False)
    assert new == [True, True, False, False, False, False]


def test_of_two_rows_of_one_thing_the_newer_counts() -> None:
    """In whichever reading it came; of two of one time the later one, unless it is the same."""
    listing, told = Listing(), []
    for updated_ms, raw in ((5, b"a"), (9, b"b"), (7, b"c"), (9, b"b"), (9, b"d")):
        listing.begin()
        told.append(listing.note(_row(1, updated_ms, raw)))
    assert told == [True, True, False, False, True]


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
