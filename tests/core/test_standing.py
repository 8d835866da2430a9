"""What stands on the state topics: the newest state of every key, published again before it is too old to be found."""

from typing import TYPE_CHECKING

import pytest
from one_recovery import LOGIN_MS, asset, order, position, raw

from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core import standing as room
from bridge.core.element import READ, Element
from bridge.core.standing import Standing

if TYPE_CHECKING:
    from one_recovery import Row

T = LOGIN_MS
HORIZON_S = 3600
REFRESH_MS = 2_880_000


def _of(stream: Stream, row: "Row") -> Element:
    return READ[stream](raw(row))


def _orders(*rows: "Row") -> tuple[Standing, list[Element]]:
    elements = [_of(Stream.ORDERS, row) for row in rows]
    return Standing(HORIZON_S), elements


def test_an_older_state_gives_the_newer_one_back() -> None:
    """To be published again after it; and nothing else is given back."""
    standing, (new, filled, older) = _orders(
        order(T, "NEW"), order(T + 2, "FILLED", "1"), order(T + 1, "PARTIALLY_FILLED", "0.5")
    )
    assert standing.take(new, T) is None
    assert standing.take(filled, T) is None
    again = standing.take(older, T)
    assert again is not None
    assert again.element is filled
    assert standing.take(filled, T) is None


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        (order(T, "CANCELLED"), order(T + 9, "PARTIALLY_FILLED", "0.5")),
        (order(T, "PARTIALLY_FILLED", "0.6"), order(T + 9, "PARTIALLY_FILLED", "0.50")),
        (order(T + 1), order(T)),
        (order(T), order(T, "NEW")),
        (order(T, "PARTIALLY_FILLED"), order(T)),
        (order(T, "FILLED", "1"), order(0)),
        (order(0, "PARTIALLY_FILLED", "0.5"), order(0)),
    ],
)
def test_over_then_executed_then_time_then_state_tell_the_newer(newer: "Row", older: "Row") -> None:
    """Whatever the time says: what is over stays over, and what was executed never falls."""
    standing, (one, other) = _orders(newer, older)
    standing.take(one, T)
    assert not standing.is_news(other)
    assert standing.take(other, T) is not None


@pytest.mark.parametrize(("stream", "make"), [(Stream.ASSETS, asset), (Stream.POSITIONS, position)])
def test_without_a_time_the_order_of_arrival_tells(stream: Stream, make: type) -> None:
    """The stream is in order: the later of two states without a time, or of one time, stands."""
    for at_ms in (0, T):
        standing = Standing(HORIZON_S)
        standing.take(_of(stream, make(T, "1")), T)
        assert standing.take(_of(stream, make(at_ms, "2")), T) is None
        assert not standing.is_news(_of(stream, make(at_ms, "2")))
        assert standing.is_news(_of(stream, make(at_ms, "3")))


def test_a_row_with_a_time_is_news_after_a_push_without_one_if_it_differs() -> None:
    """Nothing tells which came first; what was executed does."""
    standing, (known, same, other, less) = _orders(
        order(0, "PARTIALLY_FILLED", "0.5"), order(T, "PARTIALLY_FILLED", "0.50"), order(T, "OPEN", "0.5"), order(T)
    )
    standing.take(known, T)
    assert [standing.is_news(row) for row in (same, other, less)] == [False, True, False]


def test_a_row_is_news_when_it_is_newer_or_of_an_unknown_key() -> None:
    """A worse or an equal one is not."""
    standing, (known, newer, other) = _orders(order(T), order(T + 1), order(T, order_id="18"))
    assert standing.is_news(known)
    standing.take(known, T)
    assert [standing.is_news(element) for element in (known, newer, other)] == [False, True, True]
    assert [standing.stands(element) for element in (known, other)] == [True, False]


