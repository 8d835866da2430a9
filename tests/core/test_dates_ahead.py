"""Dates ahead of the venue's measured clock: the last push is the state, and rows of REST count."""

from collections.abc import Callable
from typing import Final

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.contract.topics import Stream
from bridge.core.clocks import ReadMs
from bridge.core.stream.published_states import Comparison, PublishedStates
from bridge.core.stream.sweep import SweepOutcome
from bridge.core.stream.venue_record import PARSERS
from tests.support.one_recovery import LOGIN_MS, OneRecovery, Row, asset, order, position, raw, trade

BOUND_MS: Final = 5000
HOUR_MS: Final = 3_600_000
MADE: Final[dict[Stream, Callable[[int], Row]]] = {
    Stream.ORDERS: order,
    Stream.ASSETS: asset,
    Stream.POSITIONS: position,
}
_ERRORS = st.integers(-BOUND_MS, BOUND_MS)
_STEPS = st.tuples(st.integers(1, 3), st.integers(0, 300), _ERRORS, st.sampled_from([0, 0, 1, 250, 60_000]))
"""How much later the next date is, how long its push travels, how wrong our reading is, and how wide."""


@given(st.sampled_from(sorted(MADE)), st.lists(_STEPS, min_size=1, max_size=20))
@example(Stream.ORDERS, [(1, 0, 0, 250), (1, 0, -2, 0)])
@example(Stream.ASSETS, [(1, 0, -BOUND_MS, 0), (1, 0, BOUND_MS, 0)])
def test_the_state_is_what_was_pushed_last(stream: Stream, steps: list[tuple[int, int, int, int]]) -> None:
    """In order and with true dates, with any error of our reading of the venue's clock within the bound."""
    states = PublishedStates(3600, BOUND_MS / 1000)
    dated_ms = arrived_ms = LOGIN_MS
    for later_ms, travels_ms, wrong_ms, wide_ms in steps:
        dated_ms += later_ms
        arrived_ms = max(arrived_ms, dated_ms + travels_ms)
        read_ms = arrived_ms + wrong_ms
        record = PARSERS[stream](raw(MADE[stream](dated_ms)))
        assert states.update_from_push(record, arrived_ms, ReadMs(read_ms - wide_ms, read_ms)) is None
        assert states.last_value(stream, record.key) == record.value


@given(
    st.sampled_from(sorted(MADE)),
    st.lists(st.tuples(st.sampled_from([0, 0, 3 * BOUND_MS, HOUR_MS, 30 * HOUR_MS]), _ERRORS), max_size=12),
)
def test_dates_that_cannot_be_hold_up_nothing_that_is_pushed_later(
    stream: Stream, steps: list[tuple[int, int]]
) -> None:
    """Neither what is dated truly nor what is dated later still."""
    states = PublishedStates(3600, BOUND_MS / 1000)
    for n, (ahead_ms, wrong_ms) in enumerate(steps):
        now_ms = LOGIN_MS + n
        record = PARSERS[stream](raw(MADE[stream](now_ms + ahead_ms)))
        assert states.update_from_push(record, now_ms, ReadMs(now_ms + wrong_ms, now_ms + wrong_ms)) is None


def test_an_older_push_is_behind_one_whose_date_cannot_be() -> None:
    """That is as old as its arrival, less what our reading may be wrong by."""
    states = PublishedStates(3600, BOUND_MS / 1000)
    ahead, older = (
        PARSERS[Stream.ASSETS](raw(asset(at_ms))) for at_ms in (LOGIN_MS + HOUR_MS, LOGIN_MS - BOUND_MS - 1)
    )
    states.update_from_push(ahead, LOGIN_MS, ReadMs(LOGIN_MS, LOGIN_MS))
    newer = states.update_from_push(older, LOGIN_MS, ReadMs(LOGIN_MS, LOGIN_MS))
    assert newer is not None
    assert newer.record.value == ahead.value
    assert states.compare(PARSERS[Stream.ASSETS](raw(asset(LOGIN_MS - 1, "2")))) is Comparison.DISPUTED


