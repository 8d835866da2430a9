"""Taking over: what the commit, `results` and `dead-letters` say, and what is made of it."""

import msgspec
import pytest

from bridge.account_parts import clock
from bridge.contract import headers as names
from bridge.contract.results import Outcome, Result
from bridge.contract.topics import Stream
from bridge.core.commands.claims import CommitMetadata, decode, encode
from bridge.core.records import CommandRecord, Committed, OutgoingRecord
from bridge.core.replay import ReplayedResults
from bridge.errors import ForeignMember
from tests.support.one_account import place
from tests.support.outside import Outside, Tail
from tests.witness.waiting import until

RESULT = Result(command_id="a", command_offset=3, outcome=Outcome.ACCEPTED, answered_at=1, action="place_order")


def tail(result: Result | bytes | None, *, epoch: bytes | None = b"1", kind: bytes | None = None) -> Tail:
    """Return a record of `results`."""
    value = msgspec.json.encode(result) if isinstance(result, Result) else result
    headers = [(names.TYPE, kind or names.EVENT_TYPES[Stream.RESULTS])]
    return Tail(7, value, [*headers, (names.EPOCH, epoch)] if epoch is not None else headers)


def test_what_counts_as_an_answer() -> None:
    """Void, foreign, empty and unreadable records are no answers; an `unknown` is remembered but ends nothing."""
    doubt = msgspec.structs.replace(RESULT, command_offset=4, outcome=Outcome.UNKNOWN)
    records = [
        tail(RESULT),
        tail(doubt),
        tail(b"{}", kind=names.TAKEOVER_TYPE, epoch=b"2"),
        tail(msgspec.structs.replace(RESULT, command_offset=5)),
        tail(RESULT, epoch=None),
        tail(None, epoch=b"3"),
        tail(b"not JSON", epoch=b"2"),
    ]
    letter = Tail(7, b"?", [(names.ERROR_OFFSET, b"9")])
    answered = ReplayedResults()
    found = [*answered.read_results(records[:3]), *answered.read_results(records[3:])]
    answered.read_dead_letters([letter])
    assert found == [(RESULT, 7), (doubt, 7)]
    asked = [CommandRecord(offset, 7, b"", b'{"commandId": "a"}', ()) for offset in range(9)]
    assert [3] == [record.offset for record in asked if answered.has_answer(record)]
    assert answered.has_answer(CommandRecord(9, 7, b"", b"?", ()))
    assert (answered.count, answered.epoch, answered.complete_since_ms(1)) == (2, 3, 0)


async def test_the_first_start_of_all() -> None:
    """A group that never committed begins at the oldest command with epoch 1 and no alarm; its gap begins now."""
    outside = Outside()
    outside.group.begin = 5
    outside.group.write(place("p5"))
    async with outside.running():
        await until(lambda: outside.topics.outcomes("p5") == ["accepted"])
    assert [gap["cause"] for gap in outside.topics.session_events("gap.opened")] == ["first_start", "stopped"]
    assert outside.topics.session_events("alarm.raised") == []
    assert outside.member.epoch == 1


async def test_a_dead_letter_is_answered() -> None:
    """A bad record that was dead-lettered before a crash gets no second dead letter from the next owner."""
    outside = Outside()
    outside.group.write(b"buy low")
    async with outside.running():
        await until(lambda: outside.group.committed.offset == 1)
    outside.group.committed = Committed(0, encode(CommitMetadata(1, 0, ()), 0))
    async with outside.running():
        await until(lambda: outside.group.committed.offset == 1)
    assert len([one for one in outside.topics.said() if one.stream is Stream.DEAD_LETTERS]) == 1


async def test_a_claimed_command_is_asked_about_and_not_sent() -> None:
    """What a predecessor claimed and left without a result is `unknown`; what it did not claim is sent."""
    outside = Outside()
    outside.group.write(place("p0"), place("p1"))
    outside.group.committed = Committed(0, encode(CommitMetadata(6, 0, (0,)), 0))
    async with outside.running():
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"])
    assert outside.topics.outcomes("p0") == ["unknown"]
    assert "p0" in outside.venue.asked
    assert len(outside.venue.actions("place_order")) == 1
    stored = decode(outside.group.committed.metadata, 0)
    assert stored is not None
    assert (stored.epoch, stored.claimed) == (7, (0,))


