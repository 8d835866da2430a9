"""How an account is at one moment, as the metrics and the status page show it."""

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE
from bridge.contract.results import Outcome
from bridge.contract.session import Alarm, Cause
from bridge.core.account_status import BudgetStatus, GapStatus
from bridge.core.records import PublishedResult
from tests.support.one_account import OneAccount, cancel, place, replace


def _budget(one: OneAccount, action: str) -> BudgetStatus:
    return next(budget for budget in one.account.read_status(one.now).budgets if budget.action == action)


def _terminal_results(one: OneAccount) -> list[PublishedResult]:
    answers = [record.answer for record in one.drain() if record.answer is not None]
    return [answer for answer in answers if answer.result.outcome is not Outcome.UNKNOWN]


def test_an_account_without_commands_has_all_of_its_budgets() -> None:
    """Nothing waits, nothing is in doubt, and the clocks are known."""
    status = OneAccount().account.read_status(OneAccount().now)
    assert (status.epoch, status.is_recovered, status.has_lease) == (1, True, True)
    assert [(one.action, one.limit - one.free, one.waiting) for one in status.budgets] == [
        (action, 0, 0) for action in (CANCEL_ALL, CANCEL, "replace_order", PLACE)
    ]
    assert (status.awaiting_ack, status.unknown, status.oldest_unknown_s, status.open_orders) == (0, 0, 0, 0)
    assert (status.oldest_waiting_s, status.oldest_awaiting_s) == (0, 0)
    assert (list(status.gaps), list(status.alarms)) == ([], [])
    assert status.venue_skew is not None
    assert status.broker_skew is not None


def test_a_clock_that_was_never_read_has_no_skew() -> None:
    """Without an answer of the venue or a broker nobody knows how far the clocks differ."""
    one = OneAccount(live=False, read=False)
    status = one.account.read_status(one.now)
    assert (status.venue_skew, status.broker_skew, status.is_recovered) == (None, None, False)


def test_what_waits_is_in_flight_or_in_doubt_is_counted() -> None:
    """A place waits, is written, and stays in doubt for as long as nothing tells what became of it."""
    one = OneAccount(place_per_window=10, cancel_per_window=20)
    full = _budget(one, PLACE)
    one.offer(place("p1"))
    assert _budget(one, PLACE) == BudgetStatus(PLACE, full.limit, full.usable, full.free, 1)
    one.send()
    assert _budget(one, PLACE) == BudgetStatus(PLACE, full.limit, full.usable, full.free - 1, 0)
    assert one.account.read_status(one.now).awaiting_ack == 1
    one.offer(cancel("c1", clientOrderId="x"))
    free = _budget(one, CANCEL).free
    one.send()
    assert _budget(one, CANCEL).free == free - 1
    one.lose_session()
    one.wait(3)
    status = one.account.read_status(one.now)
    assert (status.awaiting_ack, status.unknown, status.oldest_unknown_s) == (0, 2, 3)
    assert status.remembered_commands == 2


def test_the_oldest_command_that_waits_and_the_oldest_in_flight_have_an_age() -> None:
    """What waits is as old as its reading, what is in flight as its write."""
    one = OneAccount()
    one.offer(place("p1", clientOrderId="x"))
    one.wait(2)
    one.send()
    one.offer(replace("r1", clientOrderId="x"))
    one.wait(3)
    one.offer(replace("r2", clientOrderId="x"))
    one.wait(1)
    status = one.account.read_status(one.now)
    assert (status.oldest_waiting_s, status.awaiting_ack, status.oldest_awaiting_s) == (4, 1, 4)


def test_a_halved_budget_shows_what_may_be_used_and_what_is_free_is_never_below_zero() -> None:
    """After a refusal for the rate more slots may be held than may be used."""
    one = OneAccount(place_per_window=10)
    for number in range(8):
        one.offer(place(f"p{number}"))
    one.send()
    one.account._rate_limits[PLACE].halve_limit(one.now.boot_s)
    budget = _budget(one, PLACE)
    assert (budget.limit, budget.usable, budget.free) == (10, 5, 0)


def test_open_gaps_and_alarms_are_listed() -> None:
    """A lost session has a gap without an end; an alarm lasts until it is cleared."""
    one = OneAccount()
    one.lose_session()
    one.account.raise_alarm(Alarm.TOPIC_LOST, "gone", one.now, "ltp.main.orders")
    status = one.account.read_status(one.now)
    assert list(status.gaps) == [GapStatus("1-1", Cause.LINK_FAILED, one.now.wall_ms, 0, 0)]
    assert [(alarm.alarm, alarm.subject) for alarm in status.alarms] == [(Alarm.TOPIC_LOST, "ltp.main.orders")]


def test_a_place_has_every_stage() -> None:
    """Its stages add up to the time from its append to its result."""
    one = OneAccount()
    offset = one.offer(place("p1"))
    one.wait(0.1)
    one.hand_over()
    one.wait(0.2)
    one.stored()
    one.wait(0.4)
    one.answer(offset)
    stages = _terminal_results(one)[0].stages_s
    assert {name: round(seconds, 3) for name, seconds in stages.items()} == {
        "read": 0,
        "claim": 0.3,
        "write": 0,
        "answer": 0.4,
        "total": 0.7,
    }


def test_a_cancel_has_no_claim_and_a_denied_command_only_its_reading() -> None:
    """What a command has not gone through has no time."""
    one = OneAccount()
    offset = one.offer(cancel("c1", clientOrderId="x"))
    one.send()
    one.answer(offset)
    one.offer(place("p1") | {"validUntil": one.now.wall_ms - 1})
    cancelled, denied = _terminal_results(one)
    assert set(cancelled.stages_s) == {"read", "write", "answer", "total"}
    assert set(denied.stages_s) == {"read", "total"}
