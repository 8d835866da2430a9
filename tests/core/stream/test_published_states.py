"""The published states: the newest one of every key is published again before it is one horizon old."""

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
    records = [_of(Stream.ORDERS, row) for row in rows]
    return PublishedStates(HORIZON_S, BOUND_S), records


def test_an_older_state_gives_the_newer_one_back() -> None:
    """It is to be published again after the older one. For a newer state nothing is returned."""
    states, (new, filled, older) = _orders(
        order(T, "NEW"), order(T + 2, "FILLED", "1"), order(T + 1, "PARTIALLY_FILLED", "0.5")
    )
    assert states.update_from_push(new, T, ARRIVED) is None
    assert states.update_from_push(filled, T, ARRIVED) is None
    again = states.update_from_push(older, T, ARRIVED)
    assert again is not None
    assert again.record.value == filled.value
    assert states.update_from_push(filled, T, ARRIVED) is None


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
def test_the_end_then_the_executed_quantity_then_the_time_then_the_state_show_the_newer(
    newer: "Row", older: "Row"
) -> None:
    """Despite its time: an order that has ended stays so, and its executed quantity never falls."""
    states, (one, other) = _orders(newer, older)
    states.update_from_push(one, T, ARRIVED)
    assert states.compare(other) is Comparison.NOTHING_NEW
    assert states.update_from_push(other, T, ARRIVED) is not None


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        (order(T), order(T, "NEW")),
        (order(T, "PARTIALLY_FILLED"), order(T)),
        (order(T + 1), order(T) | {"orderState": "NEW"}),
    ],
)
def test_a_row_that_differs_and_is_older_is_disputed(newer: "Row", older: "Row") -> None:
    """A push of it is followed by the newer state again; a row that REST repeats counts more than its date."""
    states, (one, other) = _orders(newer, older)
    states.update_from_push(one, T, ARRIVED)
    assert states.compare(other) is Comparison.DISPUTED
    assert states.update_from_push(other, T, ARRIVED) is not None
    assert states.update_from_rest(other, T, T) is None


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
    """Also if REST writes it later, or leaves out a field."""
    states, (one, other) = _orders(order(T) | pushed, order(T) | pushed | row)
    states.update_from_push(one, T, ARRIVED)
    assert states.compare(other) is Comparison.NOTHING_NEW
    assert "updateAt" in row or one.event_id == other.event_id


def test_a_state_without_time_is_as_old_as_its_arrival() -> None:
    """A row that is dated before that may be older; one that is dated later is newer."""
    states = PublishedStates(HORIZON_S, BOUND_S)
    states.update_from_push(_of(Stream.POSITIONS, position(0, "5")), T, ARRIVED)
    rows = [position(ARRIVED.earliest - 1, "3"), position(ARRIVED.earliest + 1, "3"), position(0, "3")]
    results = [states.compare(_of(Stream.POSITIONS, row)) for row in rows]
    assert results == [Comparison.DISPUTED, Comparison.NEWER, Comparison.UNDATED]


def test_a_date_in_the_future_is_not_used() -> None:
    """It would make every push until then an older one; a successor does not use it either."""
    for remembered in (False, True):
        states = PublishedStates(HORIZON_S, BOUND_S)
        ahead = _of(Stream.ASSETS, asset(T + 3_600_000, "1"))
        if remembered:
            states.restore(ahead, T, T)
        else:
            states.update_from_push(ahead, T, ReadMs(T, T))
        assert states.update_from_push(_of(Stream.ASSETS, asset(T + 5, "2")), T + 5, ARRIVED) is None


@pytest.mark.parametrize(("stream", "make"), [(Stream.ASSETS, asset), (Stream.POSITIONS, position)])
def test_without_a_time_the_later_arrival_is_newer(stream: Stream, make: type) -> None:
    """The stream is in order: of two states without a time, or of one time, the later one is published."""
    for at_ms in (0, T):
        states = PublishedStates(HORIZON_S, BOUND_S)
        states.update_from_push(_of(stream, make(T, "1")), T, ARRIVED)
        assert states.update_from_push(_of(stream, make(at_ms, "2")), T, ARRIVED) is None
        assert states.compare(_of(stream, make(at_ms, "2"))) is Comparison.NOTHING_NEW
        assert states.compare(_of(stream, make(at_ms, "3"))) is not Comparison.NOTHING_NEW


def test_a_row_with_a_time_is_news_after_a_push_without_one_if_it_differs() -> None:
    """The push is as old as its arrival; the executed quantity needs no time."""
    states, (known, same, other, less) = _orders(
        order(0, "PARTIALLY_FILLED", "0.5"),
        order(T, "PARTIALLY_FILLED", "0.50"),
        order(T + 60, "OPEN", "0.5"),
        order(T),
    )
    states.update_from_push(known, T, ARRIVED)
    assert [states.compare(row) for row in (same, other, less)] == [
        Comparison.NOTHING_NEW,
        Comparison.NEWER,
        Comparison.NOTHING_NEW,
    ]


