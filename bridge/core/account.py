"""The one door to the decisions about an account: `flow` calls it, and reaches nothing behind it."""

from collections.abc import Collection, Iterable

from bridge.contract.commands import CANCEL
from bridge.contract.session import OwnerAcquired, OwnerReleased
from bridge.contract.topics import Stream
from bridge.core.account_commands import AccountCommands
from bridge.core.account_queries import AccountQueries
from bridge.core.account_replay import AccountReplay
from bridge.core.account_status import AccountStatusReader
from bridge.core.account_stream import AccountStream
from bridge.core.account_sweeps import AccountSweeps
from bridge.core.commands.commit_delay import update_commit_delay_alarm
from bridge.core.now import Now
from bridge.core.records import Answer, OutgoingRecord, Push, Received


class Account(AccountReplay, AccountCommands, AccountQueries, AccountStream, AccountSweeps, AccountStatusReader):
    """Everything that one term of ownership decides about one account: each method is one step of the outside."""

    def begin(self, instance: str, now: Now, listen_from_ms: int | None = None) -> None:
        """Publish that this process owns the account; what was not durable before it is a gap.

        The very first owner has nothing before it, unless past executions are wanted from `listen_from_ms` on.
        """
        self.outbox.publish_session_event(OwnerAcquired(at=now.wall_ms, epoch=self.epoch, instance=instance))
        self.alarms.republish()
        self.stream.open_gap_before_term(now, listen_from_ms)

    def end(self, instance: str, now: Now) -> None:
        """Publish that this process gives the account up in good order."""
        self.outbox.publish_session_event(OwnerReleased(at=now.wall_ms, epoch=self.epoch, instance=instance))

    def on_durable(self, records: Iterable[OutgoingRecord]) -> None:
        """Note that the brokers have acknowledged records of this term."""
        for record in records:
            if record.answers_offset is not None:
                self.results.mark_result_durable(record.answers_offset)

    def on_frame(self, event: Received, now: Now) -> bool:
        """Take in what the venue sent; False for an answer that belongs to no request of ours."""
        if type(event) is not Push and isinstance(event, Answer):
            if self.bridge_cancels.requests and self.bridge_cancels.on_ack(event, now):
                self.in_flight.check_rate(CANCEL, event.code, now)
                return True
            if self.in_flight.on_ack(event, now):
                return True
            if event.push is None:
                return False
            event = event.push
        self.stream.on_frame(event, now)
        return True

    def tick(self, now: Now, *, stuck: Collection[Stream] = ()) -> None:
        """Do what is due: expiry, overdue answers, and old states once more, but for topics that take nothing."""
        self.dispatcher.tick(now)
        update_commit_delay_alarm(self.alarms, now, is_slow=self.dispatcher.commits_are_slow)
        self.intake.tick(now)
        if self.dispatcher.has_lease(now):
            self.in_flight.answer_earlier_cancels(now, recovered=self.first_sweep_done)
        self.in_flight.tick(now)
        self.stream.tick(now, stuck)

    def wake_at_boot_s(self, now: Now) -> float:
        """Return when something is due next."""
        times = (self.intake.wake_at_boot_s(now), self.in_flight.wake_at_boot_s(), self.dispatcher.wake_at_boot_s(now))
        later = (at for at in (self.bridge_cancels.wake_at_boot_s(), self.unknown.wake_at_boot_s()) if at > now.boot_s)
        return min((*times, *later))
