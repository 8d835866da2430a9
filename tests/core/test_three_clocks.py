"""Ours, the venue's and the broker's clock: one account when they differ."""

import json
from math import inf

import pytest

from bridge.contract.commands import PLACE
from bridge.contract.pushes import OrderPush
from bridge.contract.results import Outcome, Result
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.now import Now
from bridge.core.records import CommandRecord
from bridge.core.skew import Skew
from tests.support.clock_readings import read_clocks, reading_of
from tests.support.one_account import ORDER_ID, START, OneAccount, cancel, cancel_all, order_push, place, replace

AHEAD_MS = (-60_000, -8000, 0, 8000, 60_000)


def _account(venue_ahead_ms: int) -> OneAccount:
    one = OneAccount()
    one.venue_ahead_ms = venue_ahead_ms
    one.read_clocks()
    return one


def _shown(one: OneAccount, name: str = "x1", *, seconds_ago: float = 0, **fields: str) -> OrderPush:
    at = str(one.now.wall_ms + one.venue_ahead_ms - int(seconds_ago * 1000))
    return order_push(name, **{"createAt": at, "updateAt": at, **fields})


def _ask_until_late(one: OneAccount, *rows: OrderPush) -> str:
    """Ask for longer than anything can land, and return the last outcome."""
    for _ in range(26):
        one.ask(*rows)
        one.renew(5)
    return one.outcomes()[-1][1]


@pytest.mark.parametrize("venue_ahead_ms", AHEAD_MS)
def test_a_place_that_lives_is_accepted(venue_ahead_ms: int) -> None:
    """Its answer is lost, the stream and REST show its order, dated by the venue's clock."""
    one = _account(venue_ahead_ms)
    one.offer(place("p", clientOrderId="x1"))
    one.send()
    row = _shown(one)
    one.wait(1)
    one.account.on_order(row, one.now)
    one.wait(5)
    assert _ask_until_late(one, row) == "accepted"


@pytest.mark.parametrize("venue_ahead_ms", AHEAD_MS)
def test_a_replace_that_is_applied_is_accepted(venue_ahead_ms: int) -> None:
    """REST shows its values, dated by the venue's clock."""
    one = _account(venue_ahead_ms)
    one.account.on_order(_shown(one, limitPrice="100"), one.now)
    one.wait(1)
    one.offer(replace("r", "101", orderId=ORDER_ID))
    one.send()
    row = _shown(one, limitPrice="101", action="AMEND_COMPLETED")
    one.wait(6)
    assert _ask_until_late(one, row) == "accepted"


@pytest.mark.parametrize("venue_ahead_ms", AHEAD_MS)
def test_a_cancel_that_worked_is_accepted(venue_ahead_ms: int) -> None:
    """Its order ended as cancelled after it, by the venue's clock."""
    one = _account(venue_ahead_ms)
    one.account.on_order(_shown(one), one.now)
    one.wait(1)
    one.offer({**cancel("c", orderId=ORDER_ID), "validUntil": one.now.wall_ms + 2000})
    one.send()
    row = _shown(one, orderState="CANCELLED", action="CANCEL_COMPLETE")
    one.wait(6)
    assert _ask_until_late(one, row) == "accepted"


@pytest.mark.parametrize("venue_ahead_ms", AHEAD_MS)
def test_somebody_elses_older_order_of_the_name_settles_nothing(venue_ahead_ms: int) -> None:
    """It was made ten seconds before ours was written, and nobody here knew it."""
    one = _account(venue_ahead_ms)
    one.offer(place("p", clientOrderId="x1"))
    row = _shown(one, seconds_ago=10)
    one.send()
    one.wait(6)
    assert _ask_until_late(one, row) == ("not_found" if not venue_ahead_ms else "unknown")


@pytest.mark.parametrize("venue_ahead_ms", AHEAD_MS)
@pytest.mark.parametrize("is_read", [True, False])
def test_a_cancel_orders_in_doubt_ends_no_newer_order_of_somebody_else(venue_ahead_ms: int, *, is_read: bool) -> None:
    """And those that are surely older it ends, as soon as the venue's clock is known."""
    one = OneAccount(live=False, read=is_read)
    one.venue_ahead_ms = venue_ahead_ms
    one.read_clocks()
    one.open_session()
    one.send()
    older = _shown(one, "", seconds_ago=130, orderId="1")
    one.offer(cancel_all("k"))
    one.send()
    one.wait(2)
    newer = _shown(one, "", orderId="2")
    one.wait(4)
    ended = []
    for _ in range(3):
        one.ask(newer, older)
        ended += one.send_own_cancels()
        one.renew(2)
    assert set(ended) <= {"1"}
    assert ended or not is_read


@pytest.mark.parametrize("venue_ahead_ms", [0, 8000])
def test_what_is_only_perhaps_older_is_left_alone(venue_ahead_ms: int) -> None:
    """The venue's nodes need not agree to the second."""
    one = _account(venue_ahead_ms)
    order = _shown(one, "", seconds_ago=4)
    one.offer(cancel_all("k"))
    one.send()
    one.wait(6)
    one.ask(order)
    assert one.send_own_cancels() == []


