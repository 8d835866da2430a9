"""The venue's clock and ours: what a term says when they differ."""

from bridge.account_parts import clock
from bridge.core.skew import Skew
from tests.support.clock_readings import reading_of
from tests.support.outside import Outside
from tests.witness.waiting import until


async def test_the_alarm_comes_and_ends_once_for_each_time_the_clocks_part() -> None:
    """It comes when the difference is certain, ends when the clocks certainly agree, and only then comes again."""
    outside = Outside(skew_bound_s=5)
    async with outside.running():
        listener = outside.venue.session.listener
        behind, unsure, ahead = Skew(-9000, -8000), Skew(-6000, -4000), Skew(8000, 8100)
        for skew in (unsure, behind, behind, unsure, behind, Skew(-4000, 4000), unsure, ahead, ahead):
            now = clock()
            listener.clock_read(reading_of(skew, now), now)
        await until(lambda: len(outside.topics.session_events("alarm.raised")) == 2)
    first, second = outside.topics.session_events("alarm.raised")
    assert (first["alarm"], second["alarm"]) == ("clock_skew", "clock_skew")
    assert "8.0 to 9.0 s behind the venue's, and 5 s is the most that may be" in first["detail"]
    assert "8.0 to 8.1 s ahead" in second["detail"]
    (cleared,) = outside.topics.session_events("alarm.cleared")
    assert (cleared["alarm"], cleared["since"]) == ("clock_skew", first["at"])
    assert first["at"] <= cleared["at"] <= second["at"]
