"""The wall clock is wrong for a while, as by a time server that errs: no decision waits for it or is misled."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridge.contract.session import Cause, Lost
from bridge.contract.topics import Stream
from bridge.core.stream.gaps import Gap
from bridge.core.stream.sweep import ARCHIVE_REACH_MS, SweepOutcome
from tests.support.one_recovery import LOGIN_MS, OneRecovery, asset, order, position, trade

HOURS_MS = 3 * 3_600_000
WRONG = pytest.mark.parametrize("wrong_ms", [-HOURS_MS, HOURS_MS])


@contextmanager
def clock_wrong(one: OneRecovery, ms: int) -> Iterator[None]:
    """Let the wall clock be wrong by so much."""
    one.set_clock(ms)
    yield
    one.set_clock(-ms)


@WRONG
def test_states_are_published_again_in_time(wrong_ms: int) -> None:
    """What was pushed while the clock was wrong, before and after it: each within its horizon, and none early."""
    one = OneRecovery().healthy()
    one.push(Stream.ASSETS, asset(LOGIN_MS, coin="BEFORE"))
    with clock_wrong(one, wrong_ms):
        one.push(Stream.ASSETS, asset(LOGIN_MS, coin="WITHIN"))
    one.push(Stream.ASSETS, asset(LOGIN_MS, coin="AFTER"))
    again: dict[bytes, int] = {}
    for minute in range(1, 60):
        one.wait(60)
        again |= {record.key: minute for record in one.tick() if record.stream is Stream.ASSETS}
    assert again == {b"OKX:BEFORE": 48, b"OKX:WITHIN": 48, b"OKX:AFTER": 48}


def test_a_state_that_an_owner_with_a_clock_ahead_published_is_published_again_in_time() -> None:
    """As if it had been published when this owner began."""
    one = OneRecovery()
    one.remember(Stream.ASSETS, asset(LOGIN_MS), published_ms=LOGIN_MS + HOURS_MS)
    one.healthy()
    one.wait(2900)
    assert [record.key for record in one.tick() if record.stream is Stream.ASSETS] == [b"OKX:USDT"]


@WRONG
def test_audits_find_what_was_missed(wrong_ms: int) -> None:
    """One that began while the clock was wrong leaves no time of which nothing is asked."""
    one = OneRecovery().healthy()
    one.wait(60)
    with clock_wrong(one, wrong_ms):
        assert one.sweep() is SweepOutcome.NOTHING
    muted = trade(one.venue_ms + 1000, "muted")
    one.wait(60)
    assert [one.sweep(trades=[muted]) for _ in range(2)] == [SweepOutcome.NOTHING, SweepOutcome.MISSED]
    assert one.recovery.audits.audited_ms(one.now) < one.now.wall_ms
    (gap,) = one.events("gap.opened")[1:]
    assert one.now.wall_ms - 200_000 < gap["fromMs"] < one.venue_ms - 60_000


@WRONG
def test_a_gap_that_began_while_the_clock_was_wrong_is_recovered(wrong_ms: int) -> None:
    """It is asked about from its true begin on, and no commit says a time to come; its end tells true times."""
    one = OneRecovery().healthy()
    one.wait(60)
    with clock_wrong(one, wrong_ms):
        one.lose()
    began_ms = one.now.wall_ms
    one.wait(600)
    assert one.account.stream.durable_until_ms(one.now.wall_ms, one.now) == began_ms
    one.log_in()
    one.sweep(trades=[trade(began_ms + 5000)])
    one.close()
    closed = one.events("gap.closed")[-1]
    assert (closed["fromMs"], closed["toMs"], closed["recovered"]["trades"]) == (began_ms, began_ms + 600_000, 1)


@WRONG
def test_a_login_while_the_clock_was_wrong_hides_nothing_of_the_next_gap(wrong_ms: int) -> None:
    """What a sweep has read is not asked for again; what it has not read is."""
    one = OneRecovery().begin()
    with clock_wrong(one, wrong_ms):
        one.log_in()
        one.close()
    one.wait(60)
    one.lose()
    began_ms = one.now.wall_ms
    one.wait(60)
    one.log_in()
    one.sweep(trades=[trade(began_ms + 5000)])
    assert len(one.records(Stream.TRADES)) == 1
    one.close()
    closed = one.events("gap.closed")[-1]
    assert (closed["fromMs"], closed["toMs"]) == (began_ms, began_ms + 60_000)


@WRONG
def test_a_first_start_while_the_clock_was_wrong_listens_from_then_on(wrong_ms: int) -> None:
    """Later trades are published, and earlier ones are not."""
    one = OneRecovery(ended_ms=0)
    started_ms = one.now.wall_ms
    with clock_wrong(one, wrong_ms):
        one.begin()
    one.wait(30)
    one.lose()
    one.wait(10)
    one.log_in()
    one.sweep(trades=[trade(started_ms - 5000, "before"), trade(started_ms + 35_000, "after")])
    assert [record.event_id for record in one.records(Stream.TRADES)] == ["trade:OKX:OKX_PERP_ETH_USDT:17:after"]


@WRONG
def test_an_end_that_was_not_pushed_is_missed_after_as_long_as_rest_may_lag(wrong_ms: int) -> None:
    """Neither at once nor hours later."""
    one = OneRecovery()
    one.remember(Stream.POSITIONS, position(LOGIN_MS - 600_000))
    one.healthy()
    one.wait(60)
    outcomes = [one.sweep(positions=[])]
    one.set_clock(wrong_ms)
    for _ in range(4):
        one.wait(10)
        outcomes.append(one.sweep(positions=[]))
    assert outcomes == [SweepOutcome.NOTHING] * 3 + [SweepOutcome.MISSED, SweepOutcome.NOTHING]


@WRONG
def test_a_position_that_is_no_more_gets_its_tombstone(wrong_ms: int) -> None:
    """It was pushed while the clock was wrong, and its end fell into a gap."""
    one = OneRecovery().healthy()
    with clock_wrong(one, wrong_ms):
        one.push(Stream.POSITIONS, position(one.venue_ms))
    one.wait(60)
    one.lose()
    one.wait(40)
    one.log_in()
    for _ in range(2):
        one.sweep(positions=[])
    assert one.last(Stream.POSITIONS) == {"OKX_PERP_ETH_USDT:NONE": None}


@WRONG
def test_a_push_without_time_is_behind_no_row_of_before_the_login(wrong_ms: int) -> None:
    """It came after the login, whatever the wall clock said at either."""
    one = OneRecovery()
    with clock_wrong(one, wrong_ms):
        one.begin()
    one.wait(0.5)
    pushed = {key: value for key, value in position(0, "5").items() if key != "updateAt"}
    one.push(Stream.POSITIONS, pushed)
    one.sweep(positions=[{key: value for key, value in position(0, "3").items() if key != "updateAt"}])
    last = one.last(Stream.POSITIONS)["OKX_PERP_ETH_USDT:NONE"]
    assert last is not None
    assert last["positionQty"] == "5"


def test_the_first_owners_gap_shows_its_successor_when_the_first_start_was() -> None:
    """It died before the gap closed: trades from before the first start are still left out."""
    first_ms = LOGIN_MS - 20_000
    one = OneRecovery(ended_ms=first_ms)
    one.account.stream.inherit_gaps([Gap("1-1", first_ms, Cause.FIRST_START)])
    one.begin().sweep(
        trades=[trade(first_ms - 100_000, "before"), trade(first_ms + 1, "after")],
        orders=[order(first_ms - 100_000, "FILLED", "1")],
    )
    one.close()
    assert [record.event_id for record in one.records(Stream.TRADES)] == ["trade:OKX:OKX_PERP_ETH_USDT:17:after"]
    assert one.records(Stream.ORDERS) == []
    assert {gap["fromMs"] for gap in one.events("gap.closed")} == {first_ms}


@pytest.mark.parametrize(("older_ms", "is_lost"), [(1, True), (-40_000, False)])
def test_what_is_asked_for_nowhere_is_lost(older_ms: int, *, is_lost: bool) -> None:
    """One value says how far back is asked, and of which executions a gap says that they are gone."""
    one = OneRecovery(ended_ms=LOGIN_MS - ARCHIVE_REACH_MS - older_ms).healthy()
    (closed,) = one.events("gap.closed")
    assert (Lost.OLD_TRADES.value in closed["lost"]) == is_lost
