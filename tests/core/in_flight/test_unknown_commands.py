"""Unknown commands: queried until a snapshot settles them, and `not_found` only when they can no longer land."""

from typing import Any

import msgspec
import pytest

from bridge.contract.commands import CANCEL, PLACE, REPLACE
from bridge.contract.pushes import OrderPush
from bridge.contract.topics import Stream
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.records import Push
from tests.support.one_account import (
    BTC,
    ETH_ON_OKX,
    ORDER_ID,
    START,
    OneAccount,
    cancel,
    order_push,
    place,
    replace,
    trade_push,
)

_OTHER_ID = "2" * 16


def _unknown(body: dict[str, Any], *shown: dict[str, str]) -> OneAccount:
    """Write a command whose ack never comes; `shown` are the earlier pushes of its order."""
    one = OneAccount()
    for fields in shown:
        one.account.on_order(order_push("mine", **fields), one.now)
    offset = one.offer(body)
    assert one.send() == [offset]
    one.renew(5)
    assert one.outcomes() == [(0, "unknown")]
    return one


def _at(one: OneAccount, seconds: float = 0) -> str:
    return str(one.now.wall_ms + int(seconds * 1000))


def test_a_place_is_queried_at_once_and_after_longer_and_longer_pauses() -> None:
    """The query has the clientOrderId and the earliest time; the last one comes when it can no longer land."""
    one = _unknown(place("p"))
    first, asked = one.now.boot_s, []
    for _ in range(140):
        for question in one.ask():
            assert (question.action, question.client_order_id, question.sym) == (PLACE, "p", BTC)
            assert 0 <= START.wall_ms - 5000 - question.since_ms < 100
            asked.append((one.now.boot_s - first, question.is_last))
        if one.outcomes()[-1] == (0, "not_found"):
            break
        one.renew(1)
    assert [when for when, _ in asked][:7] == [0, 1, 2, 4, 8, 16, 26]
    assert [last for _, last in asked] == [False] * (len(asked) - 1) + [True]
    assert one.now.boot_s - START.boot_s == 120


def test_history_is_searched_back_to_the_oldest_unknown_command_of_a_symbol() -> None:
    """A later one of the same symbol changes nothing; without an unknown one there is nothing to search."""
    one = _unknown(place("p"))
    oldest_ms = one.account.unknown.oldest_write_ms(BTC)
    assert 0 <= START.wall_ms - 5000 - oldest_ms < 100
    one.offer(place("q"))
    one.send()
    one.lose_session()
    assert [query.client_order_id for query in one.account.unknown.list_queries()] == ["p", "q"]
    assert oldest_ms == one.account.unknown.oldest_write_ms(BTC)
    assert one.account.unknown.oldest_write_ms(ETH_ON_OKX) == 0


def test_not_found_ends_it() -> None:
    """It is terminal and has a reason; the clientOrderId stays in use, because a late order may come."""
    one = _unknown(place("p"))
    one.renew(116)
    one.ask()
    assert one.outcomes() == [(0, "unknown"), (0, "not_found")]
    assert one.results()[-1].message == "the venue knew nothing of it 120 s after it was written"
    one.offer(place("q", clientOrderId="p"))
    assert one.results()[-1].reason == "client_order_id_in_use"
    assert one.committed()[1].claimed == ()


def test_a_venue_that_does_not_answer_ends_nothing() -> None:
    """Only a query after the landing time ends it; the queries are repeated."""
    one = _unknown(place("p"))
    one.renew(200)
    assert [question.is_last for question in one.account.unknown.pop_due_queries(one.now)] == [True]
    assert one.outcomes() == [(0, "unknown")]
    one.renew(10)
    assert [question.is_last for question in one.ask()] == [True]
    assert one.outcomes()[-1] == (0, "not_found")


