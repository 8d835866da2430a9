"""An account's life: standby, takeover, terms that end and begin again, and when it is given up."""

import asyncio
from math import inf

import msgspec
import pytest

from bridge.account_parts import clock
from bridge.contract.session import Cause
from bridge.core.commands.claims import CommitMetadata, Origin, decode, encode
from bridge.core.records import Committed
from bridge.errors import KafkaTrouble, LoginRefused, OffsetLost, TermEnded
from bridge.flow.supervisor import AccountPhase
from tests.support.one_account import place
from tests.support.outside import Outside
from tests.witness.waiting import until


async def test_a_standby_is_ready_and_stops_at_once() -> None:
    """While another process owns the account this one is a ready standby, opens no session, and leaves when told."""
    outside = Outside()
    outside.group.given.clear()
    async with outside.running(ready=False):
        await until(lambda: outside.flow.ready)
        assert outside.flow.phase is AccountPhase.STANDBY
    assert outside.venue.sessions == []
    assert outside.group.left == 1


async def test_a_stop_before_there_is_a_broker() -> None:
    """An account that waits for a broker is not ready, and stops without having joined."""
    outside = Outside()
    outside.started.clear()
    async with outside.running(ready=False):
        await asyncio.sleep(0)
        assert not outside.flow.ready
        assert outside.flow.phase is AccountPhase.JOINING
    assert outside.members == []


async def test_a_stop_in_the_middle_of_a_takeover() -> None:
    """A takeover that gets no further, because the brokers went away, does not hold up the stop."""
    outside = Outside()
    outside.topics.hold = True
    async with outside.running(ready=False):
        await until(lambda: outside.flow.phase is AccountPhase.TAKING_OVER)
    assert outside.venue.sessions == []
    assert outside.group.left == 1


async def test_the_next_term_goes_on_with_the_next_epoch() -> None:
    """After the partition was lost the account joins anew, takes over with a higher epoch, and trades."""
    outside = Outside()
    async with outside.running():
        outside.group.write(place("p1"))
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"])
        first = outside.member
        outside.group.trouble = TermEnded("given to another member")
        await until(lambda: outside.flow.phase is AccountPhase.JOINING)
        assert not outside.flow.ready
        await until(lambda: len(outside.members) > 1)
        assert outside.flow.detail == "given to another member"
        outside.group.trouble = None
        await until(lambda: outside.trading)
        assert outside.flow.detail == ""
        outside.group.write(place("p2"))
        await until(lambda: outside.topics.outcomes("p2") == ["accepted"])
    assert (first.epoch, outside.member.epoch) == (1, 2)
    assert len(outside.venue.actions("place_order")) == 2
    assert [event["epoch"] for event in outside.topics.session_events("owner.acquired")] == [1, 2]


async def test_a_late_acknowledgement_of_an_older_term_changes_nothing() -> None:
    """A result of the last term that becomes durable late is found by the next one, and its command is not repeated."""
    outside = Outside()
    async with outside.running():
        outside.topics.hold = True
        outside.group.write(place("p1"))
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"])
        outside.group.trouble = TermEnded("given to another member")
        await until(lambda: not outside.flow.ready)
        outside.group.trouble = None
        outside.topics.release()
        await until(lambda: outside.trading)
        await until(lambda: outside.group.commits[-1] == 1)
    assert outside.topics.outcomes("p1") == ["accepted"]
    assert len(outside.venue.actions("place_order")) == 1


async def test_a_refused_key_stops_the_account_until_its_file_changes() -> None:
    """A key that is refused for good raises an alarm, and the group is left; another key begins anew."""
    outside = Outside()
    outside.venue.refusal = LoginRefused(60009, "bad key")
    async with outside.running(ready=False):
        await until(lambda: outside.flow.phase is AccountPhase.STOPPED)
        assert "60009" in outside.flow.detail
        assert not outside.flow.ready
        assert [alarm["alarm"] for alarm in outside.topics.session_events("alarm.raised")] == ["login_stopped"]
        assert len(outside.topics.session_events("owner.released")) == 1
        assert (len(outside.members), outside.group.left) == (1, 1)
        outside.venue.refusal = None
        outside.new_key.set()
        await until(lambda: outside.trading)
    assert [event["epoch"] for event in outside.topics.session_events("owner.acquired")] == [1, 2]


async def test_a_refused_login_is_an_alarm_at_once_and_ends_with_the_next_that_is_taken() -> None:
    """However often it is refused in between."""
    outside = Outside()
    async with outside.running():
        session = outside.venue.session
        for _ in range(3):
            session.listener.attempt_failed("here", Cause.LOGIN_REFUSED, "60009 no", clock())
        (raised,) = outside.topics.session_events("alarm.raised")
        assert (raised["alarm"], raised["detail"]) == ("login_refused", "here: 60009 no")
        session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: outside.topics.session_events("alarm.cleared"))
    (cleared,) = outside.topics.session_events("alarm.cleared")
    assert (cleared["alarm"], cleared["since"]) == ("login_refused", raised["at"])


async def test_a_refused_key_stops_the_account_although_kafka_is_in_trouble_too() -> None:
    """The last commit of an account that is given up may fail; the account stays given up."""
    outside = Outside()
    async with outside.running():
        outside.venue.refusal = LoginRefused(60009, "bad key")
        outside.group.slow_s = 30
        outside.venue.session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: outside.flow.phase is AccountPhase.STOPPED, 20)


