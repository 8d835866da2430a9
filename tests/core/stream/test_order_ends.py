"""Orders whose end the venue does not report: each gets a last record with an end, and is not asked for for ever."""

import json

import msgspec
import pytest

from bridge.contract.pushes import OrderPush
from bridge.contract.topics import Stream
from bridge.core.stream.order_ends import add_order_id
from bridge.core.stream.sweep import SweepOutcome
from tests.support.one_recovery import OneRecovery, Row, order, raw

SYM = "OKX_PERP_ETH_USDT"


def _audit_without_orders(one: OneRecovery, state: str) -> list[str]:
    """Run an audit whose lists lack every order; return those that it asks for. REST reports that state of each."""
    sweep = one.recovery.begin_sweep(one.now)
    asked = [found.order_id for found in one.recovery.find_unlisted_orders(sweep, set(), one.now)]
    for order_id in asked:
        ended = one.recovery.conclude_order_end(sweep, order_id, state, one.now)
        if ended is not None:
            one.account.on_order(ended, one.now)
    one.account.stream.publish_sweep_alarms(sweep, one.now)
    one.end(sweep)
    return asked


def _refusal(client_order_id: str) -> Row:
    return order(0, "REJECT") | {"orderId": "", "clientOrderId": client_order_id}


@pytest.mark.parametrize(("state", "reported"), [("NEW", ""), ("PARTIALLY_CANCELLED", "PARTIALLY_CANCELLED")])
def test_an_order_that_two_whole_lists_lack_has_ended_despite_an_unknown_state(state: str, reported: str) -> None:
    """Not before REST must know it. Its last record is its end, it is asked for no more, and one alarm is raised."""
    one = OneRecovery().healthy()
    one.push(Stream.ORDERS, *(order(one.now.wall_ms, state, "0.4", f"{n}") for n in range(5)))
    for seconds in (60, 29, 1):
        one.wait(seconds)
        assert len(_audit_without_orders(one, reported)) == 5
    one.wait(60)
    assert _audit_without_orders(one, reported) == []
    last = one.last(Stream.ORDERS)
    assert [(row or {})["orderState"] for row in last.values()] == ["EXPIRED"] * 5
    assert [(row or {})["executedQty"] for row in last.values()] == ["0.4"] * 5
    (alarm,) = one.events("alarm.raised")
    assert alarm["alarm"] == "order_end_untold"
    assert alarm["detail"].endswith(
        f"0 ({reported or 'not told'}), 1 ({reported or 'not told'}), 2 ({reported or 'not told'}) and 2 more"
    )
    one.wait(3600)
    assert [record for record in one.tick() if record.stream is Stream.ORDERS] == []


def test_an_end_that_only_a_query_shows_is_asked_for_until_it_is_published() -> None:
    """The history's pages may not reach it; one audit proves nothing, and the second must find it too."""
    one = OneRecovery().healthy()
    one.push(Stream.ORDERS, order(one.now.wall_ms))
    end = order(one.now.wall_ms + 5000, "CANCELLED")
    for outcome in (SweepOutcome.NOTHING, SweepOutcome.MISSED):
        one.wait(60)
        sweep = one.recovery.begin_sweep(one.now)
        assert [found.order_id for found in one.recovery.find_unlisted_orders(sweep, set(), one.now)] == ["17"]
        one.take(sweep, Stream.ORDERS, end)
        assert one.end(sweep) is outcome
    one.log_in().sweep(orders=[end])
    assert one.last(Stream.ORDERS)["17"] == end
    assert one.recovery.find_unlisted_orders(one.recovery.begin_sweep(one.now), set(), one.now) == []


def test_an_audit_that_finds_the_order_begins_anew() -> None:
    """A list that lacked it for a moment proves nothing."""
    one = OneRecovery().healthy()
    one.push(Stream.ORDERS, order(one.now.wall_ms))
    for state in ("", "OPEN", "", "open"):
        one.wait(60)
        assert _audit_without_orders(one, state) == ["17"]
    assert one.last(Stream.ORDERS)["17"] == json.loads(one.records(Stream.ORDERS)[0].value or b"")


def test_an_order_that_was_only_acked_ends_under_what_is_known_of_it() -> None:
    """Nothing of it was ever pushed. In a gap it counts as recovered."""
    one = OneRecovery().begin()
    one.account._orders.note_ack("9", "mine", SYM, one.now.wall_ms - 1000)
    for _ in range(2):
        assert _audit_without_orders(one, "") == ["9"]
        one.wait(30)
    assert one.last(Stream.ORDERS)["9"] == {
        "orderId": "9",
        "clientOrderId": "mine",
        "sym": SYM,
        "orderState": "EXPIRED",
    }
    one.sweep()
    one.sweep()
    assert one.events("gap.closed")[0]["recovered"]["orders"] == 1


