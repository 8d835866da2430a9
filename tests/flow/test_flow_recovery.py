"""The sweeps of one term: what the venue refuses to tell, and what that holds up."""

import msgspec
import pytest

from bridge.account_parts import clock
from bridge.contract.pushes import OrderPush
from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from bridge.core.records import Push
from bridge.errors import RowNotUnderstood, VenueRefused, VenueUnreachable
from tests.support.one_account import order_push, place, trade_push
from tests.support.outside import Outside, order_row
from tests.witness.waiting import until

HOUR_MS = 3_600_000
REFUSED = VenueRefused(2003, "the key may not", "use another")


async def test_a_sweep_that_is_refused_raises_one_alarm() -> None:
    """However often it is tried again; places wait, and go when the venue tells at last."""
    outside = Outside()
    outside.venue.rest_trouble = REFUSED
    async with outside.running(ready=False):
        await until(lambda: outside.venue.swept == 2)
        assert not outside.trading
        outside.venue.rest_trouble = None
        await until(lambda: outside.trading)
    (raised,) = outside.topics.session_events("alarm.raised")
    (cleared,) = outside.topics.session_events("alarm.cleared")
    assert (raised["alarm"], cleared["alarm"]) == ("recovery_stalled", "recovery_stalled")
    assert cleared["since"] == raised["at"]


async def test_a_sweep_that_fails_by_our_mistake_ends_no_term() -> None:
    """An alarm is raised at once; the sweep is made again, and the next one that succeeds lets places go."""
    outside = Outside()
    outside.venue.rest_trouble = OverflowError("a date of the venue's")
    async with outside.running(ready=False):
        await until(lambda: outside.venue.swept == 2)
        assert not outside.trading
        # On a slow machine a commit may be late too; that is another thing that is missing.
        missing = {one.what: one.detail for one in outside.flow.find_missing()}
        assert missing["sweep"] == "a mistake in the bridge: OverflowError"
        outside.venue.rest_trouble = None
        await until(lambda: outside.trading)
    assert len(outside.members) == 1
    (raised,) = outside.topics.session_events("alarm.raised")
    (cleared,) = outside.topics.session_events("alarm.cleared")
    assert (raised["alarm"], cleared["alarm"]) == ("recovery_stalled", "recovery_stalled")


async def test_risks_that_are_refused_hold_nothing_up() -> None:
    """A key of another level may trade, and not ask for them."""
    outside = Outside()
    outside.venue.risks_trouble = REFUSED
    async with outside.running():
        pass
    assert outside.topics.session_events("alarm.raised") == []


async def test_an_order_that_the_venue_refuses_to_speak_of_holds_no_other_up() -> None:
    """It was live, and the list of open orders lacks it; the gap names that something could not be read."""
    outside = Outside(rest_lag_s=0.2)
    async with outside.running():
        row = msgspec.json.encode(order_push("mine"))
        outside.venue.session.receive(Push("Orders", row, row))
        outside.venue.order_trouble = REFUSED
        outside.venue.session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: len(outside.topics.session_events("gap.closed")) == 2)
    assert "unreadable_rows" in outside.topics.session_events("gap.closed")[-1]["lost"]


async def test_a_row_that_cannot_be_read_holds_no_sweep_up() -> None:
    """Places go, the gap closes and says so; only a whole list proves that something is over."""
    outside = Outside(rest_lag_s=0.2)
    outside.venue.open, outside.venue.unreadable = [order_row(msgspec.convert(order_push("mine"), OrderPush))], 1
    outside.venue.order_trouble = RowNotUnderstood("it is no order")
    async with outside.running():
        await outside.closed(1)
    (closed,) = outside.topics.session_events("gap.closed")
    assert "unreadable_rows" in closed["lost"]


