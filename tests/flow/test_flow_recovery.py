"""The sweeps of one term: what the venue refuses to tell, and what that holds up."""

import msgspec
from one_account import order_push
from outside import Outside, until

from bridge.contract.session import Cause
from bridge.core.traffic import Push
from bridge.errors import VenueRefused

REFUSED = VenueRefused(2003, "the key may not", "use another")


async def test_a_sweep_that_is_refused_raises_one_alarm() -> None:
    """However often it is tried again; places wait, and go when the venue tells at last."""
    outside = Outside()
    outside.venue.rest_trouble = REFUSED
    async with outside.running(ready=False):
        await until(lambda: outside.venue.swept == 2)
        assert not outside.trading
        outside.venue.rest_trouble = None
        await until(lambda: outside.trading)
    assert [event["alarm"] for event in outside.topics.session_events("alarm.raised")] == ["recovery_refused"]


async def test_risks_that_are_refused_hold_nothing_up() -> None:
    """A key of another level may trade, and not ask for them."""
    outside = Outside()
    outside.venue.risks_trouble = REFUSED
    async with outside.running():
        pass
    assert outside.topics.session_events("alarm.raised") == []


async def test_an_order_that_the_venue_refuses_to_speak_of_holds_no_other_up() -> None:
    """It was live, and the list of open orders lacks it; the gap names that something could not be read."""
    outside = Outside(rest_lag_s=0.2)
    async with outside.running():
        row = msgspec.json.encode(order_push("mine"))
        outside.venue.session.heard(Push("Orders", row, row))
        outside.venue.order_trouble = REFUSED
        outside.venue.session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: len(outside.topics.session_events("gap.closed")) == 2)
    assert "unreadable_rows" in outside.topics.session_events("gap.closed")[-1]["lost"]