def test_an_answer_to_a_query_after_the_end_changes_nothing() -> None:
    """The ack of the command came before the answer to the query."""
    one = _unknown(place("p"))
    (question,) = one.account.unknown.pop_due_queries(one.now)
    one.answer(0, order_id=ORDER_ID)
    one.account.unknown.query_answered(question, one.now)
    assert one.account.table.find_queried(question.offset) is None
    one.renew(60)
    assert one.account.unknown.pop_due_queries(one.now) == []
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, "accepted"),
        ({"sym": "OKX_PERP_ETH_USDT"}, "unknown"),
        ({"side": "SELL"}, "unknown"),
        ({"clientOrderId": "q"}, "unknown"),
        ({"clientOrderId": None}, "unknown"),
        ({"createAt": str(START.wall_ms - 5100)}, "unknown"),
    ],
)
def test_an_execution_settles_its_place(fields: dict[str, Any], outcome: str) -> None:
    """It must have the clientOrderId, symbol and side, and not be older."""
    one = _unknown(place("p"))
    one.account.unknown.on_trade(trade_push("p", **fields), one.now)
    assert one.results()[-1].outcome == outcome
    assert one.results()[-1].order_id == (ORDER_ID if outcome == "accepted" else None)


def test_another_order_of_the_same_name_does_not_settle_a_place() -> None:
    """It was known before the place was written, whose ack was lost."""
    one = _unknown(place("p", clientOrderId="mine"), {})
    one.account.on_order(order_push("mine", updateAt=_at(one)), one.now)
    assert one.outcomes() == [(0, "unknown")]


def test_what_an_earlier_owner_wrote_can_land_until_its_validity_and_the_landing_time_are_over() -> None:
    """The wait does not begin anew with each owner."""
    one = OneAccount(epoch=3)
    one.wait(1000)
    one.offer(place("p") | {"validUntil": one.now.wall_ms - 100_000}, past=TakeoverStatus.CLAIMED)
    one.renew(24)
    one.ask()
    assert one.outcomes() == [(0, "unknown")]
    one.renew(1)
    one.ask()
    assert one.outcomes() == [(0, "unknown"), (0, "not_found")]


def test_an_inherited_place_whose_order_an_earlier_owner_published_is_settled_at_once() -> None:
    """The orders topic was read back at the takeover."""
    one = OneAccount(epoch=2)
    one.account.stream.restore_record(Stream.ORDERS, msgspec.json.encode(order_push("p")), START.wall_ms)
    one.offer(place("p"), past=TakeoverStatus.CLAIMED)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]
    assert one.account.unknown.list_queries() == []


# Replaces


def test_a_replace_is_settled_by_its_values() -> None:
    """Its order has them in a change after the write."""
    one = _unknown(replace("r", orderId=ORDER_ID), {"limitPrice": "100"})
    one.account.on_order(order_push("mine", limitPrice="101.0", updateAt=_at(one)), one.now)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]


def test_values_that_stood_there_before_prove_nothing() -> None:
    """A fill changes the order and not those values; in the end the replace is `not_found`."""
    one = _unknown(replace("r", orderId=ORDER_ID), {"limitPrice": "101"})
    one.account.on_order(order_push("mine", limitPrice="101", executedQty="0.1", updateAt=_at(one)), one.now)
    assert one.outcomes() == [(0, "unknown")]
    one.renew(116)
    one.ask()
    assert one.outcomes() == [(0, "unknown"), (0, "not_found")]


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"limitPrice": "100", "action": "AMEND_FAILED"}, "accepted"),
        ({"limitPrice": "100"}, "unknown"),
        ({}, "unknown"),
        ({"limitPrice": "100", "action": "AMEND_PENDING"}, "unknown"),
    ],
)
def test_a_replace_that_failed_at_the_exchange_was_taken(fields: dict[str, str], outcome: str) -> None:
    """It is accepted, because the venue took it; later states are on `orders`."""
    one = _unknown(replace("r", orderId=ORDER_ID), {"limitPrice": "100"})
    one.account.on_order(order_push("mine", updateAt=_at(one), **fields), one.now)
    assert one.outcomes()[-1] == (0, outcome)


def test_an_older_failure_is_not_this_ones() -> None:
    """The order showed AMEND_FAILED before the write, and shows it still after a fill."""
    one = _unknown(replace("r", orderId=ORDER_ID), {"limitPrice": "100", "action": "AMEND_FAILED"})
    one.account.on_order(order_push("mine", limitPrice="100", action="AMEND_FAILED", updateAt=_at(one)), one.now)
    assert one.outcomes() == [(0, "unknown")]


def test_a_snapshot_from_before_the_write_proves_nothing() -> None:
    """Its values were those of an earlier time."""
    one = _unknown(replace("r", orderId=ORDER_ID))
    one.account.on_order(order_push("mine", limitPrice="101", updateAt=str(START.wall_ms - 5100)), one.now)
    assert one.outcomes() == [(0, "unknown")]


