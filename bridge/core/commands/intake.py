"""From a record of the commands topic to a place in a lane, or straight to a result."""

from bridge.config import Limits, Timing
from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE
from bridge.contract.results import Outcome, Reason
from bridge.core.commands.answered_commands import AnsweredCommand
from bridge.core.commands.command import ADDS_RISK, TrackedCommand
from bridge.core.commands.deferred_offsets import behind_max, may_be_cancel
from bridge.core.commands.dispatch import Dispatcher
from bridge.core.commands.held_records import HeldRecords
from bridge.core.commands.in_flight_port import InFlight
from bridge.core.commands.inherited_commands import InheritedCommands
from bridge.core.commands.order_names import resolve_order_names
from bridge.core.commands.parse import InvalidCommand, parse_command
from bridge.core.commands.resubmissions import Resubmissions
from bridge.core.commands.results import Results
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.commands.term_state import TermState
from bridge.core.commands.unsent_commands import UnsentCommands, judge_validity
from bridge.core.now import Now
from bridge.core.records import CommandRecord

_UNCLAIMED = frozenset({TakeoverStatus.NEW, TakeoverStatus.UNREAD, TakeoverStatus.READ})


class CommandIntake:
    """Parses and dedupes commands, puts them into lanes, and answers those that are not sent."""

    def __init__(
        self,
        term: TermState,
        dispatcher: Dispatcher,
        results: Results,
        in_flight: InFlight,
        *,
        limits: Limits,
        timing: Timing,
    ) -> None:
        self._limits = limits
        self._timing = timing
        self._lane_commands_max = limits.lane_commands_max
        self._results = results
        self._claims = term.claims
        self._index = term.index
        self._resubmissions = Resubmissions(term, results)
        self._table = term.table
        self._lanes = term.table.lanes
        self._rate_limits = term.rate_limits
        self._orders = term.orders
        self._clocks = term.clocks
        self._dispatcher = dispatcher
        self._lookups = dispatcher.lookups
        self._in_flight = in_flight
        self._held = HeldRecords()
        self._unsent = UnsentCommands(term.table, results, dispatcher, in_flight)
        self._inherited = InheritedCommands(term, results, dispatcher, self._unsent, in_flight)

    @property
    def is_paused(self) -> bool:
        """Whether so many cancels or so many bytes wait that reading should pause."""
        if self._held.is_full:
            return True
        return (
            len(self._held) + self._lanes.count_waiting(CANCEL) + self._lanes.count_waiting(CANCEL_ALL)
            >= self._lane_commands_max
        )

    def offer(
        self,
        record: CommandRecord,
        now: Now,
        status: TakeoverStatus = TakeoverStatus.NEW,
        *,
        behind: int = 0,
        too_many_answers: bool = False,
    ) -> None:
        """Take in a record of the commands topic; one that was taken in before is ignored.

        A place or replace with more than a lane's commands `behind` it, or fewer if it is large, is deferred unread:
        it will not be sent, and is denied when what is behind it has been read. So is any while `too_many_answers`
        wait for Kafka. Any other new record is held while there is no lease, because only the owner may publish a
        result. A cancel that needs no result now goes ahead.
        """
        if record.offset < self._claims.next_offset:
            return
        self._clocks.command_arrived(record.timestamp_ms, record.absent_boot_s, now)
        is_too_far = behind > behind_max(record, self._lane_commands_max)
        if (is_too_far or too_many_answers) and status in _UNCLAIMED and not may_be_cancel(record):
            self._claims.defer(record.offset, record.next_offset, for_memory=not is_too_far)
            return
        if self._claims.deferred.is_growing:
            self._claims.deferred.end_range()
        if status is not TakeoverStatus.ANSWERED:
            self._claims.mark_read(record.offset)
        self._claims.mark_skipped(record.next_offset - 1)
        if status is TakeoverStatus.NEW and (self._held or not self._dispatcher.has_lease(now)):
            self._held.hold(record)
            self._take_in_urgent_cancels(now)
        elif status is not TakeoverStatus.ANSWERED or may_be_cancel(record):
            self._take_in(record, now, status)

    @property
    def deferred_span(self) -> tuple[int, int] | None:
        """The offset of the first deferred command, and the offset after the last; None when none is deferred."""
        return self._claims.deferred.span

    def answer_deferred(self, record: CommandRecord, now: Now) -> None:
        """Deny a deferred command, which was read again; a second call for it does nothing."""
        is_for_memory = self._claims.deferred.is_for_memory(record.offset)
        if not self._claims.pop_deferred(record.offset):
            return
        self._claims.mark_read(record.offset)
        self._claims.drop_deferred_below(record.next_offset)
        parsed = self._parse(record, now)
        if isinstance(parsed, InvalidCommand):
            self._answer_invalid(record, parsed, now)
            return
        if not self._remember_if_first(parsed, record, now):
            return
        invalid = judge_validity(parsed, self._clocks, now)
        if invalid is not None and invalid.outcome is Outcome.EXPIRED:
            self._results.publish_terminal(parsed, Outcome.EXPIRED, now)
        else:
            most = behind_max(record, self._lane_commands_max)
            text = f"when it was read, more than {most} commands were waiting behind it, or too many answers for Kafka"
            self._results.publish_denied(parsed, Reason.LANE_FULL, now, message=text)
        if is_for_memory:
            # A successor that does not find this answer may send the command, even a place.
            self._claims.unrecorded_refusals.add(record.offset)
        else:
            # By the number of records behind it a successor would defer it too: nothing above has to wait for this.
            self._claims.unrecorded_refusals.discard(record.offset)

    def mark_deferred_answered(self, below: int) -> None:
        """Note that every deferred command below an offset has been read again; retention may have removed some."""
        self._claims.drop_deferred_below(below)

    def mark_read_to(self, offset: int) -> None:
        """Note that the topic holds no other command below an offset: control records and holes need no answer."""
        self._claims.mark_skipped(offset - 1)

    def tick(self, now: Now) -> None:
        """Take in held records, answer what has expired unsent, and forget what is older than the horizon."""
        self._take_in_urgent_cancels(now)
        if self._dispatcher.has_lease(now):
            for record in self._held.list_oldest():
                self._held.release(record)
                self._take_in(record, now, TakeoverStatus.NEW)
            self._unsent.answer_due(now)
        self._index.drop_expired(now.boot_s)

    def wake_at_boot_s(self, now: Now) -> float:
        """Return when the next command expires, or the next held record is to be taken in."""
        if not self._dispatcher.has_lease(now):
            return float("inf")
        return now.boot_s if self._held else self._unsent.next_due_boot_s()

    def list_lookups(self) -> list[str]:
        """Return the clientOrderIds of the orders to look up: a replace waits for each, and its orderId is unknown."""
        return self._lookups.list_names()

    def postpone_lookup(self, client_order_id: str) -> None:
        """Let the other orders be looked up first: the venue gave no answer about this one."""
        self._lookups.move_to_end(client_order_id)

    def finish_lookup(self, client_order_id: str, now: Now) -> bool:
        """Send or deny the replaces of an order that was looked up: Orders knows it now if it exists.

        Returns False, and leaves them waiting, if they are to be denied and there is no lease: only the owner may.
        """
        is_known = self._orders.find(None, client_order_id) is not None
        if not is_known and not self._dispatcher.has_lease(now):
            self.postpone_lookup(client_order_id)
            return False
        for command in self._lookups.pop_waiting(client_order_id):
            if is_known:
                self._lanes.put_back(command)
            else:
                text = f"neither the bridge nor the venue knows an order {client_order_id}"
                self._results.publish_denied(command, Reason.UNKNOWN_ORDER, now, message=text)
        return True

    def _take_in_urgent_cancels(self, now: Now) -> None:
        """Take in the cancels among the held records that need not wait for the lease."""
        if not self._dispatcher.may_write_cancels(now):
            return
        for record in self._held.pop_unjudged():
            if self._may_go_ahead(record, now):
                self._held.release(record)
                self._take_in(record, now, TakeoverStatus.NEW)

    def _may_go_ahead(self, record: CommandRecord, now: Now) -> bool:
        """Whether a record is a cancel that may be sent now and that the bridge need not answer by itself.

        Its order is at the venue, so its place is not among the held records.
        """
        cancel = self._parse(record, now)
        if not isinstance(cancel, TrackedCommand) or cancel.action != CANCEL:
            return False
        if self._index.find_earlier(cancel.command_id) is not None:
            return False
        resolve_order_names(cancel, self._orders, self._table)
        order = self._orders.find(cancel.order_id, cancel.client_order_id)
        is_over = order is not None and order.ended
        if cancel.order_id is None or is_over or self._table.list_unsent_replaces(cancel.order_key or ""):
            return False
        return self._slot_free_boot_s(cancel, now) < cancel.deadline_boot_s

    def _parse(self, record: CommandRecord, now: Now, *, is_claimed: bool = False) -> TrackedCommand | InvalidCommand:
        """Parse a record; its deadline is reckoned by the broker's clock, which stamped the record."""
        return parse_command(record, self._clocks.broker_now(now), self._limits, self._timing, is_claimed=is_claimed)

    def _remember_if_first(
        self, command: TrackedCommand | InvalidCommand, record: CommandRecord, now: Now, *, is_claimed: bool = False
    ) -> bool:
        """Remember a command and return True, if its commandId is new.

        Returns False if the commandId was used before: the record is answered, or will be with the first command.
        `is_claimed`: an earlier owner claimed it, so that owner had forgotten the refusal of an earlier one.
        """
        earlier = self._index.find_earlier(command.command_id or "")
        is_forgotten = is_claimed and isinstance(earlier, AnsweredCommand) and earlier.result.outcome.unsent
        if earlier is not None and not is_forgotten:
            self._resubmissions.answer(earlier, command, record, now)
            return False
        if isinstance(command, TrackedCommand):
            self._index.add(command)
        return True

    def _answer_invalid(self, record: CommandRecord, invalid: InvalidCommand, now: Now) -> None:
        if invalid.command_id is None or self._remember_if_first(invalid, record, now):
            self._results.publish_invalid(record, invalid, now)

    def _take_in(self, record: CommandRecord, now: Now, status: TakeoverStatus) -> None:
        """Parse a record, and send, take over or answer its command."""
        # What an earlier owner may have sent must not be denied because a limit has changed since.
        command = self._parse(record, now, is_claimed=status is TakeoverStatus.CLAIMED)
        if status is TakeoverStatus.ANSWERED:
            if isinstance(command, TrackedCommand):
                self._inherited.take_over_answered(command, now)
            return
        if isinstance(command, InvalidCommand):
            self._answer_invalid(record, command, now)
            return
        is_claimed = status is TakeoverStatus.CLAIMED and not self._claims.is_claim_lost(record.offset)
        if not self._remember_if_first(command, record, now, is_claimed=is_claimed):
            if is_claimed:
                self._inherited.take_over_resubmitted(command, now)
            return
        resolve_order_names(command, self._orders, self._table)
        if status is TakeoverStatus.CLAIMED:
            self._inherited.take_over_claimed(command, now)
            return
        is_earlier_cancel = status is TakeoverStatus.READ and command.action == CANCEL
        if is_earlier_cancel and self._inherited.take_over_cancel(command, now):
            return
        self._enqueue_or_answer(command, now)

    def _enqueue_or_answer(self, command: TrackedCommand, now: Now) -> None:
        """Put a command into its lane, or answer it if it may not be sent."""
        if command.action in ADDS_RISK and self._index.is_full:
            self._results.publish_denied(command, Reason.MEMORY_FULL, now)
        elif command.action == PLACE and self._index.find_order_offset(command.client_order_id or "") != command.offset:
            self._results.deny_client_order_id(command, now)
        elif (invalid := judge_validity(command, self._clocks, now)) is not None:
            self._inherited.answer_invalid_timing(command, invalid, now)
        elif self._unsent.supersede_for(command, now):
            text = "its place had not been sent and was removed"
            self._results.publish_terminal(command, Outcome.SUPERSEDED, now, message=text)
        elif command.maybe_written_before:  # it may repeat what was written, and leaves room for what was not
            self._unsent.expire_at_deadline(command)
            self._table.join_chain(command)
            self._lanes.queue_repeat(command)
        else:
            self._enqueue(command, now)

    def _enqueue(self, command: TrackedCommand, now: Now) -> None:
        """Put a command into its lane; deny it if no slot comes free within its validity, or its lane is full."""
        free_boot_s = self._slot_free_boot_s(command, now)
        is_lane_full = self._lanes.count_waiting(command.action) >= self._lane_commands_max
        retry_after_ms = max(1, int((free_boot_s - now.boot_s) * 1000))
        if free_boot_s >= command.deadline_boot_s:
            self._results.publish_denied(command, Reason.OVER_BUDGET, now, retry_after_ms=retry_after_ms)
        elif command.action in ADDS_RISK and is_lane_full:
            self._results.publish_denied(command, Reason.LANE_FULL, now, retry_after_ms=retry_after_ms)
        else:
            self._unsent.expire_at_deadline(command)
            self._table.queue(command)

    def _slot_free_boot_s(self, command: TrackedCommand, now: Now) -> float:
        """Estimate when a command gets a slot; now when at once."""
        ahead = self._lanes.count_waiting(command.action)
        return max(now.boot_s, self._rate_limits[command.action].estimate_free_boot_s(ahead, now.boot_s))
