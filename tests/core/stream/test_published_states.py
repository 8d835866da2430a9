"""What stands on the state topics: the newest state of every key, published again before it is too old to be found."""

from typing import TYPE_CHECKING

import pytest

from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core.clocks import ReadMs
from bridge.core.stream import published_states as room
from bridge.core.stream.published_states import Comparison, PublishedStates
from bridge.core.stream.venue_record import PARSERS, VenueRecord
from tests.support.one_recovery import LOGIN_MS, asset, order, position, raw

if TYPE_CHECKING:
    from tests.support.one_recovery import Row

T = LOGIN_MS
ARRIVED = ReadMs(T + 50, T + 50)
HORIZON_S = 3600
BOUND_S = 5
REFRESH_MS = 2_880_000


def _of(stream: Stream, row: "Row") -> VenueRecord:
    return PARSERS[stream](raw(row))


def _orders(*rows: "Row") -> tuple[PublishedStates, list[VenueRecord]]:
    elements = [_of(Stream.ORDERS, row) for row in rows]
    return PublishedStates(HORIZON_S, BOUND_S), elements


def test_an_older_state_gives_the_newer_one_back() -> None:
    """To be published again after it; and nothing else is given back."""
    standing, (new, filled, older) = _orders(
        order(T, "NEW"), order(T + 2, "FILLED", "1"), order(T + 1, "PARTIALLY_FILLED", "0.5")
    )
    assert standing.update(new, T, ARRIVED) is None
    assert standing.update(filled, T, ARRIVED) is None
    again = standing.update(older, T, ARRIVED)
    assert again is not None
    assert again.record.value == filled.value
    assert standing.update(filled, T, ARRIVED) is None


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        (order(T, "CANCELLED"), order(T + 9, "PARTIALLY_FILLED", "0.5")),
        (order(T, "PARTIALLY_FILLED", "0.6"), order(T + 9, "PARTIALLY_FILLED", "0.50")),
        (order(T + 1), order(T)),
        (order(T, "FILLED", "1"), order(0)),
        (order(0, "PARTIALLY_FILLED", "0.5"), order(0)),
    ],
)
def test_over_then_executed_then_time_then_state_tell_the_newer(newer: "Row", older: "Row") -> None:
    """Whatever the time says: what is over stays over, and what was executed never falls."""
    standing, (one, other) = _orders(newer, older)
    standing.update(one, T, ARRIVED)
    assert standing.compare(other) is Comparison.NOTHING_NEW
    assert standing.update(other, T, ARRIVED) is not None


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        (order(T), order(T, "NEW")),
        (order(T, "PARTIALLY_FILLED"), order(T)),
        (order(T + 1), order(T) | {"orderState": "NEW"}),
    ],
)
def test_a_row_that_says_otherwise_and_is_older_is_in_dispute(newer: "Row", older: "Row") -> None:
    """A push of it is followed by the newer again; what REST goes on telling is more than a date."""
    standing, (one, other) = _orders(newer, older)
    standing.update(one, T, ARRIVED)
    assert standing.compare(other) is Comparison.DISPUTED
    assert standing.update(other, T, ARRIVED) is not None
    assert standing.update(other, T) is None


@pytest.mark.parametrize(
    ("pushed", "row"),
    [
        ({}, {"updateAt": str(T + 800)}),
        ({"orderState": "CANCELLED"}, {"orderState": "CANCELED"}),
        ({"orderState": "Reject"}, {"orderState": "REJECTED", "updateAt": str(T + 1)}),
        ({"limitPrice": "7.0"}, {"limitPrice": "7"}),
        ({"limitPrice": "7"}, {"limitPrice": ""}),
        ({"action": "CANCEL_COMPLETE"}, {"action": ""}),
    ],
)
def test_one_state_in_two_spellings_is_one(pushed: dict[str, str], row: dict[str, str]) -> None:
    """And so is one that REST wrote later, or leaves something out of."""
    standing, (one, other) = _orders(order(T) | pushed, order(T) | pushed | row)
    standing.update(one, T, ARRIVED)
    assert standing.compare(other) is Comparison.NOTHING_NEW
    assert "updateAt" in row or one.event_id == other.event_id


