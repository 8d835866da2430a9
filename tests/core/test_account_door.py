"""The steps that flow takes with an account: what is written next, and what follows from what REST tells."""

import json
from typing import Any

import pytest

from bridge.contract.commands import CANCEL
from bridge.contract.session import Alarm
from bridge.contract.topics import Stream
from bridge.core.commands.claims import CommitMetadata, decode
from bridge.core.records import CommandRecord, OutgoingRecord, Rows
from bridge.core.rest_rows import OrderRow
from bridge.core.skew import Skew
from bridge.core.stream.sweep import AfterSweep, Sweep, SweepOutcome
from bridge.core.takeover_plan import TakeoverStart
from tests.support.clock_readings import reading_of
from tests.support.one_account import ORDER_ID, START, OneAccount, cancel, cancel_all, order_push, place, trade_push
from tests.support.outside import Tail, order_row, trade_row


def _row(order_id: str = ORDER_ID, state: str = "OPEN", **fields: str) -> OrderRow:
    return order_row(order_push("p", orderId=order_id, orderState=state, **fields))


def _claimed(*bodies: dict[str, Any]) -> OneAccount:
    """Return an account whose commands are claimed and not written yet."""
    one = OneAccount()
    for body in bodies:
        one.offer(body)
    assert one.hand_over() is not None
    one.account.commit_acked(one.now)
    return one


def test_cancels_are_written_before_what_is_claimed() -> None:
    """One that came after the claim goes first; everything is written once."""
    one = _claimed(place("p"), place("q"))
    one.offer(cancel("c", orderId=ORDER_ID))
    assert [written.offset for written in one.write_due()] == [2, 0, 1]
    assert one.write_due() == []


def test_the_bridges_own_cancels_go_before_the_next_claimed_command() -> None:
    """A cancel_orders by single cancels begins with them, and has no message of its own."""
    one = OneAccount(cancel_orders="single_cancels")
    one.account.on_order(order_push("p"), one.now)
    one.offer(cancel_all("a"))
    one.offer(place("p2"))
    assert one.hand_over() is not None
    one.account.commit_acked(one.now)
    written = [(one.offset, one.action) for one in one.write_due()]
    assert written[0] == (-1, CANCEL)
    assert "cancel_orders" not in {action for _, action in written}


@pytest.mark.parametrize("missing", ["link", "owner", "recovery", "end"])
def test_what_is_claimed_goes_back_into_its_lane_where_it_may_not_be_written(missing: str) -> None:
    """With the link away, the partition taken away, no sweep yet, or the end of the term begun."""
    one = _claimed(place("p"))
    if missing == "recovery":
        one.account.first_sweep_done = False
    if missing == "end":
        one.account.begin_end()
    request = one.account.next_request(one.now, link_ready=missing != "link", is_owner=missing != "owner")
    assert request is None
    assert one.account.awaited_count == 0
    one.account.first_sweep_done = True
    assert one.write_due() == []
    assert one.hand_over() is None if missing == "end" else one.send() == [0]


def test_a_repeat_goes_after_a_new_cancel() -> None:
    """The first has had its chance."""
    one = OneAccount()
    one.offer(cancel("c1", orderId=ORDER_ID))
    one.write_due()
    one.lose_session()
    one.open_session()
    one.wait(0.2)
    one.offer(cancel("c2", orderId="1703213979730001"))
    assert [written.offset for written in one.write_due()] == [1, 0]


def test_the_first_commit_of_a_term_tells_what_the_last_owner_left() -> None:
    """Its epoch is the new one; claims and the durable point stay."""
    one = OneAccount(epoch=4, live=False)
    stored = CommitMetadata(3, 77, (6,), 5, released=True)
    commit = one.account.fencing_commit(TakeoverStart(4, stored), one.now)
    assert (commit.offset, decode(commit.metadata, 4)) == (4, CommitMetadata(4, 77, (6,), 5))


