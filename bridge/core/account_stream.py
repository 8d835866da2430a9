"""What one account hears of the venue and of Kafka, and publishes about its session, its clocks and its topics."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager

from bridge.contract.session import Alarm, Cause
from bridge.contract.topics import Stream
from bridge.core.account_wings import AccountWings
from bridge.core.alarms import ActiveAlarm
from bridge.core.late_records import copy_to_republish
from bridge.core.now import Now
from bridge.core.records import OutgoingRecord, TopicRecord
from bridge.core.skew import ClockReading
from bridge.core.topic_losses import LostTopic, MissingGrant

_NAME_CHARS_MAX = 200


class AccountStream(AccountWings):
    """The session, the alarms and the topics of one account."""

    def logged_in(self, endpoint: str, now: Now) -> None:
        """Note that pushes arrive from now on; what was missed is to be asked for."""
        self.alarms.clear_alarm(Alarm.LOGIN_REFUSED, f"logged in at {endpoint}", now)
        self.stream.logged_in(endpoint, now)

    def session_lost(self, endpoint: str, cause: Cause, detail: str, durable_ms: int, now: Now) -> None:
        """Note that the session is gone: what awaits an answer is unknown, and from `durable_ms` on is a gap."""
        self.first_sweep_done = False
        self.in_flight.link_lost(now)
        self.bridge_cancels.link_lost()
        self.stream.session_lost(endpoint, cause, detail, durable_ms, now)

    def raise_alarm(self, alarm: Alarm, detail: str, now: Now, subject: str = "") -> bool:
        """Publish that a condition has begun; False when it has been told already."""
        return self.alarms.raise_alarm(alarm, detail, now, subject)

    def clear_alarm(self, alarm: Alarm, detail: str, now: Now, subject: str = "") -> bool:
        """Publish that a condition has ended; False when it was not active."""
        return self.alarms.clear_alarm(alarm, detail, now, subject)

    def active_alarm(self, alarm: Alarm) -> ActiveAlarm | None:
        """Return an alarm that lasts, the oldest where there are several of the kind; None without one."""
        return next((one for one in self.alarms.active() if one.alarm is alarm), None)

    def publish_alarm(self, alarm: Alarm, detail: str, now: Now) -> None:
        """Publish the alarm of an occurrence, which has no end."""
        self.outbox.publish_alarm(alarm, detail, now)

    def noting_published_keys(self) -> AbstractContextManager[set[tuple[Stream, bytes]]]:
        """Note under which keys something is published during the block that this begins."""
        return self.outbox.noting_keys()

    def venue_clock_read(self, reading: ClockReading | None, now: Now) -> bool | None:
        """Compare the venue's clock with ours; return whether the alarm has begun or ended, None where neither."""
        before = self.alarms.is_active(Alarm.CLOCK_SKEW)
        if reading is not None:
            self.clocks.learn_venue_time(reading, now)
        return self._alarm_change(Alarm.CLOCK_SKEW, before=before)

    def broker_clock_read(self, reading: ClockReading | None, now: Now) -> bool | None:
        """Compare the broker's clock with ours; return the same. A reading that is known tells nothing new."""
        before = self.alarms.is_active(Alarm.BROKER_CLOCK_SKEW)
        if reading is not None and reading is not self._broker_reading:
            self._broker_reading = reading
            self.clocks.learn_broker_time(reading, now)
        return self._alarm_change(Alarm.BROKER_CLOCK_SKEW, before=before)

    def _alarm_change(self, alarm: Alarm, *, before: bool) -> bool | None:
        is_active = self.alarms.is_active(alarm)
        return None if is_active == before else is_active

    def record_too_large(self, record: OutgoingRecord, now: Now) -> None:
        """Publish the alarm for a record that no topic takes: its readers miss it."""
        name = (record.event_id or record.key.decode("utf-8", "replace"))[:_NAME_CHARS_MAX]
        detail = f"{name} of {record.stream.value} has {len(record.value or b'')} bytes and was not published"
        self.outbox.publish_alarm(Alarm.RECORD_TOO_LARGE, detail, now)

    def topics_checked(
        self, lost: Sequence[LostTopic], missing: Sequence[MissingGrant], instance: str, now: Now
    ) -> list[str]:
        """Publish what is wrong with the topics, and again what was lost with one.

        Return the lost topics that are as they must be again, and of which everything has been published.
        """
        told = self.topic_losses.publish_losses(lost, instance, now)
        self.topic_losses.publish_missing_grants(missing, now)
        return told

    def publish_again(self, stream: Stream, records: Iterable[TopicRecord]) -> None:
        """Publish records of a topic once more: older ones stand behind them."""
        self.outbox.publish_all(copy_to_republish(stream, record) for record in records)
