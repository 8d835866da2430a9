"""Commands in doubt: what to ask the venue about them, what counts as a fact, and when the asking ends.

Unknown is not rejected. Place, replace and cancel_orders are never written again, so only a fact of the venue's ends
a doubt: the order shows itself, or it is over, or the venue knows nothing of it when it can no longer land. A cancel is
repeated, and what is said of a repeat says nothing about the request before it.
"""

from collections.abc import Iterable
from math import inf

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.pushes import TradePush
from bridge.contract.results import Outcome
from bridge.core.clocks import Clocks
from bridge.core.commands.claims import Claims
from bridge.core.commands.command import TrackedCommand, in_scope
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.order_names import follow_replaces
from bridge.core.commands.results import Results
from bridge.core.commands.states import CommandEvent, CommandState
from bridge.core.in_flight import facts
from bridge.core.in_flight.bridge_cancels import BridgeCancels
from bridge.core.in_flight.cancel_all import CancelAlls
from bridge.core.in_flight.late_orders import LateOrders
from bridge.core.in_flight.lost_cancels import CancelEvidence, conclude_cancel
from bridge.core.in_flight.status_queries import QuerySchedule, StatusQuery
from bridge.core.now import Now
from bridge.core.orders import Order, Orders


class UnknownCommands:
    """The commands of one account whose outcome is unknown, and what their orders prove."""

    def __init__(
        self,
        table: CommandTable,
        results: Results,
        claims: Claims,
        orders: Orders,
        *,
        bridge_cancels: BridgeCancels,
        cancel_alls: CancelAlls,
        late: LateOrders,
        clocks: Clocks,
        late_landing_s: float,
    ) -> None:
        self._table = table
        self._results = results
        self._claims = claims
        self._orders = orders
        self._bridge_cancels = bridge_cancels
        self._cancel_alls = cancel_alls
        self._late = late
        self._clocks = clocks
        self._late_landing_s = late_landing_s
        self._schedule = QuerySchedule(table.timers)

    def __contains__(self, offset: int) -> bool:
        return self._table.find_queried(offset) is not None

    def track(self, command: TrackedCommand) -> None:
        """Note a command that is being written, and what is known of its order right before the first time."""
        if command.action in {REPLACE, CANCEL}:
            follow_replaces(command, self._orders)
        if command.attempts == 1 and not command.maybe_written_before:
            # What its order shows at a repeat may be the first request's doing.
            command.order_before_write = self._orders.find(command.order_id, command.client_order_id)
        if command.action == PLACE:
            self._late.client_order_id_reused(command.client_order_id)
        elif command.action == REPLACE:
            self._orders.replacements.note_request(
                command.order_id, self._clocks.venue.read_at(command.written_boot_s).latest
            )
        self.add_to_in_flight(command)

    def add_to_in_flight(self, command: TrackedCommand) -> None:
        """Let a command that may have been written be found by its order, which may show itself before the ack."""
        if command.action == PLACE:
            self._table.hold_client_order_id(command)
        elif command.action in {REPLACE, CANCEL}:
            self._table.add_order_names(command)

    def begin_single_cancels(self, cancel_all: TrackedCommand, now: Now) -> None:
        """Carry a cancel_orders out by single cancels, and ask for what else is open."""
        self._cancel_alls.begin(cancel_all)
        self.mark_unknown(cancel_all, now)

    def is_cancel_proved(self, cancel: TrackedCommand) -> bool:
        """Whether the order of a cancel shows what it asked for."""
        order = self._orders.find_current(cancel.order_id, cancel.client_order_id)
        return order is not None and facts.shows_cancel(order, cancel, self._since_ms(cancel))

    def mark_unknown(self, command: TrackedCommand, now: Now) -> None:
        """Ask about a command from now on. What is known already may settle it at once."""
        if command.next_query_boot_s == inf:
            # An earlier owner wrote it before now, and within its validity.
            command.earlier_write_boot_s = self._clocks.latest_write_boot_s(command.deadline_boot_s, now)
            # A cancel is repeated while it is valid; what became of it is asked for afterwards.
            first_boot_s = max(now.boot_s, command.deadline_boot_s) if command.action == CANCEL else now.boot_s
            self._schedule.schedule_query(command, first_boot_s)
            if command.action == REPLACE:
                self._orders.replacements.note_request(command.order_id, self._clocks.venue.read_at(now.boot_s).latest)
        if (command.last_refusal is not None or command.general_failure is not None) and not command.is_query_advanced:
            command.is_query_advanced = True
            self._schedule.schedule_query(command, now.boot_s)
        if command.executed_order_id is not None:
            self._seen_at_venue(command, command.executed_order_id, now)
        elif command.action == CANCEL:
            self._settle_cancel(command, now, asked=False)
        else:
            self._look_under_both_names(command, now)

    def _look_under_both_names(self, command: TrackedCommand, now: Now) -> None:
        """Let what is known already settle a command: a replace may have given its order another orderId."""
        for order_id, client_order_id in ((command.order_id, None), (None, command.client_order_id)):
            order = self._orders.find(order_id, client_order_id)
            if order is not None and order.updated_ms and command.state is CommandState.UNKNOWN:
                self.on_order(order, now)

    def settle(
        self,
        command: TrackedCommand,
        outcome: Outcome,
        by: CommandEvent,
        now: Now,
        *,
        code: int | None = None,
        message: str | None = None,
    ) -> None:
        """Publish the terminal result of a command that was written."""
        self._results.publish_terminal(command, outcome, now, by=by, code=code, message=message)
        self._cancel_alls.finish(command)

    def on_order(self, order: Order, now: Now) -> None:
        """Let a snapshot of an order, from the stream or from REST, settle what it proves."""
        if order.ended:
            self._bridge_cancels.order_closed(order.order_id)
        replaces = self._table.find_in_flight(order, REPLACE)
        place = self._table.find_in_flight_place(order.client_order_id)
        if place is not None and facts.is_order_of(order, place, self._since_ms(place), replaces):
            place.actual_quantity = facts.other_quantity(order, place)
            if place.general_failure is not None and order.refused and place.state is CommandState.UNKNOWN:
                code, words, _ = place.general_failure
                place.order_id = order.order_id or None
                self.settle(place, Outcome.REJECTED, CommandEvent.SEEN_AT_VENUE, now, code=code, message=words)
            else:
                self._seen_at_venue(place, order.order_id, now)
        for replace in replaces:
            if facts.shows_replace(order, replace, self._since_ms(replace)):
                self._orders.replacements.note_successor(replace.order_id, order.order_id)
                self._seen_at_venue(replace, order.order_id, now)
        for cancel in self._table.find_in_flight(order, CANCEL):
            self._settle_cancel(cancel, now, asked=False)
        self._late.on_order(order, now)
        for cancel_all in self._cancel_alls.on_order(order):
            self._finish_cancel_all(cancel_all, now)

    def on_trade(self, trade: TradePush, now: Now) -> None:
        """Let an execution, from the stream or from REST, settle the place that it is of."""
        place = self._table.find_in_flight_place(trade.client_order_id)
        if place is not None and facts.is_trade_of(trade, place, self._since_ms(place)):
            place.executed_order_id = str(trade.order_id)
            self._seen_at_venue(place, place.executed_order_id, now)

    def on_open_orders(self, listed: Iterable[str], asked_at: float, now: Now) -> None:
        """End one by one what a cancel_orders in doubt should have ended, and settle it when nothing is left.

        `listed` are the orderIds of the venue's whole list, asked for at `asked_at`.
        """
        cancel_alls = (one for one in self._table.lanes.list_cancel_alls() if one.is_queried)
        waiting = [command for command in cancel_alls if command.written_boot_s <= asked_at]
        for command in self._cancel_alls.end_older_orders(waiting, listed, now):
            self._finish_cancel_all(command, now)

    def list_queries(self) -> list[StatusQuery]:
        """Return what to ask about every command in doubt."""
        return [self._status_query(command, last=False) for command in self._table.list_queried()]

    def pop_due_queries(self, now: Now) -> list[StatusQuery]:
        """Return a few questions to ask now. Whatever stays in doubt comes again, ever more slowly."""
        due = self._schedule.pop_due(now.boot_s, self._table.find_queried, self.lands_until_boot_s)
        return [self._status_query(one, last=now.boot_s >= self.lands_until_boot_s(one)) for one in due]

    def oldest_write_ms(self, sym: str) -> int:
        """Return since when the venue's history of a symbol may show something of what is in doubt."""
        of_sym = (command for command in self._table.list_queried() if command.args.get("sym") == sym)
        return min((self._since_ms(command) for command in of_sym), default=0)

    def wake_at_boot_s(self) -> float:
        """Return when the next question is due."""
        return self._schedule.wake_at_boot_s()

    def query_answered(self, question: StatusQuery, now: Now) -> None:
        """Note that the venue has answered a question, after its rows were taken in: what is still in doubt may end."""
        command = self._table.find_queried(question.offset)
        if command is None:
            return
        if command.action == REPLACE:
            self._look_under_both_names(command, now)
        if command.state is not CommandState.UNKNOWN:
            return
        order = self._orders.find_current(command.order_id, command.client_order_id)
        if command.action == CANCEL:
            self._settle_cancel(command, now, asked=True)
        elif (
            command.action == REPLACE
            and order is not None
            and self._orders.is_final(order, self._clocks.rest_complete_until_ms(now))
        ):
            self._give_up(command, now, f"the order ended as {order.state} without showing it")
        if not question.is_last or command.state is not CommandState.UNKNOWN:
            return
        if command.action == CANCEL_ALL:
            # A single cancel is safe to repeat: there is no hurry to give this up.
            if self._cancel_alls.are_all_acked(command):
                self._settle_cancel_all(command, now)
        elif command.action == PLACE or order is None:
            waited_s = round(self.lands_until_boot_s(command) - command.last_write_boot_s, 1)
            self._give_up(command, now, f"the venue knew nothing of it {waited_s:g} s after it was written")
        elif not order.ended:
            self._give_up(command, now, f"order {order.order_id} lives on as {order.state} without showing it")

    def _settle_cancel(self, cancel: TrackedCommand, now: Now, *, asked: bool) -> None:
        """Settle a cancel by its order, if that proves anything.

        `asked`: the venue was just asked for it. Without that, only one is looked at whose repeat was refused.
        """
        if cancel.state is not CommandState.UNKNOWN or (cancel.last_refusal is None and not asked):
            return
        order = self._orders.find_current(cancel.order_id, cancel.client_order_id)
        known = CancelEvidence(
            order,
            since_ms=self._since_ms(cancel),
            told_until_ms=self._clocks.rest_complete_until_ms(now),
            asked=asked,
            may_be_made=self.may_create_order_of(cancel),
        )
        fate = conclude_cancel(cancel, known, self._orders, now)
        if fate is None or (fate.outcome is Outcome.NOT_FOUND and not self._clocks.may_conclude_not_found(now)):
            return
        if order is not None:
            cancel.order_id = order.order_id
        self.settle(cancel, fate.outcome, fate.proof, now, code=fate.code, message=fate.message)

    def _finish_cancel_all(self, command: TrackedCommand, now: Now) -> None:
        """Settle a cancel_orders of which nothing is left, unless what came before it may yet make an order."""
        coming_back = self._orders.pop_possibly_replaced(self._clocks.rest_complete_until_ms(now))
        if not self._may_make_order_below(command) and not any(
            in_scope(command.exchange, order.exchange) and not self._bridge_cancels.final_acks.get(order.order_id)
            for order in coming_back
        ):
            self._settle_cancel_all(command, now)

    def _settle_cancel_all(self, command: TrackedCommand, now: Now) -> None:
        if not self._clocks.venue.is_known:
            return  # which orders are older is not known either
        by = CommandEvent.ACKED if command.state is CommandState.SENT else CommandEvent.SEEN_AT_VENUE
        self.settle(command, Outcome.ACCEPTED, by, now, message=self._cancel_alls.describe(command))

    def lands_until_boot_s(self, command: TrackedCommand) -> float:
        """Return from when on a command can no longer land: the venue is through with one of which it says it failed.

        What came of that, REST tells when it has caught up.
        """
        landed_boot_s = command.last_write_boot_s + self._late_landing_s
        if command.general_failure is None or command.action not in {PLACE, REPLACE}:
            return landed_boot_s
        return min(landed_boot_s, command.general_failure[2] + self._clocks.rest_lag_ms / 1000)

    def may_create_order_of(self, cancel: TrackedCommand) -> bool:
        """Whether the order of a cancel may be made just now: its place or a replace of it has no result."""
        if self._table.find_in_flight_place(cancel.client_order_id) is not None:
            return True
        return self._table.has_in_flight(REPLACE, cancel.order_id, cancel.client_order_id)

    def _may_make_order_below(self, cancel_all: TrackedCommand) -> bool:
        """Whether an order may yet be made by a place or replace in flight that came before a cancel_orders."""
        return any(
            command.action in {PLACE, REPLACE}
            and command.offset < cancel_all.offset
            and (command.exchange is None or in_scope(cancel_all.exchange, command.exchange))
            for command in self._table.iter_in_flight(self._claims.claimed)
        )

    def _seen_at_venue(self, command: TrackedCommand, order_id: str, now: Now) -> None:
        if command.state is CommandState.UNKNOWN:
            command.order_id = order_id or None
            quantity = command.actual_quantity
            text = None if quantity is None else f"its answer was lost; the order's quantity is {quantity}"
            if command.general_failure is not None:
                text = f"the venue said: {command.general_failure[1]}; and it shows that it was done"
            self.settle(command, Outcome.ACCEPTED, CommandEvent.SEEN_AT_VENUE, now, message=text)
        else:
            command.step(CommandEvent.SEEN_AT_VENUE)

    def _give_up(self, command: TrackedCommand, now: Now, message: str) -> None:
        if not self._clocks.may_conclude_not_found(now):
            return
        code, words, _ = command.general_failure or (None, "", 0.0)
        message = f"{words}; {message}" if words else message
        self.settle(command, Outcome.NOT_FOUND, CommandEvent.NOT_FOUND, now, code=code, message=message)
        self._late.watch_not_found(command, self._since_ms(command))
        order = self._orders.find(None, command.client_order_id)
        if command.action == PLACE and order is not None:
            self._late.on_order(order, now)

    def _status_query(self, command: TrackedCommand, *, last: bool) -> StatusQuery:
        order = self._orders.find_current(command.order_id, command.client_order_id)
        return StatusQuery(
            command.offset,
            command.action,
            command.order_id,
            command.client_order_id or (order.client_order_id if order is not None else None),
            command.args.get("sym"),
            self._since_ms(command),
            self.lands_until_boot_s(command),
            last,
        )

    def _since_ms(self, command: TrackedCommand) -> int:
        """Return the venue's earliest time at which what a command asked for can have happened."""
        return self._clocks.happened_since_ms(command.first_written_boot_s, command.timestamp_ms)