def test_a_state_without_time_is_as_old_as_its_arrival() -> None:
    """What REST dates before that may be behind it; what it dates later is newer."""
    standing = PublishedStates(HORIZON_S, BOUND_S)
    standing.update(_of(Stream.POSITIONS, position(0, "5")), T, ARRIVED)
    rows = [position(ARRIVED.earliest - 1, "3"), position(ARRIVED.earliest + 1, "3"), position(0, "3")]
    told = [standing.compare(_of(Stream.POSITIONS, row)) for row in rows]
    assert told == [Comparison.DISPUTED, Comparison.NEWER, Comparison.UNDATED]


def test_a_date_that_is_yet_to_come_is_not_believed() -> None:
    """It would stand over everything that is pushed until then; a successor does not believe it either."""
    for remembered in (False, True):
        standing = PublishedStates(HORIZON_S, BOUND_S)
        ahead = _of(Stream.ASSETS, asset(T + 3_600_000, "1"))
        if remembered:
            standing.restore(ahead, T, T)
        else:
            standing.update(ahead, T, ReadMs(T, T))
        assert standing.update(_of(Stream.ASSETS, asset(T + 5, "2")), T + 5, ARRIVED) is None


@pytest.mark.parametrize(("stream", "make"), [(Stream.ASSETS, asset), (Stream.POSITIONS, position)])
def test_without_a_time_the_order_of_arrival_tells(stream: Stream, make: type) -> None:
    """The stream is in order: the later of two states without a time, or of one time, stands."""
    for at_ms in (0, T):
        standing = PublishedStates(HORIZON_S, BOUND_S)
        standing.update(_of(stream, make(T, "1")), T, ARRIVED)
        assert standing.update(_of(stream, make(at_ms, "2")), T, ARRIVED) is None
        assert standing.compare(_of(stream, make(at_ms, "2"))) is Comparison.NOTHING_NEW
        assert standing.compare(_of(stream, make(at_ms, "3"))) is not Comparison.NOTHING_NEW


def test_a_row_with_a_time_is_news_after_a_push_without_one_if_it_differs() -> None:
    """It is as old as its arrival; what was executed tells without."""
    standing, (known, same, other, less) = _orders(
        order(0, "PARTIALLY_FILLED", "0.5"),
        order(T, "PARTIALLY_FILLED", "0.50"),
        order(T + 60, "OPEN", "0.5"),
        order(T),
    )
    standing.update(known, T, ARRIVED)
    assert [standing.compare(row) for row in (same, other, less)] == [
        Comparison.NOTHING_NEW,
        Comparison.NEWER,
        Comparison.NOTHING_NEW,
    ]


def test_a_row_is_news_when_it_is_newer_or_of_an_unknown_key() -> None:
    """A worse or an equal one is not."""
    standing, (known, newer, other) = _orders(order(T, "NEW"), order(T + 1), order(T, order_id="18"))
    assert standing.compare(known) is Comparison.NEWER
    standing.update(known, T, ARRIVED)
    told = [standing.compare(element) for element in (known, newer, other)]
    assert told == [Comparison.NOTHING_NEW, Comparison.NEWER, Comparison.NEWER]
    assert [standing.has(element) for element in (known, other)] == [True, False]


def test_orders_that_are_over_are_forgotten_the_oldest_first_but_their_names_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even these have an end."""
    monkeypatch.setattr(room, "_OVER_REMEMBERED_MAX", 2)
    monkeypatch.setattr(room, "_NAMES_REMEMBERED_MAX", 3)
    standing, ended = _orders(*(order(T + n, "FILLED", "1", f"{n}") for n in range(7)))
    for n, element in enumerate(ended):
        assert standing.ends_forgotten_ms == 0
        standing.update(element, T + n, ARRIVED)
    assert [standing.has(element) for element in ended] == [*[False] * 5, True, True]
    assert [standing.compare(element) is Comparison.NEWER for element in ended] == [True, *[False] * 6]
    assert standing.ends_forgotten_ms == T


def test_ended_orders_are_kept_up_to_a_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that is told once more counts once."""
    standing, (small, large, last) = _orders(
        *(
            order(T, "FILLED", "1", name) | {"reason": reason}
            for name, reason in (("1", ""), ("2", "x" * 900), ("3", ""))
        )
    )
    monkeypatch.setattr(room, "_OVER_BYTES_MAX", len(small.value) + len(large.value))
    for element in (small, large, large):
        standing.update(element, T, ARRIVED)
    assert [standing.has(element) for element in (small, large)] == [True, True]
    standing.update(last, T, ARRIVED)
    assert [standing.has(element) for element in (small, large, last)] == [False, True, True]


