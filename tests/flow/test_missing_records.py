"""Missing records do not mean a first start, and a command is known by its commandId, not by its offset alone."""

import json

import msgspec
import pytest

from bridge.account_parts import clock
from bridge.contract.results import Outcome
from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core.commands.claims import CommitMetadata, decode, encode
from bridge.core.replay import ReplayedStates
from bridge.core.stream.sweep import ARCHIVE_REACH_MS
from bridge.errors import VenueUnreachable
from tests.support.one_account import ORDER_ID, cancel_all, order_push, place
from tests.support.outside import Outside, order_row
from tests.witness.waiting import until

WEEK_S = 8 * 24 * 3600


def fresh(body: dict[str, object]) -> dict[str, object]:
    """Let a command be valid for another minute."""
    return {**body, "validUntil": clock().wall_ms + 60_000}


def position(qty: str) -> bytes:
    """Show a position as the venue does."""
    row = {
        "sym": "BINANCE_PERP_BTC_USDT",
        "positionSide": "NONE",
        "positionQty": qty,
        "portfolioId": "1702884522340000",
    }
    return json.dumps({**row, "updateAt": str(clock().wall_ms)}).encode()


def terminal(outside: Outside, command_id: str) -> list[str]:
    """Return the terminal outcomes of a command."""
    return [one for one in outside.topics.outcomes(command_id) if one != Outcome.UNKNOWN]


def last_of(outside: Outside, stream: Stream) -> dict[str, dict[str, str]]:
    """Return what a reader of a state topic holds who keeps to the contract: void records are passed over."""
    states = ReplayedStates()
    states.read_records(outside.topics.read_back(stream))
    return {key.decode(): json.loads(value) for key, (value, _) in states.last.items()}


def alarms(outside: Outside) -> list[str]:
    """Return the names of the alarms that were raised."""
    return [alarm["alarm"] for alarm in outside.topics.session_events("alarm.raised")]


async def test_an_outage_longer_than_the_horizon_leaves_no_state_behind() -> None:
    """An order that ended and a position that was closed meanwhile are told, though they were published long ago."""
    outside = Outside(rest_lag_s=0.2, audit_period_s=0.3, skew_bound_s=0.1)
    now_ms = clock().wall_ms
    row = order_push("gtc", createAt=str(now_ms - 86_400_000), updateAt=str(now_ms))
    outside.venue.open, outside.venue.orders[ORDER_ID] = [order_row(row)], order_row(row)
    outside.venue.holdings = [position("0.25")]
    async with outside.running():
        await outside.closed(1)
    ended = msgspec.structs.replace(row, order_state="CANCELLED", update_at=str(now_ms + 1))
    outside.venue.open, outside.venue.holdings, outside.venue.orders[ORDER_ID] = [], [], order_row(ended)
    outside.let_pass(2 * 3600)
    async with outside.running():
        await until(lambda: len(outside.topics.session_events("gap.closed")) > 1)
        await until(lambda: last_of(outside, Stream.POSITIONS) == {})
        await until(lambda: last_of(outside, Stream.ORDERS)[ORDER_ID]["orderState"] == "CANCELLED")


@pytest.mark.parametrize("is_told", [True, False], ids=["the topic's id is known", "by an old broker"])
async def test_commands_of_a_topic_made_again_are_answered(*, is_told: bool) -> None:
    """Whatever stood at their offsets before, each command gets one terminal result, and an alarm counts them."""
    outside = Outside(late_landing_s=0.3, rest_lag_s=0.1)
    outside.group.topic_id = "topic-1" if is_told else ""
    async with outside.running():
        outside.group.write(*(place(f"old-{n}") for n in range(3)), b"no command")
        await until(lambda: outside.group.committed.offset == 4)
    outside.group.make_topic_again()
    outside.group.topic_id *= is_told
    outside.group.write(fresh(place("new-0")), fresh(cancel_all("new-1")), b"another", fresh(place("new-3")))
    async with outside.running():
        outside.group.write(place("later"))
        await until(lambda: terminal(outside, "later") == ["accepted"])
        await until(lambda: all(len(terminal(outside, f"new-{n}")) == 1 for n in (0, 1, 3)))
    assert 2 == len([one for one in outside.topics.said() if one.stream is Stream.DEAD_LETTERS])
    assert ["claims_unreadable"] == alarms(outside)
    (alarm,) = outside.topics.session_events("alarm.raised")
    assert "4 commands below offset 4" in alarm["detail"]