@pytest.mark.parametrize("stream", sorted(MADE))
def test_a_row_that_is_dated_ahead_is_recovered_like_one_without_a_date(stream: Stream) -> None:
    """Also while its date is in the future; no session is renewed for it, and the next push replaces it."""
    one = OneRecovery().healthy()
    one.wait(100)
    one.push(stream, MADE[stream](one.now.wall_ms))
    one.lose()
    one.wait(5)
    one.log_in()
    row = MADE[stream](one.now.wall_ms + HOUR_MS)
    _change(row)
    for _ in range(12):
        assert one.sweep(**{stream.value: [row]}) is not SweepOutcome.MISSED
        one.wait(20)
    assert list(one.last(stream).values()) == [row]
    assert len(one.events("gap.opened")) == 2
    pushed = row | {"updateAt": str(one.now.wall_ms)}
    one.push(stream, pushed)
    assert list(one.last(stream).values()) == [pushed]


def _change(row: Row) -> None:
    name = next(name for name in ("balance", "positionQty", "executedQty") if name in row)
    row[name] = "0.7"
    if name == "executedQty":
        row |= {"orderState": "PARTIALLY_FILLED"}


def test_trades_and_orders_that_are_dated_ahead_and_were_never_pushed_are_found() -> None:
    """An execution by the second audit, an order when every audit has found it for as long as REST may lag."""
    one = OneRecovery().healthy()
    one.wait(100)
    rows = [trade(one.now.wall_ms + HOUR_MS)]
    assert [one.sweep(trades=rows), one.sweep(trades=rows)] == [SweepOutcome.NOTHING, SweepOutcome.MISSED]
    one.log_in()
    one.sweep(trades=rows)
    assert len(one.records(Stream.TRADES)) == 1


def test_an_order_that_is_dated_ahead_is_looked_for_when_it_is_not_listed() -> None:
    """Else its end would be missed until then."""
    one = OneRecovery().healthy()
    one.push(Stream.ORDERS, order(one.now.wall_ms + HOUR_MS))
    one.wait(100)
    sweep = one.recovery.begin_sweep(one.now)
    assert [found.order_id for found in one.recovery.find_unlisted_orders(sweep, frozenset(), one.now)] == ["17"]


def test_an_order_that_comes_to_be_while_a_sweep_is_under_way_is_not_looked_for() -> None:
    """However long that takes: its list may be from before the order."""
    one = OneRecovery().healthy()
    sweep = one.recovery.begin_sweep(one.now)
    one.wait(60)
    one.push(Stream.ORDERS, order(one.now.wall_ms))
    assert one.recovery.find_unlisted_orders(sweep, frozenset(), one.now) == []


def test_an_overdue_order_that_rest_dates_ahead_is_older_than_its_pushes() -> None:
    """What was asked for one by one is dated like every other row."""
    one = OneRecovery().healthy()
    row = order(one.now.wall_ms + HOUR_MS, "NEW")
    one.recovery.overdue_pushes.publish_row(raw(row), one.now)
    pushed = order(one.now.wall_ms)
    one.push(Stream.ORDERS, pushed)
    assert one.last(Stream.ORDERS)["17"] == pushed


def test_executions_that_are_asked_for_and_dated_ahead_end_no_gap_ahead() -> None:
    """A gap ends by now."""
    one = OneRecovery().healthy()
    one.wait(10)
    made = {"createAt": str(one.now.wall_ms - 1000)}
    one.push(Stream.ORDERS, order(one.now.wall_ms, "FILLED", "1") | made)
    one.wait(30)
    (short,) = one.account.stream.pop_orders_with_missing_fills(one.now)
    one.account.stream.compare_executions(short, [raw(trade(one.now.wall_ms + HOUR_MS, quantity="1"))], one.now)
    one.close()
    assert one.events("gap.closed")[-1]["toMs"] <= one.now.wall_ms
    assert [msgspec.json.decode(record.value or b"")["quantity"] for record in one.records(Stream.TRADES)] == ["1"]
