"""Alarms that describe a condition: told on `session` once when it begins, and once when it ends.

An alarm that describes an occurrence has no end, and goes to `session` by `Results.alarm`.
"""

from collections.abc import Callable

from msgspec import Struct

from bridge.contract.session import Alarm, AlarmCleared, AlarmRaised, SessionEvent
from bridge.core.now import Now


class ActiveAlarm(Struct, frozen=True):
    """A condition that lasts: which, what it is about where there may be several, and since when."""

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
        """Publish that a condition has begun; False when it has been told already."""
        if (alarm, subject) in self._active:
            return False
        self._active[alarm, subject] = ActiveAlarm(alarm, subject, detail, now.wall_ms)
        self._publish(AlarmRaised(at=now.wall_ms, alarm=alarm, detail=detail, subject=subject))
        return True

    def clear_alarm(self, alarm: Alarm, detail: str, now: Now, subject: str = "") -> bool:
        """Publish that a condition has ended; False when it was not active."""
        ended = self._active.pop((alarm, subject), None)
        if ended is None:
            return False
        self._publish(AlarmCleared(at=now.wall_ms, alarm=alarm, detail=detail, since=ended.since_ms, subject=subject))
        return True

    def republish(self) -> None:
        """Publish every active alarm again: a reader that drops alarms at `owner.acquired` has dropped these too."""
        for one in self.active():
            self._publish(AlarmRaised(at=one.since_ms, alarm=one.alarm, detail=one.detail, subject=one.subject))

    def is_active(self, alarm: Alarm, subject: str = "") -> bool:
        """Whether a condition has been told and lasts."""
        return (alarm, subject) in self._active

    def active(self) -> list[ActiveAlarm]:
        """Return the conditions that last, the oldest first."""
        return list(self._active.values())
