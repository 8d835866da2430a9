"""A cancel_orders by single cancels of the account's orders that are open and older than it.

Each cancel_orders is carried out so, unless `limits.cancel_orders` says to send the venue's own message, which may
reach every portfolio of the user (LTP docs, Cancel All: stated for REST, not for the WebSocket). One whose answer was
lost is finished so in any case.

Which orders are older than the record of the cancel_orders: ours are compared by offset, foreign ones by the venue's
clock as it was measured, less `skew_bound_s`. A cancel_orders that this owner began cancels what is known to be open at
that moment, whatever the clocks say. A single cancel of an earlier cancel_orders that the venue has not answered goes
out once more, 5 s after the last time at the latest.

A cancel_orders is `accepted` in two cases. Either no such order is left, and no place or replace in flight below it may
still make one. Or `late_landing_s` after its write some orders are still open, but the venue has given a final answer
to the single cancel of each: then the message of the result says how many are still open.
"""

from collections.abc import Iterable

from bridge.core.commands.command import ADDS_RISK, SingleCancels, TrackedCommand, in_scope
from bridge.core.commands.dedupe_index import DedupeIndex
from bridge.core.commands.term_state import TermState
from bridge.core.in_flight.bridge_cancels import BridgeCancels
from bridge.core.now import Now
from bridge.core.orders import Order


