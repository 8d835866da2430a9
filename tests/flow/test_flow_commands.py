"""Commands from the topic to the socket, and what interrupts them."""

import asyncio
import time

import msgspec

from bridge.account_parts import clock
from bridge.contract.session import Cause
from bridge.core.commands.claims import decode
from bridge.core.records import Push
from bridge.errors import TermEnded, VenueUnreachable
from tests.support.one_account import ORDER_ID, cancel, order_push, place, replace
from tests.support.outside import STOP_DEADLINE_S, Outside, order_row
from tests.witness.waiting import until


async def test_a_rebalance_that_ends_a_commit_does_not_end_the_term() -> None:
    """A commit that a rebalance ended is made again: the term goes on, and what it claimed is written once."""
    outside = Outside()
    async with outside.running():
        for turn in range(5):
            outside.member.rebalance()
            outside.group.write(place(f"p{turn}"))
            await until(lambda turn=turn: outside.topics.outcomes(f"p{turn}") == ["accepted"])  # type: ignore[misc]
    assert len(outside.members) == 1
    assert len(outside.venue.actions("place_order")) == 5
    assert len(outside.topics.session_events("owner.acquired")) == 1


async def test_without_the_partition_nothing_is_committed() -> None:
    """While a rebalance holds the partition back nothing is claimed; when it is back, the waiting place goes."""
    outside = Outside()
    async with outside.running():
        outside.member.owned = False
        await asyncio.sleep(0.06)
        commits = len(outside.group.commits)
        outside.group.write(place("p1"))
        await until(lambda: outside.member.position == 1)
        assert len(outside.group.commits) <= commits + 1
        assert outside.venue.written == []
        outside.member.owned = True
        outside.flow._wake()
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"])


async def test_places_wait_while_results_cannot_be_recorded_and_cancels_do_not() -> None:
    """With a publisher in trouble a place is held; a cancel goes out all the same."""
    outside = Outside()
    async with outside.running():
        outside.topics.healthy = False
        outside.group.write(place("p1"), cancel("c1", orderId=ORDER_ID))
        await until(lambda: outside.topics.outcomes("c1") == ["accepted"])
        assert outside.venue.actions("place_order") == []
        outside.topics.healthy = True
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"])


async def test_a_commit_without_an_answer_ends_the_term() -> None:
    """Nothing that an unanswered commit claims is written; the term ends, the next one answers it."""
    outside = Outside()
    async with outside.running():
        outside.group.slow_s = 0.1
        outside.group.refusal = TermEnded("never answered")
        outside.group.write(place("p1"))
        await until(lambda: outside.flow.detail == "never answered")
        assert outside.venue.written == []
        outside.group.slow_s = 0
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"])
    assert len(outside.venue.actions("place_order")) == 1


async def test_a_write_that_fails_is_in_doubt() -> None:
    """A frame that did not reach the socket is doubted like any other, by the loss of the link that follows."""
    outside = Outside()
    async with outside.running():
        outside.venue.unwritable = True
        outside.group.write(place("p1"))
        await until(lambda: outside.group.committed.metadata.rsplit(":", 1)[1] != "")
        outside.venue.session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: outside.topics.outcomes("p1") == ["unknown"])


async def test_reading_pauses_while_too_many_cancels_wait() -> None:
    """A full lane of cancels pauses the topic, and reading goes on when they have gone."""
    outside = Outside(lane_commands_max=2)
    async with outside.running():
        outside.venue.session.logged_in = False
        outside.group.write(*(cancel(f"c{n}", clientOrderId=f"theirs{n}") for n in range(3)))
        await until(lambda: outside.member.paused[-1])
        outside.venue.session.logged_in = True
        await until(lambda: not outside.member.paused[-1])
        await until(lambda: outside.topics.outcomes("c2") == ["accepted"])


async def test_a_stop_waits_for_the_answers_to_what_was_written() -> None:
    """A stop writes nothing new, waits for the answer that is on its way, and leaves nothing claimed."""
    outside = Outside(ack_timeout_s=5)
    outside.venue.answer = None
    async with outside.running():
        outside.group.write(place("p1"))
        await until(lambda: outside.venue.written)
        asyncio.get_running_loop().call_later(0.2, outside.venue.session.acknowledge, outside.venue.written[0]["id"])
    assert outside.topics.outcomes("p1") == ["accepted"]
    assert outside.group.committed.offset == 1


