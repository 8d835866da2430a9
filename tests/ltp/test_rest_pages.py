"""Lists that change while they are read, and how far back they reach."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.pushes import OrderPush
from bridge.core.rest_rows import OrderRow
from bridge.core.stream.sweep import ARCHIVE_REACH_MS
from bridge.ltp.rest_pages import PagedList
from bridge.ltp.rest_reach import RECENT_REACH_MS, Span, split_time_range

SIZE = 3
HOUR_MS = 3600 * 1000
NOW_MS = 10**12
ADDED = st.tuples(st.just("add"), st.integers(0, 20))
GONE = st.tuples(st.just("remove"), st.integers(0, 20))


def _row(number: int, updated_at_ms: int = 0, raw: bytes = b"") -> OrderRow:
    return OrderRow(OrderPush(order_id=number, order_state="OPEN", update_at=updated_at_ms), raw)


def _read(count: int, turns: list[list[tuple[str, int]]], *, on_top: bool) -> tuple[PagedList, set[str], set[str]]:
    """Read a list that changes after each page: return it, the names that were read, and those that never left."""
    rows, fresh = list(range(count)), iter(range(1000, 2000))
    lasting = set(rows)
    paged_list, found = PagedList(), set[str]()
    paged_list.begin_reading()
    number = 1
    while True:
        page = rows[(number - 1) * SIZE : number * SIZE]
        paged_list.note_total(len(rows))
        for one in page:
            paged_list.note_row(_row(one))
            found.add(str(one))
        if not page or number >= -(-len(rows) // SIZE):
            return paged_list, found, set(map(str, lasting))
        for what, where in turns.pop() if turns else []:
            if what == "add":
                rows.insert(0 if on_top else where % (len(rows) + 1), next(fresh))
            elif rows:
                lasting.discard(rows.pop(where % len(rows)))
        number += 1


@given(st.integers(0, 15), st.lists(st.lists(ADDED | GONE, max_size=4), max_size=8))
def test_a_complete_reading_misses_no_row_that_stayed(count: int, turns: list[list[tuple[str, int]]]) -> None:
    """This holds for rows that are added on top and removed anywhere between two pages."""
    paged_list, found, lasting = _read(count, turns, on_top=True)
    if paged_list.is_complete(only_grows=False):
        assert lasting <= found


@given(st.integers(0, 15), st.lists(st.lists(ADDED, max_size=4), max_size=8))
def test_a_list_that_only_grows_is_complete_at_once(count: int, turns: list[list[tuple[str, int]]]) -> None:
    """This holds wherever rows are added."""
    paged_list, found, lasting = _read(count, turns, on_top=False)
    assert paged_list.is_complete(only_grows=True)
    assert lasting <= found


def _whole(totals: list[int | None], met: int, *, only_grows: bool = False) -> bool:
    paged_list = PagedList()
    paged_list.begin_reading()
    for total in totals:
        paged_list.note_total(total)
    for number in range(met):
        paged_list.note_row(_row(number))
    return paged_list.is_complete(only_grows=only_grows)


def test_a_list_that_does_not_change_is_complete() -> None:
    """It is not read again, also if the venue gives no totals."""
    assert _whole([7, 7, 7], 7)
    assert _whole([None, None], 5)
    assert _whole([5], 5)
    assert _whole([0], 5)


def test_a_history_that_shrinks_is_not_complete() -> None:
    """It is read again like any other list."""
    assert not _whole([7, 6], 7, only_grows=True)
    assert not _whole([7, 7], 6, only_grows=True)


def test_a_list_with_fewer_rows_than_its_total_is_not_complete() -> None:
    """The rows that it counts and does not list are reported as unreadable."""
    for only_grows in (False, True):
        assert not _whole([423], 100, only_grows=only_grows)
    paged_list = PagedList()
    for totals, untold in (([423], 323), ([423, 423], 323), ([423, 424], 0)):
        paged_list.begin_reading()
        for total in totals:
            paged_list.note_total(total)
        for number in range(100):
            paged_list.note_row(_row(number))
        assert paged_list.missing == untold
    for totals in ([], [7]):
        again = PagedList()
        again.begin_reading()
        for total in totals:
            again.note_total(total)
        for number in range(10):
            again.note_row(_row(number))
        assert again.missing == 0


def test_unreadable_rows_count_as_read() -> None:
    """Unreadable rows do not make a list incomplete, and each counts once."""
    paged_list, new = PagedList(), []
    for _ in range(2):
        paged_list.begin_reading()
        for raw in (b"2", b"3", b"3"):
            paged_list.note_total(3)
            new.append(paged_list.note_unreadable(raw))
        paged_list.note_row(_row(1))
        assert paged_list.is_complete(only_grows=False)
    assert new == [True, True, False, False, False, False]


def test_of_two_rows_with_one_key_the_newer_counts() -> None:
    """This holds across readings; of two with one time the later one is the newer, unless they are equal."""
    paged_list, told = PagedList(), []
    for updated_at_ms, raw in ((5, b"a"), (9, b"b"), (7, b"c"), (9, b"b"), (9, b"d")):
        paged_list.begin_reading()
        told.append(paged_list.note_row(_row(1, updated_at_ms, raw)))
    assert told == [True, True, False, False, True]


def _recent(begin_ms: int, end_ms: int) -> Span:
    return Span(archived=False, begin_ms=begin_ms, end_ms=end_ms)


def _archived(begin_ms: int, end_ms: int) -> Span:
    return Span(archived=True, begin_ms=begin_ms, end_ms=end_ms)


def test_the_last_days_are_in_one_list() -> None:
    """The end is as far ahead as the venue's clock may be."""
    assert split_time_range(NOW_MS - HOUR_MS, None, NOW_MS) == [_recent(NOW_MS - HOUR_MS, NOW_MS + 60_000)]
    assert split_time_range(NOW_MS - RECENT_REACH_MS, None, NOW_MS)[0].begin_ms == NOW_MS - RECENT_REACH_MS


