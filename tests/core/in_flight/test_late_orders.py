"""Late orders: seen after `not_found`, they raise an alarm, and are cancelled where that is the policy."""

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
    """The alarm is raised once, however often the order is pushed, and the result stays."""
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
    """Its fields differ; the order of the place may come later."""
    one = _given_up(place("p"))
    one.account.on_order(order_push("p", side="SELL", orderId="1"), one.now)
    assert one.alarms() == []
    one.account.on_order(order_push("p"), one.now)
    assert one.alarms() == ["late_landed"]


def test_a_late_end_ends_the_cancel() -> None:
    """An order that is over is cancelled no more."""
    one = _given_up(place("p"))
    one.account.on_order(order_push("p"), one.now)
    one.account.on_order(order_push("p", orderState="CANCELLED"), one.now)
    assert one.send_own_cancels() == []


def test_a_late_replace_raises_the_alarm() -> None:
    """The order shows the values of the replace; it is not cancelled, because its place is valid."""
    one = _given_up(replace("r", orderId=ORDER_ID), shown=True)
    for price in ("100", "101", "101"):
        one.wait(0.01)
        one.account.on_order(order_push("mine", limitPrice=price, updateAt=str(one.now.wall_ms)), one.now)
    assert one.alarms() == ["late_landed"]
    assert one.send_own_cancels() == []


def test_an_order_of_a_later_place_of_that_name_is_not_late() -> None:
    """Once the name is free again and another place has it, an order of that name belongs to the other place."""
    one = _given_up(place("p", clientOrderId="mine"))
    for _ in range(2):
        one.renew(3700)
    one.offer(place("q", clientOrderId="mine") | {"validUntil": one.now.wall_ms + 10_000})
    assert one.send() == [1]
    one.account.on_order(order_push("mine", createAt=str(one.now.wall_ms), updateAt=str(one.now.wall_ms)), one.now)
    assert "late_landed" not in one.alarms()


def test_an_order_that_ends_is_no_longer_watched_for_its_replace() -> None:
    """A replace can no longer change it."""
    one = _given_up(replace("r", orderId=ORDER_ID), shown=True)
    ended = order_push("mine", orderState="FILLED", limitPrice="100", updateAt=str(one.now.wall_ms))
    one.account.on_order(ended, one.now)
    assert one.alarms() == []
    assert not one.account._late_orders.watched


def test_late_orders_of_an_earlier_owner_are_watched_for() -> None:
    """They are recognized by name and time, which the result has; an order from long before is another one."""
    one = OneAccount(epoch=2)
    given_up = Result("p", 0, Outcome.NOT_FOUND, START.wall_ms, action="place_order", client_order_id="p")
    one.account.restore([(given_up, START.wall_ms)], one.now)
    one.account.on_order(order_push("p", orderId="1", createAt=str(START.wall_ms - 250_001)), one.now)
    assert one.alarms() == []
    one.account.on_order(order_push("p"), one.now)
    assert one.alarms() == ["late_landed"]


def test_a_name_that_a_later_place_has_is_no_longer_watched_for() -> None:
    """An order of that name belongs to the later place, and is not cancelled."""
    one = OneAccount(epoch=2)
    given_up = Result("p", 0, Outcome.NOT_FOUND, START.wall_ms, action="place_order", client_order_id="p")
    accepted = Result("q", 1, Outcome.ACCEPTED, START.wall_ms, action="place_order", client_order_id="p")
    one.account.restore([(given_up, START.wall_ms), (accepted, START.wall_ms)], one.now)
    one.account.on_order(order_push("p"), one.now)
    assert one.alarms() == []
    assert one.send_own_cancels() == []


def test_the_number_of_watched_commands_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest command is forgotten first."""
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
def test_an_order_from_before_an_earlier_owners_not_found_is_not_late(created_s: int) -> None:
    """The earlier owner had found the order and known that it is another one, so the next owner does not cancel it."""
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
    """It may be older than the place; a later row has its age."""
    one = _given_up(place("c1", clientOrderId="mine"))
    one.account.on_order(order_push("mine", createAt=""), one.now)
    assert one.alarms() == []
    one.account.on_order(order_push("mine", orderQty="7"), one.now)
    assert one.alarms() == ["late_landed"]
    assert one.send_own_cancels() == []


def test_a_late_replace_with_another_order_id_raises_the_alarm() -> None:
    """It gives the order another orderId, under the same clientOrderId; the end of the first proves nothing."""
    one = _given_up(replace("r", orderId=ORDER_ID), shown=True)
    at = str(one.now.wall_ms)
    one.account.on_order(order_push("mine", orderState="CANCELLED", limitPrice="100", updateAt=at), one.now)
    one.account.on_order(order_push("mine", orderId="2" * 16, limitPrice="101", updateAt=at), one.now)
    one.account.on_order(order_push("mine", orderId="2" * 16, limitPrice="101", executedQty="0.1"), one.now)
    assert one.alarms() == ["late_landed"]
    assert not one.account._late_orders.watched