async def test_a_stop_waits_for_the_commit_under_way() -> None:
    """A stop lets a slow commit end before it makes the last one, instead of leaving its fate open."""
    outside = Outside()
    async with outside.running():
        outside.group.slow_s = 0.3
        outside.group.write(place("p1"))
        await until(lambda: outside.member.position == 1)
    assert outside.group.committed.offset == 0
    stored = decode(outside.group.committed.metadata, 0)
    assert stored is not None
    assert stored.claimed == ()
    assert outside.venue.written == []


async def test_slow_commits_raise_an_alarm_and_hold_up_no_cancel() -> None:
    """The account is not ready and says why, a cancel is answered, and all goes on when the brokers are well again."""
    outside = Outside(lease_s=0.1)
    async with outside.running():
        outside.group.slow_s = 0.2
        await until(lambda: outside.topics.session_events("alarm.raised"), deadline_s=30)
        assert not outside.flow.ready
        assert [alarm["alarm"] for alarm in outside.topics.session_events("alarm.raised")] == ["commits_slow"]
        outside.group.write(place("p1") | {"validUntil": clock().wall_ms + 600_000}, cancel("c1", orderId=ORDER_ID))
        await until(lambda: outside.topics.outcomes("c1") == ["accepted"], deadline_s=30)
        assert outside.topics.outcomes("p1") == []
        outside.group.slow_s = 0
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"], deadline_s=30)
        await until(lambda: outside.flow.ready, deadline_s=30)
        assert [alarm["alarm"] for alarm in outside.topics.session_events("alarm.cleared")] == ["commits_slow"]


async def test_a_stop_with_brokers_away_keeps_to_its_deadline() -> None:
    """When neither records nor commits get through, the stop is over within its deadline all the same."""
    outside = Outside()
    async with outside.running():
        outside.topics.hold = True
        outside.group.slow_s = 30
        outside.group.write(place("p1"))
        await until(lambda: outside.member.position == 1)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < STOP_DEADLINE_S * 0.7
    assert outside.group.left == 1


async def test_a_term_that_ends_during_the_stop_is_not_waited_out() -> None:
    """When ownership is lost while answers are awaited, the stop does not wait for them."""
    outside = Outside(ack_timeout_s=30)
    outside.venue.answer = None
    async with outside.running():
        outside.group.write(place("p1"))
        await until(lambda: outside.venue.written)
        asyncio.get_running_loop().call_later(0.1, outside.group.give_away)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < STOP_DEADLINE_S * 0.3
    assert outside.topics.session_events("owner.released") == []


async def test_a_push_that_settles_a_place_lets_the_next_command_of_its_order_go_at_once() -> None:
    """What waits behind a place in doubt goes as soon as the order shows itself, without waiting for a tick."""
    outside = Outside(ack_timeout_s=0.1, commit_period_s=5, lease_s=20)
    outside.venue.answer = None
    async with outside.running():
        outside.group.write(place("p1"))
        await until(lambda: outside.topics.outcomes("p1") == ["unknown"])
        outside.group.write(replace("r1", clientOrderId="p1"))
        await until(lambda: outside.member.position == 2)
        await asyncio.sleep(0.02)
        data = msgspec.json.encode(order_push("p1", createAt=str(clock().wall_ms)))
        began = asyncio.get_running_loop().time()
        outside.venue.session.receive(Push("Orders", data, data))
        await until(lambda: outside.venue.actions("replace_order"))
        took_s = asyncio.get_running_loop().time() - began
    assert took_s < 0.1
    assert outside.topics.outcomes("p1") == ["unknown", "accepted"]


async def test_a_replace_of_an_unknown_order_is_looked_up_until_it_expires() -> None:
    """A name that is not known is asked for at the venue; no answer is tried again, and not after the expiry."""
    outside = Outside()
    outside.venue.orders["theirs"] = order_row(order_push("theirs"))
    async with outside.running():
        outside.group.write(replace("r1", clientOrderId="theirs"), replace("r2", clientOrderId="nobodys"))
        await until(lambda: outside.topics.outcomes("r1") == ["accepted"])
        await until(lambda: outside.topics.outcomes("r2") == ["denied"])
        outside.venue.order_trouble = VenueUnreachable("HTTP 503")
        outside.group.write(replace("r3", clientOrderId="late") | {"validUntil": clock().wall_ms + 400})
        await until(lambda: outside.topics.outcomes("r3") == ["expired"])
        await asyncio.sleep(1.3)
        assert outside.venue.asked.count("late") <= 2


