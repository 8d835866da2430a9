"""Rate limits: a backlog goes out as fast as the venue allows and no faster."""

import sys
from pathlib import Path

import pytest

from bridge.config import Limits
from bridge.contract.topics import Stream
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.settings import DOCUMENTED_LIMITS, RequestLimit, VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.rig import PLACE, Rig, command

LONG_PLACES = 3000
MINUTES = 25 * 60


async def _work_off_a_backlog(rig: Rig, places: int, limits: Limits, deadline_s: float) -> int:
    """Let a daemon work off places that were there before it; return the most that one window of the venue saw."""
    async with rig.daemon():
        await rig.topic(Stream.COMMANDS)  # the topics exist now; the daemon stops again
    commands = [command("place_order", PLACE, valid_s=MINUTES) for _ in range(places)]
    await rig.send(*commands)
    async with rig.daemon(rig.settings(limits=limits)):
        results = await rig.topic(Stream.RESULTS)
        await results.until(lambda _: sum(r.key != b"main" for r in results.records) >= places, deadline_s)
    answered = [v for v in results.values if "commandId" in v]
    assert {v["commandId"] for v in answered} == {one["commandId"] for one in commands}
    assert [v["outcome"] for v in answered] == ["accepted"] * places
    portfolio = rig.venue.keys["main"].portfolio_id
    assert len(rig.venue.ledger.requests_received("place_order", portfolio)) == places
    assert rig.venue.ledger.entries(EntryKind.LIMITED) == []
    return rig.venue.ledger.busiest_window("place_order", portfolio, limits.window_s)


async def test_a_small_limit_holds_for_a_backlog(bootstrap: str, tmp_path: Path) -> None:
    """The same in small: 40 in any 2 s, 150 places; they take the windows they need and none is refused."""
    limits = {**DOCUMENTED_LIMITS, "place_order": RequestLimit(40, 2.0)}
    async with Venue(VenueSettings(limits=limits)) as venue, Rig(bootstrap, venue, tmp_path) as rig:
        busiest = await _work_off_a_backlog(rig, 150, Limits(window_s=2, place_per_window=40), 60)
    assert 30 <= busiest <= 40


@pytest.mark.pace
async def test_the_documented_limit_holds_for_a_long_backlog(bootstrap: str, tmp_path: Path) -> None:
    """3,000 places with long validity: never more than 1,200 in any 60 s, no rate rejection, one result each."""
    async with Venue(VenueSettings()) as venue, Rig(bootstrap, venue, tmp_path) as rig:
        busiest = await _work_off_a_backlog(rig, LONG_PLACES, Limits(), 600)
    sys.stdout.write(f"{LONG_PLACES} places, at most {busiest} in any 60 s, none refused, each accepted once\n")
    assert 1100 <= busiest <= 1200
