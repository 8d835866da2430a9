"""When an order has ended, its executions are compared with its executed quantity; REST is asked for missing ones."""

from typing import Any

import pytest

from bridge.contract.session import Alarm
from bridge.contract.topics import Stream
from bridge.core.stream import fill_sums
from bridge.core.stream.fill_sums import IncompleteOrder
from bridge.core.stream.sweep import SweepOutcome
from tests.support.one_recovery import OneRecovery, Row, order, raw, trade

LAG_S = 30


def _healthy() -> OneRecovery:
    one = OneRecovery().healthy()
    one.wait(10)
    return one


def _ended(one: OneRecovery, executed: str = "1", order_id: str = "17", state: str = "FILLED", **fields: Any) -> Row:  # noqa: ANN401 - any JSON
    """Show the end of an order that came to be a moment ago."""
    row = order(one.now.wall_ms, state, executed, order_id)
    return row | {"createAt": str(one.now.wall_ms - 1000)} | fields


def _fill(one: OneRecovery, name: str, quantity: str, order_id: str = "17", **fields: str) -> Row:
    return trade(one.now.wall_ms, name, quantity=quantity, orderId=order_id, **fields)


def _pop_short(one: OneRecovery, wait_s: float = LAG_S) -> list[IncompleteOrder]:
    one.wait(wait_s)
    return one.account.stream.pop_orders_with_missing_fills(one.now)


def _answer(one: OneRecovery, short: IncompleteOrder, *rows: Row) -> None:
    one.account.stream.compare_executions(short, [raw(row) for row in rows], one.now)
    one.tick()


def _alarms(one: OneRecovery, kind: str = "alarm.raised") -> list[Row]:
    return [event for event in one.events(kind) if event["alarm"] == Alarm.EXECUTIONS_SHORT.value]


@pytest.mark.parametrize("quantities", [("1",), ("0.1", "0.2", "0.7"), ("0.4", "0.60"), ("1.5",), ("1e0",)])
def test_executions_that_add_up_are_asked_for_nowhere(quantities: tuple[str, ...]) -> None:
    """Exactly, whatever their spelling; repeats count once, and more than was executed is not less."""
    one = _healthy()
    for n, quantity in enumerate(quantities):
        for _ in range(2):
            one.push(Stream.TRADES, _fill(one, f"t{n}", quantity))
    one.push(Stream.ORDERS, _ended(one))
    assert _pop_short(one) == []
    assert one.account.stream._router.fills._sums == {}


def test_executions_that_are_pushed_after_the_end_are_not_missing() -> None:
    """The two channels have no order between them: nothing is asked before REST must know."""
    one = _healthy()
    one.push(Stream.ORDERS, _ended(one))
    one.push(Stream.TRADES, _fill(one, "a", "0.4"))
    assert _pop_short(one, LAG_S - 1) == []
    one.push(Stream.TRADES, _fill(one, "b", "0.6"))
    assert _pop_short(one) == []


def test_a_missing_execution_is_published_inside_a_gap_and_the_session_goes_on() -> None:
    """It is asked for when REST must have it. The gap begins where nothing was missing for sure, and it closes."""
    one = _healthy()
    muted = _fill(one, "muted", "0.6")
    one.push(Stream.TRADES, _fill(one, "pushed", "0.4"), _fill(one, "another", "1", "18"))
    one.push(Stream.ORDERS, _ended(one))
    assert _pop_short(one, LAG_S - 0.1) == []
    (short,) = _pop_short(one, 0.1)
    assert (short.order_id, short.begin_ms) == ("17", one.now.wall_ms - LAG_S * 1000 - 61_000)
    _answer(
        one, short, _fill(one, "pushed", "0.4") | {"createAt": muted["createAt"]}, muted, _fill(one, "x", "9", "19")
    )
    published = [(record.event_id, record.recovered) for record in one.records(Stream.TRADES)]
    assert published[2:] == [("trade:OKX:OKX_PERP_ETH_USDT:17:muted", True)]
    gap = one.events("gap.opened")[-1]
    assert (gap["cause"], gap["fromMs"] < int(muted["createAt"])) == ("pushes_missed", True)
    assert (one.events("session.lost"), _alarms(one)) == ([], [])
    assert one.sweep(trades=[muted]) is SweepOutcome.NOTHING
    one.close()
    assert one.events("gap.closed")[-1]["recovered"]["trades"] == 1
    assert _pop_short(one, 600) == []


