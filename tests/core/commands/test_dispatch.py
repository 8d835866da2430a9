"""Claims, the lease and the gate: a command is written only when it may be, and goes back into its lane otherwise."""

import pytest

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.core.commands.claims import METADATA_BYTES_MAX, decode
from tests.support.one_account import ORDER_ID, START, OneAccount, cancel, cancel_all, order_push, place, replace


@pytest.mark.parametrize("refused", [cancel_all("late"), replace("late", orderId=ORDER_ID)])
def test_what_comes_after_a_refused_command_waits_until_the_refusal_is_durable(refused: dict[str, object]) -> None:
    """A successor that does not see the refusal may send the command, and must not send it after a later one."""
    one = OneAccount()
    one.offer(refused | {"validUntil": one.now.wall_ms})
    later = one.offer(place("p"))
    assert one.send() == []
    one.drain()
    assert [later] == one.send()


def test_commands_that_come_while_a_commit_is_under_way_share_the_next() -> None:
    """One commit in flight, and the next claims all that have come meanwhile."""
    one = OneAccount()
    first = one.offer(place("p0"))
    commit = one.hand_over()
    assert commit is not None
    later = [one.offer(place(f"p{n}")) for n in (1, 2, 3)]
    assert one.hand_over() is None
    assert [first] == one.stored()
    commit = one.hand_over()
    assert commit is not None
    stored = decode(commit.metadata, commit.offset)
    assert stored is not None
    assert (first, *later) == stored.claimed
    assert later == one.stored()


def test_the_state_is_committed_every_period_work_or_not() -> None:
    """An owner without commands commits too, and so keeps its lease."""
    one = OneAccount()
    assert one.hand_over() is None
    assert one.account.wake_at_boot_s(one.now) == one.now.boot_s + 1
    one.wait(0.5)
    assert one.hand_over() is None
    one.wait(0.5)
    assert one.hand_over() is not None


def test_the_lease_runs_from_the_hand_over() -> None:
    """An owner that was frozen until the acknowledgement came does not write: its lease has ended."""
    one = OneAccount()
    offset = one.offer(place("p"))
    one.hand_over()
    one.wait(2, tick=False)
    assert one.stored() == []
    assert not one.written
    assert [offset] == one.send()


@pytest.mark.parametrize(("ready", "waited_s"), [(False, 0), (True, 2)])
def test_a_closed_gate_puts_everything_back_where_it_was(*, ready: bool, waited_s: float) -> None:
    """Not ready, or without a lease: slot, claim and place in the lane are as before, and the same order goes next."""
    one = OneAccount(limits={PLACE: 3, REPLACE: 1, CANCEL: 1, CANCEL_ALL: 1})
    offsets = [one.offer(place(f"p{n}")) for n in range(3)]
    one.offer(place("behind") | {"validUntil": one.now.wall_ms + 900_000})
    one.hand_over()
    one.wait(waited_s, tick=False)
    assert one.stored(ready=ready) == []
    assert one.account.next_commit(one.now, 0, recording=False) is None or waited_s
    one.account.dispatcher.commit_dropped()
    assert offsets == one.send()
    assert one.committed()[1].claimed == tuple(offsets)


def test_the_gate_is_closed_to_what_has_expired() -> None:
    """A claim that was stored too late is given back, the command is answered, and the next gets its slot."""
    one = OneAccount(limits={PLACE: 1, REPLACE: 1, CANCEL: 1, CANCEL_ALL: 1}, lease_s=60)
    late = one.offer(place("p"))
    behind = one.offer(place("behind") | {"validUntil": one.now.wall_ms + 900_000})
    one.hand_over()
    one.wait(10)
    assert one.outcomes() == []
    assert one.stored() == []
    one.wait(0.05)
    assert [(late, "expired")] == one.outcomes()
    assert [behind] == one.send()


def test_a_dropped_commit_lets_its_claims_wait_again_in_order() -> None:
    """A rebalance ends a commit: nothing was written, and the whole batch goes with the next."""
    one = OneAccount()
    offsets = [one.offer(place("p0")), one.offer(replace("r0", orderId=ORDER_ID)), one.offer(place("p1"))]
    one.hand_over()
    one.account.dispatcher.commit_dropped()
    one.account.dispatcher.commit_dropped()
    assert not one.written
    assert [offsets[1], offsets[0], offsets[2]] == one.send()