def test_nothing_is_said_to_be_not_found_while_the_venues_clock_is_not_known() -> None:
    """Nor a cancel_orders to be done; the alarm says why, and the first answer that tells the time ends it."""
    one = OneAccount(read=False)
    one.account.clocks.learn_broker_time(reading_of(Skew(0, 0), one.now), one.now)
    one.offer(place("p"))
    one.send()
    one.offer(cancel_all("k"))
    one.send()
    one.wait(6)
    assert _ask_until_late(one) == "unknown"
    assert one.alarms() == ["clock_skew"]
    one.reads = True
    one.read_clocks()
    for _ in range(2):
        one.renew(11)
        one.ask()
    assert sorted(one.outcomes()[-2:]) == [(0, "not_found"), (1, "accepted")]


def test_nothing_is_said_to_be_not_found_while_the_clocks_are_too_far_apart() -> None:
    """Where ours has been set right, it is."""
    one = _account(8000)
    one.offer(place("p"))
    one.send()
    one.wait(6)
    assert _ask_until_late(one) == "unknown"
    one.now, one.venue_ahead_ms, one.broker_ahead_ms = Now(one.now.boot_s, one.now.wall_ms + 8000), 0, -8000
    one.renew(11)
    one.ask()
    assert one.outcomes()[-1] == (0, "not_found")


def _arrived(one: OneAccount, body: dict[str, object], *, stamped_ms: int, absent_boot_s: float = -inf) -> int:
    offset, one.next_offset = one.next_offset, one.next_offset + 1
    record = CommandRecord(offset, stamped_ms, b"key", json.dumps(body).encode(), (), absent_boot_s=absent_boot_s)
    one.account.intake.offer(record, one.now)
    return offset


@pytest.mark.parametrize("broker_ahead_ms", [-4000, 0, 4000])
def test_a_place_is_valid_by_the_brokers_clock_within_the_bound(broker_ahead_ms: int) -> None:
    """Ten seconds from its append, whatever our clock says of its timestamp."""
    one = OneAccount()
    one.broker_ahead_ms = broker_ahead_ms
    one.read_clocks()
    one.lose_session()
    one.offer(place("a"))
    one.renew(9)
    one.wait(0.9)
    one.open_session()
    assert one.send() == [0]
    one.lose_session()
    one.offer(place("b"))
    one.renew(10)
    assert one.outcomes() == [(0, "unknown"), (1, "expired")]


@pytest.mark.parametrize("broker_ahead_ms", [-12_000, 55_000, -3_600_000, 3_600_000])
@pytest.mark.parametrize("body", [place("p"), replace("p", orderId=ORDER_ID)], ids=["place", "replace"])
def test_beyond_the_bound_a_place_or_replace_is_denied_and_never_sent(
    broker_ahead_ms: int, body: dict[str, object]
) -> None:
    """Neither expired in silence nor sent an hour after its append; the alarm names the clocks, and ends."""
    one = OneAccount()
    one.broker_ahead_ms = broker_ahead_ms
    one.read_clocks()
    one.offer(body)
    assert one.send() == []
    (result,) = one.results()
    assert (result.outcome, result.reason) == ("denied", "clock_unsure")
    assert "the broker's" in (result.message or "")
    assert one.alarms() == ["broker_clock_skew"]
    one.broker_ahead_ms = 0
    one.read_clocks()
    one.offer(place("again"))
    assert one.send() == [1]
    assert one.cleared() == ["broker_clock_skew"]


@pytest.mark.parametrize("broker_ahead_ms", [-12_000, 12_000])
def test_cancels_go_by_the_measured_clock_beyond_the_bound(broker_ahead_ms: int) -> None:
    """They are what a person needs then, and no measured clock says that they have expired."""
    one = OneAccount()
    one.broker_ahead_ms = broker_ahead_ms
    one.read_clocks()
    one.offer(cancel("c", orderId=ORDER_ID))
    one.offer(cancel_all("k"))
    assert one.send() == [0, 1]


def test_a_cancel_whose_validity_no_clock_can_tell_is_denied() -> None:
    """The broker's clock has not been read, and the record comes from an unknown time."""
    one = OneAccount(read=False)
    _arrived(one, cancel("c", orderId=ORDER_ID), stamped_ms=one.now.wall_ms - 30_000)
    assert [(result.outcome, result.reason) for result in one.results()] == [("denied", "clock_unsure")]


def test_a_broker_that_was_set_back_is_noticed_by_the_first_command() -> None:
    """It comes with a stamp of twelve seconds ago, and was not there half a second ago."""
    one = OneAccount()
    _arrived(one, place("p"), stamped_ms=one.now.wall_ms - 12_000, absent_boot_s=one.now.boot_s - 0.5)
    assert [(result.outcome, result.reason) for result in one.results()] == [("denied", "clock_unsure")]
    assert one.alarms() == ["broker_clock_skew"]


