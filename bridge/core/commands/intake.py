"""From a record of the commands topic to a place in a lane, or straight to an answer."""

from bridge.config import Limits, Timing
from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Outcome, Reason
from bridge.core.clocks import Clocks
from bridge.core.commands.claims import Claims
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.dedupe import Dedupe
from bridge.core.commands.dedupe_index import DedupeIndex
from bridge.core.commands.deferred_offsets import behind_max, may_be_cancel
from bridge.core.commands.dispatch import Dispatcher
from bridge.core.commands.held_records import HeldRecords
from bridge.core.commands.in_flight_port import InFlight
from bridge.core.commands.order_names import resolve_order_names
from bridge.core.commands.parse import InvalidCommand, parse_command
from bridge.core.commands.rate_limits import RateLimits
from bridge.core.commands.results import Results
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.commands.unsent_commands import UnsentCommands
from bridge.core.commands.validity import InvalidTiming, judge_validity
from bridge.core.now import Now
from bridge.core.orders import Orders
from bridge.core.outbox import Outbox
from bridge.core.records import CommandRecord

_UNCLAIMED = frozenset({TakeoverStatus.NEW, TakeoverStatus.UNREAD, TakeoverStatus.READ})


class CommandIntake:
    """Checks, dedupes, sorts into lanes; and answers what the bridge decides by itself."""

    def __init__(
        self,
        table: CommandTable,
        index: DedupeIndex,
        claims: Claims,
        dispatcher: Dispatcher,
        *,
        results: Results,
        outbox: Outbox,
        rate_limits: RateLimits,
        orders: Orders,
        clocks: Clocks,
        in_flight: InFlight,
        limits: Limits,
        timing: Timing,
    ) -> None:
        self._limits = limits
        self._timing = timing
        self._lane_max = limits.lane_commands_max
        self._results = results
        self._claims = claims
        self._table = table
        self._index = index
        self._dedupe = Dedupe(table, index, results, outbox)
        self._lanes = table.lanes
        self._windows = rate_limits
        self._orders = orders
        self._dispatcher = dispatcher
        self._clocks = clocks
        self._in_flight = in_flight
        self._held = HeldRecords()
        self._unsent = UnsentCommands(table, results, dispatcher, in_flight)
        self._lookups = dispatcher.lookups

    @property
    def is_paused(self) -> bool:
        """Whether so many cancels wait that reading should pause."""
        if self._held.is_full:
            return True
        return (
            len(self._held) + self._lanes.count_waiting(CANCEL) + self._lanes.count_waiting(CANCEL_ALL)
            >= self._lane_max
        )

    def offer(
        self, record: CommandRecord, now: Now, past: TakeoverStatus = TakeoverStatus.NEW, *, behind: float = 0
    ) -> None:
        """Take in a record of the commands topic; one that was taken in before is passed over.

        With more than a lane holds `behind` it, fewer where it is large, a place or replace is not even read: it will
        not be sent, and is answered when what is behind it has been read. Another new one is held back while there is
        no lease: what the bridge answers by itself is the owner's to say. A cancel that needs no such answer goes
        ahead.
        """
        if record.offset < self._claims.next_offset:
            return
        self._clocks.command_arrived(record.timestamp_ms, record.absent_boot_s, now)
        if behind > behind_max(record, self._lane_max) and past in _UNCLAIMED and not may_be_cancel(record):
            self._claims.defer(record.offset, record.next_offset)
            return
        self._claims.deferred.end_range()
        if past is not TakeoverStatus.ANSWERED:
            self._claims.mark_read(record.offset)
        self._claims.mark_skipped(record.next_offset - 1)
        if past is TakeoverStatus.NEW and (self._held or not self._dispatcher.has_lease(now)):
            self._held.hold(record)
            self._let_cancels_ahead(now)
        elif past is not TakeoverStatus.ANSWERED or may_be_cancel(record):
            self._take_in(record, now, past)

    @property
    def deferred_span(self) -> tuple[int, int] | None:
        """The first command that is to be answered later, and the offset after the last."""
        return self._claims.deferred.span

    def answer_deferred(self, record: CommandRecord, now: Now) -> None:
        """Deny a command that was too far behind; the first call for it counts."""
        if not self._claims.deferred.pop(record.offset):
            return
        self._claims.mark_read(record.offset)
        self._claims.deferred.drop_below(record.next_offset)
        admitted = self._parse(record, now)
        if isinstance(admitted, InvalidCommand):
            self._answer_invalid(record, admitted, now)
            return
        if not self._dedupe.remember_if_first(admitted, record, now):
            return
        invalid = judge_validity(admitted, self._clocks, now)
        if invalid is not None and invalid.outcome is Outcome.EXPIRED:
            self._results.publish_terminal(admitted, Outcome.EXPIRED, now)
        else:
            most = behind_max(record, self._lane_max)
            text = f"when it was read, more than {most} commands were waiting behind it, or too many answers for Kafka"
            self._deny_command(admitted, Reason.LANE_FULL, now, message=text)
        # A successor would defer it too, so nothing above has to wait until this answer is durable.
        self._claims.unrecorded_refusals.discard(record.offset)

    def mark_deferred_answered(self, below: int) -> None:
        """Note that every deferred command below an offset has been read again; retention may have removed some."""
        self._claims.deferred.drop_below(below)

    def mark_read_to(self, offset: int) -> None:
        """Note that the topic holds no other command below an offset: control records and holes are nothing to do."""
        self._claims.mark_skipped(offset - 1)

    def tick(self, now: Now) -> None:
        """Take in what was held back, answer what has expired unsent, and forget what is older than the horizon."""
        self._let_cancels_ahead(now)
        if self._dispatcher.has_lease(now):
            for record in self._held.list_oldest():
                self._held.release(record)
                self._take_in(record, now, TakeoverStatus.NEW)
            self._unsent.answer_due(now)
        self._index.drop_expired(now.boot_s)

    def wake_at_boot_s(self, now: Now) -> float:
        """Return when the next command expires, or is to be taken in."""
        if not self._dispatcher.has_lease(now):
            return float("inf")
        return now.boot_s if self._held else self._unsent.next_due_boot_s()

    def list_lookups(self) -> list[str]:
        """Return the clientOrderIds of replaces that wait and whose order nobody here knows."""
        return self._lookups.list_names()

    def postpone_lookup(self, client_order_id: str) -> None:
        """Ask for the others first: the venue gave no answer about this one."""
        self._lookups.move_to_end(client_order_id)

    def finish_lookup(self, client_order_id: str, now: Now) -> bool:
        """Go on with the replaces of an order after the venue was asked; Orders knows it by now if it exists.

        False while there is no lease to deny them with, which only the owner may: the venue is asked again.
        """
        known = self._orders.find(None, client_order_id) is not None
        if not known and not self._dispatcher.has_lease(now):
            self.postpone_lookup(client_order_id)
            return False
        for command in self._lookups.pop_waiting(client_order_id):
            if known:
                self._lanes.put_back(command)
            else:
                text = f"neither the bridge nor the venue knows an order {client_order_id}"
                self._results.publish_terminal(command, Outcome.DENIED, now, reason=Reason.UNKNOWN_ORDER, message=text)
        return True

    def _let_cancels_ahead(self, now: Now) -> None:
        """Take in the cancels among what is held back that need not wait."""
        if not self._dispatcher.may_write_cancels(now):
            return
        for record in self._held.pop_unjudged():
            if self._goes_ahead(record, now):
                self._held.release(record)
                self._take_in(record, now, TakeoverStatus.NEW)

    def _goes_ahead(self, record: CommandRecord, now: Now) -> bool:
        """Whether a record is a cancel that may go now, and of which the bridge has nothing to say by itself.

        Its order is at the venue, so that nothing that is held back can be its place.
        """
        cancel = self._parse(record, now)
        if (
            not isinstance(cancel, TrackedCommand)
            or cancel.action != CANCEL
            or self._index.is_command_id_used(cancel.command_id)
        ):
            return False
        resolve_order_names(cancel, self._orders, self._lanes)
        order = self._orders.find(cancel.order_id, cancel.client_order_id)
        is_over = order is not None and order.ended
        if cancel.order_id is None or is_over or self._lanes.list_unsent_replaces(cancel.order_key or ""):
            return False
        return self._slot_free_at(cancel, now) < cancel.deadline_boot_s

    def _parse(self, record: CommandRecord, now: Now, *, is_claimed: bool = False) -> TrackedCommand | InvalidCommand:
        """Parse a record. Its deadline is reckoned by the broker's clock, which stamped it."""
        return parse_command(record, self._clocks.broker_now(now), self._limits, self._timing, is_claimed=is_claimed)

    def _answer_invalid(self, record: CommandRecord, refusal: InvalidCommand, now: Now) -> None:
        if refusal.command_id is None or self._dedupe.remember_if_first(refusal, record, now):
            self._results.publish_invalid(record, refusal, now)

    def _take_in(self, record: CommandRecord, now: Now, past: TakeoverStatus) -> None:
        # What an earlier owner may have sent must not be denied because a limit has changed since.
        admitted = self._parse(record, now, is_claimed=past is TakeoverStatus.CLAIMED)
        if past is TakeoverStatus.ANSWERED:
            if isinstance(admitted, TrackedCommand):
                self._answered_before(admitted, now)
            return
        if isinstance(admitted, InvalidCommand):
            self._answer_invalid(record, admitted, now)
            return
        is_claimed = past is TakeoverStatus.CLAIMED and not self._claims.is_claim_lost(record.offset)
        if not self._dedupe.remember_if_first(admitted, record, now, is_claimed=is_claimed):
            if is_claimed:
                self._doubt_what_was_put_off(admitted, now)
            return
        resolve_order_names(admitted, self._orders, self._lanes)
        if past is TakeoverStatus.CLAIMED:
            self._take_in_claimed(admitted, now)
            return
        if past is TakeoverStatus.READ and admitted.action == CANCEL:
            if self._index.find_unknown_at_ms(admitted.command_id, admitted.offset) is not None:
                self._inherit_claimed(admitted, now)
                return
            admitted.maybe_written_before = True
            self._take_slot_of_earlier_owner(admitted, ("earlier owner", admitted.offset), now)
        holder = self._index.find_order_offset(admitted.client_order_id or "")
        if admitted.action in {PLACE, REPLACE} and self._index.is_full:
            self._deny_command(admitted, Reason.MEMORY_FULL, now)
        elif admitted.action == PLACE and holder != admitted.offset:
            self._deny_used_name(admitted, now)
        elif (invalid := judge_validity(admitted, self._clocks, now)) is not None:
            self._take_in_invalid(admitted, invalid, now)
        else:
            self._enqueue(admitted, now)

    def _take_in_claimed(self, command: TrackedCommand, now: Now) -> None:
        """Take over what an earlier owner may have written: all without a result, where its claims were lost.

        But a place whose clientOrderId was in use then was not written, as far as that is known.
        """
        if command.action == PLACE and self._claims.is_claim_lost(command.offset):
            appended_boot_s = self._clocks.appended_boot_s(command.timestamp_ms, now)
            if self._index.was_client_order_id_used(command.client_order_id or "", command.offset, appended_boot_s):
                self._deny_used_name(command, now)
                return
        self._inherit_claimed(command, now)

    def _doubt_what_was_put_off(self, claimed: TrackedCommand, now: Now) -> None:
        """Doubt the earlier command of the same commandId: an owner that had put it off has written the claimed one."""
        resolve_order_names(claimed, self._orders, self._lanes)
        place = self._lanes.find_unsent_place(claimed.client_order_id or "") if claimed.action == PLACE else None
        unsent = self._lanes.list_unsent_replaces(claimed.order_key or "") if place is None else [place]
        for earlier in (one for one in unsent if one.command_id == claimed.command_id):
            self._dispatcher.cancel_unsent(earlier)
            earlier.deadline_boot_s = claimed.deadline_boot_s  # it was written while that one was valid
            self._take_slot_of_earlier_owner(earlier, earlier.offset, now)
            self._in_flight.inherit(earlier, now)

    def _deny_used_name(self, place: TrackedCommand, now: Now) -> None:
        text = f"clientOrderId {place.client_order_id} belongs to another command; give this one a name of its own"
        self._deny_command(place, Reason.CLIENT_ORDER_ID_IN_USE, now, message=text)

    def _take_in_invalid(self, command: TrackedCommand, invalid: InvalidTiming, now: Now) -> None:
        """Answer what may not be sent any more; what an earlier owner may have written, when its fate is known."""
        if command.maybe_written_before and invalid.outcome is Outcome.EXPIRED:
            self._in_flight.expire_earlier_cancel(command, now)
        else:
            self._count_earlier_request(command, now)
            self._results.publish_terminal(
                command, invalid.outcome, now, reason=invalid.reason, message=invalid.message
            )

    def _count_earlier_request(self, cancel: TrackedCommand, now: Now) -> None:
        """Let commits tell of a cancel that an earlier owner may have written: no result will stand for it."""
        if cancel.maybe_written_before:
            written_boot_s = self._clocks.latest_write_boot_s(cancel.deadline_boot_s, now)
            self._windows.cancels.extra.restore(("earlier owner", cancel.offset), written_boot_s)

    def _answered_before(self, command: TrackedCommand, now: Now) -> None:
        """Let a cancel that reached the venue end what an earlier owner left waiting before it."""
        answered = self._index.find_answered(command.command_id)
        if answered is None or answered.offset != command.offset:
            return  # submitted again, it was answered and not sent
        if not answered.result.outcome.unsent:
            resolve_order_names(command, self._orders, self._lanes)
            self._unsent.supersede_for(command, now)
        elif answered.result.outcome is Outcome.EXPIRED and command.action == CANCEL:
            # The earlier owner may have written it, although its result says expired; no commit counts that request.
            command.maybe_written_before = True
            self._take_slot_of_earlier_owner(command, ("earlier owner", command.offset), now)
            self._count_earlier_request(command, now)

    def _inherit_claimed(self, command: TrackedCommand, now: Now) -> None:
        self._take_slot_of_earlier_owner(command, command.offset, now)
        self._lanes.hold_chain(command)
        self._in_flight.inherit(command, now)
        self._unsent.supersede_for(command, now)

    def _take_slot_of_earlier_owner(self, command: TrackedCommand, token: object, now: Now) -> None:
        """Hold the slot of a request that an earlier owner may have written: before now, and within its validity."""
        written_at = self._clocks.latest_write_boot_s(command.deadline_boot_s, now)
        self._windows[command.action].restore_unanswered(token, written_at, now.boot_s)

    def _enqueue(self, command: TrackedCommand, now: Now) -> None:
        if self._unsent.supersede_for(command, now):
            text = "its place had not been sent and was removed"
            self._results.publish_terminal(command, Outcome.SUPERSEDED, now, message=text)
            return
        if command.maybe_written_before:  # it may repeat what was written, and leaves room for what was not
            self._unsent.expire_at_deadline(command)
            self._lanes.hold_chain(command)
            self._lanes.queue_repeat(command)
            return
        waiting, free_at = self._lanes.count_waiting(command.action), self._slot_free_at(command, now)
        retry_after_ms = max(1, int((free_at - now.boot_s) * 1000))
        if free_at >= command.deadline_boot_s:
            self._deny_command(command, Reason.OVER_BUDGET, now, retry_after_ms=retry_after_ms)
            return
        if command.action in {PLACE, REPLACE} and waiting >= self._lane_max:
            self._deny_command(command, Reason.LANE_FULL, now, retry_after_ms=retry_after_ms)
            return
        self._unsent.expire_at_deadline(command)
        self._lanes.add(command)

    def _slot_free_at(self, command: TrackedCommand, now: Now) -> float:
        """Estimate when a command gets a slot; `now` when at once."""
        return max(
            now.boot_s, self._windows[command.action].free_at(self._lanes.count_waiting(command.action), now.boot_s)
        )

    def _deny_command(
        self,
        command: TrackedCommand,
        reason: Reason,
        now: Now,
        *,
        message: str | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        self._results.publish_terminal(
            command, Outcome.DENIED, now, reason=reason, message=message, retry_after_ms=retry_after_ms
        )
