"""Repeated cancels: the ack of a repeat proves nothing about the request before it."""

from typing import Any

import pytest

from bridge.contract.commands import CANCEL
from bridge.contract.pushes import OrderPush
from bridge.contract.results import Outcome, Result
from bridge.core.commands.claims import METADATA_BYTES_MAX
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.records import Answer
from tests.support.one_account import ORDER_ID, START, OneAccount, cancel, order_push, place, replace

_NEXT_ID = "2" * 16
_LAST_ID = "3" * 16


def _show(one: OneAccount, **fields: str) -> None:
    """Push a snapshot of the order, taken now."""
    one.account.on_order(order_push("mine", **{"updateAt": str(one.now.wall_ms), **fields}), one.now)


def _repeated(**name: str) -> OneAccount:
    """Cancel an open order, and lose the ack; the cancel is not repeated yet."""
    one = OneAccount()
    _show(one)
    one.offer(cancel("c", **(name or {"clientOrderId": "mine"})))
    one.send()
    return one


def _repeat(one: OneAccount) -> None:
    one.renew(6)
    assert [written.action for written in one.written] == [CANCEL, CANCEL]


def _last(one: OneAccount) -> tuple[str, int | None, str | None]:
    result = one.results()[-1]
    return result.outcome.value, result.code, result.message


@pytest.mark.parametrize("name", [{"clientOrderId": "mine"}, {"orderId": ORDER_ID}])
@pytest.mark.parametrize("code", [401117, 401018, 401116, 401019])
def test_what_the_first_request_did_is_accepted_whatever_the_repeat_is_told(code: int, name: dict[str, str]) -> None:
    """The order was cancelled in between, and the venue refuses a cancel of an order that is over or ending."""
    one = _repeated(**name)
    one.wait(0.03)
    _show(one, orderState="CANCELLED", action="CANCEL_COMPLETE")
    _repeat(one)
    one.answer(0, code, "as the venue says")
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]
    assert _last(one) == ("accepted", None, "its answer was lost; CANCELLED")


def test_an_order_that_is_being_cancelled_is_waited_for() -> None:
    """The repeat is refused for that; the later push of the end settles the cancel at once."""
    one = _repeated()
    _show(one, action="CANCEL_PENDING")
    _repeat(one)
    one.answer(0, 401116, "is cancelling")
    assert one.outcomes() == [(0, "unknown")]
    one.wait(0.05)
    _show(one, orderState="CANCELLED", action="CANCEL_COMPLETE")
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]


def test_an_end_that_was_not_pushed_is_queried_at_once() -> None:
    """The refusal of the repeat contradicts what is known, so REST is queried although the cancel is still valid."""
    one = _repeated()
    _repeat(one)
    assert one.ask() == []
    one.answer(0, 401117, "is over")
    (query,) = one.ask(order_push("mine", orderState="CANCELLED", updateAt=str(one.now.wall_ms)))
    assert (query.order_id, query.client_order_id, query.is_last) == (ORDER_ID, "mine", False)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]


@pytest.mark.parametrize("state", ["FILLED", "REJECT", "EXPIRED"])
def test_another_end_of_the_order_lets_the_refusal_stand(state: str) -> None:
    """An end of the order that this cancel did not cause proves a refusal."""
    one = _repeated()
    _show(one, orderState=state, executedQty="0.5")
    _repeat(one)
    one.answer(0, 401117, "Order is terminal")
    assert one.outcomes() == [(0, "unknown"), (0, "rejected")]
    assert _last(one) == ("rejected", 401117, "Order is terminal")


def test_the_fill_that_is_seen_after_the_refusal_lets_it_stand() -> None:
    """The refusal comes first, then the push that explains it."""
    one = _repeated()
    _repeat(one)
    one.answer(0, 401117, "Order is terminal")
    assert one.outcomes() == [(0, "unknown")]
    _show(one, orderState="FILLED", executedQty="0.5")
    assert _last(one) == ("rejected", 401117, "Order is terminal")


def test_the_last_of_two_ends_counts() -> None:
    """FILLED with a part of the quantity, then CANCELLED: the cancel is accepted."""
    one = _repeated()
    one.wait(0.01)
    _show(one, orderState="FILLED", executedQty="0.2")
    _repeat(one)
    one.answer(0, 401117, "Order is terminal")
    assert one.outcomes() == [(0, "unknown")]
    _show(one, orderState="CANCELLED", executedQty="0.2", action="CANCEL_COMPLETE")
    assert _last(one) == ("accepted", None, "its answer was lost; CANCELLED")


