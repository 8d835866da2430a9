"""A cancel_orders whose ack was lost: it is finished by single cancels, and no newer order is cancelled."""

from bridge.contract.commands import CANCEL
from bridge.contract.pushes import OrderPush
from bridge.contract.results import Outcome, Result
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.records import Answer
from tests.support.one_account import BTC, ETH_ON_OKX, START, OneAccount, cancel_all, order_push, place, replace

_OLD = str(START.wall_ms - 60_000)


def _order(name: str, order_id: str, **fields: str) -> OrderPush:
    return order_push(name, orderId=order_id, **fields)


def _placed(one: OneAccount, name: str, order_id: str) -> OrderPush:
    """Place an order that the venue acks, and return the row of it."""
    offset = one.offer(place(name))
    one.send()
    one.answer(offset, order_id=order_id, client_order_id=name)
    return _order(name, order_id)


def _unknown_cancel_all(one: OneAccount, scope: str = "ALL") -> int:
    offset = one.offer(cancel_all("ca", scope))
    one.send()
    one.answer(offset, 60009, "busy")
    assert one.outcomes()[-1] == (offset, "unknown")
    return offset


def _acked(one: OneAccount, code: int = 200000) -> None:
    """Let the venue acknowledge every bridge cancel that was written last."""
    for written in one.written:
        if written.offset == -1:
            one.account.on_frame(Answer(written.request_id, CANCEL, code, "", None, None), one.now)


def test_what_is_older_is_ended_one_by_one() -> None:
    """Orders of commands below its offset and older orders of others are cancelled; newer ones of both stay open."""
    one = OneAccount()
    old = _placed(one, "old", "11")
    offset = _unknown_cancel_all(one)
    new = _placed(one, "new", "22")
    foreign_old, foreign_new = _order("", "33", createAt=_OLD), _order("theirs", "44")
    one.ask(old, new, foreign_old, foreign_new)
    assert one.send_own_cancels() == ["11", "33"]
    assert one.send_own_cancels() == []
    _acked(one)
    one.wait(0.6)
    one.ask(new, foreign_new)
    assert one.results()[-1].outcome == "accepted"
    assert one.results()[-1].message == "its answer was lost; finished by cancelling 2 orders one by one"
    assert one.results()[-1].command_offset == offset


def test_ours_are_compared_by_offset_whatever_the_clocks_say() -> None:
    """The venue's clock is two seconds behind, then ahead."""
    for skew_ms in (-2000, 2000):
        one = OneAccount()
        stamp = str(START.wall_ms + skew_ms)
        _placed(one, "old", "11")
        _unknown_cancel_all(one)
        _placed(one, "new", "22")
        one.ask(_order("old", "11", createAt=stamp), _order("new", "22", createAt=stamp))
        assert one.send_own_cancels() == ["11"]


def test_only_its_scope_is_ended() -> None:
    """Orders on other exchanges stay open."""
    one = OneAccount()
    _unknown_cancel_all(one, "OKX")
    one.ask(_order("", "11", sym=BTC, createAt=_OLD), _order("", "22", sym=ETH_ON_OKX, createAt=_OLD))
    assert one.send_own_cancels() == ["22"]


def test_an_order_that_the_list_does_not_show_yet_is_ended_once() -> None:
    """REST lags behind the stream; the venue's refusal because it is over is enough."""
    one = OneAccount()
    one.account.on_order(_order("", "11", createAt=_OLD), one.now)
    _unknown_cancel_all(one)
    one.ask()
    assert one.send_own_cancels() == ["11"]
    _acked(one, 401117)
    one.wait(0.6)
    one.ask()
    assert one.results()[-1].outcome == "accepted"


def test_an_acked_order_that_shows_nowhere_yet_is_ended() -> None:
    """Its push was lost with the link, and the list lags; an ack from long ago proves nothing any more."""
    one = OneAccount()
    _placed(one, "early", "11")
    one.renew(60)
    _placed(one, "late", "22")
    one.lose_session()
    one.open_session()
    _unknown_cancel_all(one)
    one.ask()
    assert one.send_own_cancels() == ["22"]


def test_an_order_that_the_stream_shows_as_over_needs_no_cancel() -> None:
    """The list still has it, and it is not cancelled."""
    one = OneAccount()
    one.account.on_order(_order("", "11", createAt=_OLD), one.now)
    _unknown_cancel_all(one)
    one.account.on_order(_order("", "11", createAt=_OLD, orderState="CANCELLED"), one.now)
    one.ask(_order("", "11", createAt=_OLD))
    assert one.send_own_cancels() == []
    assert one.results()[-1].outcome == "accepted"