def test_while_a_gap_is_open_the_sweeps_ask_for_all() -> None:
    """What they bring counts like a push."""
    one = _healthy()
    one.push(Stream.ORDERS, _ended(one), _ended(one, order_id="18"))
    one.lose()
    one.wait(5)
    one.log_in()
    assert _pop_short(one) == []
    muted = _fill(one, "muted", "1")
    one.sweep(trades=[muted | {"createAt": str(one.now.wall_ms - 36_000)}])
    one.close()
    assert [short.order_id for short in _pop_short(one, 0)] == ["18"]


def test_a_gap_that_was_opened_meanwhile_takes_what_is_found() -> None:
    """One gap counts both."""
    one = _healthy()
    muted = _fill(one, "muted", "1")
    one.push(Stream.ORDERS, _ended(one))
    (short,) = _pop_short(one)
    one.account.stream.pushes_missed("of another", one.now)
    _answer(one, short, muted)
    assert len(one.records(Stream.TRADES)) == 1
    assert len(one.events("gap.opened")) == 2


def test_what_rest_lacks_as_well_is_an_alarm_once_until_it_adds_up_again() -> None:
    """Perhaps the venue counts the two in different units there: no order of that product is asked about meanwhile."""
    one = _healthy()
    one.push(Stream.TRADES, _fill(one, "a", "0.4"))
    one.push(Stream.ORDERS, _ended(one))
    for _ in range(2):
        assert _alarms(one) == []
        (short,) = _pop_short(one)
        _answer(one, short, _fill(one, "a", "0.4"))
    assert _pop_short(one) == []
    (alarm,) = _alarms(one)
    assert alarm["subject"] == "OKX_PERP"
    assert alarm["detail"] == (
        "order 17 of OKX_PERP_ETH_USDT: 1 was executed, and its executions in REST add up to 0.4"
    )
    assert len(one.events("gap.opened")) == 1
    one.push(Stream.ORDERS, _ended(one, order_id="18"))
    assert _pop_short(one) == []
    one.push(Stream.ORDERS, _ended(one, order_id="20", sym="OKX_SPOT_ETH_USDT"))
    assert [short.order_id for short in _pop_short(one)] == ["20"]
    one.push(Stream.TRADES, _fill(one, "c", "1", "19"))
    one.push(Stream.ORDERS, _ended(one, order_id="19"))
    assert [cleared["subject"] for cleared in _alarms(one, "alarm.cleared")] == ["OKX_PERP"]


def test_a_list_that_is_empty_for_a_moment_is_no_alarm() -> None:
    """The next answer has them."""
    one = _healthy()
    one.push(Stream.ORDERS, _ended(one))
    for rows in ([], [_fill(one, "muted", "1")]):
        (short,) = _pop_short(one)
        _answer(one, short, *rows)
    assert (_alarms(one), len(one.records(Stream.TRADES)), _pop_short(one)) == ([], 1, [])


def test_what_was_published_before_and_adds_up_in_rest_was_not_missed() -> None:
    """The sum here was not complete, as after it was forgotten: no alarm is raised, and nothing is published again."""
    one = _healthy()
    one.push(Stream.TRADES, _fill(one, "a", "1"))
    one.account.stream._router.fills._sums.clear()
    one.push(Stream.ORDERS, _ended(one))
    (short,) = _pop_short(one)
    _answer(one, short, _fill(one, "a", "1"))
    assert (_alarms(one), len(one.events("gap.opened")), len(one.records(Stream.TRADES))) == ([], 1, 1)


@pytest.mark.parametrize(
    "ended",
    [
        {"executedQty": "0", "orderState": "CANCELLED"},
        {"executedQty": None},
        {"createAt": "1700000000000"},
        {"createAt": None},
        {"executedQty": "0.5", "orderState": "PARTIALLY_FILLED"},
    ],
)
def test_an_order_whose_executions_cannot_all_be_known_is_left_out(ended: Row) -> None:
    """Nothing was executed, it has not ended, or it may be from before this owner's first login."""
    one = _healthy()
    one.push(Stream.ORDERS, _ended(one, **ended))
    assert _pop_short(one) == []


def test_an_order_of_ours_is_dated_by_its_ack_where_its_push_is_not() -> None:
    """Some pushes of the venue's documents have no createAt."""
    one = _healthy()
    one.account._orders.note_ack("17", "mine", "OKX_PERP_ETH_USDT", one.now.wall_ms)
    one.push(Stream.ORDERS, _ended(one, createAt=None, sym=None))
    assert [short.sym for short in _pop_short(one)] == [""]