def test_a_partial_cancel_that_stays_the_latest_push_is_an_end_at_last() -> None:
    """No other state follows within the time that REST may lag."""
    one = _repeated()
    _show(one, orderState="FILLED", executedQty="0.2")
    _repeat(one)
    one.answer(0, 401117, "Order is terminal")
    one.renew(40)
    one.ask()
    assert _last(one) == ("rejected", 401117, "Order is terminal")


@pytest.mark.parametrize("code", [2003, 400009, 405001])
def test_a_refusal_of_the_repeat_alone_leaves_the_cancel_unknown(code: int) -> None:
    """A refusal for the key's rights or the form proves nothing about the order."""
    one = _repeated()
    _repeat(one)
    one.answer(0, code, "no")
    assert one.outcomes() == [(0, "unknown")]
    _show(one, orderState="CANCELLED", action="CANCEL_COMPLETE")
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]


def test_a_late_refusal_of_the_first_request_says_nothing_of_the_second() -> None:
    """The second was written while the order was open, and its ack is still to come."""
    one = _repeated()
    _repeat(one)
    first = one.written[0]
    one.account.on_frame(Answer(first.request_id, CANCEL, 401018, "not found", None, None), one.now)
    assert one.outcomes() == [(0, "unknown")]
    one.answer(0, 401117, "is over")
    assert _last(one) == ("rejected", 401117, "is over")


def test_a_cancel_that_an_earlier_owner_may_have_written_is_not_rejected_for_its_repeat() -> None:
    """It needs no claim, so no record proves that it was written; its order does."""
    one = OneAccount(epoch=2)
    _show(one, orderState="CANCELLED", action="CANCEL_COMPLETE")
    one.offer(cancel("c", orderId=ORDER_ID), past=TakeoverStatus.READ)
    one.send()
    one.answer(0, 401117, "Order is terminal")
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]


def test_a_cancel_of_an_order_that_was_over_before_is_rejected() -> None:
    """No request of it can have ended the order."""
    one = OneAccount(epoch=2)
    _show(one, orderState="CANCELLED", updateAt=str(START.wall_ms - 60_000))
    one.offer(cancel("c", orderId=ORDER_ID), past=TakeoverStatus.READ)
    one.send()
    one.answer(0, 401117, "Order is terminal")
    assert one.outcomes() == [(0, "unknown"), (0, "rejected")]


def test_a_cancel_is_not_rejected_for_a_repeat_while_its_order_is_unclear() -> None:
    """The venue does not know the order, and the first request, which was never acknowledged, may have ended it."""
    one = OneAccount()
    one.offer(cancel("c", orderId=ORDER_ID))
    one.send()
    _repeat(one)
    one.answer(0, 401018, "not found")
    one.ask()
    assert one.outcomes() == [(0, "unknown")]
    for _ in range(200):
        one.renew(1)
        one.ask()
    assert one.outcomes() == [(0, "unknown"), (0, "not_found")]


# Orders that a replace has given another orderId


def _replaced(one: OneAccount, **fields: str) -> None:
    """Let the venue end the order, and open another with its clientOrderId."""
    one.wait(0.01)
    at = str(one.now.wall_ms)
    _show(one, orderState="CANCELLED", **fields)
    _show(one, orderId=_NEXT_ID, createAt=at)


@pytest.mark.parametrize("name", [{"clientOrderId": "mine"}, {"orderId": ORDER_ID}])
@pytest.mark.parametrize("fields", [{}, {"action": "AMEND_COMPLETED"}, {"action": "CANCEL_COMPLETE"}])
def test_the_end_of_an_order_proves_nothing_while_its_name_stands_on_another(
    fields: dict[str, str], name: dict[str, str]
) -> None:
    """Another program replaced it, and the frame of the cancel was lost: the new order is open, the cancel goes on."""
    one = _repeated(**name)
    _replaced(one, **fields)
    successor = order_push("mine", orderId=_NEXT_ID, updateAt=str(one.now.wall_ms))
    for _ in range(250):
        one.renew(1)
        one.ask(successor)
    assert sum(written.action == CANCEL for written in one.written) > 5
    assert one.outcomes() == [(0, "unknown"), (0, "not_found")]
    assert _last(one)[2] == f"order {_NEXT_ID} lives on as OPEN without showing it"


def _replaced_by_us(**name: str) -> OneAccount:
    """Replace an order, which the venue does by cancelling it and opening another; then cancel it."""
    one = OneAccount()
    _show(one, limitPrice="100")
    one.offer(replace("r", clientOrderId="mine"))
    one.send()
    one.answer(0)
    one.offer(cancel("c", **name))
    one.send_cancels()
    return one


