"""Cancel all, then quote again, with the owner killed between the two: the new quote survives, the old ones end."""

import asyncio
import signal
from pathlib import Path
from typing import Literal

import pytest

from bridge.config import Limits, Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support import victim
from tests.support.clocks import AheadClock
from tests.support.rig import PLACE, Rig, command
from tests.support.truth import lies
from tests.witness.waiting import until

TIMING = Timing(session_timeout_s=3, heartbeat_s=0.5, rebalance_timeout_s=4, lease_s=1.4, commit_period_s=0.5)
QUOTES = 3
OPENING = 2 * QUOTES
"""So many pushes tell that the quotes are open: NEW and OPEN of each."""
MINUTE_S = 60
WRITTEN = "written"
_ACTIONS = {"venue_message": "cancel_orders", "single_cancels": "cancel_order"}
"""What is written for a cancel_orders."""


async def _quote_again(rig: Rig, clock: AheadClock, point: str, limits: Limits) -> None:
    """Let an owner die at a point of its cancel_orders, quote again, and let another owner end it."""
    clock.ahead_s -= MINUTE_S
    rig.venue.inject.foreign_action("main", "place_order", PLACE)
    clock.ahead_s += MINUTE_S
    old = [command("place_order", PLACE) for _ in range(QUOTES)]
    away, quote = command("cancel_orders", {"exchangeType": "BINANCE"}), command("place_order", PLACE)
    portfolio = rig.venue.keys["main"].portfolio_id
    written = _ACTIONS[limits.cancel_orders]
    async with rig.daemon_process(point if point != WRITTEN else "", timing=TIMING, limits=limits) as owner:
        results = await rig.topic(Stream.RESULTS)
        offsets = await rig.send(*old)
        for one in old:
            assert (await results.result(one))["outcome"] == "accepted"
        offsets += await rig.send(away)
        if point == WRITTEN:
            await until(lambda: rig.venue.ledger.requests_received(written, portfolio) != [], what="the write")
            owner.send_signal(signal.SIGKILL)
        assert await owner.wait() == -signal.SIGKILL
    offsets += await rig.send(quote)
    async with rig.daemon(rig.settings(timing=TIMING, limits=limits)):
        assert (await results.result(quote))["outcome"] == "accepted"
        assert (await results.result(away))["outcome"] == "accepted"
        live = (await results.result(quote))["orderId"]
        await until(lambda: list(rig.venue.portfolio().open_orders) == [live], what="only the new quote being live")
    assert lies(rig, results, dict(zip(offsets, [*old, away, quote], strict=True))) == []


async def _with_clocks_apart(bootstrap: str, folder: Path, point: str, ahead_s: float, limits: Limits) -> None:
    clock = AheadClock(ahead_s)
    async with Venue(VenueSettings(), clock) as venue, Rig(bootstrap, venue, folder) as rig:
        if point == WRITTEN:
            venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action=_ACTIONS[limits.cancel_orders], times=None))
            # The first owner must not be able to publish that its quotes ended: nobody has seen it.
            venue.faults.add(Fault(kind=FaultKind.MUTE_PUSH, channel="Orders", connection=1, after=OPENING, times=None))
        await _quote_again(rig, clock, point, limits)


@pytest.mark.parametrize(
    ("policy", "point"),
    [
        ("venue_message", victim.BEFORE_CLAIM),
        ("venue_message", victim.CLAIMED),
        ("venue_message", WRITTEN),
        ("single_cancels", victim.CLAIMED),
    ],
)
async def test_the_new_quote_survives(
    bootstrap: str, tmp_path: Path, policy: Literal["single_cancels", "venue_message"], point: str
) -> None:
    """Killed before the claim, after it, or after the write whose answer is lost; with the venue's clock 2 s off too.

    What is older than the cancel_orders ends: ours, and somebody else's of a minute before.
    """
    limits = Limits(cancel_orders=policy)
    folders = {ahead_s: tmp_path / str(ahead_s) for ahead_s in (-2, 0, 2)}
    for folder in folders.values():
        folder.mkdir()
    await asyncio.gather(
        *(_with_clocks_apart(bootstrap, folders[ahead_s], point, ahead_s, limits) for ahead_s in folders)
    )


async def test_a_place_that_a_cancel_removed_stays_removed(rig: Rig) -> None:
    """Killed when the place's `superseded` is durable and the cancel's is not: the place never goes out."""
    first, removed = command("place_order", PLACE), command("place_order", PLACE, valid_s=300)
    cancel = command("cancel_order", {"clientOrderId": removed["commandId"].replace("-", "")})
    tight = Limits(place_per_window=1)
    async with rig.daemon_process(victim.BETWEEN_RESULTS, timing=TIMING, limits=tight) as owner:
        results = await rig.topic(Stream.RESULTS)
        offsets = await rig.send(first)
        await results.result(first)
        offsets += await rig.send(removed, cancel)
        assert await owner.wait() == -signal.SIGKILL
    last = command("place_order", PLACE)
    offsets += await rig.send(last)
    async with rig.daemon(rig.settings(timing=TIMING)):
        assert (await results.result(last))["outcome"] == "accepted"
        assert (await results.result(removed))["outcome"] == "superseded"
        assert (await results.result(cancel))["outcome"] in {"superseded", "rejected"}
    assert lies(rig, results, dict(zip(offsets, [first, removed, cancel, last], strict=True))) == []
