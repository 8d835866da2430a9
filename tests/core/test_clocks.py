"""What follows from readings of another machine's clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.session import Alarm, SessionEvent
from bridge.core.alarms import ActiveAlarms
from bridge.core.clocks import UNMEASURED_MS, Clocks, MeasuredClock
from bridge.core.now import Now
from bridge.core.skew import ClockReading, Skew
from tests.support.clock_readings import reading_of

NOW = Now(1000.0, 1_795_000_000_000)


def _later(seconds: float, stepped_ms: int = 0) -> Now:
    return Now(NOW.boot_s + seconds, NOW.wall_ms + int(seconds * 1000) + stepped_ms)


def _clocks() -> tuple[Clocks, list[SessionEvent]]:
    published: list[SessionEvent] = []
    return Clocks(ActiveAlarms(published.append), NOW, skew_bound_s=5, rest_lag_s=30), published


def test_a_clock_that_was_never_read_may_be_a_minute_off() -> None:
    """Beyond that the venue refuses every request."""
    clock = MeasuredClock(NOW)
    assert not clock.is_known
    assert clock.read_at(NOW.boot_s) == (NOW.wall_ms - UNMEASURED_MS, NOW.wall_ms + UNMEASURED_MS)
    assert not clock.is_within(120, NOW)
    assert not clock.exceeds(1, NOW)


def test_the_first_reading_counts_alone() -> None:
    """What was assumed before bounds it no more, though both agree."""
    clock = MeasuredClock(NOW)
    clock.learn(reading_of(Skew(50_000, 80_000), NOW))
    assert clock.skew(NOW) == Skew(50_000, 80_000)


def test_quick_answers_narrow_the_readings_of_slow_ones() -> None:
    """And a slow one takes nothing from them."""
    clock = MeasuredClock(NOW)
    for skew in (Skew(-4000, 4000), Skew(-100, 900), Skew(-4000, 4000)):
        clock.learn(reading_of(skew, NOW))
    assert clock.skew(NOW) == Skew(-100, 900)


def test_a_reading_that_contradicts_all_before_it_counts_alone() -> None:
    """The clock was set."""
    clock = MeasuredClock(NOW)
    clock.learn(reading_of(Skew(-10, 10), NOW))
    clock.learn(reading_of(Skew(7000, 7500), NOW))
    assert clock.skew(NOW) == Skew(7000, 7500)


def test_what_was_measured_long_ago_says_less() -> None:
    """Two clocks part by 200 ppm at most: 0.72 s in an hour, whichever way one looks."""
    clock = MeasuredClock(NOW)
    clock.learn(reading_of(Skew(0, 0), NOW))
    assert clock.skew(_later(3600)) == Skew(-720, 720)
    assert clock.read_at(NOW.boot_s - 3600).earliest == NOW.wall_ms - 3_600_720


def test_a_step_of_the_wall_clock_shows_at_once_and_moves_no_time_of_the_other() -> None:
    """The other clock is compared with the boot clock."""
    clock = MeasuredClock(NOW)
    clock.learn(reading_of(Skew(0, 0), NOW))
    stepped = _later(0, stepped_ms=3_600_000)
    assert clock.exceeds(5, stepped)
    assert clock.read_at(stepped.boot_s) == (NOW.wall_ms, NOW.wall_ms)
    assert clock.boot_s_of(NOW.wall_ms) == (NOW.boot_s, NOW.boot_s)


@given(
    offset_ms=st.integers(-100_000, 100_000),
    ways=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900), st.floats(0, 600)), min_size=1, max_size=20),
    at_s=st.floats(-1000, 7000),
)
def test_the_truth_lies_within_what_is_said(offset_ms: int, ways: list[tuple[int, int, float]], at_s: float) -> None:
    """For any readings of a clock that is not set, its time at an instant is between the two that are returned."""
    clock, boot_s = MeasuredClock(NOW), NOW.boot_s
    for there_ms, back_ms, wait_s in ways:
        answered_boot_s = boot_s + (there_ms + back_ms) / 1000
        clock.learn(ClockReading(boot_s, answered_boot_s, int(boot_s * 1000) + there_ms + offset_ms))
        boot_s = answered_boot_s + wait_s
    true_ms = (NOW.boot_s + at_s) * 1000 + offset_ms
    read = clock.read_at(NOW.boot_s + at_s)
    assert read.earliest - 2 <= true_ms <= read.latest + 2
    reached = clock.boot_s_of(int(true_ms))
    assert reached.earliest - 0.002 <= NOW.boot_s + at_s <= reached.latest + 0.002


def test_a_command_narrows_the_brokers_clock_from_both_sides() -> None:
    """It was stamped before it came, and after the topic was read without it, but for the time its replicas took."""
    clocks, published = _clocks()
    clocks.command_arrived(NOW.wall_ms, NOW.boot_s - 0.5, NOW)
    assert clocks.broker.is_known
    assert clocks.broker.skew(NOW) == Skew(-1501, 0)
    assert clocks.trusts_broker(NOW)
    assert published == []


def test_an_old_command_alone_makes_no_clock_known() -> None:
    """It may have waited for long, as in a takeover after an outage."""
    clocks, _ = _clocks()
    clocks.command_arrived(NOW.wall_ms - 3_600_000, float("-inf"), NOW)
    assert not clocks.broker.is_known
    assert not clocks.trusts_broker(NOW)


def test_a_command_from_the_future_says_that_the_broker_is_ahead() -> None:
    """By how much at the least; nothing may be decided by such a clock until it is read again."""
    clocks, published = _clocks()
    clocks.learn_broker_time(reading_of(Skew(0, 0), NOW), NOW)
    clocks.command_arrived(NOW.wall_ms + 8000, float("-inf"), NOW)
    assert not clocks.trusts_broker(NOW)
    assert "contradict" in clocks.describe_broker(NOW)
    clocks.learn_broker_time(reading_of(Skew(-8000, -7999), NOW), NOW)
    assert "8.0 s behind the broker's" in clocks.describe_broker(NOW)
    clocks.learn_broker_time(reading_of(Skew(0, 0), NOW), NOW)
    assert clocks.trusts_broker(NOW)
    assert [(event.alarm, type(event).__name__) for event in published if hasattr(event, "alarm")] == [
        (Alarm.BROKER_CLOCK_SKEW, "AlarmRaised"),
        (Alarm.BROKER_CLOCK_SKEW, "AlarmCleared"),
    ]


def test_a_command_that_was_not_there_and_is_old_says_that_the_broker_is_behind() -> None:
    """The topic was read without it half a second ago, and it is stamped twelve seconds ago."""
    clocks, published = _clocks()
    clocks.learn_broker_time(reading_of(Skew(0, 0), NOW), NOW)
    clocks.command_arrived(NOW.wall_ms - 12_000, NOW.boot_s - 0.5, NOW)
    assert not clocks.trusts_broker(NOW)
    assert [getattr(event, "alarm", None) for event in published] == [Alarm.BROKER_CLOCK_SKEW]


def test_a_record_that_could_not_be_read_has_no_time() -> None:
    """It has no timestamp."""
    clocks, _ = _clocks()
    clocks.command_arrived(0, NOW.boot_s, NOW)
    assert not clocks.broker.is_known


def test_the_venues_alarm_says_why_nothing_is_given_up() -> None:
    """Once, while its clock is not known; it ends with the first reading that agrees."""
    clocks, published = _clocks()
    assert not clocks.may_conclude_not_found(NOW)
    assert not clocks.may_conclude_not_found(NOW)
    clocks.learn_venue_time(reading_of(Skew(-1, 1), NOW), NOW)
    assert clocks.may_conclude_not_found(NOW)
    assert [type(event).__name__ for event in published] == ["AlarmRaised", "AlarmCleared"]


@pytest.mark.parametrize("skew", [Skew(8000, 8010), Skew(-8010, -8000), Skew(-6000, 1000)])
def test_beyond_the_bound_nothing_is_said_to_have_not_happened(skew: Skew) -> None:
    """Nor where it is not certain that the clocks agree."""
    clocks, _ = _clocks()
    clocks.learn_venue_time(reading_of(skew, NOW), NOW)
    assert not clocks.may_conclude_not_found(NOW)
