"""Faults that need several rare events at once: each of these was untrue or harmful before."""

import json

import pytest

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE
from bridge.contract.pushes import OrderPush
from bridge.contract.results import Outcome, Result
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.dedupe_index import DedupeIndex
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.orders import Orders
from bridge.core.records import CommandRecord
from tests.support.one_account import ORDER_ID, START, OneAccount, cancel, cancel_all, order_push, place, replace


def test_of_two_places_of_one_name_without_a_result_the_second_was_never_sent() -> None:
    """With the claims lost both count as claimed; the order of that name belongs to the first one alone."""
    one = OneAccount(epoch=2, claims_lost_below=2)
    first = one.offer(place("p1", clientOrderId="x"), past=TakeoverStatus.CLAIMED)
    second = one.offer(place("p2", clientOrderId="x"), past=TakeoverStatus.CLAIMED)
    at = str(one.now.wall_ms)
    one.ask(order_push("x", createAt=at, updateAt=at))
    assert one.outcomes() == [(first, "unknown"), (second, "denied"), (first, "accepted")]


@pytest.mark.parametrize(("hours", "last"), [(0, "denied"), (3, "unknown")])
def test_a_place_whose_name_was_in_use_was_not_sent(hours: int, last: str) -> None:
    """The first is answered, the second has no result: it was denied, unless the first was forgotten before."""
    one = OneAccount(epoch=2, start=5, claims_lost_below=6)
    one.wait(hours * 3600)
    answered = Result("p1", 1, Outcome.ACCEPTED, START.wall_ms, action=PLACE, client_order_id="x")
    one.account.restore([(answered, START.wall_ms)], one.now)
    second = one.offer(place("p2", clientOrderId="x"), past=TakeoverStatus.CLAIMED)
    assert one.outcomes() == [(second, last)]


def test_a_result_of_a_sent_command_outlives_a_forgotten_refusal() -> None:
    """A full index forgets refusals, so the same commandId may be sent later; the later result counts then."""
    refused = Result("p", 1, Outcome.DENIED, 1, action=PLACE, client_order_id="x")
    accepted = Result("p", 7, Outcome.ACCEPTED, 2, action=PLACE, client_order_id="x")
    memory = DedupeIndex(CommandTable(), 3600, 1 << 20)
    memory.restore([(refused, 1.0), (accepted, 2.0)])
    asked = memory.find_answered("p")
    assert asked is not None
    assert asked.result.outcome is Outcome.ACCEPTED
    assert memory.find_order_offset("x") == 7


def test_a_refused_cancel_orders_is_not_written_again_over_a_newer_order() -> None:
    """Once a later place is written, its message would end that order too, so single cancels finish it."""
    one = OneAccount()
    old = one.offer(place("old", clientOrderId="old"))
    one.wait(1)
    one.send()
    one.answer(old, order_id="1", client_order_id="old")
    one.wait(1)
    everything = one.offer(cancel_all("a"))
    one.send()
    one.wait(1)
    new = one.offer(place("new", clientOrderId="new"))
    assert one.send() == [new]
    one.answer(everything, 429, "too often")
    one.renew(10)
    assert [written.offset for written in one.written if written.action == CANCEL_ALL] == [everything]
    at = str(one.now.wall_ms)
    one.answer(new, order_id="2", client_order_id="new")
    one.ask(order_push("new", orderId="2", createAt=at, updateAt=at))
    one.ask(order_push("old", orderId="1", createAt="5"))
    assert one.send_own_cancels() == ["1"]


def test_a_cancel_orders_waits_for_an_order_that_a_replace_is_about_to_open() -> None:
    """A replace was acked and has ended its order; the next order is pushed later, and is cancelled too."""
    one = OneAccount(cancel_orders="single_cancels")
    placed = one.offer(place("p", clientOrderId="x"))
    one.wait(1)
    one.send()
    one.answer(placed, order_id="1", client_order_id="x")
    one.account.on_order(_row(one, "1", "OPEN"), one.now)
    replaced = one.offer(replace("r", clientOrderId="x"))
    one.wait(1)
    one.send()
    one.answer(replaced, order_id="1", client_order_id="x")
    one.account.on_order(_row(one, "1", "CANCELLED"), one.now)
    one.wait(1)
    everything = one.offer(cancel_all("a"))
    one.wait(1)
    one.send()
    one.ask()
    assert (everything, "accepted") not in one.outcomes()
    one.renew(2)
    one.account.on_order(_row(one, "2", "OPEN"), one.now)
    assert one.send_own_cancels() == ["2"]
    one.account.on_order(_row(one, "2", "CANCELLED", action="CANCEL_COMPLETE"), one.now)
    one.renew(60)
    one.ask()
    assert one.outcomes()[-1] == (everything, "accepted")


def _row(one: OneAccount, order_id: str, state: str, *, action: str = "") -> OrderPush:
    at = str(one.now.wall_ms)
    return order_push("x", orderId=order_id, orderState=state, action=action, createAt=at, updateAt=at)