def test_a_cancel_orders_waits_for_an_unknown_place_before_it() -> None:
    """Its order may be open and not seen yet; when it is seen it is cancelled too."""
    one = OneAccount()
    one.offer(place("p"))
    one.send()
    one.answer(0, 60009)
    _unknown_cancel_all(one)
    one.ask()
    assert one.results()[-1].outcome == "unknown"
    one.account.on_order(_order("p", "11"), one.now)
    one.wait(0.6)
    one.ask(_order("p", "11"))
    assert one.send_own_cancels() == ["11"]


def test_a_list_from_before_the_write_proves_nothing() -> None:
    """The orders that are to be cancelled may have come after it."""
    one = OneAccount()
    asked_at = one.now.boot_s
    one.wait(0.1)
    _unknown_cancel_all(one)
    one.account.on_open_orders([], asked_at, one.now)
    assert one.outcomes() == [(0, "unknown")]


def test_orders_that_cannot_be_cancelled_are_counted_in_the_result() -> None:
    """When every single cancel is acknowledged and the landing time is over, the open orders are counted."""
    one = OneAccount()
    _unknown_cancel_all(one)
    stubborn = _order("", "11", createAt=_OLD)
    for code in (60009, 100429, 200000):
        one.renew(121)
        one.ask(stubborn)
        assert one.results()[-1].outcome == "unknown"
        one.send_own_cancels()
        _acked(one, code)
    one.renew(10)
    one.ask(stubborn)
    assert one.results()[-1].outcome == "accepted"
    text = "its answer was lost; finished by cancelling 1 orders one by one; 1 are still open"
    assert (one.results()[-1].message or "").startswith(text)


def test_a_last_query_that_finds_no_open_order_settles_it() -> None:
    """It does so even if a place before it is not settled in time."""
    one = OneAccount()
    offset = _unknown_cancel_all(one)
    one.renew(119)
    later = one.offer(place("p"))
    assert later > offset
    one.renew(1)
    (question,) = [asked for asked in one.account.unknown.pop_due_queries(one.now) if asked.is_last]
    one.account.unknown.query_answered(question, one.now)
    assert one.results()[-1].outcome == "accepted"


def test_a_claimed_cancel_orders_is_finished_by_the_next_owner() -> None:
    """It is not written again; an unclaimed place before it is superseded, one after it is sent."""
    one = OneAccount(epoch=2)
    answered = Result("old", 0, Outcome.ACCEPTED, START.wall_ms, action="place_order", client_order_id="old")
    one.account.restore([(answered, START.wall_ms)], one.now)
    one.next_offset = 1
    one.offer(place("unsent"), past=TakeoverStatus.READ)
    one.offer(cancel_all("ca"), past=TakeoverStatus.CLAIMED)
    one.offer(place("quote"), past=TakeoverStatus.READ)
    one.ask(_order("old", "11"), _order("quote", "22"))
    assert one.send_own_cancels() == ["11"]
    one.send()
    assert [written.args.get("clientOrderId") for written in one.written] == [None, "quote"]
    _acked(one)
    one.wait(0.6)
    one.ask(_order("quote", "22"))
    assert one.outcomes() == [(2, "unknown"), (1, "superseded"), (2, "accepted")]


def test_an_order_of_an_earlier_topic_is_older_than_every_command_of_this_one() -> None:
    """If `commands` was made again, offsets begin anew, and those of earlier results are older than all of them."""
    one = OneAccount(epoch=2)
    answered = Result("old", 500, Outcome.ACCEPTED, START.wall_ms, action="place_order", client_order_id="old")
    one.account.restore([(answered, START.wall_ms)], one.now)
    one.offer(cancel_all("ca"), past=TakeoverStatus.CLAIMED)
    one.account.forget_offsets(["old", "never answered"], one.now)
    one.ask(_order("old", "11"))
    assert one.send_own_cancels() == ["11"]


def test_an_order_whose_place_is_read_again_keeps_its_turn() -> None:
    """The order of an answered place behind an unknown cancel_orders is newer, and stays open."""
    one = OneAccount(epoch=2)
    answered = Result("new", 1, Outcome.ACCEPTED, START.wall_ms, action="place_order", client_order_id="new")
    one.account.restore([(answered, START.wall_ms)], one.now)
    one.offer(cancel_all("ca"), past=TakeoverStatus.CLAIMED)
    one.offer(place("new"), past=TakeoverStatus.ANSWERED)
    one.ask(_order("new", "22"))
    assert one.send_own_cancels() == []