def test_a_command_that_waited_at_the_broker_expires() -> None:
    """The brokers were out of reach for twelve seconds: nobody saw the topic without it since."""
    one = OneAccount()
    _arrived(one, place("p"), stamped_ms=one.now.wall_ms - 12_000, absent_boot_s=one.now.boot_s - 13)
    assert one.outcomes() == [(0, "expired")]
    assert one.alarms() == []


@pytest.mark.parametrize("broker_ahead_ms", [-12_000, 0, 12_000])
def test_old_commands_expire_after_a_long_outage_though_the_clocks_differ(broker_ahead_ms: int) -> None:
    """No reading of the broker's clock leaves them valid."""
    one = OneAccount(epoch=2, live=False)
    one.broker_ahead_ms = broker_ahead_ms
    one.read_clocks()
    for offset, body in enumerate((place("p"), cancel_all("k"), replace("r", orderId=ORDER_ID))):
        stamped_ms = one.now.wall_ms + broker_ahead_ms - 3_600_000
        record = CommandRecord(offset, stamped_ms, b"key", json.dumps(body).encode(), ())
        one.account.intake.offer(record, one.now, TakeoverStatus.READ)
    assert one.outcomes() == [(0, "expired"), (1, "expired"), (2, "expired")]


@pytest.mark.parametrize("step_ms", [-3_600_000, 3_700_000])
def test_a_wall_clock_that_is_wrong_for_a_moment_forgets_no_command(step_ms: int) -> None:
    """The same command sent again is answered, and no second order."""
    one = OneAccount()
    body = place("p", timeInForce="IOC")
    offset = one.offer(body)
    one.send()
    one.answer(offset, order_id=ORDER_ID, client_order_id="p")
    one.drain()
    right = one.now
    one.account.tick(Now(right.boot_s + 0.25, right.wall_ms + step_ms))
    one.now = Now(right.boot_s + 0.5, right.wall_ms + 500)
    one.account.tick(one.now)
    one.send()
    again = one.offer(body)
    one.send()
    assert [written.offset for written in one.written] == [offset]
    assert one.outcomes() == [(offset, "accepted"), (again, "accepted")]


def test_what_was_answered_is_forgotten_a_horizon_after_it_was_stamped() -> None:
    """By the clock that stamps, which a successor reads too."""
    one = OneAccount(epoch=2)
    one.broker_ahead_ms = 4000
    one.read_clocks()
    stamped_ms = one.now.wall_ms + 4000 - 3_000_000
    one.account.restore([(Result("p", 0, Outcome.ACCEPTED, 1, PLACE), stamped_ms)], one.now)
    one.wait(590)
    assert one.account._index.find_answered("p") is not None
    one.wait(20)
    assert one.account._index.find_answered("p") is None


@pytest.mark.parametrize("ahead_ms", [-60_000, -30_000, -5000, 0, 5000, 30_000, 60_000])
def test_a_successors_clock_frees_no_slot_early(ahead_ms: int) -> None:
    """The stamps of results are the broker's, and are compared with its clock; the bound is subtracted besides."""
    limits = {PLACE: 12, "replace_order": 1, "cancel_order": 1, "cancel_orders": 1}
    stamped_ms = START.wall_ms
    results = [(Result(f"c{n}", n, Outcome.ACCEPTED, 1, PLACE), stamped_ms) for n in range(12)]
    two = OneAccount(epoch=2, limits=limits)
    two.now = Now(START.boot_s + 1, START.wall_ms + 1000 + ahead_ms)
    two.broker_ahead_ms = -ahead_ms
    two.read_clocks()
    two.account.restore(results, two.now)
    two.wait(59.4)
    window = two.account._rate_limits[PLACE]
    assert sum(window.acquire(("n", n), two.now.boot_s) for n in range(12)) == 0
    two.wait(7)
    assert sum(window.acquire(("n", n), two.now.boot_s) for n in range(12)) == 12


def test_without_the_brokers_clock_every_slot_is_held_for_a_whole_window() -> None:
    """Nobody can tell how old a result is."""
    one = OneAccount(epoch=2, read=False, limits={PLACE: 1, "replace_order": 1, "cancel_order": 1, "cancel_orders": 1})
    one.account.restore([(Result("c", 0, Outcome.ACCEPTED, 1, PLACE), one.now.wall_ms - 59_000)], one.now)
    one.wait(60.4)
    assert not one.account._rate_limits[PLACE].acquire("p", one.now.boot_s)


def test_what_the_clocks_read_is_what_they_were_given() -> None:
    """The helper of these tests."""
    one = OneAccount(read=False)
    read_clocks(one.account, one.now, venue_ahead_ms=8000, broker_ahead_ms=-3000)
    assert one.account.clocks.venue.read_at(one.now.boot_s) == (one.now.wall_ms + 8000,) * 2
    assert one.account.clocks.broker.read_at(one.now.boot_s) == (one.now.wall_ms - 3000,) * 2