@pytest.mark.parametrize("name", [{"clientOrderId": "mine"}, {"orderId": ORDER_ID}])
def test_a_cancel_follows_its_order_through_a_replace(name: dict[str, str]) -> None:
    """Its frame is lost, and its order gets another orderId: the repeat has that one, and ends the order."""
    one = _replaced_by_us(**name)
    _replaced(one)
    one.renew(6)
    assert [written.args for written in one.written[1:]] == [name, {"orderId": _NEXT_ID}]
    one.answer(1, 401117, "is over")
    assert one.outcomes()[1:] == [(1, "unknown")]
    one.wait(0.01)
    _show(one, orderId=_NEXT_ID, orderState="CANCELLED", action="CANCEL_COMPLETE")
    one.renew(36)
    one.ask()
    assert one.outcomes()[2:] == [(1, "accepted")]
    assert one.results()[-1].order_id == _NEXT_ID


def test_a_cancel_after_the_end_of_the_first_order_is_done_by_the_end_of_the_next() -> None:
    """The replace's ack is lost too: the order that was over before is another one than the cancel ended."""
    one = OneAccount()
    _show(one, limitPrice="100")
    one.offer(replace("r", clientOrderId="mine"))
    one.send()
    one.wait(0.01)
    _show(one, orderState="CANCELLED")
    one.offer(cancel("c", clientOrderId="mine"))
    one.send_cancels()
    one.wait(0.01)
    opened_ms = str(one.now.wall_ms)
    one.wait(0.01)
    ended = order_push(
        "mine", orderId=_NEXT_ID, orderState="CANCELLED", createAt=opened_ms, updateAt=str(one.now.wall_ms)
    )
    one.renew(61)
    one.ask(ended)
    one.renew(61)
    one.ask(ended)
    assert (1, "accepted") in one.outcomes()


def test_an_end_that_a_replace_may_have_made_is_waited_out() -> None:
    """The next order is pushed later than the end of the first, by as much as REST may lag."""
    one = _replaced_by_us(clientOrderId="mine")
    one.wait(0.01)
    _show(one, orderState="CANCELLED", action="CANCEL_COMPLETE")
    one.renew(6)
    one.answer(1, 401117, "is over")
    one.ask()
    assert one.outcomes()[1:] == [(1, "unknown")]
    one.renew(36)
    one.ask()
    assert one.outcomes()[1:] == [(1, "unknown"), (1, "accepted")]


def test_a_refusal_while_a_replace_is_on_its_way_is_not_the_end_of_a_cancel() -> None:
    """The venue has ended the first order and not opened the next one yet, so it knows no open order of that name."""
    one = OneAccount()
    _show(one, limitPrice="100")
    one.offer(replace("r", clientOrderId="mine"))
    one.send()
    one.offer(cancel("c", clientOrderId="mine"))
    one.send_cancels()
    one.answer(1, 401117, "is over")
    assert one.outcomes() == [(1, "unknown")]
    one.answer(0, order_id=_NEXT_ID)
    one.wait(0.2)
    assert one.send_cancels() == [1]
    assert one.written[-1].args == {"orderId": _NEXT_ID}
    one.answer(1)
    assert one.outcomes()[1:] == [(0, "accepted"), (1, "accepted")]


def test_commands_by_the_first_order_id_go_to_the_present_one() -> None:
    """Through a chain of replaces, each of which gives the order another orderId."""
    one = OneAccount()
    one.offer(place("p", clientOrderId="mine"))
    one.send()
    one.answer(0, order_id=ORDER_ID, client_order_id="mine")
    for offset, price, order_id in ((1, "101", _NEXT_ID), (2, "102", _LAST_ID)):
        one.offer(replace(f"r{offset}", price, orderId=ORDER_ID))
        one.send()
        one.answer(offset, order_id=order_id)
    one.offer(cancel("c", orderId=ORDER_ID))
    one.send()
    assert [written.args.get("orderId") for written in one.written[1:]] == [ORDER_ID, _NEXT_ID, _LAST_ID]


def test_the_next_owner_knows_the_order_id_that_replaces_have_made() -> None:
    """The results prove the replace, and the orders topic has the order with its name now."""
    first = _replaced_by_us(clientOrderId="mine")
    second = OneAccount(epoch=2)
    second.now = first.now
    second.account.restore([(result, first.now.wall_ms) for result in first.results()], second.now)
    _replaced(second)
    second.offer(cancel("c2", orderId=ORDER_ID))
    second.send()
    assert second.written[-1].args == {"orderId": _NEXT_ID}