def test_an_order_that_has_ended_or_is_unknown_by_now_is_not_ended_again() -> None:
    """Its push came while it was asked for."""
    one = OneRecovery().healthy()
    one.push(Stream.ORDERS, order(one.now.wall_ms, "FILLED", "1"))
    sweep = one.recovery.begin_sweep(one.now)
    assert [one.recovery.conclude_order_end(sweep, name, "", one.now) for name in ("17", "18")] == [None, None]
    assert sweep.concluded_ends == []


@pytest.mark.parametrize("by_rest", [False, True])
def test_a_refusal_without_an_order_id_is_of_the_order_of_its_name(*, by_rest: bool) -> None:
    """Of an acked or new order: its end is published under its orderId."""
    one = OneRecovery().healthy()
    for order_id, name in (("7", "acked"), ("8", "new")):
        one.account._orders.note_ack(order_id, name, SYM, one.now.wall_ms)
    one.push(Stream.ORDERS, order(one.now.wall_ms, "NEW", order_id="8") | {"clientOrderId": "new"})
    for name in ("acked", "new"):
        if by_rest:
            one.recovery.compare_rows(
                one.recovery.begin_sweep(one.now), Stream.ORDERS, [json.dumps(_refusal(name)).encode()], one.now
            )
        else:
            one.push(Stream.ORDERS, _refusal(name))
    if not by_rest:
        last = one.last(Stream.ORDERS)
        assert {key: (row or {})["orderState"] for key, row in last.items()} == {"7": "REJECT", "8": "REJECT"}
        assert one.account._orders.live() == []


@pytest.mark.parametrize("row", [{"orderState": "OPEN"}, {"orderState": "FILLED"}, {"clientOrderId": "another"}])
def test_a_refusal_is_not_of_an_order_that_the_exchange_has_taken(row: Row) -> None:
    """It is of another one of that name, which has no orderId."""
    one = OneRecovery().healthy()
    one.push(Stream.ORDERS, order(one.now.wall_ms) | {"clientOrderId": "mine"} | row)
    one.push(Stream.ORDERS, _refusal("mine"), order(0, "REJECT") | {"orderId": ""})
    assert (one.last(Stream.ORDERS)["17"] or {})["orderState"] == row.get("orderState", "OPEN")


def test_a_row_without_an_order_id_is_of_the_order_that_was_asked_for() -> None:
    """Only then: what has an id keeps it, and so do the bytes."""
    nameless, named = (msgspec.convert(row, OrderPush) for row in (_refusal("mine"), order(0)))
    assert json.loads(add_order_id(nameless, json.dumps(_refusal("mine")).encode(), "17")[1])["orderId"] == "17"
    assert add_order_id(named, b"its own", "18") == (named, b"its own")
    assert add_order_id(nameless, b"its own", "") == (nameless, b"its own")


def test_a_push_that_is_overdue_is_asked_for_once() -> None:
    """Three seconds after the ack, unless the order was pushed; so many at a time."""
    one = OneRecovery().healthy()
    for n in range(12):
        one.account._orders.note_ack(f"{n}", f"name{n}", SYM, one.now.wall_ms)
    one.push(Stream.ORDERS, order(one.now.wall_ms, order_id="3"))
    one.wait(2.9)
    assert one.recovery.overdue_pushes.pop_overdue(one.now) == []
    one.wait(0.2)
    assert one.recovery.overdue_pushes.pop_overdue(one.now) == [f"{n}" for n in (0, 1, 2, 4, 5, 6, 7, 8, 9, 10)]
    assert [one.recovery.overdue_pushes.pop_overdue(one.now) for _ in range(2)] == [["11"], []]


def test_the_row_of_an_overdue_push_is_published_and_missed_if_no_push_comes() -> None:
    """At once. The audits expect the push all the same, because others may be missing with it."""
    one = OneRecovery().healthy()
    row = order(one.now.wall_ms)
    one.wait(3)
    for _ in range(2):
        one.recovery.overdue_pushes.publish_row(raw(row), one.now)
    one.tick()
    assert [(record.value, record.recovered) for record in one.records(Stream.ORDERS)] == [(raw(row), True)]
    outcomes = []
    for seconds in (20, 20, 5):
        one.wait(seconds)
        outcomes.append(one.sweep(orders=[row]))
    assert outcomes == [SweepOutcome.NOTHING, SweepOutcome.NOTHING, SweepOutcome.MISSED]