def test_orders_that_are_over_are_forgotten_the_oldest_first_but_their_names_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even these have an end."""
    monkeypatch.setattr(room, "_OVER_REMEMBERED_MAX", 2)
    monkeypatch.setattr(room, "_NAMES_REMEMBERED_MAX", 1)
    standing, ended = _orders(*(order(T, "FILLED", "1", f"{n}") for n in range(4)))
    for element in ended:
        standing.take(element, T)
    assert [standing.stands(element) for element in ended] == [False, False, True, True]
    assert [standing.is_news(element) for element in ended] == [True, False, False, False]


@pytest.mark.parametrize("stream", sorted(STATE_STREAMS))
def test_every_live_state_is_due_before_its_last_record_leaves_the_horizon(stream: Stream) -> None:
    """Not before, once, as it stands, and again one such time later."""
    standing = Standing(HORIZON_S)
    row = {Stream.ORDERS: order(T), Stream.ASSETS: asset(T), Stream.POSITIONS: position(T)}[stream]
    standing.take(_of(stream, row), T, recovered=True)
    assert standing.due(T + REFRESH_MS - 1) == []
    for now_ms in (T + REFRESH_MS, T + 2 * REFRESH_MS):
        assert [(stood.element.value, stood.recovered) for stood in standing.due(now_ms)] == [(raw(row), True)]
        assert standing.due(now_ms) == []


def test_what_is_over_or_gone_is_not_due() -> None:
    """Only what lives has to be found in the last hour."""
    standing, (live, over) = _orders(order(T), order(T, "FILLED", "1"))
    standing.take(live, T)
    standing.take(over, T)
    held = _of(Stream.ASSETS, asset(T))
    standing.take(held, T)
    standing.forget(Stream.ASSETS, held.key)
    assert standing.due(T + HORIZON_S * 1000) == []


def test_a_state_that_was_published_meanwhile_is_due_later() -> None:
    """By a push, or in the wake of an older one; those that wait longest come first."""
    standing, (one, two, three, older) = _orders(
        *(order(T, order_id=name) for name in "123"), order(T - 1, order_id="1")
    )
    for element in (one, two, three):
        standing.take(element, T)
    standing.take(two, T + 1)
    standing.take(older, T + 2)
    due = [[stood.element for stood in standing.due(T + REFRESH_MS + ms)] for ms in range(3)]
    assert due == [[three], [two], [one]]


def test_only_so_many_are_published_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest at the next time: no loop is held up, and nobody is passed over."""
    monkeypatch.setattr(room, "_REFRESHED_AT_ONCE", 2)
    standing, live = _orders(*(order(T, order_id=f"{n}") for n in range(5)))
    for element in live:
        standing.take(element, T)
    now_ms = T + REFRESH_MS
    assert [len(standing.due(now_ms)) for _ in range(4)] == [2, 2, 1, 0]


def test_what_an_earlier_owner_published_stands_as_its_topic_ends() -> None:
    """The last record of a key, and due by the time of that record."""
    standing, (first, last) = _orders(order(T), order(T + 1))
    standing.remember(first, T)
    standing.remember(last, T + 5)
    assert standing.due(T + 5 + REFRESH_MS - 1) == []
    assert [stood.element for stood in standing.due(T + 5 + REFRESH_MS)] == [last]


def test_a_full_list_tells_what_is_gone() -> None:
    """Of that stream, and of what was told before a time; when it was published again does not matter."""
    standing = Standing(HORIZON_S)
    for name, told_ms in (("a", T), ("b", T), ("c", T + 1)):
        standing.take(_of(Stream.POSITIONS, position(T, sym=name)), told_ms)
    standing.take(_of(Stream.ASSETS, asset(T)), T)
    standing.take(_of(Stream.POSITIONS, position(T - 9, sym="a")), T + 5)
    gone = standing.lacking(Stream.POSITIONS, frozenset({"b:NONE"}), T)
    assert [element.key for element in gone] == ["a:NONE"]


def test_a_state_means_something_else_by_quantity_and_not_by_spelling() -> None:
    """Nothing of a key that nobody was told of is as good as its state of nothing."""
    standing = Standing(HORIZON_S)
    standing.take(_of(Stream.ASSETS, asset(T, "1")), T)
    rows = (asset(T, "1.0"), asset(T, "2"), asset(T, "1", frozen="1"), asset(T, "1", "BTC"), asset(T, "0", "BTC"))
    told = [standing.says_otherwise(_of(Stream.ASSETS, row)) for row in rows]
    assert told == [False, True, True, True, False]