@pytest.mark.parametrize("stream", sorted(STATE_STREAMS))
def test_every_live_state_is_due_before_its_last_record_leaves_the_horizon(stream: Stream) -> None:
    """Not before, once, as it stands, and again one such time later."""
    standing = PublishedStates(HORIZON_S, BOUND_S)
    row = {Stream.ORDERS: order(T), Stream.ASSETS: asset(T), Stream.POSITIONS: position(T)}[stream]
    standing.update(_of(stream, row), T)
    assert standing.pop_due(T + REFRESH_MS - 1) == []
    for now_ms in (T + REFRESH_MS, T + 2 * REFRESH_MS):
        assert [(stood.record.value, stood.recovered) for stood in standing.pop_due(now_ms)] == [(raw(row), True)]
        assert standing.pop_due(now_ms) == []


def test_what_is_over_or_gone_is_not_due() -> None:
    """Only what lives has to be found in the last hour."""
    standing, (live, over) = _orders(order(T), order(T, "FILLED", "1"))
    standing.update(live, T, ARRIVED)
    standing.update(over, T, ARRIVED)
    held = _of(Stream.ASSETS, asset(T))
    standing.update(held, T, ARRIVED)
    standing.forget(Stream.ASSETS, held.key)
    assert standing.pop_due(T + HORIZON_S * 1000) == []


def test_a_state_that_was_published_meanwhile_is_due_later() -> None:
    """By a push, or in the wake of an older one; those that wait longest come first."""
    standing, (one, two, three, older) = _orders(
        *(order(T, order_id=name) for name in "123"), order(T - 1, order_id="1")
    )
    for element in (one, two, three):
        standing.update(element, T, ARRIVED)
    standing.update(two, T + 1, ARRIVED)
    standing.update(older, T + 2, ARRIVED)
    due = [[stood.record.value for stood in standing.pop_due(T + REFRESH_MS + ms)] for ms in range(3)]
    assert due == [[three.value], [two.value], [one.value]]


