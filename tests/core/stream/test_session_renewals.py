"""A session is renewed for missed pushes three times an hour, and no more."""

from bridge.contract.session import Alarm, SessionEvent
from bridge.core.alarms import ActiveAlarms
from bridge.core.now import Now
from bridge.core.stream.session_renewals import SessionRenewals
from tests.support.one_account import START


def _after(seconds: float) -> Now:
    return Now(START.boot_s + seconds, START.wall_ms + int(seconds * 1000))


def test_a_session_is_renewed_three_times_an_hour() -> None:
    """The fourth time within an hour raises the alarm instead; when the first is an hour ago, there is room again."""
    published: list[SessionEvent] = []
    alarms = ActiveAlarms(published.append)
    renewals = SessionRenewals(alarms)
    assert [renewals.pushes_missed("7", _after(at)) for at in (0, 600, 1200, 1800)] == [True, True, True, False]
    assert alarms.is_active(Alarm.AUDIT_DISAGREES)
    assert renewals.pushes_missed("7", _after(3600))


def test_the_alarm_ends_after_an_hour_without_missed_pushes() -> None:
    """An audit in good order before that leaves the alarm as it is."""
    alarms = ActiveAlarms(lambda _: None)
    renewals = SessionRenewals(alarms)
    for _ in range(4):
        renewals.pushes_missed("7", START)
    renewals.nothing_missed(_after(3599))
    assert alarms.is_active(Alarm.AUDIT_DISAGREES)
    renewals.nothing_missed(_after(3600))
    assert not alarms.is_active(Alarm.AUDIT_DISAGREES)
