"""Sweeps that fail: when that is an alarm, and when it ends."""

from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.now import Now
from bridge.core.stream.sweep_failures import SweepFailures
from tests.support.one_account import START


def test_sweeps_that_fail_for_long_are_an_alarm() -> None:
    """Not before two minutes, and until one succeeds; then the two minutes begin anew."""
    alarms = ActiveAlarms(lambda _: None)
    failures = SweepFailures(alarms)
    for seconds, is_active in ((0, False), (119, False), (120, True)):
        failures.sweep_failed("away", Now(START.boot_s + seconds, START.wall_ms), is_lasting=False)
        assert alarms.is_active(Alarm.RECOVERY_STALLED) == is_active
    failures.sweep_succeeded(START)
    assert not alarms.is_active(Alarm.RECOVERY_STALLED)
    failures.sweep_failed("away", Now(START.boot_s + 200, START.wall_ms), is_lasting=False)
    assert not alarms.is_active(Alarm.RECOVERY_STALLED)


def test_a_refusal_is_an_alarm_at_once() -> None:
    """Nothing but a person ends it."""
    alarms = ActiveAlarms(lambda _: None)
    SweepFailures(alarms).sweep_failed("not this key", START, is_lasting=True)
    assert alarms.is_active(Alarm.RECOVERY_STALLED)