def test_a_name_that_is_used_again_makes_no_successor() -> None:
    """Without a replace the second order of that name is another one, and is not cancelled instead of the first."""
    one = _repeated(orderId=ORDER_ID)
    _replaced(one)
    _repeat(one)
    assert one.written[-1].args == {"orderId": ORDER_ID}


# Replaces


def _unknown_replace(*shown: dict[str, str], **args: str) -> OneAccount:
    one = OneAccount()
    for fields in shown:
        _show(one, **fields)
    body: dict[str, Any] = {"commandId": "r", "action": "replace_order", "args": {"orderId": ORDER_ID, **args}}
    one.offer(body)
    one.send()
    one.renew(6)
    return one


@pytest.mark.parametrize(("before", "outcome"), [("AMEND_PENDING", "unknown"), ("", "accepted")])
def test_the_failure_of_a_replace_that_was_under_way_is_not_that_of_the_next(before: str, outcome: str) -> None:
    """The push does not say which of the two failed."""
    one = _unknown_replace({"limitPrice": "100", "action": before}, replacePrice="101")
    _show(one, limitPrice="100", action="AMEND_FAILED")
    assert one.outcomes()[-1] == (0, outcome)


@pytest.mark.parametrize(("shown", "outcome"), [("0.7", "accepted"), ("1", "accepted"), ("0.9", "unknown")])
def test_the_order_that_a_replace_opens_may_have_what_was_left(shown: str, outcome: str) -> None:
    """A replace names the whole quantity, of which 0.3 was executed before."""
    one = _unknown_replace({"executedQty": "0.3"}, replaceQty="1")
    _show(one, orderId=_NEXT_ID, orderQty=shown)
    assert one.outcomes()[-1] == (0, outcome)


def test_a_replace_of_an_order_that_stays_open_is_not_found_with_a_reason() -> None:
    """The order is open and unchanged."""
    one = _unknown_replace({"limitPrice": "100"}, replacePrice="101")
    one.renew(120)
    one.ask()
    assert _last(one) == ("not_found", None, f"order {ORDER_ID} lives on as OPEN without showing it")


def test_a_replace_stays_unknown_while_its_order_may_get_another_id() -> None:
    """Its order was cancelled right before the last query, perhaps by the replace."""
    one = _unknown_replace({"limitPrice": "100"}, replacePrice="101")
    one.renew(119)
    _show(one, limitPrice="100", orderState="CANCELLED")
    one.renew(1)
    assert [query.is_last for query in one.ask()] == [True]
    assert one.outcomes() == [(0, "unknown")]
    one.renew(36)
    one.ask()
    assert _last(one) == ("not_found", None, "the order ended as CANCELLED without showing it")


def test_a_push_without_a_quantity_shows_no_replace_of_it() -> None:
    """A field that it leaves out proves nothing."""
    one = _unknown_replace(replaceQty="1")
    at = str(one.now.wall_ms)
    one.account.on_order(OrderPush(ORDER_ID, "OPEN", update_at=at), one.now)
    assert one.outcomes() == [(0, "unknown")]


# Cancels that an earlier owner may have written


def test_a_cancel_of_an_order_that_the_venue_does_not_know_is_rejected_for_every_owner() -> None:
    """The venue answers both the request and the query that it knows no such order."""
    one = OneAccount(epoch=2)
    one.offer(cancel("c", clientOrderId="mine"), past=TakeoverStatus.READ)
    one.send()
    one.answer(0, 401018, "not found")
    assert one.outcomes() == [(0, "unknown")]
    one.ask()
    assert one.outcomes() == [(0, "unknown"), (0, "rejected")]


@pytest.mark.parametrize(("state", "outcomes"), [("CANCELLED", ["unknown", "accepted"]), ("OPEN", ["expired"])])
def test_a_cancel_that_expired_between_two_owners_and_was_carried_out_is_accepted(
    state: str, outcomes: list[str]
) -> None:
    """Its order was cancelled after its record, so the earlier owner had written it; it may land for a while yet."""
    one = OneAccount(epoch=2)
    _show(one)
    body = {**cancel("c", clientOrderId="mine"), "validUntil": START.wall_ms - 1}
    one.offer(body, past=TakeoverStatus.READ)
    one.renew(115)
    assert one.outcomes() == []
    _show(one, orderState=state, action="CANCEL_COMPLETE")
    one.renew(15)
    one.ask()
    assert [outcome for _, outcome in one.outcomes()] == outcomes