class CancelAlls:
    """Cancels the orders of each cancel_orders that has no result yet; the command holds how far it is."""

    def __init__(self, term: TermState, bridge_cancels: BridgeCancels) -> None:
        self._table = term.table
        self._table = term.table
        self._claims = term.claims
        self._orders = term.orders
        self._index = term.index
        self._clocks = term.clocks
        self._bridge_cancels = bridge_cancels
        self._wait_after_ack_s = term.clocks.rest_lag_ms / 1000
        """How long an order is not cancelled again after an ack of its cancel: the list of open orders may lag."""

    def begin(self, cancel_all: TrackedCommand) -> None:
        """Begin a cancel_orders: cancel at once every order that is known to be open and is not newer.

        An order whose cancel for an earlier cancel_orders has no answer is cancelled once more.
        """
        cancel_all.single_cancels = cancels = SingleCancels(answer_was_lost=False)
        open_in_scope = (order for order in self._orders.live() if in_scope(cancel_all.exchange, order.exchange))
        for order in open_in_scope:
            if not _is_newer_of_ours(order, cancel_all, self._index):
                self._bridge_cancels.request_again_now(order.order_id)
                self._cancel_order(order.order_id, cancels)

    def on_order(self, order: Order) -> list[TrackedCommand]:
        """Cancel an order if it is older; return each cancel_orders of which no order is open any more."""
        done = []
        for command in self._table.list_cancel_alls():
            cancels = command.single_cancels
            if cancels is None:
                continue
            if order.ended:
                cancels.open_order_ids.discard(order.order_id)
            elif self._is_to_cancel(order, command, cancels) and order.order_id not in self._bridge_cancels.final_acks:
                self._cancel_order(order.order_id, cancels)
            if cancels.is_list_known and not cancels.open_order_ids:
                done.append(command)
        return done

    def cancel_listed_orders(
        self, cancel_alls: Iterable[TrackedCommand], listed: Iterable[str], now: Now
    ) -> list[TrackedCommand]:
        """Cancel the open orders that each cancel_orders should have ended; return those of which none is open.

        `listed` are the orderIds of the venue's whole list. It may lag behind the stream, so recent orders of the
        stream that are not listed are cancelled too, once; and an order whose cancel was acked recently is not
        cancelled again.
        """
        cancel_alls = list(cancel_alls)
        if not cancel_alls:
            return []
        recent_ms = self._clocks.rest_complete_until_ms(now)
        unlisted = (
            order
            for order in self._orders.live()
            if order.last_seen_ms >= recent_ms and order.order_id not in self._bridge_cancels.final_acks
        )
        found = (self._orders.find(order_id, None) for order_id in listed)
        listed_open = (order for order in found if order is not None and not order.ended)
        live = {order.order_id: order for order in (*unlisted, *listed_open)}
        done = []
        for command in cancel_alls:
            command.single_cancels = cancels = command.single_cancels or SingleCancels()
            cancels.is_list_known = True
            still_open = [order_id for order_id, order in live.items() if self._is_to_cancel(order, command, cancels)]
            cancels.open_order_ids = set(still_open)
            for order_id in still_open:
                if not self._bridge_cancels.was_answered_since(order_id, now.boot_s - self._wait_after_ack_s):
                    self._cancel_order(order_id, cancels)
            if not still_open:
                done.append(command)
        return done

    def are_all_acked(self, cancel_all: TrackedCommand) -> bool:
        """Whether the venue has given a final ack about every order that is still open."""
        cancels = cancel_all.single_cancels
        return cancels is None or all(
            order_id in self._bridge_cancels.final_acks for order_id in cancels.open_order_ids
        )

    def may_get_new_order(self, cancel_all: TrackedCommand, now: Now) -> bool:
        """Whether a command before a cancel_orders may yet make an order in its scope.

        That is a place or replace in flight, or a replace that has ended an order and not yet opened the next one.
        """
        possibly_replaced = self._orders.pop_possibly_replaced(self._clocks.rest_complete_until_ms(now))
        return any(
            in_scope(cancel_all.exchange, order.exchange) and not self._bridge_cancels.final_acks.get(order.order_id)
            for order in possibly_replaced
        ) or any(
            command.action in ADDS_RISK
            and command.offset < cancel_all.offset
            and (command.exchange is None or in_scope(cancel_all.exchange, command.exchange))
            for command in self._table.iter_in_flight(self._claims.claimed)
        )

    def finish(self, cancel_all: TrackedCommand) -> None:
        """Drop the state of a cancel_orders that has its terminal result; with the last one, forget all acks."""
        cancel_all.single_cancels = None
        if all(other.single_cancels is None for other in self._table.list_cancel_alls()):
            self._bridge_cancels.forget_answers()

    def describe(self, cancel_all: TrackedCommand) -> str:
        """Return the message of a result: what happened to the orders of a cancel_orders."""
        cancels = cancel_all.single_cancels or SingleCancels()
        text = f"cancelling {sum(map(self._is_cancelled, cancels.order_ids))} orders one by one"
        why = "its answer was lost" if cancel_all.rate_refusal is None else "it was refused for its rate"
        text = f"{why}; finished by {text}" if cancels.answer_was_lost else f"done by {text}"
        if cancels.open_order_ids:
            text += f"; {len(cancels.open_order_ids)} are still open, see their order's last state"
        return text

    def _is_cancelled(self, order_id: str) -> bool:
        """Whether the venue accepted the cancel of an order, or shows it as cancelled although a repeat was refused."""
        order = self._orders.find(order_id, None)
        return self._bridge_cancels.final_acks.get(order_id, False) or (order is not None and order.cancelled)

    def _cancel_order(self, order_id: str, cancels: SingleCancels) -> None:
        cancels.order_ids.add(order_id)
        cancels.open_order_ids.add(order_id)
        self._bridge_cancels.request(order_id)

    def _is_to_cancel(self, order: Order, command: TrackedCommand, cancels: SingleCancels) -> bool:
        """Whether an order is in the scope of a cancel_orders and older than it."""
        if not in_scope(command.exchange, order.exchange):
            return False
        older_ms = self._clocks.certainly_older_ms(command.timestamp_ms)
        return order.order_id in cancels.order_ids or _is_older(order, command, self._index, older_ms)


def _is_older(order: Order, cancel_all: TrackedCommand, index: DedupeIndex, older_ms: int) -> bool:
    """Whether an order is older: one of a command by its offset, any other by its time, if that is certain."""
    offset = index.find_order_offset(order.client_order_id or "")
    if offset is not None:
        return offset < cancel_all.offset
    return order.created_ms < older_ms


def _is_newer_of_ours(order: Order, cancel_all: TrackedCommand, index: DedupeIndex) -> bool:
    offset = index.find_order_offset(order.client_order_id or "")
    return offset is not None and offset > cancel_all.offset