def test_only_so_many_are_published_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest at the next time: no loop is held up, and nobody is passed over."""
    monkeypatch.setattr(room, "_REFRESHED_AT_ONCE", 2)
    standing, live = _orders(*(order(T, order_id=f"{n}") for n in range(5)))
    for element in live:
        standing.update(element, T, ARRIVED)
    now_ms = T + REFRESH_MS
    assert [len(standing.pop_due(now_ms)) for _ in range(4)] == [2, 2, 1, 0]


def test_what_an_earlier_owner_published_stands_as_its_topic_ends() -> None:
    """The last record of a key, and due by the time of that record."""
    standing, (first, last) = _orders(order(T), order(T + 1))
    standing.restore(first, T, T)
    standing.restore(last, T + 5, T + 5)
    assert standing.pop_due(T + 5 + REFRESH_MS - 1) == []
    assert [stood.record.value for stood in standing.pop_due(T + 5 + REFRESH_MS)] == [last.value]


def test_a_full_list_tells_what_is_gone() -> None:
    """Of that stream, and of what was told before a time; when it was published again does not matter."""
    standing = PublishedStates(HORIZON_S, BOUND_S)
    for name, told_ms in (("a", T), ("b", T), ("c", T + 1)):
        standing.update(_of(Stream.POSITIONS, position(T, sym=name)), told_ms, ARRIVED)
    standing.update(_of(Stream.ASSETS, asset(T)), T, ARRIVED)
    standing.update(_of(Stream.POSITIONS, position(T - 9, sym="a")), T + 5, ARRIVED)
    gone = standing.missing_from(Stream.POSITIONS, frozenset({"b:NONE"}), T)
    assert [element.key for element in gone] == ["a:NONE"]


def test_a_state_means_something_else_by_quantity_and_not_by_spelling() -> None:
    """Nothing of a key that nobody was told of is as good as its state of nothing."""
    standing = PublishedStates(HORIZON_S, BOUND_S)
    standing.update(_of(Stream.ASSETS, asset(T, "1")), T, ARRIVED)
    rows = (asset(T, "1.0"), asset(T, "2"), asset(T, "1", frozen="1"), asset(T, "1", "BTC"), asset(T, "0", "BTC"))
    told = [standing.differs(_of(Stream.ASSETS, row)) for row in rows]
    assert told == [False, True, True, True, False]


def test_what_was_lost_with_its_topic_is_published_again() -> None:
    """Everything that lives, and orders that ended within the last horizon; by and by, and each once."""
    standing = PublishedStates(HORIZON_S, BOUND_S)
    ended_long_ago, ended, live = (
        _of(Stream.ORDERS, order(T, state, filled) | {"orderId": order_id})
        for order_id, state, filled in (("1", "FILLED", "1"), ("2", "FILLED", "1"), ("3", "OPEN", "0"))
    )
    standing.update(ended_long_ago, T - 2 * HORIZON_S * 1000, ARRIVED)
    standing.update(ended, T, ARRIVED)
    standing.update(live, T, ARRIVED)
    standing.update(_of(Stream.POSITIONS, position(T)), T, ARRIVED)
    assert not standing.is_lost(Stream.ORDERS)
    standing.mark_lost(Stream.ORDERS, T)
    assert standing.is_lost(Stream.ORDERS)
    assert {stood.record.key for stood in standing.pop_due(T)} == {"2", "3"}
    assert not standing.is_lost(Stream.ORDERS)
    assert standing.pop_due(T) == []
    assert standing.has(ended)


def test_what_was_lost_is_published_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else waits for it; what ends or goes meanwhile is not told as it was."""
    monkeypatch.setattr(room, "_REFRESHED_AT_ONCE", 2)
    standing = PublishedStates(HORIZON_S, BOUND_S)
    elements = [_of(Stream.ASSETS, asset(T) | {"coin": coin}) for coin in ("A", "B", "C")]
    for element in elements:
        standing.update(element, T, ARRIVED)
    standing.mark_lost(Stream.ASSETS, T)
    assert [stood.record.key for stood in standing.pop_due(T)] == [element.key for element in elements[:2]]
    standing.forget(Stream.ASSETS, elements[2].key)
    assert standing.is_lost(Stream.ASSETS)
    assert standing.pop_due(T) == []
    assert not standing.is_lost(Stream.ASSETS)


def test_a_topic_that_takes_nothing_keeps_no_other_from_being_told_again() -> None:
    """Neither what is nearly a horizon old nor what was lost; its own states are due when it takes records again."""
    standing = PublishedStates(HORIZON_S, BOUND_S)
    asset_of, position_of = _of(Stream.ASSETS, asset(T)), _of(Stream.POSITIONS, position(T))
    for element in (asset_of, position_of):
        standing.update(element, T, ARRIVED)
    for now_ms in (T, T + HORIZON_S * 1000):
        standing.mark_lost(Stream.ASSETS, now_ms)
        standing.mark_lost(Stream.POSITIONS, now_ms)
        assert {stood.record.key for stood in standing.pop_due(now_ms, [Stream.POSITIONS])} == {asset_of.key}
        assert standing.is_lost(Stream.POSITIONS)
        assert {stood.record.key for stood in standing.pop_due(now_ms)} == {position_of.key}
    late_ms = T + 2 * HORIZON_S * 1000
    assert [stood.record.key for stood in standing.pop_due(late_ms, [Stream.ASSETS])] == [position_of.key]
    assert [stood.record.key for stood in standing.pop_due(late_ms, [Stream.POSITIONS])] == [asset_of.key]