def test_a_replace_may_give_the_order_another_id() -> None:
    """The successor has its clientOrderId and its values; the result names it."""
    one = _unknown(replace("r", clientOrderId="mine"), {"limitPrice": "100"})
    ended = order_push("mine", orderState="CANCELLED", limitPrice="100", updateAt=_at(one))
    successor = order_push("mine", orderId=_OTHER_ID, limitPrice="101", createAt=_at(one), updateAt=_at(one))
    one.ask(ended, successor)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]
    assert one.results()[-1].order_id == _OTHER_ID
    one.offer(replace("r2", price="102", clientOrderId="mine"))
    one.send()
    assert one.written[-1].args["orderId"] == _OTHER_ID


def test_the_end_of_its_order_ends_a_replace() -> None:
    """It ended without the replace, which can no longer land."""
    one = _unknown(replace("r", orderId=ORDER_ID), {"limitPrice": "100"})
    one.ask(order_push("mine", orderState="FILLED", limitPrice="100", updateAt=_at(one)))
    assert one.outcomes() == [(0, "unknown"), (0, "not_found")]
    assert one.results()[-1].message == "the order ended as FILLED without showing it"


def test_a_push_before_the_ack_waits_for_the_ack() -> None:
    """The ack has more fields, among them the orderId."""
    one = OneAccount()
    one.account.on_order(order_push("mine", limitPrice="100"), one.now)
    one.offer(replace("r", clientOrderId="mine"))
    one.send()
    one.wait(0.1)
    one.account.on_order(order_push("mine", limitPrice="101", updateAt=_at(one)), one.now)
    assert one.outcomes() == []
    one.answer(0, order_id=ORDER_ID)
    assert one.outcomes() == [(0, "accepted")]
    assert one.results()[-1].code == 200000


def test_a_place_whose_quantity_was_replaced_since_is_found() -> None:
    """An earlier owner wrote the place and then its replace, and both have no result."""
    one = OneAccount(epoch=2)
    body = replace("r", clientOrderId="mine")
    body["args"] = {"clientOrderId": "mine", "replaceQty": "1"}
    one.offer(place("p", clientOrderId="mine"), past=TakeoverStatus.CLAIMED)
    one.offer(body, past=TakeoverStatus.CLAIMED)
    one.ask(order_push("mine", orderQty="1", updateAt=_at(one, 1)))
    assert one.outcomes() == [(0, "unknown"), (1, "unknown"), (0, "accepted"), (1, "accepted")]


def test_two_unknown_replaces_of_one_order_are_both_settled() -> None:
    """An earlier owner had written both; each is settled by its own values."""
    one = OneAccount(epoch=2)
    one.offer(replace("r1", price="101", orderId=ORDER_ID), past=TakeoverStatus.CLAIMED)
    one.offer(replace("r2", price="102", orderId=ORDER_ID), past=TakeoverStatus.CLAIMED)
    one.account.on_order(order_push("mine", limitPrice="101", updateAt=_at(one)), one.now)
    assert one.outcomes()[2:] == [(0, "accepted")]
    one.account.on_order(order_push("mine", limitPrice="102", updateAt=_at(one, 1)), one.now)
    assert one.outcomes()[3:] == [(1, "accepted")]


def test_a_cancelled_order_may_come_back_under_another_id() -> None:
    """REST lags behind the stream: the replace is not ended before the next order had time to be seen."""
    one = _unknown(replace("r", clientOrderId="mine"), {"limitPrice": "100"})
    ended = order_push("mine", orderState="CANCELLED", limitPrice="100", updateAt=_at(one))
    one.ask(ended)
    assert one.outcomes() == [(0, "unknown")]
    one.renew(36)
    one.ask(ended)
    assert one.outcomes() == [(0, "unknown"), (0, "not_found")]


# Cancels


def _expired_cancel(*shown: dict[str, str], **name: str) -> OneAccount:
    """Write a cancel whose ack never comes, and let it expire: it is no longer repeated."""
    one = OneAccount()
    for fields in shown:
        one.account.on_order(order_push("mine", **fields), one.now)
    one.offer(cancel("c", **name) | {"validUntil": START.wall_ms + 7000})
    one.send()
    one.renew(7)
    assert one.send_cancels() == []
    return one