async def test_offsets_reset_by_a_tool() -> None:
    """Without our metadata every command in the log counts as claimed, an alarm says so, and new ones trade.

    The epoch goes on from the clock: a term that has not announced itself yet may have the next number already.
    """
    outside = Outside()
    outside.group.write(place("p0"))
    async with outside.running():
        await until(lambda: outside.topics.outcomes("p0") == ["accepted"])
    outside.group.write(place("p1"))
    outside.group.committed = Committed(0, "")
    began_s = clock().wall_ms // 1000
    async with outside.running():
        outside.group.write(place("p2"))
        await until(lambda: outside.topics.outcomes("p2") == ["accepted"])
    assert outside.topics.outcomes("p0") == ["accepted"]
    assert outside.topics.outcomes("p1") == ["unknown"]
    assert outside.member.epoch >= began_s
    assert [alarm["alarm"] for alarm in outside.topics.session_events("alarm.raised")] == ["claims_unreadable"]


@pytest.mark.parametrize("trimmed", [True, False])
async def test_commands_older_than_what_results_still_hold_are_passed_over(*, trimmed: bool) -> None:
    """Where claims were lost, and retention has removed results, an older command may have been answered."""
    outside = Outside()
    outside.topics.first_offset = 1000 * trimmed
    outside.group.write(place("p0"))
    late = msgspec.structs.replace(RESULT, command_id="p9", command_offset=9)
    outside.topics.begin_epoch(1)
    outside.topics.publish(OutgoingRecord(Stream.RESULTS, b"p9", msgspec.json.encode(late), clock().wall_ms))
    outside.topics.release()
    outside.group.log[0] = msgspec.structs.replace(outside.group.log[0], timestamp_ms=5)
    words = [] if trimmed else ["unknown", "not_found"]
    async with outside.running():
        await until(lambda: outside.topics.outcomes("p0") == words)
    (alarm,) = outside.topics.session_events("alarm.raised")
    assert f"{trimmed:d} commands were passed over" in alarm["detail"]
    assert outside.group.committed.offset == 1
    assert outside.member.epoch > 4


async def test_a_takeover_that_cannot_be_recorded_is_made_again() -> None:
    """Without a durable takeover record nothing is sent; the next attempt has another epoch and succeeds."""
    outside = Outside()
    outside.topics.hold = True
    async with outside.running(ready=False):
        await until(lambda: "durable in time" in outside.flow.detail)
        assert outside.venue.sessions == []
        outside.topics.release()
        await until(lambda: outside.trading)
    assert outside.member.epoch == 2


async def test_a_takeover_that_reads_for_long_stays_a_member() -> None:
    """It polls meanwhile: the group puts out a member that does not."""
    outside = Outside()
    outside.topics.unread.clear()
    async with outside.running(ready=False):
        await until(lambda: outside.members and outside.member.polls > 3)
        assert outside.venue.sessions == []
        outside.topics.unread.set()
        await until(lambda: outside.trading)


async def test_a_takeover_that_reads_for_long_says_that_commands_wait() -> None:
    """Before it owns the account: what is on the topic is read last. Where nothing waits it says nothing."""
    outside = Outside()
    async with outside.running():
        await until(lambda: outside.trading)
    for waiting in ([], [place("p1")]):
        said, members = len(outside.topics.session_events()), len(outside.members)
        outside.group.write(*waiting)
        outside.topics.unread.clear()
        async with outside.running(ready=False):
            await until(lambda: len(outside.members) > members and outside.member.polls > 40)  # two seconds  # noqa: B023
            outside.topics.unread.set()
            await until(lambda: outside.trading and (not waiting or bool(outside.topics.outcomes("p1"))))  # noqa: B023
        told = [(event["type"], event.get("alarm")) for event in outside.topics.session_events()[said:]]
        begins = told.index(("owner.acquired", None))
        behind = [("alarm.raised", "commands_behind"), ("alarm.cleared", "commands_behind")]
        assert told[:begins] == (behind if waiting else [])
    assert outside.topics.outcomes("p1") == ["accepted"]


async def test_a_takeover_ends_at_once_when_the_partition_is_lost() -> None:
    """It reads no further, because its result would be of no use."""
    outside = Outside()
    outside.topics.unread.clear()
    async with outside.running(ready=False):
        await until(lambda: outside.members and outside.member.polls > 0)
        outside.group.give_away()
        await until(lambda: outside.group.left == 1)


async def test_a_foreign_consumer_is_reported_and_waited_for() -> None:
    """A standby that cannot get the partition says why in its state, is not ready, and goes on trying."""
    outside = Outside()
    outside.group.trouble = ForeignMember("a consumer of the new group protocol")
    async with outside.running(ready=False):
        await until(lambda: "new group protocol" in outside.flow.detail)
        assert not outside.flow.ready
        outside.group.trouble = None
        await until(lambda: outside.trading)