def test_a_commit_that_was_never_handed_over_cannot_end() -> None:
    """An acknowledgement without a commit raises: it is a mistake of the bridge."""
    with pytest.raises(AssertionError, match="never handed over"):
        OneAccount().account.dispatcher.commit_acked(START)


def test_urgency_decides_between_orders() -> None:
    """A commit claims cancel_orders, then replaces, then places; a place waits for a cancel_orders that blocks it."""
    one = OneAccount()
    early = one.offer(place("p0", sym="OKX_PERP_ETH_USDT"))
    changed = one.offer(replace("r", orderId=ORDER_ID))
    swept = one.offer(cancel_all("ca", "BINANCE"))
    barred = one.offer(place("p1"))
    single = one.offer(cancel("c", orderId="1" * 16))
    assert [single, swept, changed, early] == one.send()
    assert [barred] == one.send()


def test_a_cancel_is_written_without_a_claim() -> None:
    """It is safe to repeat, so it waits for no commit, and no commit claims it."""
    one = OneAccount()
    offset = one.offer(cancel("c", orderId=ORDER_ID))
    assert [offset] == one.send_cancels()
    _, stored = one.committed()
    assert stored.claimed == ()


def test_a_cancel_waits_for_session_and_slot() -> None:
    """Without a live session, or beyond the budget, it stays at the head of its lane."""
    one = OneAccount(limits={PLACE: 1, REPLACE: 1, CANCEL: 1, CANCEL_ALL: 1})
    valid = {"validUntil": one.now.wall_ms + 600_000}
    first = one.offer(cancel("c0", orderId=ORDER_ID) | valid)
    second = one.offer(cancel("c1", orderId="1" * 16) | valid)
    assert one.send_cancels(ready=False) == []
    assert [first] == one.send_cancels()
    one.answer(first)
    one.renew(60)
    assert one.account.wake_at_boot_s(one.now) == one.now.boot_s + 0.5
    one.wait(0.5)
    assert [second] == one.send_cancels()


def test_a_cancel_needs_a_lease_while_the_broker_answers() -> None:
    """An owner without a lease that has no commit under way does not write cancels."""
    one = OneAccount()
    one.offer(cancel("c", orderId=ORDER_ID))
    one.wait(0.9)
    one.wait(0.9)
    one.wait(0.9)
    assert one.send_cancels() == []


def test_cancels_pass_while_the_broker_is_out_of_reach() -> None:
    """They may be written while a commit that was handed over under a lease is not acknowledged."""
    one = OneAccount()
    offset = one.offer(cancel("c", orderId=ORDER_ID))
    one.wait(0.9)
    one.wait(0.9)
    assert one.hand_over() is not None
    for _ in range(4):
        one.wait(0.9)
    assert [offset] == one.send_cancels()


@pytest.mark.parametrize("ticked", [True, False])
def test_a_jump_of_the_clock_closes_the_gate_for_cancels(*, ticked: bool) -> None:
    """After a freeze no cancel is written until a commit is acknowledged, even if no tick has noticed it yet."""
    one = OneAccount()
    one.offer(cancel("c", orderId=ORDER_ID))
    one.wait(1)
    assert one.hand_over() is not None
    one.wait(5, tick=ticked)
    assert one.send_cancels() == []
    one.stored()
    assert one.send_cancels() == []
    assert one.hand_over() is not None
    one.stored()
    assert len(one.send_cancels()) == 1


def test_no_more_is_claimed_than_may_be_in_flight() -> None:
    """Claims without a durable result count, answered ones do not."""
    one = OneAccount(inflight_commands_max=2)
    offsets = [one.offer(place(f"p{n}")) for n in range(4)]
    assert offsets[:2] == one.send()
    assert one.send() == []
    one.answer(0)
    assert one.send() == []
    one.drain()
    assert one.send() == [2]