def test_a_row_is_news_when_it_is_newer_or_of_an_unknown_key() -> None:
    """A worse or an equal one is not."""
    states, (known, newer, other) = _orders(order(T, "NEW"), order(T + 1), order(T, order_id="18"))
    assert states.compare(known) is Comparison.NEWER
    states.update_from_push(known, T, ARRIVED)
    results = [states.compare(record) for record in (known, newer, other)]
    assert results == [Comparison.NOTHING_NEW, Comparison.NEWER, Comparison.NEWER]
    assert [states.has(record) for record in (known, other)] == [True, False]


def test_orders_that_are_over_are_forgotten_the_oldest_first_but_their_names_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even these have an end."""
    monkeypatch.setattr(room, "_ENDED_MAX", 2)
    monkeypatch.setattr(room, "FORGOTTEN_AT_ONCE", 1)
    monkeypatch.setattr(room, "_ENDED_NAMES_MAX", 3)
    states, ended = _orders(*(order(T + n, "FILLED", "1", f"{n}") for n in range(7)))
    for n, record in enumerate(ended):
        assert states.ends_forgotten_ms == 0
        states.update_from_push(record, T + n, ARRIVED)
    assert [states.has(record) for record in ended] == [*[False] * 5, True, True]
    assert [states.compare(record) is Comparison.NEWER for record in ended] == [True, *[False] * 6]
    assert states.ends_forgotten_ms == T


def test_ended_orders_are_kept_up_to_a_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that is published once more counts once."""
    states, (small, large, last) = _orders(
        *(
            order(T, "FILLED", "1", name) | {"reason": reason}
            for name, reason in (("1", ""), ("2", "x" * 900), ("3", ""))
        )
    )
    monkeypatch.setattr(room, "_ENDED_BYTES_MAX", len(small.value) + len(large.value))
    for record in (small, large, large):
        states.update_from_push(record, T, ARRIVED)
    assert [states.has(record) for record in (small, large)] == [True, True]
    states.update_from_push(last, T, ARRIVED)
    assert [states.has(record) for record in (small, large, last)] == [False, True, True]


@pytest.mark.parametrize("stream", sorted(STATE_STREAMS))
def test_every_live_state_is_due_before_its_last_record_leaves_the_horizon(stream: Stream) -> None:
    """Not before, once, as it stands, and again one such time later."""
    states = PublishedStates(HORIZON_S, BOUND_S)
    row = {Stream.ORDERS: order(T), Stream.ASSETS: asset(T), Stream.POSITIONS: position(T)}[stream]
    states.update_from_rest(_of(stream, row), T, T)
    assert states.pop_due(T + REFRESH_MS - 1) == []
    for now_ms in (T + REFRESH_MS, T + 2 * REFRESH_MS):
        assert [(newer.record.value, newer.recovered) for newer in states.pop_due(now_ms)] == [(raw(row), True)]
        assert states.pop_due(now_ms) == []


def test_what_is_over_or_gone_is_not_due() -> None:
    """Only what lives has to be found in the last hour."""
    states, (live, over) = _orders(order(T), order(T, "FILLED", "1"))
    states.update_from_push(live, T, ARRIVED)
    states.update_from_push(over, T, ARRIVED)
    held = _of(Stream.ASSETS, asset(T))
    states.update_from_push(held, T, ARRIVED)
    states.forget(Stream.ASSETS, held.key)
    assert states.pop_due(T + HORIZON_S * 1000) == []


def test_a_state_that_was_published_meanwhile_is_due_later() -> None:
    """By a push, or in the wake of an older one; those that wait longest come first."""
    states, (one, two, three, older) = _orders(*(order(T, order_id=name) for name in "123"), order(T - 1, order_id="1"))
    for record in (one, two, three):
        states.update_from_push(record, T, ARRIVED)
    states.update_from_push(two, T + 1, ARRIVED)
    states.update_from_push(older, T + 2, ARRIVED)
    due = [[newer.record.value for newer in states.pop_due(T + REFRESH_MS + ms)] for ms in range(3)]
    assert due == [[three.value], [two.value], [one.value]]


