"""The way out of the core: every record that an account publishes leaves through it, at once and in order."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import msgspec

from bridge.contract.session import Alarm, AlarmRaised, SessionEvent
from bridge.contract.topics import Stream
from bridge.core.alarms import ActiveAlarms
from bridge.core.now import Now
from bridge.core.records import OutgoingRecord

_encode = msgspec.json.Encoder().encode


class Outbox:
    """Hands the records of one account in one term to `publish`, which must neither fail nor wait.

    Results go to `publish_result` where there is one, and events on `session` to `on_session_event` as well.
    """

    def __init__(
        self,
        account: str,
        publish: Callable[[OutgoingRecord], None],
        publish_result: Callable[[OutgoingRecord], None] | None = None,
        on_session_event: Callable[[SessionEvent], None] | None = None,
    ) -> None:
        self.account_key = account.encode()
        """The key of the records that are about the whole account."""
        self.publish = publish
        self.publish_result = publish_result or publish
        self._on_session_event = on_session_event
        self.alarms = ActiveAlarms(self.publish_session_event)
        """The alarms of conditions; `publish_alarm` is for occurrences."""

    def publish_all(self, records: Iterable[OutgoingRecord]) -> None:
        """Publish records in their order."""
        for record in records:
            self.publish(record)

    @contextmanager
    def noting_keys(self) -> Iterator[set[tuple[Stream, bytes]]]:
        """Note under which keys something is published during the block."""
        noted: set[tuple[Stream, bytes]] = set()
        publish, publish_result = self.publish, self.publish_result

        def note(record: OutgoingRecord) -> OutgoingRecord:
            noted.add((record.stream, record.key))
            return record

        self.publish = lambda record: publish(note(record))
        self.publish_result = lambda record: publish_result(note(record))
        try:
            yield noted
        finally:
            self.publish, self.publish_result = publish, publish_result

    def publish_session_event(self, event: SessionEvent) -> None:
        """Publish an event on `session`."""
        record = OutgoingRecord(stream=Stream.SESSION, key=self.account_key, value=_encode(event), time_ms=event.at)
        self.publish(record)
        if self._on_session_event is not None:
            self._on_session_event(event)

    def publish_alarm(self, alarm: Alarm, detail: str, now: Now) -> None:
        """Publish the alarm of an occurrence, which has no end."""
        self.publish_session_event(AlarmRaised(at=now.wall_ms, alarm=alarm, detail=detail))