async def test_a_lookup_without_a_lease_does_not_hurry() -> None:
    """Without a lease nothing may be denied; the venue is then asked about once a second, not without end."""
    outside = Outside(lease_s=0.2)
    async with outside.running():
        outside.venue.order_trouble = VenueUnreachable("HTTP 503")
        outside.group.write(replace("r1", clientOrderId="nobodys"))
        await until(lambda: outside.venue.asked)
        outside.member.owned = False
        await asyncio.sleep(0.25)
        outside.venue.order_trouble = None
        await asyncio.sleep(1.2)
        assert len(outside.venue.asked) <= 3
        outside.member.owned = True
        outside.flow._wake()
        await until(lambda: outside.topics.outcomes("r1") == ["denied"])


async def test_a_page_of_large_records_does_not_keep_the_loop() -> None:
    """While hundreds of them are read, everything else has its turn every few hundredths of a second."""
    keys = ",".join(f'"k{number}":0' for number in range(6500))
    outside = Outside(lease_s=5, commit_period_s=1)
    last = place("p1") | {"validUntil": time.time_ns() // 1_000_000 + 600_000}
    longest_s = 0.0

    async def measure_turns() -> None:
        nonlocal longest_s
        while True:
            began_s = time.thread_time()  # what the machine does meanwhile does not count
            await asyncio.sleep(0)
            longest_s = max(longest_s, time.thread_time() - began_s)

    async with outside.running():
        measuring = asyncio.create_task(measure_turns())
        outside.group.write(*[f'{{"commandId":"c{number}",{keys}}}'.encode() for number in range(300)], last)
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"], 60)
        measuring.cancel()
    assert outside.topics.outcomes("c299") == ["denied"]
    assert longest_s < 0.25


async def test_a_cancel_behind_a_runaway_strategy_goes_first() -> None:
    """Behind thousands of places, in the running and at a takeover, a cancel is written before any of them is read."""
    outside = Outside(lane_commands_max=50, lease_s=5, commit_period_s=1)
    outside.group.write(*(place(f"a{number}") for number in range(2000)), cancel("first", clientOrderId="theirs"))
    async with outside.running():
        await until(lambda: outside.topics.outcomes("first") == ["accepted"])
        assert len(outside.topics.durable) < 1000
        outside.group.write(*(place(f"b{number}") for number in range(2000)), cancel("second", clientOrderId="theirs"))
        await until(lambda: outside.topics.outcomes("second") == ["accepted"])
        assert outside.topics.outcomes("b0") == []
        await until(lambda: len(outside.topics.durable) > 4000, 60)
        await until(lambda: outside.group.committed.offset == 4002, 60)
    assert outside.topics.outcomes("a0") == outside.topics.outcomes("b0") == ["denied"]
    assert outside.topics.results("a0")[0].reason == "lane_full"


async def test_what_was_put_off_is_answered_when_nothing_else_is_left_to_read() -> None:
    """While the reading is far behind, the answers to what it put off would take its time; cancels go meanwhile."""
    outside = Outside(lane_commands_max=50, lease_s=5, commit_period_s=1)
    async with outside.running():
        outside.group.unread = 10_000
        outside.group.write(place("p1"), cancel("c1", clientOrderId="theirs"))
        await until(lambda: outside.topics.outcomes("c1") == ["accepted"])
        await asyncio.sleep(0.6)
        assert outside.topics.outcomes("p1") == []
        outside.group.unread = 0
        await until(lambda: outside.topics.outcomes("p1") == ["denied"])


async def test_commands_that_are_read_late_raise_an_alarm() -> None:
    """What was appended long ago raises the alarm, `/readyz` says so in words and stays ready; then it ends."""
    outside = Outside(lease_s=5, commit_period_s=1)
    async with outside.running():
        outside.group.write(cancel("c1", clientOrderId="theirs"))
        await until(lambda: outside.topics.outcomes("c1") == ["accepted"])
        outside.group.ahead_ms = -4000
        outside.group.unread = 10
        outside.group.write(cancel("c2", clientOrderId="theirs"))
        await until(lambda: outside.topics.session_events("alarm.raised"))
        assert [alarm["alarm"] for alarm in outside.topics.session_events("alarm.raised")] == ["commands_behind"]
        assert outside.flow.ready
        assert "after its append" in outside.flow.describe()
        outside.group.unread = 0
        await until(lambda: outside.topics.session_events("alarm.cleared"))
        assert outside.flow.describe() == ""