def test_a_cancel_that_was_perhaps_sent_and_expires_in_its_lane_is_judged_by_its_order() -> None:
    """An earlier owner has written it and its order is cancelled: it is not `expired`, which means unsent."""
    one = OneAccount(epoch=2, live=False)
    one.send()
    one.account.on_order(_row(one, "1", "OPEN"), one.now)
    asked = one.offer(
        {**cancel("c", clientOrderId="x"), "validUntil": one.now.wall_ms + 3000}, past=TakeoverStatus.READ
    )
    one.wait(1)
    one.account.on_order(_row(one, "1", "CANCELLED", action="CANCEL_COMPLETE"), one.now)
    for _ in range(4):
        one.wait(1)
        one.hand_over() and one.stored(ready=False)
    one.renew(40)
    one.ask()
    assert one.outcomes() == [(asked, "unknown"), (asked, "accepted")]


def _record(one: OneAccount, offset: int, body: dict[str, object]) -> CommandRecord:
    return CommandRecord(offset, one.now.wall_ms, b"k", json.dumps(body).encode(), ())


def test_a_deferred_command_that_was_sent_by_its_resubmission_is_not_sent_again() -> None:
    """The predecessor deferred the first, and sent the second of the same commandId; this owner defers neither."""
    one = OneAccount(epoch=2)
    one.account.intake.offer(_record(one, 0, place("p")), one.now, TakeoverStatus.READ)
    one.account.intake.offer(_record(one, 1, place("p")), one.now, TakeoverStatus.CLAIMED)
    one.wait(1)
    assert one.send() == []
    at = str(one.now.wall_ms)
    one.ask(order_push(one.results()[0].client_order_id or "", createAt=at, updateAt=at))
    assert one.outcomes() == [(0, "unknown"), (0, "accepted"), (1, "accepted")]


def test_a_claimed_command_whose_refusal_was_forgotten_is_unknown() -> None:
    """A full index forgets refusals; a claimed command may have been sent, though it was refused before."""
    one = OneAccount(epoch=2, start=5)
    refused = Result(command_id="p", command_offset=1, outcome=Outcome.DENIED, answered_at=one.now.wall_ms)
    one.account.restore([(refused, one.now.wall_ms)], one.now)
    claimed = one.offer(place("p"), past=TakeoverStatus.CLAIMED)
    at = str(one.now.wall_ms)
    one.ask(order_push(one.results()[0].client_order_id or "", createAt=at, updateAt=at))
    assert one.outcomes() == [(claimed, "unknown"), (claimed, "accepted")]


def test_an_expired_cancel_takes_a_slot_until_a_commit_counts_it() -> None:
    """The last owner had not written it; the one before may have, and the commit is older than that result."""
    one = OneAccount(epoch=3)
    said = Result("c", 0, Outcome.EXPIRED, one.now.wall_ms, action=CANCEL)
    one.account.restore([(said, one.now.wall_ms)], one.now)
    one.offer(cancel("c", orderId=ORDER_ID), past=TakeoverStatus.ANSWERED)
    assert [count for _, count in one.committed()[1].extra_cancels] == [1]


def test_an_answered_record_that_was_no_command_changes_nothing() -> None:
    """It has the form of a cancel; its result is durable, and nothing more is published."""
    one = OneAccount(epoch=2)
    offset = one.offer(b'{"commandId": "c", "action": "cancel_order"}', past=TakeoverStatus.ANSWERED)
    assert one.results() == []
    assert one.committed()[0] == offset + 1


def test_a_place_that_is_being_claimed_is_ended_by_a_cancel_orders() -> None:
    """Its commit is under way; when that is acknowledged the place has its result and is not written."""
    one = OneAccount()
    placed = one.offer(place("p"))
    one.wait(1)
    assert one.hand_over() is not None
    one.offer(cancel_all("a"))
    assert one.stored() == []
    assert one.outcomes() == [(placed, "superseded")]


def test_a_cancel_that_expired_while_commits_were_slow_is_not_written() -> None:
    """Without a lease it has no result yet; the next one is written."""
    one = OneAccount()
    one.wait(1)
    assert one.hand_over() is not None
    one.offer({**cancel("c1", orderId=ORDER_ID), "validUntil": one.now.wall_ms + 1500})
    later = one.offer(cancel("c2", orderId=ORDER_ID[::-1]))
    for _ in range(3):
        one.wait(0.6)
    assert one.send_cancels() == [later]


def test_an_old_snapshot_changes_nothing_of_an_order_of_which_all_is_known() -> None:
    """The newer one counts, whichever comes last."""
    one = OneAccount()
    at = one.now.wall_ms
    newer = order_push("x", limitPrice="100", createAt=str(at), updateAt=str(at + 2))
    orders = Orders()
    known = orders.update(newer)
    assert orders.update(order_push("x", limitPrice="99", createAt=str(at), updateAt=str(at + 1))) is known
