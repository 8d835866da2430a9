"""The alarm for commands that are read late."""

from bridge.contract.session import Alarm, AlarmCleared, AlarmRaised, SessionEvent
from bridge.core.alarms import ActiveAlarms
from bridge.core.clocks import Clocks
from bridge.core.commands.reading_delay import ReadingDelay
from bridge.core.now import Now
from bridge.core.skew import ClockReading
from tests.support.one_account import START

AHEAD_MS = 20_000
"""The broker's clock is so far ahead of ours."""


class _Reading:
    def __init__(self, *, is_measured: bool = True) -> None:
        self.told: list[SessionEvent] = []
        alarms = ActiveAlarms(self._tell)
        clocks = Clocks(alarms, START, skew_bound_s=60, rest_lag_s=30)
        if is_measured:
            clocks.learn_broker_time(ClockReading(START.boot_s, START.boot_s, START.wall_ms + AHEAD_MS), START)
        self.delay = ReadingDelay(alarms, clocks)

    def _tell(self, event: SessionEvent) -> None:
        if isinstance(event, AlarmRaised | AlarmCleared) and event.alarm is Alarm.COMMANDS_BEHIND:
            self.told.append(event)

    def read(self, appended_s: float, at_s: float) -> None:
        """Read a record some seconds after it was appended."""
        self.delay.record_read(START.wall_ms + AHEAD_MS + round(appended_s * 1000), _at(at_s))

    def kinds(self) -> list[str]:
        """Return the published events: raised or cleared."""
        return [type(event).__name__ for event in self.told]


def _at(at_s: float) -> Now:
    return Now(START.boot_s + at_s, START.wall_ms + round(at_s * 1000))


def test_late_reading_raises_the_alarm_once_and_clears_it() -> None:
    """It is raised more than a second after an append by the broker's clock, and cleared when all has been read."""
    one = _Reading()
    one.read(0, 0.5)
    one.read(0, 0.99)
    assert one.told == []
    one.read(0, 2)
    one.read(0.5, 4)
    one.delay.position_reached(2, 7, _at(4))
    assert one.kinds() == ["AlarmRaised"]
    assert "2.0 s after its append" in getattr(one.told[0], "detail", "")
    one.delay.position_reached(7, 7, _at(4.1))
    one.delay.position_reached(7, 7, _at(4.2))
    assert one.kinds() == ["AlarmRaised", "AlarmCleared"]


def test_a_command_that_is_unread_for_a_second_raises_the_alarm() -> None:
    """This needs no clock of the broker; commands that come later do not count."""
    one = _Reading(is_measured=False)
    one.delay.position_reached(0, 10, _at(0))
    one.delay.position_reached(4, 50, _at(0.9))
    one.delay.position_reached(10, 90, _at(1.1))
    one.delay.position_reached(60, 95, _at(2))
    one.delay.position_reached(89, 99, _at(2.1))
    assert one.told == []
    one.delay.position_reached(89, 99, _at(2.2))
    one.delay.position_reached(89, 99, _at(3))
    assert one.kinds() == ["AlarmRaised"]
    one.delay.position_reached(98, 99, _at(3.1))
    assert one.kinds() == ["AlarmRaised"]
    one.delay.position_reached(99, 99, _at(3.2))
    assert one.kinds() == ["AlarmRaised", "AlarmCleared"]


def test_paused_reading_raises_the_alarm_after_a_second() -> None:
    """Meanwhile no record is read that could raise it; one that was read before does not clear it."""
    one = _Reading()
    one.delay.position_reached(3, 3, _at(0), is_paused=True)
    one.delay.position_reached(3, 3, _at(0.9), is_paused=True)
    assert one.told == []
    one.delay.position_reached(3, 3, _at(1.1), is_paused=True)
    one.read(1, 1.2)
    assert one.kinds() == ["AlarmRaised"]
    one.delay.position_reached(3, 3, _at(2))
    one.delay.position_reached(3, 3, _at(3), is_paused=True)
    assert one.kinds() == ["AlarmRaised", "AlarmCleared"]


def test_what_the_clock_leaves_open_raises_nothing() -> None:
    """A clock that was never read may differ by a minute; an unreadable record has no timestamp."""
    one = _Reading(is_measured=False)
    one.read(0, 30)
    one.delay.record_read(0, _at(90))
    assert one.told == []