def test_a_time_range_over_the_boundary_is_split() -> None:
    """Both lists are read for an hour at the boundary."""
    boundary_ms = NOW_MS - RECENT_REACH_MS
    assert split_time_range(boundary_ms - HOUR_MS, NOW_MS, NOW_MS) == [
        _recent(boundary_ms, NOW_MS),
        _archived(boundary_ms - HOUR_MS, boundary_ms + HOUR_MS),
    ]


def test_a_time_long_ago_is_in_the_archive_alone() -> None:
    """The recent list would refuse it."""
    begin_ms = NOW_MS - 2 * RECENT_REACH_MS
    assert split_time_range(begin_ms, begin_ms + HOUR_MS, NOW_MS) == [_archived(begin_ms, begin_ms + HOUR_MS)]


def test_nothing_before_the_archive_is_requested() -> None:
    """Older rows cannot be read."""
    assert split_time_range(0, None, NOW_MS)[1].begin_ms == NOW_MS - ARCHIVE_REACH_MS
    assert split_time_range(0, NOW_MS - ARCHIVE_REACH_MS, NOW_MS) == []


@given(st.integers(0, 100), st.integers(0, 100))
def test_spans_leave_no_hole(begin_days: int, length_days: int) -> None:
    """Every moment of the time range within reach is in one of the spans."""
    begin_ms = NOW_MS - begin_days * 24 * HOUR_MS
    end_ms = begin_ms + length_days * 24 * HOUR_MS
    asked = split_time_range(begin_ms, end_ms, NOW_MS)
    for at_ms in range(max(begin_ms, NOW_MS - ARCHIVE_REACH_MS), end_ms, HOUR_MS * 11):
        assert any(span.begin_ms <= at_ms < span.end_ms for span in asked)
