"""Alarms that describe a condition: published on `session` once when it begins, and once when it ends.

An alarm that describes an occurrence has no end; `Outbox.publish_alarm` publishes it.
"""

from collections.abc import Callable

from msgspec import Struct

from bridge.contract.session import Alarm, AlarmCleared, AlarmRaised, SessionEvent
from bridge.core.now import Now


class ActiveAlarm(Struct, frozen=True):
    """A condition that lasts since `since_ms`, Unix ms. `subject` is what it is about, where there may be several."""

    alarm: Alarm
    subject: str
    detail: str
    since_ms: int


class ActiveAlarms:
    """The alarms of one term that have been raised and not been cleared; the next owner begins without any."""

    def __init__(self, publish: Callable[[SessionEvent], None]) -> None:
        self._publish = publish
        self._active: dict[tuple[Alarm, str], ActiveAlarm] = {}

    def raise_alarm(self, alarm: Alarm, detail: str, now: Now, subject: str = "") -> bool:
        """Publish that a condition has begun; return False when it is active already."""
        if (alarm, subject) in self._active:
            return False
        self._active[alarm, subject] = ActiveAlarm(alarm, subject, detail, now.wall_ms)
        self._publish(AlarmRaised(at=now.wall_ms, alarm=alarm, detail=detail, subject=subject))
        return True

    def clear_alarm(self, alarm: Alarm, detail: str, now: Now, subject: str = "") -> bool:
        """Publish that a condition has ended; return False when it was not active."""
        ended = self._active.pop((alarm, subject), None)
        if ended is None:
            return False
        self._publish(AlarmCleared(at=now.wall_ms, alarm=alarm, detail=detail, since=ended.since_ms, subject=subject))
        return True

    def republish(self) -> None:
        """Publish every active alarm again: readers drop alarms at `owner.acquired`."""
        for active in self.active():
            event = AlarmRaised(at=active.since_ms, alarm=active.alarm, detail=active.detail, subject=active.subject)
            self._publish(event)

    def is_active(self, alarm: Alarm, subject: str = "") -> bool:
        """Whether a condition is active."""
        return (alarm, subject) in self._active

    def active(self) -> list[ActiveAlarm]:
        """Return the active conditions, the oldest first."""
        return list(self._active.values())