def test_only_so_many_are_published_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others the next time: no loop is held up, and none is left out."""
    monkeypatch.setattr(room, "_REFRESHED_AT_ONCE", 2)
    states, live = _orders(*(order(T, order_id=f"{n}") for n in range(5)))
    for record in live:
        states.update_from_push(record, T, ARRIVED)
    now_ms = T + REFRESH_MS
    assert [len(states.pop_due(now_ms)) for _ in range(4)] == [2, 2, 1, 0]


def test_what_an_earlier_owner_published_last_is_the_state() -> None:
    """The last record of a key, and due by the time of that record."""
    states, (first, last) = _orders(order(T), order(T + 1))
    states.restore(first, T, T)
    states.restore(last, T + 5, T + 5)
    assert states.pop_due(T + 5 + REFRESH_MS - 1) == []
    assert [newer.record.value for newer in states.pop_due(T + 5 + REFRESH_MS)] == [last.value]


def test_a_full_list_shows_what_is_gone() -> None:
    """Of that stream, and of states known since before a time; when they were published again does not matter."""
    states = PublishedStates(HORIZON_S, BOUND_S)
    for name, told_ms in (("a", T), ("b", T), ("c", T + 1)):
        states.update_from_push(_of(Stream.POSITIONS, position(T, sym=name)), told_ms, ARRIVED)
    states.update_from_push(_of(Stream.ASSETS, asset(T)), T, ARRIVED)
    states.update_from_push(_of(Stream.POSITIONS, position(T - 9, sym="a")), T + 5, ARRIVED)
    gone = states.missing_from(Stream.POSITIONS, frozenset({"b:NONE"}), T)
    assert [record.key for record in gone] == ["a:NONE"]


def test_states_differ_by_quantity_and_not_by_spelling() -> None:
    """An empty state of a key that was never published is no difference."""
    states = PublishedStates(HORIZON_S, BOUND_S)
    states.update_from_push(_of(Stream.ASSETS, asset(T, "1")), T, ARRIVED)
    rows = (asset(T, "1.0"), asset(T, "2"), asset(T, "1", frozen="1"), asset(T, "1", "BTC"), asset(T, "0", "BTC"))
    results = [states.differs(_of(Stream.ASSETS, row)) for row in rows]
    assert results == [False, True, True, True, False]


def test_what_was_lost_with_its_topic_is_published_again() -> None:
    """Every live state, and orders that ended within the last horizon; some at a time, and each once."""
    states = PublishedStates(HORIZON_S, BOUND_S)
    ended_long_ago, ended, live = (
        _of(Stream.ORDERS, order(T, state, filled) | {"orderId": order_id})
        for order_id, state, filled in (("1", "FILLED", "1"), ("2", "FILLED", "1"), ("3", "OPEN", "0"))
    )
    states.update_from_push(ended_long_ago, T - 2 * HORIZON_S * 1000, ARRIVED)
    states.update_from_push(ended, T, ARRIVED)
    states.update_from_push(live, T, ARRIVED)
    states.update_from_push(_of(Stream.POSITIONS, position(T)), T, ARRIVED)
    assert not states.is_lost(Stream.ORDERS)
    states.mark_lost(Stream.ORDERS, T)
    assert states.is_lost(Stream.ORDERS)
    assert {newer.record.key for newer in states.pop_due(T)} == {"2", "3"}
    assert not states.is_lost(Stream.ORDERS)
    assert states.pop_due(T) == []
    assert states.has(ended)


def test_what_was_lost_is_published_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else waits for it; a state that ends or goes meanwhile is not published as it was."""
    monkeypatch.setattr(room, "_REFRESHED_AT_ONCE", 2)
    states = PublishedStates(HORIZON_S, BOUND_S)
    records = [_of(Stream.ASSETS, asset(T) | {"coin": coin}) for coin in ("A", "B", "C")]
    for record in records:
        states.update_from_push(record, T, ARRIVED)
    states.mark_lost(Stream.ASSETS, T)
    assert [newer.record.key for newer in states.pop_due(T)] == [record.key for record in records[:2]]
    states.forget(Stream.ASSETS, records[2].key)
    assert states.is_lost(Stream.ASSETS)
    assert states.pop_due(T) == []
    assert not states.is_lost(Stream.ASSETS)


def test_a_stuck_topic_keeps_no_other_from_being_published_again() -> None:
    """Neither what is nearly a horizon old nor what was lost; its own states are due when it takes records again."""
    states = PublishedStates(HORIZON_S, BOUND_S)
    asset_of, position_of = _of(Stream.ASSETS, asset(T)), _of(Stream.POSITIONS, position(T))
    for record in (asset_of, position_of):
        states.update_from_push(record, T, ARRIVED)
    for now_ms in (T, T + HORIZON_S * 1000):
        states.mark_lost(Stream.ASSETS, now_ms)
        states.mark_lost(Stream.POSITIONS, now_ms)
        assert {newer.record.key for newer in states.pop_due(now_ms, [Stream.POSITIONS])} == {asset_of.key}
        assert states.is_lost(Stream.POSITIONS)
        assert {newer.record.key for newer in states.pop_due(now_ms)} == {position_of.key}
    late_ms = T + 2 * HORIZON_S * 1000
    assert [newer.record.key for newer in states.pop_due(late_ms, [Stream.ASSETS])] == [position_of.key]
    assert [newer.record.key for newer in states.pop_due(late_ms, [Stream.POSITIONS])] == [asset_of.key]