def test_a_claim_that_does_not_fit_the_metadata_waits() -> None:
    """The broker holds 4096 bytes of metadata; claims that do not fit are put back and made later.

    Places leave room for cancel_orders.
    """
    one = OneAccount(limits={PLACE: 5000, REPLACE: 1, CANCEL: 1, CANCEL_ALL: 40}, inflight_commands_max=5000)
    for n in range(3500):
        one.offer(place(f"p{n}"))
    while one.send():
        pass
    one.wait(1)
    commit = one.hand_over()
    assert commit is not None
    one.stored()
    assert METADATA_BYTES_MAX - 520 < len(commit.metadata) <= METADATA_BYTES_MAX - 512
    in_time = [written.offset for written in one.written]
    assert in_time == sorted(in_time)
    panics = [one.offer(cancel_all(f"ca{n}")) for n in range(40)]
    assert panics == one.send()
    assert len(one.committed()[1].claimed) == len(in_time) + len(panics)


def test_a_commit_claims_no_more_than_can_be_written_within_a_lease() -> None:
    """A large backlog is claimed by several commits."""
    one = OneAccount(limits={PLACE: 5000, REPLACE: 1, CANCEL: 1, CANCEL_ALL: 1})
    for n in range(250):
        one.offer(place(f"p{n}"))
    assert [len(one.send()), len(one.send())] == [200, 50]


@pytest.mark.parametrize("missing", ["session", "recording"])
def test_nothing_is_claimed_before_the_sweep_or_while_nothing_can_be_recorded(missing: str) -> None:
    """The periodic commit is handed over all the same."""
    one = OneAccount()
    one.offer(place("p"))
    if missing == "session":
        one.lose_session()
    one.wait(1)
    commit = one.account.next_commit(one.now, 0, recording=missing != "recording")
    assert commit is not None
    assert commit.claimed == ()


def test_slots_of_the_class_run_out() -> None:
    """Without a free slot nothing is claimed; the account wakes when the next comes free."""
    one = OneAccount(limits={PLACE: 1, REPLACE: 1, CANCEL: 1, CANCEL_ALL: 1}, commit_period_s=100, lease_s=200)
    for n in range(2):
        one.offer(place(f"p{n}") | {"validUntil": one.now.wall_ms + 900_000})
    assert one.send() == [0]
    one.answer(0)
    one.wait(1)
    assert one.send() == []
    assert one.account.wake_at_boot_s(one.now) == one.now.boot_s + 59.5
    one.wait(59.5)
    assert one.send() == [1]


def test_a_replace_goes_by_the_order_id_that_holds_when_it_goes() -> None:
    """The replace before it gave the order another orderId, and the venue needs the new one."""
    one = OneAccount()
    one.account.on_order(order_push("mine"), one.now)
    first = one.offer(replace("r0", clientOrderId="mine"))
    second = one.offer(replace("r1", "102", clientOrderId="mine"))
    assert [first] == one.send()
    one.answer(first, order_id="2" * 16, client_order_id=None)
    assert [second] == one.send()
    assert one.written[0].args == {"orderId": ORDER_ID, "replacePrice": "101"}
    assert one.written[1].args == {"orderId": "2" * 16, "replacePrice": "102"}


def test_a_cancel_orders_of_everything_names_no_exchange() -> None:
    """On the venue's wire an absent exchange is every exchange."""
    one = OneAccount()
    one.offer(cancel_all("a", "ALL"))
    one.offer(cancel_all("b", "OKX"))
    one.send()
    assert [written.args for written in one.written] == [{}, {"exchangeType": "OKX"}]


def test_request_ids_are_unique_and_fit_the_venue() -> None:
    """Epoch, offset and attempt name a request: 1 to 32 letters and digits."""
    one = OneAccount(epoch=10**6, start=10**9)
    one.offer(cancel("c", orderId=ORDER_ID))
    one.send_cancels()
    one.wait(5)
    one.wait(0.5)
    one.send()
    one.send_cancels()
    ids = [written.request_id for written in one.written]
    assert len(ids) == len(set(ids)) == 2
    assert all(len(request_id) <= 32 and request_id.isalnum() for request_id in ids)