# Cancels of our own


def test_a_bridge_cancel_needs_lease_session_and_a_slot() -> None:
    """Only an owner with a lease sends it, and it takes a slot of cancels."""
    one = OneAccount(limits={"place_order": 9, "replace_order": 9, "cancel_order": 1, "cancel_orders": 9})
    _unknown_cancel_all(one)
    one.ask(_order("", "11", createAt=_OLD), _order("", "22", createAt=_OLD))
    assert one.send_own_cancels(ready=False) == []
    one.wait(3)
    assert one.send_own_cancels() == []
    one.renew(1)
    assert one.send_own_cancels() == ["11"]
    _acked(one)
    assert one.send_own_cancels() == []
    one.renew(61)
    assert one.send_own_cancels() == ["22"]


def test_a_bridge_cancel_is_repeated_until_a_final_ack() -> None:
    """It is repeated after a pause, and over the next link at once."""
    one = OneAccount()
    _unknown_cancel_all(one)
    one.ask(_order("", "11", createAt=_OLD))
    assert one.send_own_cancels() == ["11"]
    _acked(one, 60009)
    one.renew(4)
    assert one.send_own_cancels() == []
    one.renew(1)
    assert one.send_own_cancels() == ["11"]
    one.lose_session()
    one.open_session()
    assert one.send_own_cancels() == ["11"]
    assert len({written.request_id for written in one.written}) == len(one.written)
    _acked(one)
    one.renew(6)
    assert one.send_own_cancels() == []


def test_every_order_gets_its_turn_and_is_counted_once() -> None:
    """Repeats come after first cancels."""
    one = OneAccount(limits={"place_order": 9, "replace_order": 9, "cancel_order": 2, "cancel_orders": 9})
    _unknown_cancel_all(one)
    rows = [_order("", str(number), createAt=_OLD) for number in range(11, 15)]
    one.ask(*rows)
    tried = one.send_own_cancels()
    one.renew(185)
    tried += one.send_own_cancels()
    assert tried == ["11", "12", "13", "14"]
    for code in (200000, 401018):
        _acked(one, code)
        one.renew(61)
        one.ask(*rows[:1])
        one.send_own_cancels()
    _acked(one, 401018)
    one.renew(61)
    one.ask()
    assert "cancelling 4 orders" in (one.results()[-1].message or "")


def test_a_rate_refusal_of_a_bridge_cancel_halves_the_limit() -> None:
    """It does so like that of any other cancel."""
    one = OneAccount()
    _unknown_cancel_all(one)
    one.ask(_order("", "11", createAt=_OLD))
    one.send_own_cancels()
    _acked(one, 100429)
    assert one.alarms() == ["rate_rejected"]


def test_an_order_that_ended_is_counted_although_the_repeat_was_refused() -> None:
    """The ack of the first single cancel was lost, and the second was refused because the order is over."""
    one = OneAccount()
    _unknown_cancel_all(one)
    one.ask(_order("", "11", createAt=_OLD))
    one.send_own_cancels()
    one.renew(5)
    assert one.send_own_cancels() == ["11"]
    _acked(one, 401117)
    one.account.on_order(_order("", "11", createAt=_OLD, orderState="CANCELLED"), one.now)
    one.renew(10)
    one.ask()
    assert "cancelling 1 orders" in (one.results()[-1].message or "")


def test_a_cancel_orders_waits_for_an_unknown_replace_before_it() -> None:
    """It may open another order after the list was made."""
    one = OneAccount()
    one.account.on_order(_order("mine", "11", createAt=_OLD, limitPrice="100"), one.now)
    one.offer(replace("r", clientOrderId="mine"))
    one.send()
    one.answer(0, 60009)
    _unknown_cancel_all(one)
    one.account.on_order(_order("mine", "11", createAt=_OLD, orderState="CANCELLED"), one.now)
    one.ask()
    assert one.results()[-1].outcome == "unknown"
    at = str(one.now.wall_ms)
    one.account.on_order(_order("mine", "22", createAt=_OLD, updateAt=at, limitPrice="101"), one.now)
    one.wait(0.6)
    one.ask(_order("mine", "22", createAt=_OLD, updateAt=at, limitPrice="101"))
    assert one.send_own_cancels() == ["22"]
