"""Lanes: sequence within an order, urgency between orders, and what a cancel ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from tests.support.one_account import (
    BTC,
    ETH_ON_OKX,
    ORDER_ID,
    START,
    OneAccount,
    cancel,
    cancel_all,
    order_push,
    place,
    replace,
)
from tests.support.waiting_commands import is_nothing_left

LONG = {"validUntil": START.wall_ms + 1_800_000}


def test_a_cancel_annihilates_its_unsent_place() -> None:
    """Neither reaches the venue, the place's result comes before the cancel's, and both are out of the lanes."""
    one = OneAccount()
    one.offer(place("p"))
    one.offer(replace("r", clientOrderId="p"))
    one.offer(cancel("c", clientOrderId="p"))
    assert one.send() == []
    assert one.outcomes() == [(1, "superseded"), (0, "superseded"), (2, "superseded")]
    assert is_nothing_left(one)


@pytest.mark.parametrize("stored", [True, False])
def test_a_cancel_annihilates_a_place_whose_claim_is_under_way(*, stored: bool) -> None:
    """Whether the commit is stored or dropped afterwards, the place is not written and its slot is free again."""
    one = OneAccount(limits={PLACE: 1, REPLACE: 1, CANCEL: 1, CANCEL_ALL: 1})
    one.offer(place("p"))
    one.hand_over()
    one.offer(cancel("c", clientOrderId="p"))
    assert one.outcomes() == [(0, "superseded"), (1, "superseded")]
    if stored:
        assert one.stored() == []
    else:
        one.account.dispatcher.commit_dropped()
    other = one.offer(place("q"))
    assert one.send() == [other]
    assert one.committed()[1].claimed == (other,)


def test_a_cancel_that_comes_between_claim_and_gate_closes_the_gate() -> None:
    """The claim is stored already, and still the place is not written."""
    one = OneAccount()
    one.offer(place("p"))
    one.hand_over()
    (command,) = one.account.dispatcher.commit_acked(one.now)
    one.offer(cancel("c", clientOrderId="p"))
    assert not one.account.dispatcher.pass_gate(command, one.now, ready=True)
    assert one.outcomes() == [(0, "superseded"), (1, "superseded")]
    assert one.committed()[1].claimed == ()


def test_commands_of_one_order_keep_their_sequence() -> None:
    """Place, replace, replace: each waits for the answer of the one before; other orders do not wait."""
    one = OneAccount()
    one.offer(place("p"))
    one.offer(replace("r0", clientOrderId="p"))
    one.offer(replace("r1", clientOrderId="p"))
    one.offer(place("q"))
    assert one.send() == [0, 3]
    assert one.send() == []
    one.answer(0, order_id=ORDER_ID, client_order_id="p")
    assert one.send() == [1]
    one.answer(1, 401073)
    assert one.send() == [2]
    one.answer(2)
    one.answer(3)
    assert is_nothing_left(one)


def test_what_follows_a_cancel_of_its_order_waits_for_the_cancel() -> None:
    """A replace that was read after a cancel is not sent before it."""
    one = OneAccount()
    one.account.on_order(order_push("mine"), one.now)
    one.offer(cancel("c", clientOrderId="mine"))
    one.offer(replace("r", clientOrderId="mine"))
    assert one.hand_over() is None
    assert one.send() == [0]
    one.answer(0)
    assert one.send() == [1]


def test_both_names_lead_to_one_order() -> None:
    """A cancel by orderId ends the waiting replace by clientOrderId."""
    one = OneAccount()
    one.account.on_order(order_push("mine"), one.now)
    one.offer(replace("r", clientOrderId="mine"))
    one.offer(cancel("c", orderId=ORDER_ID))
    assert one.send() == [1]
    assert one.outcomes() == [(0, "superseded")]
    assert one.written[0].args == {"orderId": ORDER_ID}


def test_a_cancel_by_an_unknown_name_goes_out_as_written() -> None:
    """Orders of other programs may be cancelled too."""
    one = OneAccount()
    one.offer(cancel("c", clientOrderId="theirs"))
    assert one.send() == [0]
    assert one.written[0].args == {"clientOrderId": "theirs"}


@pytest.mark.parametrize(
    ("scope", "left"), [("ALL", [6, 7]), ("BINANCE", [1, 6, 7]), ("OKX", [0, 2, 4, 6, 7]), ("EDX", [0, 1, 2, 4, 6, 7])]
)
def test_a_cancel_orders_purges_its_scope_and_spares_what_comes_later(scope: str, left: list[int]) -> None:
    """Unsent places and replaces of the scope are superseded; later commands go after it."""
    one = OneAccount()
    one.account.on_order(order_push("btc"), one.now)
    one.offer(place("p0"))
    one.offer(place("p1", sym=ETH_ON_OKX))
    one.offer(replace("r0", clientOrderId="btc"))
    one.offer(replace("r1", clientOrderId="p0"))
    one.offer(place("p2"))
    purge = one.offer(cancel_all("ca", scope))
    one.offer(place("p3"))
    one.offer(place("p4", sym=ETH_ON_OKX))
    purged = {offset for offset, outcome in one.outcomes() if outcome == "superseded"}
    assert purged == set(range(8)) - set(left) - {purge} - ({3} if scope in {"OKX", "EDX"} else set())
    sent = one.send()
    while more := one.send():
        sent += more
    assert sorted(sent) == sorted([*left, purge])
    later = [offset for offset in sent if offset > purge and one.written[sent.index(offset)].args["sym"] == BTC]
    assert scope not in {"ALL", "BINANCE"} or all(sent.index(purge) < sent.index(offset) for offset in later)


def test_no_place_overtakes_a_cancel_orders_that_has_no_slot() -> None:
    """The earlier cancel_orders would end its order; a place of another exchange does not wait."""
    one = OneAccount(limits={PLACE: 9, REPLACE: 9, CANCEL: 9, CANCEL_ALL: 1})
    one.offer(cancel_all("ca0", "BINANCE") | LONG)
    assert one.send() == [0]
    one.offer(cancel_all("ca1", "BINANCE") | LONG)
    one.offer(place("okx", sym=ETH_ON_OKX) | LONG)
    one.offer(place("p") | LONG)
    assert one.send() == [2]
    assert one.send() == []
    one.answer(0)
    one.renew(62)
    assert [written.offset for written in one.written] == [0, 2, 1, 3]


def _one_step(one: OneAccount, n: int, what: str) -> None:
    name = f"o{n % 3}"
    match what:
        case "place":
            one.offer(place(f"p{n}", clientOrderId=name))
        case "replace":
            one.offer(replace(f"r{n}", clientOrderId=name))
        case "cancel":
            one.offer(cancel(f"c{n}", clientOrderId=name))
        case "all":
            one.offer(cancel_all(f"a{n}", "BINANCE"))
        case "send":
            one.send()
        case "answer":
            for written in one.written:
                one.answer(written.offset, order_id=ORDER_ID, client_order_id=written.args.get("clientOrderId"))
        case _:
            one.renew(2)


@given(st.lists(st.sampled_from(["place", "replace", "cancel", "all", "send", "answer", "wait"]), max_size=40))
def test_no_counter_leaks(steps: list[str]) -> None:
    """After any sequence of events of three orders, once all are answered no command is counted as waiting."""
    one = OneAccount()
    for n, what in enumerate(steps):
        _one_step(one, n, what)
    for _ in range(15):
        one.renew(1)
        for name in one.account.intake.list_lookups():
            one.account.intake.finish_lookup(name, one.now)
        for written in one.written:
            one.answer(written.offset)
    terminal = [result.command_offset for result in one.results() if result.outcome.terminal]
    assert sorted(terminal) == list(range(one.next_offset))
    assert is_nothing_left(one)
    lanes = one.account.dispatcher._lanes
    assert not one.account.table._places
    assert not any(lanes.peek_head(action) for action in (PLACE, REPLACE, CANCEL, CANCEL_ALL))