@pytest.mark.parametrize("state", ["OPEN", "FILLED"])
def test_a_push_that_comes_late_was_not_missed(state: str) -> None:
    """It is published too, and nothing else."""
    one = OneRecovery().healthy()
    one.recovery.overdue_pushes.publish_row(raw(order(one.now.wall_ms, "NEW")), one.now)
    one.push(Stream.ORDERS, order(one.now.wall_ms + 1, state))
    for _ in range(3):
        one.wait(60)
        assert one.sweep() is SweepOutcome.NOTHING


def test_so_many_orders_await_their_push_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mute stream must not fill the memory."""
    monkeypatch.setattr("bridge.core.orders._UNPUSHED_MAX", 2)
    one = OneRecovery().healthy()
    for n in range(4):
        one.account._orders.note_ack(f"{n}", f"name{n}", SYM, one.now.wall_ms)
    one.wait(4)
    assert one.recovery.overdue_pushes.pop_overdue(one.now) == ["2", "3"]


def test_refusals_of_two_orders_that_are_not_named_are_two() -> None:
    """Each under its clientOrderId: neither hides the other from a reader."""
    one = OneRecovery().healthy()
    published = [
        one.push(Stream.ORDERS, _refusal(name) | {"updateAt": "1795000000000"})[0] for name in ("mine", "theirs")
    ]
    assert [(record.key, record.event_id) for record in published] == [
        (b"mine", "order:mine:REJECT:0:1795000000000"),
        (b"theirs", "order:theirs:REJECT:0:1795000000000"),
    ]
    nameless = _refusal("")
    for _ in range(2):
        (record,) = one.push(Stream.ORDERS, nameless)
        assert (record.key, record.event_id) == (b"UNKNOWN", None)
    one.remember(Stream.ORDERS, _refusal("remembered"))
    one.wait(3600)
    assert [record for record in one.tick() if record.stream is Stream.ORDERS] == []


def _concluded(one: OneRecovery) -> Row:
    """Let an order be pushed, and its end be concluded; return the push."""
    pushed = order(one.now.wall_ms) | {"clientOrderId": "c"}
    one.push(Stream.ORDERS, pushed)
    for _ in range(3):
        one.wait(31)
        _audit_without_orders(one, "")
    one.tick()
    assert one.last(Stream.ORDERS)["17"] == pushed | {"orderState": "EXPIRED"}
    return pushed


@pytest.mark.parametrize("by_rest", [False, True])
def test_an_order_is_live_again_when_the_venue_shows_it_after_a_concluded_end(*, by_rest: bool) -> None:
    """The venue did not report that end: a later push counts, and a later row is a push that was missed."""
    one = OneRecovery().healthy()
    pushed = _concluded(one)
    later = pushed | {"orderState": "PARTIALLY_FILLED", "executedQty": "0.5", "updateAt": str(one.now.wall_ms)}
    if by_rest:
        for outcome in (SweepOutcome.NOTHING, SweepOutcome.MISSED):
            one.wait(31)
            assert one.sweep(orders=[later]) is outcome
        one.wait(31)
        one.log_in()
        one.sweep(orders=[later])
    else:
        one.push(Stream.ORDERS, later)
    assert one.last(Stream.ORDERS)["17"] == later
    found = one.account._orders.find("17", None)
    assert found is not None
    assert (found.state, found.ended, one.account._orders._concluded) == ("PARTIALLY_FILLED", False, set())
    ended = later | {"orderState": "CANCELLED", "updateAt": str(one.now.wall_ms + 1)}
    one.push(Stream.ORDERS, ended, later)
    assert one.last(Stream.ORDERS)["17"] == ended


def test_a_concluded_end_is_newer_than_what_was_pushed_before() -> None:
    """The push may come once more."""
    one = OneRecovery().healthy()
    pushed = _concluded(one)
    one.push(Stream.ORDERS, pushed)
    assert one.last(Stream.ORDERS)["17"] == pushed | {"orderState": "EXPIRED"}


def test_an_end_that_was_pushed_is_final() -> None:
    """The venue itself has reported it."""
    one = OneRecovery().healthy()
    ended = order(one.now.wall_ms, "EXPIRED")
    one.push(Stream.ORDERS, ended, order(one.now.wall_ms + 1))
    assert one.last(Stream.ORDERS)["17"] == ended


def test_a_successor_knows_a_concluded_end_from_the_topic() -> None:
    """It was published as recovered."""
    heir = OneRecovery()
    at_ms = heir.now.wall_ms - 120_000
    heir.account.stream.restore_record(Stream.ORDERS, raw(order(at_ms, "EXPIRED")), at_ms, recovered=True)
    heir.begin()
    later = order(heir.now.wall_ms)
    heir.push(Stream.ORDERS, later)
    assert heir.last(Stream.ORDERS)["17"] == later
    assert [found.order_id for found in heir.account._orders.live()] == ["17"]
