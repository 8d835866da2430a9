"""Commands in doubt: what to ask the venue about them, what counts as a fact, and when the asking ends.

Unknown is not rejected. Place, replace and cancel_orders are never written again, so only a fact of the venue's ends
a doubt: the order shows itself, or it is over, or the venue knows nothing of it when it can no longer land.
"""

from collections.abc import Iterable

from msgspec import Struct

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.pushes import TradePush
from bridge.contract.results import Outcome
from bridge.core import facts
from bridge.core.cancel_all import REST_LAG_MS, UnknownCancelAlls
from bridge.core.command import Pending, in_scope
from bridge.core.lanes import Lanes
from bridge.core.late import LateLandings
from bridge.core.life import Event, State
from bridge.core.memory import Memory
from bridge.core.now import Now
from bridge.core.orders import Order, Orders
from bridge.core.own_cancels import OwnCancels
from bridge.core.replies import Replies
from bridge.core.status_queries import QuerySchedule, StatusQuery


class _Doubt(Struct):
    pending: Pending
    inherited_at: float
    """When an earlier owner may last have written it."""


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
        late_landing_s: float,
        skew_bound_s: float,
    ) -> None:
        self._replies = replies
        self._lanes = lanes
        self._orders = orders
        self._own_cancels = own_cancels
        self._late = late
        self._late_landing_s = late_landing_s
        self._skew_bound_s = skew_bound_s
        self._skew_bound_ms = int(skew_bound_s * 1000)
        self._cancel_alls = UnknownCancelAlls(orders, memory, own_cancels, skew_bound_ms=self._skew_bound_ms)
        self._doubts: dict[int, _Doubt] = {}
        self._schedule = QuerySchedule()
        self._places: dict[str, Pending] = {}
        self._replaces: dict[str, list[Pending]] = {}

    def __contains__(self, offset: int) -> bool:
        return offset in self._doubts

    def watch(self, pending: Pending) -> None:
        """Note a command that may have been written: its order may show itself before the answer, or instead of it."""
        if pending.action == PLACE and pending.client_order_id is not None:
            self._places[pending.client_order_id] = pending
        elif pending.action == REPLACE:
            for name in {pending.order_id, pending.client_order_id} - {None}:
                self._replaces.setdefault(name or "", []).append(pending)

    def written(self, pending: Pending) -> None:
        """Note a command that is being written, and what is known of its order right before the first time."""
        if pending.attempts == 1:  # what its order shows at a repeat may be the first request's doing
            pending.before = self._orders.find(pending.order_id, pending.client_order_id)
        if pending.action == PLACE:
            self._late.named_anew(pending.client_order_id)
        self.watch(pending)

    def place_in_flight(self, client_order_id: str | None) -> bool:
        """Whether a place of this name is written and has no last word."""
        place = self._places.get(client_order_id or "")
        return place is not None and place.state in {State.SENT, State.UNKNOWN}

    def add(self, pending: Pending, now: Now) -> None:
        """Ask about a command from now on. What is known already may settle it at once."""
        if pending.offset not in self._doubts:
            # An earlier owner wrote it before now, and within its validity.
            doubt = _Doubt(pending, inherited_at=min(now.mono, pending.deadline + self._skew_bound_s))
            self._doubts[pending.offset] = doubt
            # A cancel is repeated while it is valid; what became of it is asked for afterwards.
            first = max(now.mono, pending.deadline) if pending.action == CANCEL else now.mono
            self._schedule.ask_at(pending.offset, first)
        order = self._orders.find(pending.order_id, pending.client_order_id)
        if order is not None and order.updated_ms:
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
        if pending.action == PLACE:
            self._places.pop(pending.client_order_id or "", None)
        elif pending.action == REPLACE:
            # Looked for everywhere: its ack may have taught it another orderId since.
            left = {name: [one for one in several if one is not pending] for name, several in self._replaces.items()}
            self._replaces = {name: several for name, several in left.items() if several}
        self._lanes.settled(pending)

    def order_seen(self, order: Order, now: Now) -> None:
        """Let a snapshot of an order, from the stream or from REST, settle what it proves."""
        if order.over:
            self._own_cancels.over(order.order_id)
        replaces = self._replaces.get(order.order_id) or self._replaces.get(order.client_order_id or "") or ()
        place = self._places.get(order.client_order_id or "")
        if place is not None and facts.is_of(order, place, self._since_ms(place), replaces):
            self._shown(place, order.order_id, now)
        for replace in tuple(replaces):
            if facts.shows_replace(order, replace, self._since_ms(replace)):
                self._shown(replace, order.order_id, now)
        self._late.order_seen(order, now)

    def trade_seen(self, trade: TradePush, now: Now) -> None:
        """Let an execution settle the place that it is of."""
        place = self._places.get(trade.client_order_id or "")
        if place is not None and facts.is_trade_of(trade, place, self._since_ms(place)):
            self._shown(place, str(trade.order_id), now)

    def open_orders_seen(self, listed: Iterable[Order], asked_at: float, now: Now) -> None:
        """End one by one what a cancel_orders in doubt should have ended, and settle it when nothing is left.

        `listed` is the venue's whole list, asked for at `asked_at`.
        """
        cancels = (doubt.pending for doubt in self._doubts.values() if doubt.pending.action == CANCEL_ALL)
        waiting = [pending for pending in cancels if pending.written_at <= asked_at]
        if not waiting:
            return
        for pending in self._cancel_alls.end_older_orders(waiting, listed, now):
            if not self._place_in_doubt_below(pending):
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
        order = self._orders.find(pending.order_id, pending.client_order_id)
        if pending.action == CANCEL:
            self._looked_for_cancel(pending, order, now)
        elif pending.action == REPLACE and order is not None and self._ended(order, now):
            text = f"the order ended as {order.state} without showing it"
            self._give_up(pending, now, text)
        if not question.last or pending.state is not State.UNKNOWN:
            return
        if pending.action == CANCEL_ALL:
            # A single cancel is safe to repeat: there is no hurry to give this up.
            if self._cancel_alls.all_answered(pending):
                self._finish_cancel_all(pending, now)
        else:
            self._give_up(pending, now, f"the venue knew nothing of it {self._late_landing_s:g} s after it was written")

    def _ended(self, order: Order, now: Now) -> bool:
        """Whether an order is surely over: one that was cancelled may come back under another orderId, replaced."""
        return order.over and (not order.cancelled or order.updated_ms < now.wall_ms - REST_LAG_MS)

    def _finish_cancel_all(self, pending: Pending, now: Now) -> None:
        self.settle(pending, Outcome.ACCEPTED, Event.SHOWN, now, message=self._cancel_alls.finish(pending))

    def _until(self, doubt: _Doubt) -> float:
        """Return from when on a command can no longer land."""
        return (doubt.pending.written_at or doubt.inherited_at) + self._late_landing_s

    def _looked_for_cancel(self, pending: Pending, order: Order | None, now: Now) -> None:
        if order is not None and facts.shows_cancel(order, pending, self._since_ms(pending)):
            pending.order_id = order.order_id
            self.settle(pending, Outcome.ACCEPTED, Event.SHOWN, now, message=f"its answer was lost; {order.state}")
        elif order is not None and order.over:
            self._give_up(pending, now, f"the order had ended as {order.state}")
        elif pending.too_early is not None and not self.place_in_flight(pending.client_order_id):
            code, words = pending.too_early
            self.settle(pending, Outcome.REJECTED, Event.ACKED, now, code=code, message=words)

    def _shown(self, pending: Pending, order_id: str, now: Now) -> None:
        if pending.state is State.UNKNOWN:
            pending.order_id = order_id or None
            self.settle(pending, Outcome.ACCEPTED, Event.SHOWN, now)
        else:
            pending.step(Event.SHOWN)

    def _give_up(self, pending: Pending, now: Now, message: str) -> None:
        self.settle(pending, Outcome.NOT_FOUND, Event.GIVEN_UP, now, message=message)
        self._late.given_up(pending, self._since_ms(pending))

    def _question(self, doubt: _Doubt, *, last: bool) -> StatusQuery:
        pending = doubt.pending
        return StatusQuery(
            pending.offset,
            pending.action,
            pending.order_id,
            pending.client_order_id,
            pending.args.get("sym"),
            self._since_ms(pending),
            self._until(doubt),
            last,
        )

    def _since_ms(self, pending: Pending) -> int:
        """Return the venue's earliest time at which what a command asked for can have happened."""
        since_ms = pending.timestamp_ms if pending.sent_at_ms is None else pending.sent_at_ms
        return since_ms - self._skew_bound_ms

    def _place_in_doubt_below(self, cancel_all: Pending) -> bool:
        return any(
            doubt.pending.action == PLACE
            and doubt.pending.offset < cancel_all.offset
            and in_scope(cancel_all.exchange, doubt.pending.exchange)
            for doubt in self._doubts.values()
        )
