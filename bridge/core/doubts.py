"""Commands in doubt: what to ask the venue about them, what counts as a fact, and when the asking ends.

Unknown is not rejected. Place, replace and cancel_orders are never written again, so only a fact of the venue's ends
a doubt: the order shows itself, or it is over, or the venue knows nothing of it when it can no longer land. A cancel is
repeated, and what is said of a repeat says nothing about the request before it.
"""

from collections.abc import Iterable

from msgspec import Struct

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.pushes import TradePush
from bridge.contract.results import Outcome
from bridge.core import facts
from bridge.core.cancel_all import CancelAlls
from bridge.core.clocks import Clocks
from bridge.core.command import Pending, in_scope
from bridge.core.lanes import Lanes
from bridge.core.late import LateLandings
from bridge.core.life import Event, State
from bridge.core.lost_cancels import CancelledOrder, fate_of_cancel
from bridge.core.memory import Memory
from bridge.core.now import Now
from bridge.core.order_names import follow_order
from bridge.core.orders import Order, Orders
from bridge.core.own_cancels import OwnCancels
from bridge.core.replies import Replies
from bridge.core.status_queries import QuerySchedule, StatusQuery
from bridge.core.written_commands import WrittenCommands


class _Doubt(Struct):
    pending: Pending
    inherited_at: float
    """When an earlier owner may last have written it."""
    contradicted: bool = False
    """Whether a repeat was refused, so that the venue is asked at once what the first request has done."""