async def test_a_commit_about_the_topic_before_it_was_made_again_says_nothing() -> None:
    """An owner that committed after the topic was made again knew offsets of the old one: what is there is in doubt."""
    outside = Outside(late_landing_s=0.3, rest_lag_s=0.1)
    async with outside.running():
        outside.group.write(place("old-0"), place("old-1"))
        await until(lambda: outside.group.committed.offset == 2)
    committed = outside.group.committed
    outside.group.make_topic_again()
    outside.group.committed = committed
    outside.group.write(*(fresh(place(f"new-{n}")) for n in range(3)))
    async with outside.running():
        await until(lambda: all(len(terminal(outside, f"new-{n}")) == 1 for n in range(3)))
        assert "made again" in outside.topics.session_events("alarm.raised")[0]["detail"]


async def test_offsets_and_results_that_expired_leave_the_epoch_growing() -> None:
    """After an idle week the compacted topics still hold old epochs: readers must not take the new ones for void."""
    outside = Outside(rest_lag_s=0.2, audit_period_s=0.3, skew_bound_s=0.1)
    outside.venue.holdings = [position("3")]
    outside.group.commit(0, encode(CommitMetadata(56, 0, ()), 0))
    async with outside.running():
        await outside.closed(1)
    assert 57 == outside.member.epoch
    outside.let_pass(WEEK_S)
    newest_ms = max(one.time_ms for _, one in outside.topics.durable if one.stream is Stream.POSITIONS)
    outside.group.commit(None)
    outside.lose_records(*(stream for stream in Stream if stream not in STATE_STREAMS))
    outside.venue.holdings = [position("7")]
    async with outside.running():
        await outside.closed(1)
    assert outside.member.epoch > 57
    held = last_of(outside, Stream.POSITIONS)["BINANCE_PERP_BTC_USDT:NONE"]
    assert "7" == held["positionQty"]
    (gap,) = outside.topics.session_events("gap.closed")
    assert gap["cause"] == "owner_changed"
    assert newest_ms - 3_600_000 == gap["fromMs"]


async def test_where_every_record_has_expired_the_epoch_goes_on_from_the_clock() -> None:
    """A caller or reader that remembers an epoch must not take the new owner for an old one; the gap is 90 days."""
    outside = Outside(rest_lag_s=0.2, audit_period_s=0.3)
    async with outside.running():
        await outside.closed(1)
    outside.lose_records(*Stream)
    outside.group.commit(None)
    now_ms = clock().wall_ms
    async with outside.running():
        await outside.closed(1)
    assert outside.member.epoch > now_ms // 1000
    (gap,) = outside.topics.session_events("gap.closed")
    assert -60_000 < now_ms - gap["fromMs"] - ARCHIVE_REACH_MS < 60_000


@pytest.mark.parametrize("trimmed", [True, False], ids=["by retention", "made again"])
@pytest.mark.parametrize("group_is_gone", [True, False], ids=["group gone", "offset reset"])
async def test_a_command_whose_result_may_have_been_removed_gets_no_second_one(
    *, trimmed: bool, group_is_gone: bool
) -> None:
    """Commands older than what `results` must keep are passed over and counted; fresh ones are answered."""
    outside = Outside(late_landing_s=0.3, rest_lag_s=0.1)
    async with outside.running():
        outside.group.write(*(place(f"p{n}") for n in range(5)))
        await until(lambda: terminal(outside, "p4") == ["accepted"])
    outside.let_pass(2 * 3600)
    outside.lose_records(Stream.RESULTS, Stream.SESSION, trimmed=trimmed)
    outside.group.commit(None if group_is_gone else 0)
    outside.group.write(fresh(place("fresh")))
    async with outside.running():
        await until(lambda: len(terminal(outside, "fresh")) == 1)
    assert [[]] * 5 == [outside.topics.outcomes(f"p{n}") for n in range(5)]
    (alarm,) = outside.topics.session_events("alarm.raised")
    assert "5 commands were passed over" in alarm["detail"]