def test_an_order_of_an_earlier_owner_is_left_out() -> None:
    """So is one before any login."""
    one = OneRecovery()
    one.account.begin("here", one.now)
    one.push(Stream.ORDERS, _ended(one))
    one.log_in()
    one.close()
    assert _pop_short(one) == []


@pytest.mark.parametrize("replaced", ["17", "18"])
def test_a_replaced_order_is_left_out(replaced: str) -> None:
    """It is not documented which orderId its executions have."""
    one = _healthy()
    one.push(Stream.ORDERS, _ended(one, order_id=replaced))
    one.account._orders.replacements.note_successor("17", "18")
    assert _pop_short(one) == []
    assert one.account.stream._router.fills._short == {}


@pytest.mark.parametrize("quantity", ["", "many", "NaN", "sNaN", "Infinity", "-Infinity"])
def test_a_sum_with_a_quantity_that_is_no_number_is_not_compared(quantity: str) -> None:
    """Neither from a push nor from REST."""
    one = _healthy()
    one.push(Stream.TRADES, _fill(one, "a", quantity))
    one.push(Stream.ORDERS, _ended(one))
    assert _pop_short(one) == []
    one.push(Stream.ORDERS, _ended(one, order_id="18"))
    (short,) = _pop_short(one)
    _answer(one, short, _fill(one, "b", quantity, "18"))
    assert _alarms(one) == []


def test_decimals_of_any_length_are_added_exactly() -> None:
    """The venue writes up to 22 places."""
    one = _healthy()
    for n in range(3):
        one.push(Stream.TRADES, _fill(one, f"{n}", "123456789.0000000000000000000001"))
    one.push(Stream.ORDERS, _ended(one, "370370367.0000000000000000000003"))
    assert _pop_short(one) == []
    one.push(Stream.TRADES, _fill(one, "x", "370370367.0000000000000000000002", "18"))
    one.push(Stream.ORDERS, _ended(one, "370370367.0000000000000000000003", "18"))
    assert len(_pop_short(one)) == 1


def test_executions_without_an_id_each_count() -> None:
    """Two of one moment may be two."""
    one = _healthy()
    for _ in range(2):
        one.push(Stream.TRADES, _fill(one, "0", "0.5"))
    one.push(Stream.ORDERS, _ended(one))
    assert _pop_short(one) == []


def test_another_end_with_more_executed_counts() -> None:
    """FILLED with a part of the quantity may be followed by the true end; a repeat of an end is not compared again."""
    one = _healthy()
    one.push(Stream.ORDERS, _ended(one, "0.5"), _ended(one, "1", state="CANCELLED"))
    one.push(Stream.TRADES, _fill(one, "a", "0.5"))
    (short,) = _pop_short(one)
    assert str(short.executed) == "1"
    one.push(Stream.TRADES, _fill(one, "b", "0.5"))
    _answer(one, short)
    one.push(Stream.ORDERS, _ended(one))
    assert (_pop_short(one), _alarms(one)) == ([], [])


def test_a_venue_that_does_not_answer_is_asked_three_times() -> None:
    """Two orders at a time, and the audits go on."""
    one = _healthy()
    one.push(Stream.ORDERS, *(_ended(one, order_id=name) for name in "abc"))
    asked = []
    for _ in range(20):
        asked += [short.order_id for short in _pop_short(one)]
    assert sorted(asked) == sorted("abc" * 3)
    assert one.account.stream._router.fills._short == {}


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten first."""
    monkeypatch.setattr(fill_sums, "SUMS_MAX", 2)
    monkeypatch.setattr(fill_sums, "ENDED_MAX", 2)
    monkeypatch.setattr(fill_sums, "PRODUCTS_MAX", 1)
    one = _healthy()
    for name in "abc":
        one.push(Stream.TRADES, _fill(one, name, "0.5", name))
    assert set(one.account.stream._router.fills._sums) == {"b", "c"}
    one.push(Stream.ORDERS, *(_ended(one, order_id=name) for name in "abc"))
    for _ in range(2):
        asked = _pop_short(one)
        assert [short.order_id for short in asked] == ["b", "c"]
        for number, short in enumerate(asked):
            short.sym = f"OKX_{number}_ETH_USDT"
            _answer(one, short)
    assert [alarm["subject"] for alarm in _alarms(one)] == ["OKX_0"]