class Doubts:
    """The commands in doubt of one account."""

    def __init__(
        self,
        replies: Replies,
        lanes: Lanes,
        orders: Orders,
        memory: Memory,
        *,
        own_cancels: OwnCancels,
        late: LateLandings,
        clocks: Clocks,
        late_landing_s: float,
    ) -> None:
        self._replies = replies
        self._lanes = lanes
        self._orders = orders
        self._own_cancels = own_cancels
        self._late = late
        self._clocks = clocks
        self._late_landing_s = late_landing_s
        self._cancel_alls = CancelAlls(orders, memory, own_cancels, clocks)
        self._doubts: dict[int, _Doubt] = {}
        self._schedule = QuerySchedule()
        self.written_commands = WrittenCommands()

    def __contains__(self, offset: int) -> bool:
        return offset in self._doubts

    def written(self, pending: Pending) -> None:
        """Note a command that is being written, and what is known of its order right before the first time."""
        if pending.action in {REPLACE, CANCEL}:
            follow_order(pending, self._orders)
        if pending.attempts == 1 and not pending.maybe_sent_before:
            # What its order shows at a repeat may be the first request's doing.
            pending.before = self._orders.find(pending.order_id, pending.client_order_id)
        if pending.action == PLACE:
            self._late.named_anew(pending.client_order_id)
        elif pending.action == REPLACE:
            self._orders.amended(pending.order_id, self._clocks.venue.read_at(pending.written_at).latest)
        self.written_commands.add(pending)

    def begin_single_cancels(self, cancel_all: Pending, now: Now) -> None:
        """Carry a cancel_orders out by single cancels, and ask for what else is open."""
        self._cancel_alls.begin(cancel_all)
        self.add(cancel_all, now)

    def lands_until(self, pending: Pending, now: Now) -> float:
        """Return until when the venue may carry out what an earlier owner may have written."""
        return self._clocks.last_write_boot_s(pending, now) + self._late_landing_s

    def was_done(self, cancel: Pending) -> bool:
        """Whether the order of a cancel shows what it asked for."""
        order = self._orders.find_current(cancel.order_id, cancel.client_order_id)
        return order is not None and facts.shows_cancel(order, cancel, self._since_ms(cancel))

    def add(self, pending: Pending, now: Now) -> None:
        """Ask about a command from now on. What is known already may settle it at once."""
        doubt = self._doubts.get(pending.offset)
        if doubt is None:
            # An earlier owner wrote it before now, and within its validity.
            doubt = _Doubt(pending, inherited_at=self._clocks.last_write_boot_s(pending, now))
            self._doubts[pending.offset] = doubt
            # A cancel is repeated while it is valid; what became of it is asked for afterwards.
            first = max(now.mono, pending.deadline) if pending.action == CANCEL else now.mono
            self._schedule.ask_at(pending.offset, first, is_urgent=pending.action == CANCEL_ALL)
            if pending.action == REPLACE:
                self._orders.amended(pending.order_id, self._clocks.venue.read_at(now.mono).latest)
        if (pending.refusal is not None or pending.failed is not None) and not doubt.contradicted:
            doubt.contradicted = True
            self._schedule.ask_at(pending.offset, now.mono)
        if pending.executed_as is not None:
            self._shown(pending, pending.executed_as, now)
        elif pending.action == CANCEL:
            self._settle_cancel(pending, now, asked=False)
        else:
            self._look_under_both_names(pending, now)

    def _look_under_both_names(self, pending: Pending, now: Now) -> None:
        """Let what is known already settle a command: a replace may have given its order another orderId."""
        for order_id, client_order_id in ((pending.order_id, None), (None, pending.client_order_id)):
            order = self._orders.find(order_id, client_order_id)
            if order is not None and order.updated_ms and pending.state is State.UNKNOWN:
                self.order_seen(order, now)

    def settle(
        self,
        pending: Pending,
        outcome: Outcome,
        by: Event,
        now: Now,
        *,
        code: int | None = None,
        message: str | None = None,
    ) -> None:
        """Publish the last word about a command that was written, and let the next of its order go."""
        self._replies.last_word(pending, outcome, now, by=by, code=code, message=message)
        self._doubts.pop(pending.offset, None)
        self._schedule.forget(pending.offset)
        self._cancel_alls.forget(pending)
        self.written_commands.remove(pending)
        self._lanes.settled(pending)

    def order_seen(self, order: Order, now: Now) -> None:
        """Let a snapshot of an order, from the stream or from REST, settle what it proves."""
        if order.over:
            self._own_cancels.over(order.order_id)
        replaces, place = (
            self.written_commands.replaces_of(order),
            self.written_commands.place_named(order.client_order_id),
        )
        if place is not None and facts.is_of(order, place, self._since_ms(place), replaces):
            place.shown_qty = facts.other_quantity(order, place)
            if place.failed is not None and order.refused and place.state is State.UNKNOWN:
                code, words, _ = place.failed
                place.order_id = order.order_id or None
                self.settle(place, Outcome.REJECTED, Event.SHOWN, now, code=code, message=words)
            else:
                self._shown(place, order.order_id, now)
        for replace in replaces:
            if facts.shows_replace(order, replace, self._since_ms(replace)):
                self._orders.succeeded(replace.order_id, order.order_id)
                self._shown(replace, order.order_id, now)
        for cancel in self.written_commands.cancels_of(order):
            self._settle_cancel(cancel, now, asked=False)
        self._late.order_seen(order, now)
        for cancel_all in self._cancel_alls.order_seen(order):
            self._finish_cancel_all(cancel_all, now)

    def trade_seen(self, trade: TradePush, now: Now) -> None:
        """Let an execution, from the stream or from REST, settle the place that it is of."""
        place = self.written_commands.place_named(trade.client_order_id)
        if place is not None and facts.is_trade_of(trade, place, self._since_ms(place)):
            place.executed_as = str(trade.order_id)
            self._shown(place, place.executed_as, now)

    def open_orders_seen(self, listed: Iterable[str], asked_at: float, now: Now) -> None:
        """End one by one what a cancel_orders in doubt should have ended, and settle it when nothing is left.

        `listed` are the orderIds of the venue's whole list, asked for at `asked_at`.
        """
        cancels = (doubt.pending for doubt in self._doubts.values() if doubt.pending.action == CANCEL_ALL)
        waiting = [pending for pending in cancels if pending.written_at <= asked_at]
        for pending in self._cancel_alls.end_older_orders(waiting, listed, now):
            self._finish_cancel_all(pending, now)

    def all(self) -> list[StatusQuery]:
        """Return what to ask about every command in doubt."""
        return [self._question(doubt, last=False) for doubt in self._doubts.values()]

    def due(self, now: Now) -> list[StatusQuery]:
        """Return a few questions to ask now. Whatever stays in doubt comes again, ever more slowly."""
        due = self._schedule.pop_due(now.mono, lambda offset: self._until(self._doubts[offset]))
        doubts = [self._doubts[offset] for offset in due]
        return [self._question(doubt, last=now.mono >= self._until(doubt)) for doubt in doubts]

    def oldest_ms(self, sym: str) -> int:
        """Return since when the venue's history of a symbol may show something of what is in doubt."""
        of_sym = (doubt.pending for doubt in self._doubts.values() if doubt.pending.args.get("sym") == sym)
        return min((self._since_ms(pending) for pending in of_sym), default=0)

    def wake_at(self) -> float:
        """Return when the next question is due."""
        return self._schedule.wake_at()

    def looked(self, question: StatusQuery, now: Now) -> None:
        """Note that the venue has answered a question, after its rows were taken in: what is still in doubt may end."""
        doubt = self._doubts.get(question.offset)
        if doubt is None:
            return
        pending = doubt.pending
        if pending.action == REPLACE:
            self._look_under_both_names(pending, now)
        if pending.state is not State.UNKNOWN:
            return
        order = self._orders.find_current(pending.order_id, pending.client_order_id)
        if pending.action == CANCEL:
            self._settle_cancel(pending, now, asked=True)
        elif (
            pending.action == REPLACE
            and order is not None
            and self._orders.is_final(order, self._clocks.rest_tells_until_ms(now))
        ):
            self._give_up(pending, now, f"the order ended as {order.state} without showing it")
        if not question.last or pending.state is not State.UNKNOWN:
            return
        if pending.action == CANCEL_ALL:
            # A single cancel is safe to repeat: there is no hurry to give this up.
            if self._cancel_alls.all_answered(pending):
                self._settle_cancel_all(pending, now)
        elif pending.action == PLACE or order is None:
            waited_s = round(self._until(doubt) - (pending.written_at or doubt.inherited_at), 1)
            self._give_up(pending, now, f"the venue knew nothing of it {waited_s:g} s after it was written")
        elif not order.over:
            self._give_up(pending, now, f"order {order.order_id} lives on as {order.state} without showing it")

    def _settle_cancel(self, cancel: Pending, now: Now, *, asked: bool) -> None:
        """Settle a cancel by its order, if that proves anything.

        `asked`: the venue was just asked for it. Without that, only one is looked at whose repeat was refused.
        """
        if cancel.state is not State.UNKNOWN or (cancel.refusal is None and not asked):
            return
        order = self._orders.find_current(cancel.order_id, cancel.client_order_id)
        known = CancelledOrder(
            order,
            since_ms=self._since_ms(cancel),
            told_until_ms=self._clocks.rest_tells_until_ms(now),
            asked=asked,
            may_be_made=self.written_commands.may_make_order_of(cancel),
        )
        fate = fate_of_cancel(cancel, known, self._orders, now)
        if fate is None or (fate.outcome is Outcome.NOT_FOUND and not self._clocks.may_say_not_found(now)):
            return
        if order is not None:
            cancel.order_id = order.order_id
        self.settle(cancel, fate.outcome, fate.proof, now, code=fate.code, message=fate.message)

    def _finish_cancel_all(self, pending: Pending, now: Now) -> None:
        """Settle a cancel_orders of which nothing is left, unless what came before it may yet make an order."""
        coming_back = self._orders.coming_back(self._clocks.rest_tells_until_ms(now))
        if not self.written_commands.may_make_order_below(pending) and not any(
            in_scope(pending.exchange, order.exchange) and not self._own_cancels.judged.get(order.order_id)
            for order in coming_back
        ):
            self._settle_cancel_all(pending, now)

    def _settle_cancel_all(self, pending: Pending, now: Now) -> None:
        if not self._clocks.venue.is_known:
            return  # which orders are older is not known either
        by = Event.ACKED if pending.state is State.SENT else Event.SHOWN
        self.settle(pending, Outcome.ACCEPTED, by, now, message=self._cancel_alls.told(pending))

    def _until(self, doubt: _Doubt) -> float:
        """Return from when on a command can no longer land: the venue is through with one of which it says it failed.

        What came of that, REST tells when it has caught up.
        """
        pending = doubt.pending
        landed_boot_s = (pending.written_at or doubt.inherited_at) + self._late_landing_s
        if pending.failed is None or pending.action not in {PLACE, REPLACE}:
            return landed_boot_s
        return min(landed_boot_s, pending.failed[2] + self._clocks.rest_lag_ms / 1000)

    def _shown(self, pending: Pending, order_id: str, now: Now) -> None:
        if pending.state is State.UNKNOWN:
            pending.order_id = order_id or None
            quantity = pending.shown_qty
            text = None if quantity is None else f"its answer was lost; the order's quantity is {quantity}"
            if pending.failed is not None:
                text = f"the venue said: {pending.failed[1]}; and it shows that it was done"
            self.settle(pending, Outcome.ACCEPTED, Event.SHOWN, now, message=text)
        else:
            pending.step(Event.SHOWN)

    def _give_up(self, pending: Pending, now: Now, message: str) -> None:
        if not self._clocks.may_say_not_found(now):
            return
        code, words, _ = pending.failed or (None, "", 0.0)
        message = f"{words}; {message}" if words else message
        self.settle(pending, Outcome.NOT_FOUND, Event.GIVEN_UP, now, code=code, message=message)
        self._late.given_up(pending, self._since_ms(pending))
        order = self._orders.find(None, pending.client_order_id)
        if pending.action == PLACE and order is not None:
            self._late.order_seen(order, now)

    def _question(self, doubt: _Doubt, *, last: bool) -> StatusQuery:
        pending = doubt.pending
        order = self._orders.find_current(pending.order_id, pending.client_order_id)
        return StatusQuery(
            pending.offset,
            pending.action,
            pending.order_id,
            pending.client_order_id or (order.client_order_id if order is not None else None),
            pending.args.get("sym"),
            self._since_ms(pending),
            self._until(doubt),
            last,
        )

    def _since_ms(self, pending: Pending) -> int:
        """Return the venue's earliest time at which what a command asked for can have happened."""
        return self._clocks.happened_since_ms(pending)
