"""The session under a term: sweeps, gaps, and what a full memory does."""

import asyncio
import json

import pytest

from bridge.account_parts import clock
from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from bridge.core.commands.claims import decode
from bridge.core.records import Answer, InvalidFrame, Push
from bridge.core.stream.live_until import ON_THE_WAY_S
from bridge.errors import VenueRefused, VenueUnreachable
from bridge.flow.venue_listener import VenueListener
from tests.support.one_account import ORDER_ID, cancel, order_push, place
from tests.support.one_recovery import OneRecovery
from tests.support.outside import Outside, Session, Topics, Venue, order_row
from tests.witness.waiting import until

ASSET = b'{"exchangeType":"BINANCE","coin":"USDT","balance":"1"}'


def asset_push() -> Push:
    """Show a balance."""
    return Push("Assets", ASSET, b'{"channel":"Assets","data":' + ASSET + b"}")


async def test_places_wait_for_the_sweep() -> None:
    """While the venue does not tell the open orders the account is not ready and sends no place; then it is."""
    outside = Outside()
    outside.venue.rest_trouble = VenueUnreachable("HTTP 503")
    outside.venue.open = [order_row(order_push("theirs"))]
    async with outside.running(ready=False):
        outside.group.write(place("p1"))
        await until(lambda: outside.venue.swept == 1)
        outside.venue.rest_trouble = VenueRefused(1000, "no permission")
        await until(lambda: outside.venue.swept == 2)
        assert not outside.flow.ready
        assert outside.venue.written == []
        outside.venue.rest_trouble = None
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"])
        await until(lambda: outside.trading)
    assert [event["openOrders"] for event in outside.topics.session_events("recovery.complete")] == [1]


async def test_a_login_does_not_wait_for_the_sweep_before_it() -> None:
    """A sweep that failed is repeated at once after a new login, and given up while there is no session."""
    outside = Outside()
    outside.venue.rest_trouble = VenueUnreachable("HTTP 503")
    async with outside.running(ready=False):
        await until(lambda: outside.venue.swept == 1)
        outside.venue.rest_trouble = None
        began = asyncio.get_running_loop().time()
        outside.venue.session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: outside.trading)
        assert asyncio.get_running_loop().time() - began < 0.5
        outside.venue.rest_trouble = VenueUnreachable("HTTP 503")
        outside.venue.session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: outside.venue.swept == 3)
        outside.venue.session.logged_in = False
        await asyncio.sleep(1.2)
        assert outside.venue.swept == 3


async def test_a_session_that_is_lost_while_it_is_swept_is_not_recovered() -> None:
    """Rows for a session that ended meanwhile let no place go; the next login's sweep does."""
    outside = Outside()
    async with outside.running():
        session = outside.venue.session
        outside.venue.during_sweep = lambda: session.drop(Cause.LINK_FAILED, "cut again")
        session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: len(outside.topics.session_events("session.lost")) == 2)
        await until(lambda: outside.trading)
    assert len(outside.topics.session_events("session.opened")) == 3
    assert len(outside.topics.session_events("recovery.complete")) == 2


async def test_the_sweep_settles_what_a_cut_left_in_doubt() -> None:
    """A place in doubt is found by its clientOrderId; one that the venue refuses to speak of holds nothing up."""
    outside = Outside(ack_timeout_s=5)
    outside.venue.answer = None
    async with outside.running():
        outside.group.write(place("p1"), place("p2"))
        await until(lambda: len(outside.venue.written) == 2)
        outside.venue.orders["p2"] = order_row(order_push("p2", createAt=str(clock().wall_ms)))
        outside.venue.refused.add("p1")
        outside.venue.session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: outside.topics.outcomes("p2") == ["unknown", "accepted"])
        await until(lambda: outside.trading)
    assert outside.topics.outcomes("p1") == ["unknown"]
    assert outside.group.committed.offset == 0


async def test_a_gap_begins_at_the_oldest_event_that_is_not_durable() -> None:
    """The gap of a loss begins at what Kafka had not acknowledged, and no commit says a later time until it closes."""
    outside = Outside(rest_lag_s=0.1)
    async with outside.running():
        await until(lambda: len(outside.topics.session_events("gap.closed")) == 1)
        outside.topics.hold = True
        outside.venue.session.receive(asset_push())
        pending_boot_s = outside.topics.oldest_pending_boot_s()
        await asyncio.sleep(0.02)
        outside.venue.session.last_frame_boot_s = clock().boot_s
        outside.venue.session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: len(outside.topics.session_events("gap.opened")) == 2)
        commits = len(outside.group.commits)
        await until(lambda: len(outside.group.commits) > commits + 1)
        stored = decode(outside.group.committed.metadata, 0)
        outside.topics.release()
    gap = outside.topics.session_events("gap.opened")[1]
    assert pending_boot_s is not None
    assert abs(clock().unix_ms(pending_boot_s - ON_THE_WAY_S) - gap["fromMs"]) <= 2
    assert stored is not None
    assert stored.durable_until_ms == gap["fromMs"]