async def test_an_order_whose_push_is_overdue_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What REST tells of it is on `orders`; a venue that does not answer is not asked again."""
    monkeypatch.setattr("bridge.core.stream.overdue_pushes._OVERDUE_MS", 0)
    monkeypatch.setattr("bridge.flow.recovery_sweeps._OVERDUE_PERIOD_S", 0.02)
    outside = Outside(rest_lag_s=0.1, audit_period_s=60)
    async with outside.running():
        await outside.closed(1)
        outside.venue.order_trouble = VenueUnreachable("away")
        outside.group.write(place("p1"))
        await until(lambda: "91" in outside.venue.asked)
        outside.venue.order_trouble = None
        outside.venue.orders["92"] = order_row(msgspec.convert(order_push("mine", orderId="92"), OrderPush))
        outside.group.write(place("p2"))
        await until(lambda: any(record.stream is Stream.ORDERS for record in outside.topics.said()))
    assert outside.venue.asked.count("91") == outside.venue.asked.count("92") == 1


async def test_executions_that_an_order_lacks_are_asked_for_and_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once REST must know them, and in a gap; the session goes on. A venue that does not answer is asked again."""
    monkeypatch.setattr("bridge.flow.recovery_sweeps._OVERDUE_PERIOD_S", 0.02)
    outside = Outside(rest_lag_s=0.1, audit_period_s=60)
    async with outside.running():
        await outside.closed(1)
        outside.venue.order_trouble = VenueUnreachable("away")
        now_ms = str(clock().wall_ms + 1000)
        ended = order_push("theirs", orderId="92", orderState="FILLED", executedQty="0.5", createAt=now_ms)
        row = msgspec.json.encode(ended)
        outside.venue.session.receive(Push("Orders", row, row))
        await until(lambda: "executions of 92" in outside.venue.asked)
        outside.venue.trades = [trade_push("theirs", orderId="92")]
        outside.venue.order_trouble = None
        await until(lambda: any(record.stream is Stream.TRADES for record in outside.topics.said()))
        await outside.closed(2)
    (fill,) = [record for record in outside.topics.said() if record.stream is Stream.TRADES]
    assert (fill.key, fill.recovered) == (b"92", True)
    gap = outside.topics.session_events("gap.closed")[-1]
    assert (gap["cause"], gap["recovered"]["trades"]) == ("pushes_missed", 1)
    assert [lost["cause"] for lost in outside.topics.session_events("session.lost")] == ["stopped"]


async def test_a_list_that_is_too_long_is_asked_for_in_parts() -> None:
    """A day may hold more executions than one reading takes."""
    outside = Outside()
    outside.executions_since_ms = clock().wall_ms - 5 * HOUR_MS
    outside.venue.longest_ms = HOUR_MS
    async with outside.running():
        pass
    asked = outside.venue.asked_between
    assert len([begin_ms for begin_ms, end_ms in asked if end_ms - begin_ms <= HOUR_MS]) >= 5
    assert outside.topics.session_events("alarm.raised") == []


async def test_a_venue_that_does_not_answer_for_minutes_is_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, however often it is asked."""
    monkeypatch.setattr("bridge.core.stream.sweep_failures._STALLED_S", 0.5)
    outside = Outside()
    outside.venue.rest_trouble = VenueUnreachable("HTTP 503")
    async with outside.running(ready=False):
        await until(lambda: outside.venue.swept == 3)
    assert [event["alarm"] for event in outside.topics.session_events("alarm.raised")] == ["recovery_stalled"]


async def test_gaps_do_not_close_for_a_session_that_ends_while_the_risks_are_asked_for() -> None:
    """The one that is opened by its end stays open, until a sweep of the next session has brought nothing."""
    outside = Outside(rest_lag_s=0.01)
    outside.venue.during_risks = lambda: outside.venue.session.drop(Cause.LINK_FAILED, "cut")
    async with outside.running(ready=False):
        await until(lambda: len(outside.topics.session_events("gap.closed")) == 2)
    opened = [event["at"] for event in outside.topics.session_events("session.opened")]
    assert all(gap["at"] >= opened[1] for gap in outside.topics.session_events("gap.closed"))


async def test_a_venue_that_contradicts_itself_ends_only_so_many_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What REST tells and is not pushed comes back every time, and after three new sessions without another one.

    The alarm that says so ends when the two have agreed for the time in which only so many sessions are ended.
    """
    outside = Outside(rest_lag_s=0.06, audit_period_s=0.02)
    async with outside.running():
        for times in range(1, 5):
            await outside.closed(times)
            at_ms = clock().wall_ms - 20
            outside.venue.trades.append(trade_push("theirs", transactionId=str(times), createAt=str(at_ms)))
        await outside.closed(5)
        assert outside.topics.session_events("alarm.cleared") == []
        monkeypatch.setattr("bridge.core.stream.session_renewals._RENEWALS_S", 0.0)
        await until(lambda: outside.topics.session_events("alarm.cleared"))
        causes = [gap["cause"] for gap in outside.topics.session_events("gap.closed")]
    assert causes == ["first_start", *["pushes_missed"] * 4]
    assert len(outside.topics.session_events("session.opened")) == 4
    assert [event["alarm"] for event in outside.topics.session_events("alarm.raised")] == ["audit_disagrees"]