def test_a_cancel_is_queried_when_it_is_no_longer_repeated() -> None:
    """Until then its repeats are sent instead."""
    one = OneAccount()
    one.offer(cancel("c", orderId=ORDER_ID))
    one.send()
    one.renew(30)
    assert one.ask() == []
    one.renew(31)
    assert [(question.action, question.order_id) for question in one.ask()] == [(CANCEL, ORDER_ID)]


@pytest.mark.parametrize(
    ("fields", "outcome", "words"),
    [
        ({"orderState": "CANCELLED"}, "accepted", "its answer was lost; CANCELLED"),
        ({"orderState": "CANCELED"}, "accepted", "its answer was lost; CANCELLED"),
        ({"action": "CANCEL_FAILED"}, "accepted", "its answer was lost; OPEN"),
        ({"orderState": "FILLED"}, "not_found", "the order had ended as FILLED"),
    ],
)
def test_the_order_of_a_cancel_proves_its_outcome(fields: dict[str, str], outcome: str, words: str) -> None:
    """A cancelled order proves that it was accepted; any other end that it found nothing to cancel."""
    one = _expired_cancel({}, orderId=ORDER_ID)
    one.ask(order_push("mine", updateAt=_at(one), **fields))
    assert one.outcomes() == [(0, "unknown"), (0, outcome)]
    assert one.results()[-1].message == words


@pytest.mark.parametrize("shown", [{"orderState": "CANCELLED"}, {"action": "CANCEL_FAILED"}])
def test_what_the_order_showed_before_a_cancel_is_not_its_doing(shown: dict[str, str]) -> None:
    """An order that had ended stays ended; an older failure stays an older failure."""
    one = _expired_cancel(shown, orderId=ORDER_ID)
    one.ask(order_push("mine", updateAt=_at(one), **shown))
    assert "accepted" not in [outcome for _, outcome in one.outcomes()]


def test_what_its_first_request_did_is_a_cancels_doing_although_it_was_repeated() -> None:
    """The order ended between two requests whose acks were lost: the cancel was accepted."""
    one = _unknown(cancel("c", clientOrderId="mine"), {})
    one.account.on_order(order_push("mine", orderState="CANCELLED", updateAt=_at(one)), one.now)
    one.wait(0.1)
    assert len(one.send_cancels()) == 1
    one.renew(70)
    one.ask(order_push("mine", orderState="CANCELLED", updateAt=_at(one)))
    assert one.outcomes()[-1][1] == "accepted"


def test_a_cancel_of_an_order_that_stays_open_is_not_found_at_last() -> None:
    """The venue is queried until the cancel can no longer land."""
    one = _expired_cancel({}, clientOrderId="mine")
    one.ask(order_push("mine"))
    assert one.outcomes() == [(0, "unknown")]
    one.renew(140)
    one.ask(order_push("mine"))
    assert one.outcomes() == [(0, "unknown"), (0, "not_found")]


def test_the_last_answer_counts_when_the_place_is_settled() -> None:
    """The venue refused every request because it did not know the order, and its place is then `not_found`."""
    one = OneAccount()
    one.offer(place("p"))
    one.send()
    one.offer(cancel("c", clientOrderId="p") | {"validUntil": START.wall_ms + 3000})
    for _ in range(40):
        for offset in one.send_cancels():
            one.answer(offset, 401018, "The order was not found")
        one.wait(0.1)
    one.ask()
    assert one.outcomes() == [(1, "unknown")]
    one.answer(0, 401055, "no money")
    one.renew(10)
    one.ask()
    assert one.outcomes()[-2:] == [(0, "rejected"), (1, "rejected")]
    assert one.results()[-1].code == 401018


def test_the_account_wakes_for_the_next_query() -> None:
    """It does not wake for one that is overdue because REST is away."""
    one = _unknown(replace("r", orderId=ORDER_ID))
    one.ask()
    assert one.account.unknown.wake_at_boot_s() == one.now.boot_s + 0.5
    assert one.account.wake_at_boot_s(one.now) <= one.now.boot_s + 0.5
    assert [question.action for question in one.account.unknown.list_queries()] == [REPLACE]
    one.wait(0.5)
    assert one.account.wake_at_boot_s(one.now) > one.now.boot_s


# Few fields, other quantities, executions


