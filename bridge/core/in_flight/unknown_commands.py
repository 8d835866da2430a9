"""Commands that were written: what proves their outcome, and what the venue is asked about those in doubt.

Orders settle every command that was written, unknown or not, because an order may be pushed before its ack. Unknown is
not rejected. Place, replace and cancel_orders are never written again, so only the venue ends an unknown
outcome: a snapshot shows the order or its end, or the venue does not know the order when it can no longer land. A
cancel is repeated, and the ack of a repeat proves nothing about the request before it.
"""

from collections.abc import Iterable
from math import inf

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.pushes import TradePush
from bridge.contract.results import Outcome
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.results import Results
from bridge.core.commands.states import CommandEvent, CommandState
from bridge.core.commands.term_state import TermState
from bridge.core.in_flight import facts
from bridge.core.in_flight.bridge_cancels import BridgeCancels
from bridge.core.in_flight.cancel_all import CancelAlls
from bridge.core.in_flight.command_times import CommandTimes
from bridge.core.in_flight.late_orders import LateOrders
from bridge.core.in_flight.lost_cancels import CancelEvidence, conclude_cancel
from bridge.core.in_flight.query_schedule import QuerySchedule, StatusQuery
from bridge.core.now import Now
from bridge.core.orders import Order


class UnknownCommands:
    """The commands of one account that were written, whether unknown or not, and what their orders prove."""

    def __init__(
        self,
        term: TermState,
        results: Results,
        *,
        bridge_cancels: BridgeCancels,
        late_orders: LateOrders,
        late_landing_s: float,
    ) -> None:
        self._table = term.table
        self._orders = term.orders
        self._clocks = term.clocks
        self._results = results
        self._bridge_cancels = bridge_cancels
        self._cancel_alls = CancelAlls(term, bridge_cancels)
        self._late_orders = late_orders
        self._times = CommandTimes(term.clocks, late_landing_s)
        self._schedule = QuerySchedule(term.table.timers)

    def begin_single_cancels(self, cancel_all: TrackedCommand, now: Now) -> None:
        """Carry a cancel_orders out by single cancels, and ask the venue which other orders are open."""
        self._cancel_alls.begin(cancel_all)
        self.start_queries(cancel_all, now)

    def is_cancel_proved(self, cancel: TrackedCommand) -> bool:
        """Whether the order of a cancel shows that it was carried out."""
        order = self._orders.find_current(cancel.order_id, cancel.client_order_id)
        return order is not None and facts.shows_cancel(order, cancel, self._times.since_ms(cancel))

    def start_queries(self, command: TrackedCommand, now: Now) -> None:
        """Ask the venue about a command from now on, unless what is known already settles it."""
        if command.next_query_boot_s == inf:
            # An earlier owner wrote it before now, and within its validity.
            command.earlier_write_boot_s = self._clocks.latest_write_boot_s(command.deadline_boot_s, now)
            # A cancel is repeated while it is valid, and asked about afterwards.
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
            self._settle_cancel(command, now, is_queried=False)
        else:
            self._settle_from_known_orders(command, now)

    def _settle_from_known_orders(self, command: TrackedCommand, now: Now) -> None:
        """Settle a command by the orders known under either of its names: a replace may have changed the orderId."""
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
        if command.single_cancels is not None:
            self._cancel_alls.finish(command)

    def on_order(self, order: Order, now: Now) -> None:
        """Settle the commands of which a snapshot of an order, from the stream or from REST, proves the outcome."""
        if order.ended:
            self._bridge_cancels.order_closed(order.order_id)
        if len(self._table):
            self._settle_by_order(order, now)
        if self._late_orders.watched:
            self._late_orders.on_order(order, now)

    def _settle_by_order(self, order: Order, now: Now) -> None:
        replaces = self._table.find_in_flight(order, REPLACE)
        place = self._table.find_in_flight_place(order.client_order_id)
        if place is not None and facts.is_order_of(order, place, self._times.since_ms(place), replaces):
            place.actual_quantity = facts.find_other_quantity(order, place)
            if place.general_failure is not None and order.refused and place.state is CommandState.UNKNOWN:
                code, text, _ = place.general_failure
                place.order_id = order.order_id or None
                self.settle(place, Outcome.REJECTED, CommandEvent.SEEN_AT_VENUE, now, code=code, message=text)
            else:
                self._seen_at_venue(place, order.order_id, now)
        for replace in replaces:
            if facts.shows_replace(order, replace, self._times.since_ms(replace)):
                self._orders.replacements.note_successor(replace.order_id, order.order_id)
                self._seen_at_venue(replace, order.order_id, now)
        for cancel in self._table.find_in_flight(order, CANCEL):
            self._settle_cancel(cancel, now, is_queried=False)
        for cancel_all in self._cancel_alls.on_order(order) if self._table.has_cancel_all else ():
            self._finish_cancel_all(cancel_all, now)

    def on_trade(self, trade: TradePush, now: Now) -> None:
        """Settle the place that an execution, from the stream or from REST, belongs to."""
        place = self._table.find_in_flight_place(trade.client_order_id)
        if place is not None and facts.is_trade_of(trade, place, self._times.since_ms(place)):
            place.executed_order_id = str(trade.order_id)
            self._seen_at_venue(place, place.executed_order_id, now)

    def on_open_orders(self, listed: Iterable[str], asked_boot_s: float, now: Now) -> None:
        """Cancel the orders that an unknown cancel_orders should have ended, and settle it when none is open.

        `listed` are the orderIds of the venue's whole list, which was asked for at `asked_boot_s`.
        """
        cancel_alls = (one for one in self._table.list_cancel_alls() if one.is_queried)
        waiting = [command for command in cancel_alls if command.written_boot_s <= asked_boot_s]
        for command in self._cancel_alls.cancel_listed_orders(waiting, listed, now):
            self._finish_cancel_all(command, now)

    def list_queries(self) -> list[StatusQuery]:
        """Return a query about every unknown command."""
        return [self._status_query(command, last=False) for command in self._table.list_queried()]

    def pop_due_queries(self, now: Now) -> list[StatusQuery]:
        """Return a few queries to make now; each is planned again, later, until its command is settled."""
        due = self._schedule.pop_due(now.boot_s, self._table.find_queried, self._times.lands_until_boot_s)
        return [self._status_query(one, last=now.boot_s >= self._times.lands_until_boot_s(one)) for one in due]

    def oldest_write_ms(self, sym: str) -> int:
        """Return the earliest time, Unix ms, of which the history of a symbol may show an unknown command."""
        of_sym = (one for one in self._table.list_queried() if one.args.get("sym") == sym)
        return min(map(self._times.since_ms, of_sym), default=0)

    def wake_at_boot_s(self) -> float:
        """Return when the next query is due."""
        return self._schedule.wake_at_boot_s()

    def query_answered(self, query: StatusQuery, now: Now) -> None:
        """Conclude what the answer to a query proves; its rows were taken in before."""
        command = self._table.find_queried(query.offset)
        if command is None:
            return
        if command.action == REPLACE:
            self._settle_from_known_orders(command, now)
        if command.state is not CommandState.UNKNOWN:
            return
        order = self._orders.find_current(command.order_id, command.client_order_id)
        if command.action == CANCEL:
            self._settle_cancel(command, now, is_queried=True)
        elif (
            command.action == REPLACE
            and order is not None
            and self._orders.is_final(order, self._clocks.rest_complete_until_ms(now))
        ):
            self._conclude_not_found(command, now, f"the order ended as {order.state} without showing it")
        if not query.is_last or command.state is not CommandState.UNKNOWN:
            return
        if command.action == CANCEL_ALL:
            # Its single cancels are safe to repeat, so it may stay unknown for longer.
            if self._cancel_alls.are_all_acked(command):
                self._settle_cancel_all(command, now)
        elif command.action == PLACE or order is None:
            waited_s = round(self._times.lands_until_boot_s(command) - command.last_write_boot_s, 1)
            self._conclude_not_found(command, now, f"the venue knew nothing of it {waited_s:g} s after it was written")
        elif not order.ended:
            self._conclude_not_found(
                command, now, f"order {order.order_id} lives on as {order.state} without showing it"
            )

    def _settle_cancel(self, cancel: TrackedCommand, now: Now, *, is_queried: bool) -> None:
        """Settle a cancel if its order proves the outcome.

        `is_queried`: the venue was just asked about the order; else only a cancel whose repeat was refused is settled.
        """
        if cancel.state is not CommandState.UNKNOWN or (cancel.last_refusal is None and not is_queried):
            return
        order = self._orders.find_current(cancel.order_id, cancel.client_order_id)
        evidence = CancelEvidence(
            order,
            since_ms=self._times.since_ms(cancel),
            known_until_ms=self._clocks.rest_complete_until_ms(now),
            is_queried=is_queried,
            may_be_created=self.may_create_order_of(cancel),
        )
        conclusion = conclude_cancel(cancel, evidence, self._orders, now)
        if conclusion is None or (
            conclusion.outcome is Outcome.NOT_FOUND and not self._clocks.may_conclude_not_found(now)
        ):
            return
        if order is not None:
            cancel.order_id = order.order_id
        self.settle(cancel, conclusion.outcome, conclusion.by, now, code=conclusion.code, message=conclusion.message)

    def _finish_cancel_all(self, command: TrackedCommand, now: Now) -> None:
        """Settle a cancel_orders of which no order is open, unless one may yet be made."""
        if not self._cancel_alls.may_get_new_order(command, now):
            self._settle_cancel_all(command, now)

    def _settle_cancel_all(self, command: TrackedCommand, now: Now) -> None:
        if not self._clocks.venue.is_known:
            return  # then it is not known either which orders are older
        by = CommandEvent.ACKED if command.state is CommandState.SENT else CommandEvent.SEEN_AT_VENUE
        self.settle(command, Outcome.ACCEPTED, by, now, message=self._cancel_alls.describe(command))

    def lands_until_boot_s(self, command: TrackedCommand) -> float:
        """Return the time from which on a command can no longer land."""
        return self._times.lands_until_boot_s(command)

    def may_create_order_of(self, cancel: TrackedCommand) -> bool:
        """Whether the order of a cancel may yet be made: its place, or a replace of it, has no result."""
        place = self._table.find_in_flight_place(cancel.client_order_id)
        return place is not None or self._table.has_in_flight(REPLACE, cancel.order_id, cancel.client_order_id)

    def _seen_at_venue(self, command: TrackedCommand, order_id: str, now: Now) -> None:
        """Note that an order proves a command was carried out: an unknown one is accepted, another awaits its ack."""
        if command.state is CommandState.UNKNOWN:
            command.order_id = order_id or None
            quantity = command.actual_quantity
            text = None if quantity is None else f"its answer was lost; the order's quantity is {quantity}"
            if command.general_failure is not None:
                text = f"the venue said: {command.general_failure[1]}; and it shows that it was done"
            self.settle(command, Outcome.ACCEPTED, CommandEvent.SEEN_AT_VENUE, now, message=text)
        else:
            command.step(CommandEvent.SEEN_AT_VENUE)

    def _conclude_not_found(self, command: TrackedCommand, now: Now, message: str) -> None:
        """Publish that the venue does not know a command, and watch for its order, unless the clocks forbid it."""
        if not self._clocks.may_conclude_not_found(now):
            return
        code, text, _ = command.general_failure or (None, "", 0.0)
        message = f"{text}; {message}" if text else message
        self.settle(command, Outcome.NOT_FOUND, CommandEvent.NOT_FOUND, now, code=code, message=message)
        self._late_orders.watch_not_found(command, self._times.since_ms(command))
        order = self._orders.find(None, command.client_order_id)
        if command.action == PLACE and order is not None:
            self._late_orders.on_order(order, now)

    def _status_query(self, command: TrackedCommand, *, last: bool) -> StatusQuery:
        order = self._orders.find_current(command.order_id, command.client_order_id)
        return StatusQuery(
            command.offset,
            command.action,
            command.order_id,
            command.client_order_id or (order.client_order_id if order is not None else None),
            command.args.get("sym"),
            self._times.since_ms(command),
            self._times.lands_until_boot_s(command),
            last,
        )