async def test_a_mistake_of_ours_ends_the_term_and_no_more() -> None:
    """An unforeseen error ends the term; the account begins anew, and its state says why."""
    outside = Outside()
    async with outside.running():
        outside.venue.refusal = ZeroDivisionError()
        outside.venue.session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: "ZeroDivisionError" in outside.flow.detail)
        outside.venue.refusal = None
        await until(lambda: outside.trading)
    assert len(outside.members) > 1


@pytest.mark.parametrize(
    ("trouble", "cause", "detail"),
    [
        (TermEnded("given to another member"), "ownership_lost", "given to another member"),
        (ZeroDivisionError(), "bridge_failed", "a mistake: ZeroDivisionError"),
        (
            OffsetLost("commands", 3, 7, 9),
            "stopped",
            "the account is given up: commands does not hold the next offset 3",
        ),
    ],
)
async def test_the_end_of_a_session_is_published_with_its_true_cause(
    trouble: Exception, cause: str, detail: str
) -> None:
    """What ended the term ended the session too, and its readers want to know why."""
    outside = Outside()
    async with outside.running():
        outside.group.trouble = trouble  # type: ignore[assignment] # any error may come out of a library
        await until(lambda: outside.topics.session_events("session.lost"))
        outside.group.trouble = None
    lost = outside.topics.session_events("session.lost")[0]
    assert (lost["cause"], lost["detail"][: len(detail)]) == (cause, detail)


async def test_a_group_that_refuses_us_is_tried_again() -> None:
    """Trouble that an operator may mend is no reason to give up, and the reason can be read meanwhile."""
    outside = Outside()
    outside.group.trouble = KafkaTrouble("the group is refused; grant it Read")
    async with outside.running(ready=False):
        await until(lambda: len(outside.members) == 3)
        assert "grant it Read" in outside.flow.detail
        outside.group.trouble = None
        await until(lambda: outside.trading)


async def test_commands_lost_to_retention_stop_the_account() -> None:
    """When the topic no longer holds what comes next, the account stops and says so: only a person can decide."""
    outside = Outside()
    outside.group.begin, outside.group.committed = 7, Committed(3, encode(CommitMetadata(4, 0, ()), 3))
    outside.group.write(place("p1"))
    async with outside.running(ready=False) as running:
        await asyncio.wait_for(asyncio.shield(running), 5)
        assert outside.flow.phase is AccountPhase.STOPPED
        assert "offset 3" in outside.flow.detail
    assert [alarm["alarm"] for alarm in outside.topics.session_events("alarm.raised")] == ["offset_lost"]
    assert outside.venue.sessions == []


async def test_commands_lost_while_running_stop_the_account() -> None:
    """The same when it shows only while the account runs: after an alarm, and with what was written settled."""
    outside = Outside()
    async with outside.running() as running:
        outside.group.begin = 9
        outside.group.write(place("p1"))
        await asyncio.wait_for(asyncio.shield(running), 5)
        assert outside.flow.phase is AccountPhase.STOPPED
    assert [alarm["alarm"] for alarm in outside.topics.session_events("alarm.raised")] == ["offset_lost"]


async def test_a_good_end_leaves_everything_committed() -> None:
    """After a stop the commit stands behind the last answer, nothing is claimed, and every gap is in the commit."""
    outside = Outside()
    async with outside.running():
        outside.group.write(place("p1"), place("p2"))
        await until(lambda: outside.topics.outcomes("p2") == ["accepted"])
    stored = decode(outside.group.committed.metadata, outside.group.committed.offset or 0)
    first, gap = outside.topics.session_events("gap.opened")
    origin = Origin("sandbox", "key-1", "topic-1")
    wanted = CommitMetadata(1, first["fromMs"], (), released=True, read_to=2, origin=origin)
    assert (outside.group.committed.offset, stored) == (2, wanted)
    assert (first["cause"], gap["cause"]) == ("first_start", "stopped")
    assert [event["epoch"] for event in outside.topics.session_events("owner.released")] == [1]


async def test_only_after_a_good_end_the_next_owner_logs_in_at_once() -> None:
    """One that was put out may have logged in a moment ago; the venue takes one login a second."""
    outside = Outside()
    for _ in range(2):
        async with outside.running():
            pass
    async with outside.running():
        outside.group.give_away()
        await until(lambda: outside.group.left == 3)
        outside.group.trouble = None
        await until(lambda: len(outside.venue.sessions) == 4)
    assert [at == -inf for at in outside.venue.other_logins] == [True, True, True, False]


async def test_a_record_that_is_too_large_raises_an_alarm() -> None:
    """A record that no topic takes raises an alarm with its name, its size, and not all of an endless key."""
    outside = Outside()
    async with outside.running():
        record = outside.topics.said()[0]
        large = msgspec.structs.replace(record, event_id=None, key=b"k" * 1000, value=b"v" * 1_000_001)
        outside.flow.record_too_large(large)
        await until(lambda: outside.topics.session_events("alarm.raised"))
    (alarm,) = outside.topics.session_events("alarm.raised")
    assert alarm["alarm"] == "record_too_large"
    assert "1000001 bytes" in alarm["detail"]
    assert len(alarm["detail"]) < 400
    outside.flow.record_too_large(record)