def _push_of_few_fields(state: str, **fields: str) -> OrderPush:
    """Push an order with the few fields that the documents promise."""
    row = {"orderId": ORDER_ID, "clientOrderId": "p", "sym": BTC, "orderState": state, "executedQty": "0"}
    return msgspec.convert(row | {"updateAt": str(START.wall_ms + 5)} | fields, OrderPush)


@pytest.mark.parametrize("state", ["OPEN", "PARTIALLY_FILLED", "CANCELLED"])
def test_a_push_of_few_fields_settles_a_place_with_a_derived_name(state: str) -> None:
    """A field that it leaves out contradicts nothing."""
    one = OneAccount()
    one.offer(place("p"))
    one.send()
    one.account.on_order(_push_of_few_fields(state), one.now)
    one.renew(5)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]


def test_a_name_that_others_use_too_needs_the_age_of_its_order() -> None:
    """It may be an older one of another program; the full row settles the place although the push was newer."""
    one = OneAccount()
    one.offer(place("c1", clientOrderId="p"))
    one.send()
    one.account.on_order(_push_of_few_fields("CANCELLED"), one.now)
    one.renew(5)
    assert one.outcomes() == [(0, "unknown")]
    one.ask(order_push("p", orderState="CANCELLED"))
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]


@pytest.mark.parametrize("shown", ["0.4", "0.6", "much"])
def test_another_quantity_is_in_the_result(shown: str) -> None:
    """It may be rounded to the lot or amended by a person: no other program makes an order of a derived name."""
    one = _unknown(place("p"))
    one.ask(order_push("p", orderQty=shown))
    result = one.results()[-1]
    assert (result.outcome, result.order_qty, result.order_id) == ("accepted", shown, ORDER_ID)
    assert result.message == f"its answer was lost; the order's quantity is {shown}"


@pytest.mark.parametrize(("field", "said"), [("orderId", "order_id"), ("orderQty", "order_qty")])
def test_a_name_or_quantity_that_is_too_long_is_left_out(field: str, said: str) -> None:
    """A row of 66,000 digits is published like any other, and the place that it settles has one result."""
    one = _unknown(place("p"))
    one.ask(order_push("p", **{field: "1" * 66_000}))
    result = one.results()[-1]
    assert (result.outcome, getattr(result, said)) == ("accepted", None)
    one.offer(place("p"))
    assert one.results()[-1].repeated


def test_a_result_of_a_cancel_leaves_out_a_name_that_is_too_long() -> None:
    """The row of the order had that name."""
    one = OneAccount()
    one.account.on_order(order_push("n" * 66_000), one.now)
    offset = one.offer(cancel("c", orderId=ORDER_ID))
    one.send()
    one.answer(offset)
    result = one.results()[-1]
    assert (result.outcome, result.order_id, result.client_order_id) == ("accepted", ORDER_ID, None)


def test_the_quantity_that_was_asked_for_is_not_in_the_result() -> None:
    """More or fewer zeros make no other quantity."""
    one = _unknown(place("p"))
    one.ask(order_push("p", orderQty="0.500"))
    assert one.results()[-1].outcome == "accepted"
    assert one.results()[-1].order_qty is None


def test_another_quantity_under_a_name_of_the_callers_is_an_alarm() -> None:
    """Another program may use that name: the order neither settles the place nor is cancelled."""
    one = _unknown(place("c1", clientOrderId="mine"))
    row = order_push("mine", orderQty="0.4", updateAt=_at(one))
    for _ in range(121):
        one.renew(1)
        one.ask(row)
    assert one.outcomes() == [(0, "unknown"), (0, "not_found")]
    assert one.alarms() == ["late_landed"]
    assert one.send_own_cancels() == []


@pytest.mark.parametrize("before_the_doubt", [True, False])
def test_a_pushed_execution_settles_its_place(before_the_doubt: bool) -> None:  # noqa: FBT001
    """It does so like one from REST; one before the place was unknown settles it at once."""
    one = OneAccount()
    one.offer(place("p"))
    one.send()
    if not before_the_doubt:
        one.renew(5)
    data = msgspec.json.encode(trade_push("p"))
    one.account.on_frame(Push("Trades", data, b'{"channel":"Trades","data":' + data + b"}"), one.now)
    one.renew(5)
    assert one.outcomes() == [(0, "unknown"), (0, "accepted")]
    assert one.results()[-1].order_id == ORDER_ID
