"""The panic button: cancels and cancel_orders are sent, whatever is unknown, waiting or repeated."""

import json

import pytest

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.in_flight.ack_codes import RATE_CODES
from bridge.core.records import CommandRecord
from tests.support.one_account import ORDER_ID, OneAccount, cancel, cancel_all, order_push, place, replace

VENUE = {PLACE: 1200, REPLACE: 300, CANCEL: 1200, CANCEL_ALL: 1200}
HOUR_MS = 3_600_000


def _venue_sized(*, live: bool = True) -> OneAccount:
    return OneAccount(live=live, limits=VENUE, budget_percent=95)


def _offer_old(one: OneAccount, count: int, past: TakeoverStatus, *, age_ms: int = HOUR_MS) -> None:
    """Let a takeover read cancels that are older than their validity, which is a minute."""
    for _ in range(count):
        value = json.dumps(cancel(f"old{one.next_offset}", orderId=ORDER_ID)).encode()
        record = CommandRecord(one.next_offset, one.now.wall_ms - age_ms, b"k", value, ())
        one.account.intake.offer(record, one.now, past)
        one.next_offset += 1


def test_a_cancel_orders_is_sent_however_many_places_are_unknown() -> None:
    """A hung order gateway fills the bound of commands in flight, which does not apply to cancel_orders."""
    one = _venue_sized()
    for n in range(1000):
        one.offer(place(f"p{n}"))
    while one.send():
        pass
    assert len(one.written) == 1000
    one.lose_session()
    one.wait(1)
    one.open_session()
    one.renew(1)
    panic = one.offer(cancel_all("panic"))
    assert one.send() == [panic]


@pytest.mark.parametrize("past", [TakeoverStatus.READ, TakeoverStatus.CLAIMED])
def test_a_backlog_that_expired_long_ago_takes_no_slot(past: TakeoverStatus) -> None:
    """Requests that the venue can no longer count hold no slot, neither for a minute nor for three."""
    one = _venue_sized(live=False)
    _offer_old(one, 1140, past)
    one.drain()
    one.open_session()
    one.send()
    fresh = one.offer(cancel("fresh", orderId=ORDER_ID))
    assert fresh in one.send()


def test_a_backlog_that_nobody_has_read_takes_no_slot_and_expires_at_once() -> None:
    """It was produced after the last owner had ended in good order, and expired a second ago: no owner has sent it."""
    one = _venue_sized(live=False)
    _offer_old(one, 1140, TakeoverStatus.UNREAD, age_ms=61_000)
    assert one.outcomes() == [(offset, "expired") for offset in range(1140)]
    one.open_session()
    one.send()
    fresh = one.offer(cancel("fresh", orderId=ORDER_ID))
    assert fresh in one.send()


def test_a_cancel_that_an_earlier_owner_may_just_have_written_holds_its_slot() -> None:
    """It expired a second ago, and may be counted for the landing time and a window."""
    one = OneAccount(limits=dict.fromkeys(VENUE, 1), live=False)
    _offer_old(one, 1, TakeoverStatus.READ, age_ms=61_000)
    one.open_session()
    one.send()
    fresh = one.offer(cancel("fresh", orderId=ORDER_ID) | {"validUntil": one.now.wall_ms + 900_000})
    one.renew(180)
    assert fresh not in [written.offset for written in one.written]
    one.renew(2)
    assert fresh in [written.offset for written in one.written]


def test_repeats_leave_room_for_new_cancels() -> None:
    """The venue is silent for a minute: 120 cancels are repeated after longer pauses, and a new one is sent at once."""
    one = _venue_sized()
    for n in range(120):
        one.offer(cancel(f"c{n}", orderId=f"{n:016d}"))
    for _ in range(600):
        one.wait(0.1)
        one.send()
        one.drain()
    repeats = len(one.written) - 120
    assert 240 < repeats < 1140 * 3 // 4
    for n in range(200):
        one.renew(1)
        fresh = one.offer(cancel(f"fresh{n}", orderId=f"{n:016d}"))
        assert fresh in one.send_cancels()
        one.answer(fresh)