async def test_the_gap_of_a_takeover_begins_where_the_predecessor_ended() -> None:
    """The next owner keeps the point of the commit it found; of that, the gap that was left open explains a part."""
    outside = Outside()
    async with outside.running():
        pass
    first = decode(outside.group.committed.metadata, 0)
    outside.venue.refusal = RuntimeError("no session yet")
    async with outside.running(ready=False):
        await until(lambda: len(outside.topics.session_events("gap.opened")) == 3)
    second = decode(outside.group.committed.metadata, 0)
    assert first is not None
    assert second is not None
    gap = outside.topics.session_events("gap.opened")[-1]
    opened = outside.topics.session_events("session.opened")[-1]
    assert gap["cause"] == "owner_changed"
    assert abs(gap["fromMs"] - opened["at"]) <= 2
    assert second.durable_until_ms == first.durable_until_ms


async def test_no_session_while_memory_is_full() -> None:
    """When more events wait than may, the session ends with a gap and does not come back before there is room."""
    outside = Outside()
    async with outside.running():
        outside.topics.hold = outside.topics.overfull = True
        outside.venue.session.receive(asset_push())
        await until(lambda: not outside.venue.session.logged_in)
        await asyncio.sleep(0.15)
        assert not outside.venue.session.logged_in
        assert [event["cause"] for event in outside.topics.session_events("session.lost")] == ["buffer_full"]
        outside.topics.overfull = False
        outside.topics.release()
        await until(lambda: outside.trading)
    assert len(outside.topics.session_events("session.opened")) == 2
    values = [one.value for one in outside.topics.said() if one.stream is Stream.ASSETS]
    assert values == [ASSET]


async def test_an_open_session_outlasts_the_brokers() -> None:
    """Brokers that are away end neither session nor term: events wait in memory, cancels go on; it is not ready."""
    outside = Outside()
    async with outside.running():
        outside.group.slow_s, outside.topics.hold, outside.topics.healthy = 1.5, True, False
        outside.group.write(cancel("c1", orderId=ORDER_ID), place("p1"))
        await asyncio.sleep(1.2)
        assert not outside.flow.ready
        outside.venue.session.receive(asset_push())
        outside.group.slow_s, outside.topics.healthy = 0, True
        outside.topics.release()
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"])
    assert outside.topics.outcomes("c1") == ["accepted"]
    assert (len(outside.members), len(outside.venue.sessions)) == (1, 1)
    assert len(outside.topics.session_events("session.opened")) == 1
    assert ASSET in [one.value for one in outside.topics.said()]


async def test_no_login_while_another_owner_may_have_one() -> None:
    """A session that is lost while no commit is fresh is not opened again before one is acknowledged."""
    outside = Outside()
    async with outside.running():
        outside.group.slow_s = 2
        await asyncio.sleep(1.1)
        outside.venue.session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: not outside.venue.session.logged_in)
        await asyncio.sleep(0.2)
        assert not outside.venue.session.logged_in
        outside.group.slow_s = 0
        await until(lambda: outside.trading)
    assert len(outside.members) == 1


async def test_a_stop_while_memory_is_full() -> None:
    """A stop does not wait for room."""
    outside = Outside()
    async with outside.running():
        outside.topics.overfull = True
        outside.venue.session.receive(asset_push())
        await until(lambda: not outside.venue.session.logged_in)
    assert len(outside.topics.session_events("session.lost")) == 1


async def test_an_answer_to_no_request_of_ours_changes_nothing() -> None:
    """An answer to a request that was never made is passed over, and a frame that cannot be read is published whole."""
    outside = Outside()
    async with outside.running():
        outside.venue.session.receive(Answer("nobodys", "place_order", 200000, "", "1", None))
        outside.venue.session.receive(Answer(None, "error", 1000, "", None, None))
        outside.venue.session.receive(InvalidFrame(b"}{", "not JSON"))
        outside.group.write(place("p1"))
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"])
    (odd,) = [one.value for one in outside.topics.said() if one.stream is Stream.UNRECOGNIZED]
    assert odd == b"}{"
    assert json.loads(outside.topics.durable[0][1].value or b"")["epoch"] == 1


@pytest.mark.parametrize("wrong_ms", [-10_800_000, 50_000, 10_800_000])
async def test_no_commit_says_that_a_time_to_come_is_durable(wrong_ms: int) -> None:
    """The wall clock was wrong at the login, at the last frame and at the oldest event that waits, and is right now."""
    one, topics = OneRecovery(ended_ms=0), Topics()
    topics.hold = True
    one.account.outbox.publish = topics.publish
    events = VenueListener("main", one.account, topics, wake=lambda: None, on_login=lambda _: None, began_ms=0)
    events.session = Session(Venue(), events)
    assert events.live_until_ms(one.now) == 0
    one.set_clock(wrong_ms)
    events.logged_in("az4", one.now)
    one.wait(30)
    events.session.last_frame_boot_s = one.now.boot_s
    one.set_clock(-wrong_ms)
    one.wait(5)
    assert events.live_until_ms(one.now) == one.now.wall_ms - 6000
    one.set_clock(wrong_ms)
    events.received(asset_push(), one.now)
    one.set_clock(-wrong_ms)
    one.wait(5)
    assert events.live_until_ms(one.now) == one.now.wall_ms - 11_000
    events.session.last_frame_boot_s = one.now.boot_s
    assert events.live_until_ms(one.now) == one.now.wall_ms - 6000
