"""The daemon goes to the venue's other tier when the preferred one is down, and comes back."""

from pathlib import Path
from typing import Any

from rig import PLACE, Rig, command

from bridge.config import Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue

TIMING = Timing(failover_after_s=6, failback_stable_s=3, failback_period_s=3)


def opened(values: list[Any]) -> list[str]:
    """Return where sessions were opened."""
    return [value["endpoint"] for value in values if value["type"] == "session.opened"]


async def test_over_to_the_other_tier_and_back(bootstrap: str, tmp_path: Path) -> None:
    """Orders go on at the other tier, and again at the preferred one once it is well; each change is a gap."""
    async with Venue(VenueSettings(tiers=("az4", "ha"))) as venue, Rig(bootstrap, venue, tmp_path) as rig:
        ends = [{"name": name, "ws_url": tier.ws_url, "rest_url": tier.rest_url} for name, tier in venue.tiers.items()]
        async with rig.daemon(rig.settings(endpoints=ends, timing=TIMING)):
            session, results = await rig.topic(Stream.SESSION), await rig.topic(Stream.RESULTS)

            async def trades_at(*where: str) -> None:
                await session.until(lambda values: opened(values) == list(where))
                place = command("place_order", PLACE)
                await rig.send(place)
                assert (await results.result(place))["outcome"] == "accepted"

            await trades_at("az4")
            await venue.close_tier("az4")
            await trades_at("az4", "ha")
            await venue.open_tier("az4")
            await trades_at("az4", "ha", "az4")
        lost = [value["cause"] for value in session.values if value["type"] == "session.lost"]
        assert lost == ["link_failed", "failed_back", "stopped"]
        assert len(rig.written("place_order")) == 3