@pytest.mark.parametrize(
    ("rows", "open_orders", "is_whole"),
    [(Rows([_row()]), 1, True), (Rows([_row()], 1), 1, False), (Rows[OrderRow](), 0, True)],
)
def test_a_list_of_open_orders_with_an_unreadable_row_proves_nothing_over(
    rows: Rows[OrderRow], open_orders: int, *, is_whole: bool
) -> None:
    """The orders are counted all the same."""
    one = OneAccount()
    sweep = one.account.begin_sweep(one.now)
    one.account.on_open_rows(sweep, rows, one.now)
    one.account.on_list_end(sweep, Stream.ORDERS, one.now.boot_s, one.now)
    assert (sweep.open_orders, Stream.ORDERS not in sweep.broken_lists) == (open_orders, is_whole)
    assert sweep.unreadable == rows.unreadable


@pytest.mark.parametrize("raw", [b"{}", b"]"])
def test_a_list_of_states_with_an_unreadable_row_proves_nothing_gone(raw: bytes) -> None:
    """Whether REST or the comparison could not read it."""
    one = OneAccount()
    sweep = one.account.begin_sweep(one.now)
    one.account.on_state_rows(sweep, Stream.ASSETS, Rows([raw]), one.now)
    one.account.on_list_end(sweep, Stream.ASSETS, one.now.boot_s, one.now)
    assert sweep.broken_lists == {Stream.ASSETS}
    assert sweep.unreadable == 1


def test_orders_that_ended_are_asked_for_one_by_one() -> None:
    """What is news in the history, and what is in neither list; an order the history knows is not concluded over."""
    one = OneAccount()
    one.account.on_order(order_push("p", orderId="1"), one.now)
    one.wait(60)
    one.lose_session()
    one.open_session()
    sweep = _after_lists(one, Rows([_row("2", "CANCELED"), _row("", "REJECTED")]))
    assert one.account.orders_to_ask(sweep, one.now) == ["2", "1"]
    one.account.on_single_order(sweep, "2", _row("2", "CANCELED"), one.now)
    one.account.on_single_order(sweep, "1", None, one.now, is_refused=True)
    assert sweep.unreadable == 2  # the row without a name, and the order that the venue refuses to speak of


def test_an_order_that_no_list_has_is_over_at_last() -> None:
    """Once two sweeps, as far apart as REST may lag, have not found it."""
    one = OneAccount(rest_lag_s=1.0)
    one.account.on_order(order_push("p", orderId="1"), one.now)
    for _ in range(2):
        one.wait(5)
        sweep = _after_lists(one, Rows())
        for order_id in one.account.orders_to_ask(sweep, one.now):
            one.account.on_single_order(sweep, order_id, None, one.now)
    assert sweep.concluded_ends == ["1 (not told)"]


def _after_lists(one: OneAccount, ended: Rows[OrderRow]) -> Sweep:
    """Begin a sweep, and let REST tell of no open orders and of some that ended."""
    sweep = one.account.begin_sweep(one.now)
    one.account.on_list_end(sweep, Stream.ORDERS, one.now.boot_s, one.now)
    assert one.account.history_since_ms(sweep, one.now) == sweep.since_ms
    one.account.on_ended_rows(sweep, ended, one.now)
    return sweep


def test_a_thousand_orders_that_are_not_listed_are_looked_for_in_the_history() -> None:
    """Back to the oldest of them, but not for more than a week."""
    one = OneAccount()
    for number in range(1001):
        at = str(START.wall_ms - number * 1000)
        one.account.on_order(order_push(f"p{number}", orderId=str(number + 1), createAt=at, updateAt=at), one.now)
    one.wait(3600)
    one.lose_session()
    one.open_session()
    sweep = one.account.begin_sweep(one.now)
    one.account.on_list_end(sweep, Stream.ORDERS, one.now.boot_s, one.now)
    assert one.account.history_since_ms(sweep, one.now) <= START.wall_ms - 1_000_000


