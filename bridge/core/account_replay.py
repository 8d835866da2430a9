"""What one account learns, at its takeover, of the owners before it: from the group's commit and from the topics."""

from collections.abc import Iterable

from bridge.contract.commands import REPLACE
from bridge.contract.results import Outcome, Result
from bridge.contract.session import Alarm
from bridge.contract.topics import Stream
from bridge.core.account_wings import AccountWings
from bridge.core.commands.claims import CommitMetadata, Origin, encode
from bridge.core.commands.command import ADDS_RISK
from bridge.core.commands.dispatch import Commit
from bridge.core.now import Now
from bridge.core.records import TopicRecord
from bridge.core.stream.gaps import Gap
from bridge.core.takeover_plan import EarlierCommands, ReplaySpans, TakeoverStart, plan_replay

_ACKS_OF_LATE_S = 60.0


class AccountReplay(AccountWings):
    """The steps of a takeover of one account."""

    def fencing_commit(self, begin: TakeoverStart, now: Now) -> Commit:
        """Return the first commit of the term: from then on the coordinator refuses what predecessors commit."""
        stored, is_surely_told = begin.stored, begin.ended_in_good_order
        extra = self.restore_extra_cancels(stored.extra_cancels, now, in_good_order=is_surely_told)
        metadata = CommitMetadata(
            self.epoch,
            stored.durable_until_ms,
            stored.claimed,
            stored.claims_lost_below,
            origin=self._claims.origin,
            extra_cancels=extra,
        )
        return Commit(begin.offset, encode(metadata, begin.offset), (), now.boot_s)

    def announce(self, instance: str, origin: Origin, now: Now) -> None:
        """Publish on `results` that this process takes the account over: what an older epoch says behind it is void."""
        self.results.publish_takeover(self.epoch, instance, now, origin)

    def plan_replay(self, begin: TakeoverStart, first_command_ms: int | None, now: Now) -> ReplaySpans:
        """Return what to read of the topics; `first_command_ms` is when the first command to read was stamped."""
        return plan_replay(
            begin,
            first_command_ms,
            # The brokers stamp commands and results, and the takeover's own record has told their clock.
            now_ms=self.clocks.broker_now(now).wall_ms,
            horizon_ms=int(self._timing.horizon_s * 1000),
            skew_bound_ms=int(self._timing.skew_bound_s * 1000),
        )

    def trades_since_ms(self, begin_ms: int) -> int:
        """Return from when on published trades are to be read, where REST will be asked for those since `begin_ms`."""
        return self.stream.reconciliation.rows_since_ms(begin_ms)

    def restore(self, results: list[tuple[Result, int]], now: Now) -> None:
        """Remember what earlier owners answered: results with their record timestamps, oldest first."""
        clocks = self.clocks
        self._index.restore((result, clocks.appended_boot_s(stamp_ms, now)) for result, stamp_ms in results)
        self._rate_limits.restore(results, clocks, now)
        self._late_orders.restore(results)
        # Older orders have shown themselves on the orders topic, which is read too.
        for result, timestamp_ms in results:
            appended_boot_s = clocks.appended_boot_s(timestamp_ms, now)
            dated_ms = clocks.venue.read_at(appended_boot_s).latest
            if result.outcome is Outcome.ACCEPTED and result.action == REPLACE:
                self._orders.replacements.note_request(result.order_id, dated_ms)
            if appended_boot_s < now.boot_s - _ACKS_OF_LATE_S:
                continue
            if result.outcome is Outcome.ACCEPTED and result.action in ADDS_RISK:
                self._orders.note_ack(result.order_id, result.client_order_id, None, dated_ms)

    def restore_extra_cancels(
        self, told: Iterable[tuple[int, int]], now: Now, *, in_good_order: bool
    ) -> tuple[tuple[int, int], ...]:
        """Take the slots of cancels that only the earlier owner's commits tell of; return what ours is to tell of.

        One that did not end in good order may have written some that no commit tells of.
        """
        self._rate_limits.cancels.restore_extra(told, now.boot_s, in_good_order=in_good_order)
        return self._rate_limits.cancels.extra.counts_to_commit(now.boot_s)[0]

    def remember_state(self, stream: Stream, value: bytes, published_ms: int, *, recovered: bool) -> None:
        """Learn a state that an earlier owner published, `recovered` or pushed."""
        self.stream.restore_record(stream, value, published_ms, recovered=recovered)

    def forget_state(self, stream: Stream, key: bytes) -> None:
        """Learn that an earlier owner published the end of a state."""
        self.stream.restore_tombstone(stream, key)

    def remember_trades(self, records: Iterable[TopicRecord]) -> None:
        """Learn which executions earlier owners published."""
        for record in records:
            self.stream.restore_record(Stream.TRADES, record.value or b"", record.timestamp_ms)

    def inherit_gaps(self, left_open: Iterable[Gap]) -> None:
        """Take on the gaps that earlier owners left open."""
        self.stream.inherit_gaps(left_open)

    def earlier_commands_read(self, earlier: EarlierCommands, now: Now) -> bool:
        """Note that every command from before this term has been offered; return whether claims were lost."""
        self.forget_offsets(earlier.answered_elsewhere(), now)
        doubts = earlier.describe_doubts()
        if doubts:
            self.outbox.publish_alarm(Alarm.CLAIMS_UNREADABLE, doubts, now)
        return bool(doubts)

    def forget_offsets(self, command_ids: Iterable[str], now: Now) -> None:
        """Note which answered commands stand at no offset of `commands` as it is now."""
        self._index.forget_offsets(command_ids, now.boot_s)
