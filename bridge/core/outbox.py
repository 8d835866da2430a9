"""The way out of the core: every record that an account publishes is handed to a sink, at once and in order."""

from collections.abc import Callable, Iterable

import msgspec

from bridge.contract.session import Alarm, AlarmRaised, SessionEvent
from bridge.contract.topics import Stream
from bridge.core.alarms import ActiveAlarms
from bridge.core.now import Now
from bridge.core.records import OutgoingRecord

_encode = msgspec.json.Encoder().encode


class Outbox:
    """Hands the records of one account in one term to a sink, which must neither fail nor wait."""

    def __init__(self, account: str, sink: Callable[[OutgoingRecord], None]) -> None:
        self.account_key = account.encode()
        """The key of the records that are about the whole account."""
        self.publish = sink
        self.alarms = ActiveAlarms(self.publish_session_event)
        """The alarms of conditions; `publish_alarm` is for occurrences."""

    def publish_all(self, records: Iterable[OutgoingRecord]) -> None:
        """Publish records in their order."""
        for record in records:
            self.publish(record)

    def publish_session_event(self, event: SessionEvent) -> None:
        """Publish an event on `session`."""
        record = OutgoingRecord(stream=Stream.SESSION, key=self.account_key, value=_encode(event), time_ms=event.at)
        self.publish(record)

    def publish_alarm(self, alarm: Alarm, detail: str, now: Now) -> None:
        """Publish the alarm of an occurrence, which has no end."""
        self.publish_session_event(AlarmRaised(at=now.wall_ms, alarm=alarm, detail=detail))