@pytest.mark.parametrize("valid_s", [60, 0.1])
@pytest.mark.parametrize(("state", "outcome"), [("CANCELLED", "accepted"), ("OPEN", "not_found")])
def test_a_cancel_that_was_called_unknown_is_not_called_so_again_nor_unsent(
    valid_s: float, state: str, outcome: str
) -> None:
    """The earlier owner has written it. It is repeated while it is valid, and queried afterwards."""
    one = OneAccount(epoch=2, live=False)
    told = Result("c", 0, Outcome.UNKNOWN, START.wall_ms, CANCEL)
    one.account.restore([(told, START.wall_ms)], one.now)
    one.offer(
        cancel("c", clientOrderId="mine") | {"validUntil": START.wall_ms + int(valid_s * 1000)},
        past=TakeoverStatus.READ,
    )
    one.wait(1)
    one.open_session()
    one.send()
    one.renew(10)
    assert bool(one.written) == (valid_s == 60)
    assert one.outcomes() == []
    one.renew(60)
    _show(one, orderState=state)
    for _ in range(150):
        one.renew(1)
        one.ask()
    assert one.outcomes() == [(0, outcome)]


def test_any_number_of_cancels_that_an_earlier_owner_may_have_sent_fits_into_a_commit() -> None:
    """Eight thousand name one order, which was cancelled: none needs a claim, and none holds back a place."""
    one = OneAccount(epoch=2)
    for number in range(8000):
        one.offer(cancel(f"c{number}", orderId=ORDER_ID) | {"validUntil": START.wall_ms + 1}, past=TakeoverStatus.READ)
    one.wait(1)
    _show(one, orderState="CANCELLED", action="CANCEL_COMPLETE", updateAt=str(one.now.wall_ms))
    one.renew(30)
    assert [outcome for _, outcome in one.outcomes()] == ["unknown"] * 8000
    offset = one.offer(place("p"))
    one.renew(1)
    assert one.written[-1].offset == offset
    assert one.last_commit is not None
    assert len(one.last_commit.metadata) <= METADATA_BYTES_MAX
    while one.ask():
        one.renew(1)
    assert sum(outcome == "accepted" for _, outcome in one.outcomes()) == 8000


def test_a_cancel_of_an_earlier_owner_does_not_expire_while_the_venue_is_away() -> None:
    """Its order may have been cancelled without a push; the sweep after the next login proves it."""
    one = OneAccount(epoch=2, live=False)
    one.offer({**cancel("c", clientOrderId="mine"), "validUntil": START.wall_ms - 1}, past=TakeoverStatus.READ)
    one.renew(300)
    assert one.outcomes() == []
    one.open_session()
    one.renew(6)
    assert one.outcomes() == [(0, "expired")]


def test_the_order_that_a_replace_opens_may_show_itself_within_the_same_millisecond() -> None:
    """It is another order, so its time is not compared with that of the first."""
    one = OneAccount()
    _show(one, limitPrice="100")
    one.offer(replace("r", "101", clientOrderId="mine"))
    one.send()
    _show(one, orderId=_NEXT_ID, limitPrice="101")
    one.renew(6)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]


@pytest.mark.parametrize("state", ["OPEN", "FILLED"])
@pytest.mark.parametrize("first", [0, 1])
def test_a_replace_by_order_id_alone_learns_the_other_name_of_its_order(first: int, state: str) -> None:
    """Nothing was known of the order; its row has the clientOrderId, with which the replace has opened another."""
    one = _unknown_replace(replacePrice="101")
    at = str(one.now.wall_ms)
    rows = [
        order_push("mine", orderState="CANCELLED", limitPrice="100", updateAt=at),
        order_push("mine", orderId=_NEXT_ID, orderState=state, limitPrice="101", createAt=at, updateAt=at),
    ]
    one.ask(rows[first], rows[1 - first])
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]
    assert (one.results()[-1].order_id, one.results()[-1].client_order_id) == (_NEXT_ID, "mine")


def test_an_expired_cancel_of_an_earlier_owner_that_was_refused_for_its_rate_is_rejected() -> None:
    """The refusal is about this owner's request; the open order proves that the earlier one had no effect."""
    one = OneAccount(epoch=2)
    _show(one)
    one.offer(cancel("c", clientOrderId="mine") | {"validUntil": START.wall_ms + 1000}, past=TakeoverStatus.READ)
    one.send()
    one.answer(0, 429, "too often")
    one.renew(115)
    assert one.outcomes() == []
    one.renew(20)
    assert _last(one) == ("rejected", 429, "too often")


def test_a_cancel_that_was_refused_before_is_nothing_to_a_successor() -> None:
    """It is invalid, so no owner has sent it; its denial is durable."""
    one = OneAccount(epoch=2)
    one.offer(cancel("c"), past=TakeoverStatus.ANSWERED)
    one.renew(1)
    assert (one.outcomes(), one.written) == ([], [])
    assert one.committed()[0] == 1
