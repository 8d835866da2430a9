"""Alarms of conditions: each is published once when it begins and once when it ends."""

import msgspec

from bridge.contract.session import Alarm, AlarmCleared, AlarmRaised, SessionEvent
from bridge.contract.topics import Stream
from bridge.core.alarms import ActiveAlarm, ActiveAlarms
from bridge.core.now import Now
from tests.support.one_account import OneAccount

BEGIN = Now(10.0, 1_000)
LATER = Now(12.0, 3_000)
END = Now(15.0, 6_000)


def test_a_condition_is_published_when_it_begins_and_when_it_ends() -> None:
    """However often it is raised in between; its end says since when it lasted."""
    published: list[SessionEvent] = []
    alarms = ActiveAlarms(published.append)
    assert alarms.raise_alarm(Alarm.CLOCK_SKEW, "7 s", BEGIN)
    assert not alarms.raise_alarm(Alarm.CLOCK_SKEW, "8 s", LATER)
    assert alarms.clear_alarm(Alarm.CLOCK_SKEW, "mended", END)
    assert published == [
        AlarmRaised(1_000, Alarm.CLOCK_SKEW, "7 s"),
        AlarmCleared(6_000, Alarm.CLOCK_SKEW, "mended", 1_000),
    ]


def test_the_end_of_a_condition_that_never_began_is_not_published() -> None:
    """The caller that clears an alarm need not know whether it was raised."""
    published: list[SessionEvent] = []
    assert not ActiveAlarms(published.append).clear_alarm(Alarm.CLOCK_SKEW, "fine", BEGIN)
    assert published == []


def test_each_subject_of_an_alarm_has_a_beginning_and_an_end_of_its_own() -> None:
    """The end of one leaves the other active, the oldest of those that last comes first."""
    published: list[SessionEvent] = []
    alarms = ActiveAlarms(published.append)
    alarms.raise_alarm(Alarm.RATE_REJECTED, "429", BEGIN, "place_order")
    alarms.raise_alarm(Alarm.RATE_REJECTED, "429", LATER, "cancel_order")
    assert [one.subject for one in alarms.active()] == ["place_order", "cancel_order"]
    alarms.clear_alarm(Alarm.RATE_REJECTED, "room again", END, "place_order")
    assert not alarms.is_active(Alarm.RATE_REJECTED, "place_order")
    assert alarms.is_active(Alarm.RATE_REJECTED, "cancel_order")
    assert alarms.active() == [ActiveAlarm(Alarm.RATE_REJECTED, "cancel_order", "429", 3_000)]
    assert published[-1] == AlarmCleared(6_000, Alarm.RATE_REJECTED, "room again", 1_000, "place_order")


def test_active_alarms_are_published_again() -> None:
    """As they were published at first; those that have ended are not."""
    published: list[SessionEvent] = []
    alarms = ActiveAlarms(published.append)
    alarms.raise_alarm(Alarm.CLOCK_SKEW, "7 s", BEGIN)
    alarms.raise_alarm(Alarm.RATE_REJECTED, "429", LATER, "cancel_order")
    alarms.clear_alarm(Alarm.CLOCK_SKEW, "mended", LATER)
    alarms.republish()
    assert published[3:] == [published[1]]


def test_the_alarms_of_a_takeover_are_published_again_after_its_end() -> None:
    """Readers take `owner.acquired` for the end of an earlier owner's alarms; this owner's last."""
    one = OneAccount(epoch=2)
    one.drain()
    one.account.alarms.raise_alarm(Alarm.BROKER_CLOCK_SKEW, "9 s", one.now)
    one.account.begin("this one", one.now)
    events = [msgspec.json.decode(record.value or b"") for record in one.drain() if record.stream is Stream.SESSION]
    published = [(event["type"], event.get("alarm")) for event in events]
    raised = ("alarm.raised", "broker_clock_skew")
    assert published[:3] == [raised, ("owner.acquired", None), raised]