async def test_an_offset_moved_forward_drops_no_command() -> None:
    """A tool, or another consumer of the group, committed behind commands that no bridge has read: all are answered."""
    outside = Outside(late_landing_s=0.3, rest_lag_s=0.1)
    async with outside.running():
        outside.group.write(place("p0"))
        await until(lambda: terminal(outside, "p0") == ["accepted"])
    outside.group.write(fresh(place("p1")), fresh(cancel_all("panic")))
    outside.group.commit(3)
    async with outside.running():
        outside.group.write(place("p3"))
        await until(lambda: len(terminal(outside, "p1")) == len(terminal(outside, "panic")) == 1)
        await until(lambda: terminal(outside, "p3") == ["accepted"])
    assert ["accepted"] == terminal(outside, "p0")
    assert ["claims_unreadable"] == alarms(outside)


async def test_a_claimed_command_below_an_offset_moved_forward_is_settled() -> None:
    """A place whose answer was lost does not stay unknown for ever."""
    outside = Outside(late_landing_s=0.3, rest_lag_s=0.1)
    async with outside.running():
        outside.venue.answer, outside.venue.order_trouble = None, VenueUnreachable("away")
        outside.group.write(place("p0"))
        await until(lambda: outside.topics.outcomes("p0") == ["unknown"])
        outside.group.give_away()
        await until(lambda: outside.group.left == 1)
    outside.group.trouble = outside.venue.order_trouble = None
    outside.group.commit(1)
    async with outside.running():
        await until(lambda: terminal(outside, "p0") == ["not_found"])


async def test_a_commit_that_a_mirror_copied_to_another_offset_claims_nothing_there() -> None:
    """The other cluster's offsets differ: the claims would name other commands, and what was claimed be sent again."""
    outside = Outside(late_landing_s=0.3, rest_lag_s=0.1)
    outside.group.begin = 97
    outside.group.write(*(fresh(place(f"p{n}")) for n in range(97, 104)))
    outside.group.commit(97, encode(CommitMetadata(7, 1, (100, 103)), 100))
    async with outside.running():
        await until(lambda: all(len(terminal(outside, f"p{n}")) == 1 for n in range(97, 104)))
    assert [] == outside.venue.actions("place_order")
    assert ["claims_unreadable"] == alarms(outside)


async def test_a_commit_of_the_version_before_is_read() -> None:
    """In a rolling update the new version takes over from the old one: its claims count, and nothing is in doubt."""
    outside = Outside()
    outside.group.write(place("p0"), place("p1"))
    outside.group.commit(0, "ltpb1:6:0:0:0:AA")
    async with outside.running():
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"])
    assert ["unknown"] == outside.topics.outcomes("p0")
    assert (7, []) == (outside.member.epoch, alarms(outside))
    assert decode(outside.group.committed.metadata, 0) is not None


async def test_a_group_whose_offset_was_set_before_its_first_owner_is_in_doubt() -> None:
    """A term that was cut off before it announced itself left no trace: its epoch must not be given again."""
    outside = Outside(late_landing_s=0.3, rest_lag_s=0.1)
    outside.group.commit(0)
    outside.group.write(fresh(place("p0")))
    async with outside.running():
        await until(lambda: terminal(outside, "p0") == ["not_found"])
    assert outside.member.epoch > clock().wall_ms // 1000 - 3600


async def test_where_all_topics_were_made_again_the_epoch_goes_on_from_the_clock() -> None:
    """Nothing tells of the owner before, but the process has seen them deleted, so there may have been one."""
    outside = Outside(rest_lag_s=0.2, audit_period_s=0.3)
    outside.group.commit(0, encode(CommitMetadata(56, 0, ()), 0))
    async with outside.running():
        await outside.closed(1)
    outside.lose_records(*Stream, trimmed=False)
    outside.group.make_topic_again()
    outside.was_owned = True
    async with outside.running():
        await outside.closed(1)
    assert outside.member.epoch > 57