def test_missed_pushes_renew_the_session_until_that_has_not_helped() -> None:
    """Then a gap opens on the session that goes on, with an alarm."""
    one = OneAccount()
    sweep = one.account.begin_sweep(one.now)
    found = [one.account.apply_sweep_outcome(sweep, SweepOutcome.MISSED, one.now)[0] for _ in range(4)]
    assert found == [*[AfterSweep.RENEW_SESSION] * 3, AfterSweep.PUSHES_MISSED]
    assert one.account.active_alarm(Alarm.AUDIT_DISAGREES) is not None
    assert one.account.active_alarm(Alarm.CLOCK_SKEW) is None


@pytest.mark.parametrize("is_audit", [True, False])
def test_a_sweep_in_good_order_ends_the_alarm_or_closes_the_gaps(*, is_audit: bool) -> None:
    """An audit ends the alarm an hour after the last missed push; nothing else does."""
    one = OneAccount()
    sweep = Sweep(one.now, 0, is_audit=is_audit)
    for _ in range(4):
        one.account.apply_sweep_outcome(sweep, SweepOutcome.MISSED, one.now)
    one.wait(3600, tick=False)
    assert one.account.apply_sweep_outcome(sweep, SweepOutcome.NOTHING, one.now) == (AfterSweep.NOTHING, "")
    assert (one.account.active_alarm(Alarm.AUDIT_DISAGREES) is None) == is_audit
    assert one.account.apply_sweep_outcome(sweep, SweepOutcome.MAY_CLOSE, one.now) == (AfterSweep.GAPS_CLOSED, "")


def test_a_clock_that_differs_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    """The same reading of the broker's clock tells nothing new."""
    one = OneAccount(live=False, read=False)
    account, now = one.account, one.now
    far, near = reading_of(Skew(-90_000, -90_000), now), reading_of(Skew(0, 0), now)
    assert [account.broker_clock_read(one, now) for one in (None, far, far, near)] == [None, True, None, False]
    assert [account.venue_clock_read(one, now) for one in (None, far, far, near)] == [None, True, None, False]


@pytest.mark.parametrize(("event_id", "name"), [("e-1", "e-1"), (None, "k" * 200)])
def test_a_record_that_is_too_large_is_named(event_id: str | None, name: str) -> None:
    """By its `ce_id`, else by its key, of which not all is quoted."""
    one = OneAccount(live=False)
    one.account.record_too_large(OutgoingRecord(Stream.ORDERS, b"k" * 300, b"value", START.wall_ms, event_id), one.now)
    (alarm,) = [json.loads(record.value or b"") for record in one.drain()]
    assert alarm["detail"] == f"{name} of orders has 5 bytes and was not published"


def test_a_reading_delay_is_an_alarm_until_everything_is_read() -> None:
    """As with a command that is read long after its append."""
    one = OneAccount()
    one.wait(5)
    body = json.dumps(place("p")).encode()
    one.account.offer(CommandRecord(0, START.wall_ms, b"key", body, ()), one.now)
    assert one.account.active_alarm(Alarm.COMMANDS_BEHIND) is not None
    one.account.read_to(1, 1, one.now)
    assert one.account.active_alarm(Alarm.COMMANDS_BEHIND) is None
    assert not one.account.is_reading_full


def test_executions_that_an_earlier_owner_published_are_known() -> None:
    """The same row of REST is no news."""
    one = OneAccount()
    trade = trade_push("p", createAt=str(START.wall_ms - 1000))
    one.account.remember_trades([Tail(START.wall_ms, trade_row(trade).raw, [])])
    sweep = one.account.begin_sweep(one.now)
    one.account.on_trade_rows(sweep, Rows([trade_row(trade)]), one.now)
    assert not [record for record in one.drain() if record.stream is Stream.TRADES]
    assert not sweep.recovered[Stream.TRADES]


def test_commits_name_the_key_that_the_venue_has_accepted() -> None:
    """And the one before it while that is not known."""
    one = OneAccount(live=False)
    for fingerprint in ("aa", ""):
        one.account.key_accepted(fingerprint)
        commit = one.account.last_commit(one.now, 0, released=True)
        stored = decode(commit.metadata, commit.offset)
        assert stored is not None
        assert stored.origin.key_fingerprint == "aa"