def test_each_unknown_cancel_has_its_first_repeat_before_another_has_its_tenth() -> None:
    """The pauses share out the slots, so that none waits for those that came before it."""
    one = _venue_sized()
    for n in range(500):
        one.offer(cancel(f"c{n}", orderId=f"{n:016d}"))
    for _ in range(500):
        one.wait(0.1)
        one.send()
    times = [sum(1 for written in one.written if written.offset == n) for n in range(500)]
    assert max(times) - min(times) <= 1


def test_a_repeat_that_was_answered_before_supersedes_nothing() -> None:
    """The cancel_orders was sent once, before the places; submitted again it only got the same result."""
    first = OneAccount()
    sent = first.offer(cancel_all("stop"))
    first.send()
    first.answer(sent)
    first.lose_session()
    places = [first.offer(place("p1")), first.offer(place("p2"))]
    first.offer(cancel_all("stop"))
    second = OneAccount(epoch=2, live=False)
    second.account.restore([(result, second.now.wall_ms) for result in first.results()], second.now)
    second.offer(cancel_all("stop"), past=TakeoverStatus.ANSWERED)
    for name in ("p1", "p2"):
        second.offer(place(name), past=TakeoverStatus.READ)
    second.offer(cancel_all("stop"), past=TakeoverStatus.ANSWERED)
    second.open_session()
    assert second.send() + second.send() == places
    assert second.outcomes() == []


def test_replaces_of_unknown_orders_are_counted_as_waiting() -> None:
    """While they wait for the lookup, the bound of the lane holds for them as well."""
    one = OneAccount(lane_commands_max=50, limits=dict.fromkeys(VENUE, 1000))
    for n in range(60):
        one.offer(replace(f"r{n}", clientOrderId=f"nobody{n}"))
        one.send()
    assert len(one.account.intake.list_lookups()) == 50
    assert [outcome for _, outcome in one.outcomes()] == ["denied"] * 10
    for name in one.account.intake.list_lookups():
        assert one.account.intake.finish_lookup(name, one.now)
    one.drain()
    one.offer(replace("next", clientOrderId="nobody"))
    one.send()
    assert one.account.intake.list_lookups() == ["nobody"]


@pytest.mark.parametrize("code", sorted(RATE_CODES))
@pytest.mark.parametrize("body", [cancel("c", orderId=ORDER_ID), cancel_all("c")])
def test_a_cancel_that_is_refused_for_its_rate_goes_out_again(code: int, body: dict[str, object]) -> None:
    """The refusal had no effect, so it proves nothing; the next ack does."""
    one = OneAccount()
    offset = one.offer(body)
    one.send()
    for _ in range(3):
        one.answer(offset, code, "too often")
        assert one.send() == []
        one.renew(1)
    assert [written.offset for written in one.written] == [offset] * 4
    assert one.outcomes() == []
    one.answer(offset)
    assert one.outcomes() == [(offset, "accepted")]
    assert one.results()[-1].sent_at is not None


@pytest.mark.parametrize("body", [cancel("c", orderId=ORDER_ID), cancel_all("c")])
def test_a_cancel_that_is_refused_for_its_rate_to_the_end_is_rejected(body: dict[str, object]) -> None:
    """It was sent, so it is not `expired`."""
    one = OneAccount()
    offset = one.offer(body)
    one.send()
    while not one.outcomes():
        if one.written[-1].request_id:
            one.answer(offset, 429, "too often")
        one.renew(1)
    (result,) = one.results()
    assert (result.outcome.value, result.code, result.message) == ("rejected", 429, "too often")
    assert one.now.wall_ms >= result.answered_at >= 60_000


def test_places_wait_again_for_a_cancel_orders_that_was_refused() -> None:
    """It is sent later than they were read, and would end their orders."""
    one = OneAccount()
    panic = one.offer(cancel_all("panic"))
    one.send()
    one.answer(panic, 429)
    newer = one.offer(place("p"))
    assert one.send() == []
    assert one.committed()[1].claimed == (panic,)
    one.renew(2)
    assert [written.offset for written in one.written] == [panic, panic, newer]


