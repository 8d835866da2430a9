"""A venue whose clock is seconds off: what happened is told as it happened."""

from pathlib import Path

import pytest

from bridge.config import Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.clocks import AheadClock
from tests.support.rig import PLACE, Rig, command
from tests.witness.waiting import until

TIMING = Timing(ack_timeout_s=1, late_landing_s=4, rest_lag_s=2, audit_period_s=3)


@pytest.mark.parametrize("ahead_s", [-8, 8])
async def test_lost_answers_are_settled_by_what_the_venue_shows(bootstrap: str, tmp_path: Path, ahead_s: int) -> None:
    """A place, a replace and a cancel, each without an answer; the alarm says that the clocks differ."""
    async with (
        Venue(VenueSettings(), AheadClock(ahead_s)) as venue,
        Rig(bootstrap, venue, tmp_path) as rig,
        rig.daemon(rig.settings(timing=TIMING)),
    ):
        results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
        await until(lambda: any(one["type"] == "recovery.complete" for one in session.values))
        for action in ("place_order", "replace_order", "cancel_order"):
            times = None if action == "cancel_order" else 1
            venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action=action, times=times))
        asked = command("place_order", PLACE)
        await rig.send(asked)
        placed = await results.result(asked)
        asked = command("replace_order", {"orderId": placed["orderId"], "replacePrice": "20100"})
        await rig.send(asked)
        replaced = await results.result(asked)
        asked = command("cancel_order", {"orderId": replaced["orderId"]}, valid_s=3)
        await rig.send(asked)
        cancelled = await results.result(asked)
    assert [one["outcome"] for one in (placed, replaced, cancelled)] == ["accepted"] * 3
    raised = {one["alarm"] for one in session.values if one["type"] == "alarm.raised"}
    assert "clock_skew" in raised
    assert "broker_clock_skew" not in raised
    assert "late_landed" not in raised
