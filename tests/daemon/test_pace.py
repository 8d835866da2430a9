"""Rate limits: a backlog goes out as fast as the venue allows and no faster."""

import sys
from pathlib import Path

import pytest
from rig import PLACE, Rig, command

from bridge.contract.topics import Stream
from bridge.sandbox.ledger import Kind
from bridge.sandbox.settings import VenueSettings
from bridge.sandbox.venue import Venue

LONG_PLACES = 3000
MINUTES = 25 * 60


async def _preload_and_count(rig: Rig, places: int, deadline_s: float) -> None:
    """Let a daemon work off places that were there before it; check answers, ledger and rate rejections."""
    async with rig.daemon():
        await rig.topic(Stream.COMMANDS)  # the topics exist now; the daemon stops again
    commands = [command("place_order", PLACE, valid_s=MINUTES) for _ in range(places)]
    await rig.send(*commands)
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        await results.until(lambda _: sum(r.key != b"main" for r in results.records) >= places, deadline_s)
    answered = [v for v in results.values if "commandId" in v]
    assert {v["commandId"] for v in answered} == {one["commandId"] for one in commands}
    assert [v["outcome"] for v in answered] == ["accepted"] * places
    portfolio = rig.venue.keys["main"].portfolio_id
    assert len(rig.venue.ledger.received("place_order", portfolio)) == places
    assert rig.venue.ledger.entries(Kind.LIMITED) == []
    busiest = rig.venue.ledger.busiest_window("place_order", portfolio)
    sys.stdout.write(f"{places} places, at most {busiest} in any 60 s, none refused, each accepted once\n")
    assert busiest <= 1200


@pytest.mark.pace
async def test_the_documented_limit_holds_for_a_long_backlog(bootstrap: str, tmp_path: Path) -> None:
    """3,000 places with long validity: never more than 1,200 in any 60 s, no rate rejection, one result each."""
    async with Venue(VenueSettings()) as venue, Rig(bootstrap, venue, tmp_path) as rig:
        await _preload_and_count(rig, LONG_PLACES, 600)