def test_a_late_refusal_of_an_unknown_cancel_orders_leaves_it_to_single_cancels() -> None:
    """It became unknown because its ack was overdue, and what is queried already is not written again."""
    one = OneAccount()
    panic = one.offer(cancel_all("panic"))
    one.send()
    one.renew(6)
    one.answer(panic, 429)
    one.renew(3)
    assert [written.offset for written in one.written] == [panic]
    one.ask()
    assert one.outcomes() == [(panic, "unknown"), (panic, "accepted")]


def test_a_refused_repeat_proves_nothing_about_the_request_before_it() -> None:
    """The first may have been accepted: the cancel stays unknown, also when it is no longer valid."""
    one = OneAccount()
    offset = one.offer(cancel("c", orderId=ORDER_ID))
    one.send()
    one.renew(6)
    assert len(one.written) == 2
    one.wait(56)
    one.answer(offset, 429)
    one.renew(9)
    assert one.outcomes() == [(offset, "unknown")]
    assert len(one.written) == 2


def test_half_of_the_reserved_slots_is_for_callers_cancels_alone() -> None:
    """Bridge cancels of two thousand orders take their slots; a caller's cancel is still sent at once."""
    one = _venue_sized()
    for n in range(2000):
        one.account.bridge_cancels.request(f"{n:016d}")
    sent = one.send_own_cancels()
    one.renew(1)
    sent += one.send_own_cancels()
    assert len(sent) == 1140 - 57
    fresh = [one.offer(cancel(f"c{n}", orderId=ORDER_ID)) for n in range(57)]
    assert one.send_cancels() == fresh


def test_the_first_cancel_of_an_order_is_not_behind_repeats_of_others() -> None:
    """When repeats have used up their share, an order that was not cancelled before is cancelled."""
    one = OneAccount(limits=dict.fromkeys(VENUE, 20))
    for n in range(14):
        one.account.bridge_cancels.request(f"{n:016d}")
    assert len(one.send_own_cancels()) == 14
    one.renew(20)
    one.account.bridge_cancels.request("9" * 16)
    assert one.send_own_cancels() == ["9" * 16]


def test_a_halved_limit_leaves_the_reserve_and_climbs_back() -> None:
    """After a refusal the common slots are halved, the reserved ones are not; the alarm is raised and cleared."""
    one = OneAccount(limits=dict.fromkeys(VENUE, 20), ack_timeout_s=100)
    offsets = [one.offer(cancel(f"c{n}", orderId=f"{n:016d}")) for n in range(18)]
    one.send()
    one.answer(offsets[0], 429)
    assert one.alarms() == ["rate_rejected"]
    one.renew(6)
    assert one.written[-1].offset == offsets[0], "the refused one has a slot of the reserve"
    for offset in offsets:
        one.answer(offset)
    one.renew(5 * 61)
    assert one.cleared() == ["rate_rejected"]
    offsets = [one.offer(cancel(f"d{n}", orderId=f"{n:016d}")) for n in range(20)]
    assert one.send_cancels() == offsets


def _commit_slowly(one: OneAccount, times: int, *, took_s: float = 2.5) -> None:
    """Let commits take longer than the lease, and write cancels whenever they may be."""
    for _ in range(times):
        assert one.hand_over() is not None
        for _ in range(10):
            one.wait(took_s / 10)
            one.send_cancels()
        one.stored()


def test_slow_commits_mute_no_cancel() -> None:
    """Without a lease no command is claimed or answered by the bridge; a cancel of an order at the venue is sent."""
    one = OneAccount()
    one.wait(1)
    _commit_slowly(one, 2)
    held = [one.offer(b"nonsense"), one.offer(place("p")), one.offer(cancel("late", clientOrderId="p"))]
    swift = one.offer(cancel("c", orderId=ORDER_ID))
    _commit_slowly(one, 1)
    assert [written.offset for written in one.written] == [swift]
    one.answer(swift)
    assert one.outcomes() == [(swift, "accepted")]
    assert not one.dead_letters()
    _commit_slowly(one, 1)
    assert one.committed()[0] == held[0], "what is held back holds the offset"
    one.wait(0.1)
    assert [outcome for _, outcome in one.outcomes()] == ["accepted", "superseded", "superseded"]
    assert len(one.dead_letters()) == 1


