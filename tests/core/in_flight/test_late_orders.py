"""Orders that show themselves after `not_found`: told, never hidden, and ended where that is the policy."""

import pytest

from bridge.contract.results import Outcome, Result
from bridge.core.in_flight import late_orders
from tests.support.one_account import ORDER_ID, START, OneAccount, order_push, place, replace


def _given_up(body: dict[str, object], *, cancel: bool = True, shown: bool = False) -> OneAccount:
    one = OneAccount(late_landings="cancel" if cancel else "report")
    if shown:
        one.account.on_order(order_push("mine", limitPrice="100"), one.now)
    one.offer(body)
    one.send()
    one.renew(121)
    one.ask()
    assert one.outcomes() == [(0, "unknown"), (0, "not_found")]
    return one


@pytest.mark.parametrize("cancel", [True, False])
def test_a_late_order_raises_one_alarm_and_is_cancelled_by_policy(cancel: bool) -> None:  # noqa: FBT001
    """However often it shows itself; its last word stands."""
    one = _given_up(place("p"), cancel=cancel)
    for _ in range(2):
        one.account.on_order(order_push("p"), one.now)
    assert one.alarms() == ["late_landed"]
    assert one.send_own_cancels() == ([ORDER_ID] if cancel else [])
    assert one.outcomes() == [(0, "unknown"), (0, "not_found")]


@pytest.mark.parametrize("fields", [{"orderState": "FILLED"}, {"orderId": "", "orderState": "REJECT"}])
def test_an_order_that_is_over_needs_no_cancel(fields: dict[str, str]) -> None:
    """The alarm is raised all the same."""
    one = _given_up(place("p"))
    one.account.on_order(order_push("p", **fields), one.now)
    assert one.alarms() == ["late_landed"]
    assert one.send_own_cancels() == []


def test_another_order_of_that_name_is_not_ours() -> None:
    """It asks for something else; and later ours may come yet."""
    one = _given_up(place("p"))
    one.account.on_order(order_push("p", side="SELL", orderId="1"), one.now)
    assert one.alarms() == []
    one.account.on_order(order_push("p"), one.now)
    assert one.alarms() == ["late_landed"]


def test_a_late_end_ends_the_cancel() -> None:
    """An order that shows itself as over is not cancelled any more."""
    one = _given_up(place("p"))
    one.account.on_order(order_push("p"), one.now)
    one.account.on_order(order_push("p", orderState="CANCELLED"), one.now)
    assert one.send_own_cancels() == []


def test_a_late_replace_is_told() -> None:
    """The order shows its values; the order itself is wanted, so it lives on."""
    one = _given_up(replace("r", orderId=ORDER_ID), shown=True)
    for price in ("100", "101", "101"):
        one.wait(0.01)
        one.account.on_order(order_push("mine", limitPrice=price, updateAt=str(one.now.wall_ms)), one.now)
    assert one.alarms() == ["late_landed"]
    assert one.send_own_cancels() == []


def test_an_order_that_ends_is_no_longer_watched_for_its_replace() -> None:
    """Nothing can land on it."""
    one = _given_up(replace("r", orderId=ORDER_ID), shown=True)
    ended = order_push("mine", orderState="FILLED", limitPrice="100", updateAt=str(one.now.wall_ms))
    one.account.on_order(ended, one.now)
    assert one.alarms() == []
    assert not one.account._late._replaces


def test_what_an_earlier_owner_gave_up_is_watched_for() -> None:
    """By name and time, which is all that its result tells; an order from long before is another's."""
    one = OneAccount(epoch=2)
    given_up = Result("p", 0, Outcome.NOT_FOUND, START.wall_ms, action="place_order", client_order_id="p")
    one.account.restore([(given_up, START.wall_ms)], one.now)
    one.account.on_order(order_push("p", orderId="1", createAt=str(START.wall_ms - 250_001)), one.now)
    assert one.alarms() == []
    one.account.on_order(order_push("p"), one.now)
    assert one.alarms() == ["late_landed"]


def test_a_name_that_a_later_place_has_is_no_longer_watched_for() -> None:
    """Its order is that one's, and lives."""
    one = OneAccount(epoch=2)
    given_up = Result("p", 0, Outcome.NOT_FOUND, START.wall_ms, action="place_order", client_order_id="p")
    accepted = Result("q", 1, Outcome.ACCEPTED, START.wall_ms, action="place_order", client_order_id="p")
    one.account.restore([(given_up, START.wall_ms), (accepted, START.wall_ms)], one.now)
    one.account.on_order(order_push("p"), one.now)
    assert one.alarms() == []
    assert one.send_own_cancels() == []


def test_what_was_given_up_is_forgotten_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory is bounded; the oldest goes first."""
    monkeypatch.setattr(late_orders, "_REMEMBERED_MAX", 1)
    one = OneAccount()
    for name in ("p", "q"):
        one.offer(place(name))
    one.send()
    one.renew(121)
    one.ask()
    for name in ("p", "q"):
        one.account.on_order(order_push(name, orderId=name), one.now)
    assert one.send_own_cancels() == ["q"]


@pytest.mark.parametrize("created_s", [-60, 0, 60])
def test_an_order_that_was_there_when_an_earlier_owner_gave_up_is_somebody_elses(created_s: int) -> None:
    """Its last look had found the order, and known that it was not that of the place: the next owner lets it live."""
    foreign = order_push("p", side="SELL", createAt=str(START.wall_ms + created_s * 1000))
    first = OneAccount()
    first.offer(place("p"))
    first.send()
    first.renew(60)
    for _ in range(61):
        first.account.on_order(foreign, first.now)
        first.renew(1)
        first.ask()
    assert first.outcomes() == [(0, "unknown"), (0, "not_found")]
    assert first.alarms() == []
    second = OneAccount(epoch=2)
    second.now = first.now
    second.account.restore([(result, first.now.wall_ms) for result in first.results()], second.now)
    second.account.on_order(foreign, second.now)
    assert second.alarms() == []
    assert second.send_own_cancels() == []


def test_an_order_of_unknown_age_under_a_name_of_the_callers_raises_no_alarm() -> None:
    """It may be older than the place; the row that tells its age comes."""
    one = _given_up(place("c1", clientOrderId="mine"))
    one.account.on_order(order_push("mine", createAt=""), one.now)
    assert one.alarms() == []
    one.account.on_order(order_push("mine", orderQty="7"), one.now)
    assert one.alarms() == ["late_landed"]
    assert one.send_own_cancels() == []


def test_a_replace_that_lands_late_as_another_order_is_told() -> None:
    """It gives the order another orderId, under the same clientOrderId; the end of the first proves nothing."""
    one = _given_up(replace("r", orderId=ORDER_ID), shown=True)
    at = str(one.now.wall_ms)
    one.account.on_order(order_push("mine", orderState="CANCELLED", limitPrice="100", updateAt=at), one.now)
    one.account.on_order(order_push("mine", orderId="2" * 16, limitPrice="101", updateAt=at), one.now)
    one.account.on_order(order_push("mine", orderId="2" * 16, limitPrice="101", executedQty="0.1"), one.now)
    assert one.alarms() == ["late_landed"]
    assert not one.account._late._replaces
