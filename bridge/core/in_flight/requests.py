"""Requests that were written and await their acks: what each ack means for its command, and what no ack means."""

from math import inf
from typing import Final

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Outcome
from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.commands.command import ADDS_RISK, NAMES_AN_ORDER, REDUCES_RISK, TrackedCommand
from bridge.core.commands.order_names import follow_replaces
from bridge.core.commands.results import Results
from bridge.core.commands.states import FINISHED, CommandEvent, CommandState
from bridge.core.commands.term_state import TermState
from bridge.core.commands.timers import Timer
from bridge.core.in_flight.ack_codes import KINDS, ORDER_STATE_CODES, RATE_CODES, AckClass, CodeKind, classify_code
from bridge.core.in_flight.earlier_cancels import EarlierCancels
from bridge.core.in_flight.late_orders import LateOrders
from bridge.core.in_flight.unknown_commands import UnknownCommands
from bridge.core.now import Now
from bridge.core.records import Answer

_REPEAT_FIRST_S: Final = 0.1
_REPEAT_LAST_S: Final = 5.0
"""A cancel waits before each repeat, twice as long as before, up to this: its repeats take slots too."""


class InFlightRequests:
    """The requests of one account that were written and not answered."""

    def __init__(
        self,
        term: TermState,
        results: Results,
        unknown: UnknownCommands,
        late_orders: LateOrders,
        *,
        alarms: ActiveAlarms,
        ack_timeout_s: float,
    ) -> None:
        self._table = term.table
        self._lanes = term.table.lanes
        self._timers = term.table.timers
        self._rate_limits = term.rate_limits
        self._orders = term.orders
        self._clocks = term.clocks
        self._results = results
        self._unknown = unknown
        self._late_orders = late_orders
        self._earlier_cancels = EarlierCancels(term.table)
        self._alarms = alarms
        self._ack_timeout_s = ack_timeout_s
        self._newest_written_offset = -1
        """The highest offset of the places and replaces that were written."""

    def await_ack(self, command: TrackedCommand, request_id: str, slot_key: object) -> None:
        """Expect the ack of a request that is being written."""
        self._table.await_ack(command, request_id, slot_key)
        self._timers.start(Timer.ACK, command.written_boot_s + self._ack_timeout_s, command.offset)
        if command.action in ADDS_RISK:
            self._newest_written_offset = max(self._newest_written_offset, command.offset)
        self._note_write(command)

    def begin_single_cancels(self, cancel_all: TrackedCommand, now: Now) -> None:
        """Carry a cancel_orders out by single cancels; it becomes unknown if they take longer than an ack may."""
        cancel_all.awaits_ack = True
        self._timers.start(Timer.ACK, cancel_all.written_boot_s + self._ack_timeout_s, cancel_all.offset)
        self._unknown.begin_single_cancels(cancel_all, now)

    def inherit(self, command: TrackedCommand, now: Now) -> None:
        """Take over a command that an earlier owner may have written and left without a result."""
        command.maybe_written_before = True
        self._results.publish_inherited(command, now)
        self._index_by_order(command)
        self._unknown.start_queries(command, now)
        if command.action == CANCEL and command.state is CommandState.UNKNOWN:
            self._lanes.queue_repeat(command)

    def expire_earlier_cancel(self, cancel: TrackedCommand, now: Now) -> None:
        """Answer an expired cancel that an earlier owner may have written, when its order tells what became of it."""
        cancel.earlier_write_boot_s = self._clocks.latest_write_boot_s(cancel.deadline_boot_s, now)
        self._earlier_cancels.add(cancel, now)

    def answer_earlier_cancels(self, now: Now, *, recovered: bool) -> None:
        """Publish the results of expired cancels of an earlier owner, as far as their orders prove an outcome.

        `recovered`: the first REST sweep of this owner is complete, so their orders are known.
        """
        for cancel in self._earlier_cancels.pop_due(now):
            if self._unknown.is_cancel_proved(cancel):
                self.inherit(cancel, now)
            elif recovered and now.boot_s >= self._unknown.lands_until_boot_s(cancel):
                if cancel.rate_refusal is None:
                    self._rate_limits.cancels.extra.restore(
                        ("earlier owner", cancel.offset), cancel.earlier_write_boot_s
                    )
                self._results.publish_expired(cancel, now)
            else:
                self._earlier_cancels.postpone(cancel, now)

    def on_ack(self, answer: Answer, now: Now) -> bool:
        """Take in the ack of a request; return False when it names none that is awaited."""
        request = self._table.pop_request(answer.request_id)
        if request is None:
            return False
        command = request.command
        self._rate_limits[command.action].acknowledge(request.slot_key, now.boot_s)
        if command.action == CANCEL and request.slot_key != (command.offset, command.attempts - 1):
            # This ack answers an earlier request than the last. A successor takes the result for one request, this one,
            # and finds no record of the last, so commits count the last as an extra request.
            self._rate_limits.cancels.extra.add((command.offset, command.attempts - 1), command.written_boot_s)
        self.check_rate(command.action, answer.code, now)
        if command.state in FINISHED:
            command.step(CommandEvent.ACKED)
            return True
        ack_class = classify_code(answer.code)
        command.refused_count += ack_class is AckClass.REFUSED
        if answer.code in RATE_CODES and self._is_repeatable(command, now):
            self._repeat_after_rate_refusal(command, answer, now)
        elif (
            ack_class is AckClass.REFUSED
            and command.action == CANCEL
            and not self._is_final_refusal(command, answer.code)
        ):
            command.last_refusal = (answer.code, answer.message)
            self._mark_unknown(command, now, code=answer.code, message=answer.message)
        elif ack_class is AckClass.INCONCLUSIVE:
            if KINDS.get(answer.code) is CodeKind.GENERAL:
                command.general_failure = (answer.code, answer.message, now.boot_s)
            self._mark_unknown(command, now, code=answer.code, message=answer.message)
        else:
            if ack_class is AckClass.ACCEPTED:
                self._learn_order_names(command, answer, now)
            outcome = Outcome.ACCEPTED if ack_class is AckClass.ACCEPTED else Outcome.REJECTED
            self._unknown.settle(command, outcome, CommandEvent.ACKED, now, code=answer.code, message=answer.message)
        return True

    def check_rate(self, action: str, code: int, now: Now) -> None:
        """Halve the budget of an action that the venue refused for its rate, and raise the alarm."""
        if code in RATE_CODES and self._rate_limits[action].halve_limit(now.boot_s):
            text = f"{action} was refused with {code}; its limit is halved, and climbs back while none is refused"
            self._alarms.raise_alarm(Alarm.RATE_REJECTED, text, now, action)

    def tick(self, now: Now) -> None:
        """Mark as unknown the commands whose acks are overdue, and queue the cancels that are due to be repeated."""
        for action in self._rate_limits.climb(now):
            text = f"{action} has its whole limit again; none was refused for its rate of late"
            self._alarms.clear_alarm(Alarm.RATE_REJECTED, text, now, action)
        while (due := self._timers.pop_due(Timer.REPEAT, now.boot_s)) is not None:
            self._queue_due_repeat(self._table.find_by_offset(due[1]))
        while (due := self._timers.pop_due(Timer.ACK, now.boot_s)) is not None:
            command = self._table.find_by_offset(due[1])
            if command is not None and self._is_overdue(command, due[0]):
                command.awaits_ack = False
                self._mark_unknown(command, now, message=f"no answer within {self._ack_timeout_s:g} s")

    def link_lost(self, now: Now) -> None:
        """Mark as unknown every command that awaits an ack: the link is lost, and no ack comes over another."""
        for command in self._table.forget_requests():
            self._mark_unknown(command, now, message="the link was lost before an answer came")

    def wake_at_boot_s(self) -> float:
        """Return when the next awaited ack is overdue, or a cancel is due to be repeated."""
        while (due := self._timers.peek(Timer.ACK)) is not None:
            command = self._table.find_by_offset(due[1])
            if command is not None and self._is_overdue(command, due[0]):
                break
            self._timers.pop_due(Timer.ACK, inf)
        return min(self._timers.next_due_boot_s(Timer.ACK), self._timers.next_due_boot_s(Timer.REPEAT))

    def _is_overdue(self, command: TrackedCommand, due_boot_s: float) -> bool:
        """Whether an ack that was due then is still awaited: the command may have been written again since."""
        return command.awaits_ack and command.written_boot_s + self._ack_timeout_s <= due_boot_s

    def _queue_due_repeat(self, command: TrackedCommand | None) -> None:
        """Put a cancel or cancel_orders into its lane again, unless it was answered or awaits an ack."""
        if command is None:
            return
        if command.state is CommandState.QUEUED and command.action == CANCEL_ALL:
            self._lanes.put_back(command)
        elif command.state in {CommandState.QUEUED, CommandState.UNKNOWN} and not command.awaits_ack:
            self._lanes.queue_repeat(command)

    def _is_final_refusal(self, cancel: TrackedCommand, code: int) -> bool:
        """Whether a refusal ends a cancel: no other request of it may have succeeded, nor may its order yet be made."""
        return cancel.is_certainly_refused and not (
            code in ORDER_STATE_CODES and self._unknown.may_create_order_of(cancel)
        )

    def _note_write(self, command: TrackedCommand) -> None:
        """Note a command that is being written, and, at its first request, what is known of its order before that."""
        if command.action in NAMES_AN_ORDER:
            follow_replaces(command, self._orders)
        if command.attempts == 1 and not command.maybe_written_before:
            # At a repeat its order may already show what the first request did.
            command.order_before_write = self._orders.find(command.order_id, command.client_order_id)
        if command.action == PLACE and self._late_orders.watched:
            self._late_orders.client_order_id_reused(command.client_order_id)
        elif command.action == REPLACE:
            written = self._clocks.venue.read_at(command.written_boot_s)
            self._orders.replacements.note_request(command.order_id, written.latest)
        self._index_by_order(command)

    def _index_by_order(self, command: TrackedCommand) -> None:
        """Let a command that may have been written be found by its order, which may be pushed before the ack."""
        if command.action == PLACE:
            self._table.hold_client_order_id(command)
        elif command.action in NAMES_AN_ORDER:
            self._table.add_order_names(command)

    def _learn_order_names(self, command: TrackedCommand, answer: Answer, now: Now) -> None:
        """Learn the names of the order that an ack gives; a replace may have made another order."""
        if command.action == REPLACE and answer.order_id is not None and answer.order_id != command.order_id:
            self._orders.replacements.note_successor(command.order_id, answer.order_id)
        command.order_id = answer.order_id or command.order_id
        command.client_order_id = command.client_order_id or answer.client_order_id
        if command.action in ADDS_RISK:
            acked_ms = self._clocks.venue.read_at(now.boot_s).latest
            self._orders.note_ack(command.order_id, command.client_order_id, command.args.get("sym"), acked_ms)

    def _mark_unknown(
        self, command: TrackedCommand, now: Now, *, code: int | None = None, message: str | None = None
    ) -> None:
        self._results.publish_unknown(command, now, code=code, message=message)
        if command.state is not CommandState.UNKNOWN:
            return
        self._unknown.start_queries(command, now)
        if command.action == CANCEL and now.boot_s < command.deadline_boot_s:
            self._repeat_later(command, now)

    @staticmethod
    def _is_repeatable(command: TrackedCommand, now: Now) -> bool:
        """Whether a command goes on after a refusal for its rate: repeated, or unknown because of another request."""
        is_valid = now.boot_s < command.deadline_boot_s
        return command.action in REDUCES_RISK and (is_valid or command.state is CommandState.UNKNOWN)

    def _repeat_after_rate_refusal(self, command: TrackedCommand, answer: Answer, now: Now) -> None:
        """Repeat a cancel or cancel_orders later while it is valid.

        An unknown cancel_orders is finished by single cancels instead. So is one after which a newer place or replace
        was written: its message would end that order too.
        """
        command.rate_refusal = (answer.code, answer.message)
        if (
            command.action == CANCEL_ALL
            and command.state is CommandState.SENT
            and command.offset < self._newest_written_offset
        ):
            self._mark_unknown(command, now, code=answer.code, message=answer.message)
            return
        command.step(CommandEvent.RATE_REFUSED)
        if now.boot_s < command.deadline_boot_s and (command.action == CANCEL or command.state is CommandState.QUEUED):
            self._repeat_later(command, now)

    def _repeat_later(self, command: TrackedCommand, now: Now) -> None:
        """Start the timer of a repeat."""
        pause_s = min(_REPEAT_LAST_S, _REPEAT_FIRST_S * 2.0 ** min(command.attempts - 1, 16))
        due_boot_s = now.boot_s + pause_s * self._rate_limits.cancels.repeat_delay_factor(now.boot_s)
        self._timers.start(Timer.REPEAT, due_boot_s, command.offset)