@pytest.mark.parametrize(
    "body",
    [
        cancel("c", clientOrderId="unknown"),
        cancel("c", clientOrderId="over"),
        cancel("c", clientOrderId="replaced"),
        cancel("seen", orderId=ORDER_ID),
        cancel("c", orderId=ORDER_ID) | {"validUntil": 1_795_000_000_000},
        replace("c", orderId=ORDER_ID),
        cancel_all("c"),
    ],
)
def test_a_cancel_that_the_bridge_answers_waits_for_the_lease(body: dict[str, object]) -> None:
    """A resubmission, a cancel that supersedes or has expired, one of a held place: only the owner may answer."""
    one = OneAccount()
    one.account.on_order(order_push("over", orderState="CANCELLED", orderId="2" * 16), one.now)
    one.account.on_order(order_push("replaced", orderId="3" * 16), one.now)
    one.offer(cancel("seen", orderId="4" * 16))
    one.offer(replace("r", orderId="3" * 16))
    one.send_cancels()
    one.wait(1)
    _commit_slowly(one, 1)
    one.drain()
    before = one.results()
    one.offer(body)
    assert one.send_cancels() == []
    assert one.results() == before


def test_a_cancel_waits_after_a_pause_of_the_process() -> None:
    """The acknowledgement of a commit from before a pause proves nothing after it."""
    one = OneAccount()
    one.wait(1)
    assert one.hand_over() is not None
    one.wait(600)
    one.stored()
    one.offer(cancel("c", orderId=ORDER_ID))
    assert one.send_cancels() == []
    assert one.hand_over() is not None
    assert one.send_cancels() == []
    one.wait(0.1)
    one.stored()
    one.wait(0.1)
    assert len(one.send_cancels()) == 1


def test_commits_that_outlast_the_lease_raise_the_alarm_until_they_do_not() -> None:
    """Two slow ones in a row raise it; a single one does not."""
    one = OneAccount()
    one.wait(1)
    _commit_slowly(one, 1)
    assert one.alarms() == []
    _commit_slowly(one, 1)
    one.wait(0)
    assert one.alarms() == ["commits_slow"]
    one.renew(3)
    assert one.cleared() == []
    one.renew(4)
    assert one.cleared() == ["commits_slow"]


def test_bridge_cancels_are_sent_during_slow_commits() -> None:
    """They are as safe to repeat as a caller's cancels."""
    one = OneAccount()
    one.wait(1)
    _commit_slowly(one, 2)
    one.account.bridge_cancels.request(ORDER_ID)
    assert one.hand_over() is not None
    assert one.send_own_cancels() == [ORDER_ID]


def test_a_cancel_orders_does_not_wait_for_the_answers_to_what_it_ends() -> None:
    """Ten thousand places wait before it: none is sent any more, and they are answered in parts after it was sent."""
    one = OneAccount(limits=dict.fromkeys(VENUE, 200), lane_commands_max=20_000)
    count = 1000
    names = [one.offer(place(f"p{n}") | {"validUntil": one.now.wall_ms + 1_700_000}) for n in range(count)]
    assert one.send() == names[:200]
    panic = one.offer(cancel_all("panic"))
    assert len(one.outcomes()) < count / 2
    assert one.send() == [panic]
    while len(one.outcomes()) < count - 200:
        assert one.account.wake_at_boot_s(one.now) <= one.now.boot_s
        one.wait(0)
    assert set(one.outcomes()) == {(offset, "superseded") for offset in names[200:]}
    one.renew(130)
    assert len(one.written) == 201


def test_a_superseded_command_is_not_sent_by_another_way() -> None:
    """A superseded place without a result meets a second cancel_orders, its own cancel, and the end of its validity."""
    one = OneAccount()
    body = {"validUntil": one.now.wall_ms + 1_700_000}
    for n in range(250):
        one.offer(place(f"p{n}") | body)
    one.offer(cancel_all("panic") | body)
    assert len(one.outcomes()) == 100
    one.offer(cancel_all("again") | body)
    one.offer(cancel("c", clientOrderId="p249") | body)
    while len(one.outcomes()) < 251:
        one.wait(0)
    outcomes = one.outcomes()
    assert len({offset for offset, _ in outcomes}) == len(outcomes)
    assert {outcome for _, outcome in outcomes} == {"superseded"}
    assert one.written == []
