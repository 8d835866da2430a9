"""A cancel_orders by single cancels: of the orders of this account that are open and older, one after the other.

So each is carried out, unless `limits.cancel_orders` has the venue's own message for it, which may reach every
portfolio of the user (LTP docs, Cancel All: said of REST, and of the WebSocket nothing); and so is each finished whose
answer was lost.
"""

from collections.abc import Iterable

from bridge.core.clocks import Clocks
from bridge.core.commands.command import SingleCancels, TrackedCommand, in_scope
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.dedupe_index import DedupeIndex
from bridge.core.in_flight.bridge_cancels import BridgeCancels
from bridge.core.now import Now
from bridge.core.orders import Order, Orders


class CancelAlls:
    """The single cancels of each cancel_orders that has no answer yet, beside its command."""

    def __init__(
        self, table: CommandTable, index: DedupeIndex, orders: Orders, bridge_cancels: BridgeCancels, clocks: Clocks
    ) -> None:
        self._lanes = table.lanes
        self._orders = orders
        self._index = index
        self._bridge_cancels = bridge_cancels
        self._clocks = clocks
        self._left_alone_s = clocks.rest_lag_ms / 1000
        """So long an order is not cancelled again whose cancel the venue has answered: its list may lag, or a push."""

    def begin(self, cancel_all: TrackedCommand) -> None:
        """Carry a cancel_orders out: cancel at once every order that is known to be open, and not newer than it.

        An order whose cancel for an earlier cancel_orders has no answer is cancelled once more.
        """
        cancel_all.single_cancels = cancels = SingleCancels(answer_was_lost=False)
        in_scope_now = (order for order in self._orders.live() if in_scope(cancel_all.exchange, order.exchange))
        for order in in_scope_now:
            if not _is_newer_of_ours(order, cancel_all, self._index):
                self._bridge_cancels.request_again_now(order.order_id)
                self._end(order.order_id, cancels)

    def on_order(self, order: Order) -> list[TrackedCommand]:
        """Cancel an order that shows itself and is older; return what the end of an order has finished."""
        done = []
        for command in self._lanes.list_cancel_alls():
            cancels = command.single_cancels
            if cancels is None:
                continue
            if order.ended:
                cancels.open_order_ids.discard(order.order_id)
            elif self._is_to_end(order, command, cancels) and order.order_id not in self._bridge_cancels.final_acks:
                self._end(order.order_id, cancels)
            if cancels.is_list_known and not cancels.open_order_ids:
                done.append(command)
        return done

    def end_older_orders(
        self, waiting: Iterable[TrackedCommand], listed: Iterable[str], now: Now
    ) -> list[TrackedCommand]:
        """Cancel what each of these should have ended; return those of which nothing is left.

        `listed` are the orderIds of the venue's whole list. It may lag behind the stream, so orders that showed
        themselves of late and are not listed are ended too, once; and one whose cancel the venue has answered of late
        is left in peace.
        """
        waiting = list(waiting)
        if not waiting:
            return []
        of_late_ms = self._clocks.rest_complete_until_ms(now)
        unlisted = (
            order
            for order in self._orders.live()
            if order.last_seen_ms >= of_late_ms and order.order_id not in self._bridge_cancels.final_acks
        )
        known = (self._orders.find(order_id, None) for order_id in listed)
        shown = (order for order in known if order is not None and not order.ended)
        live = {order.order_id: order for order in (*unlisted, *shown)}
        done = []
        for command in waiting:
            command.single_cancels = cancels = command.single_cancels or SingleCancels()
            cancels.is_list_known = True
            left = [order_id for order_id, order in live.items() if self._is_to_end(order, command, cancels)]
            cancels.open_order_ids = set(left)
            for order_id in left:
                if not self._bridge_cancels.was_answered_since(order_id, now.boot_s - self._left_alone_s):
                    self._end(order_id, cancels)
            if not left:
                done.append(command)
        return done

    def are_all_acked(self, cancel_all: TrackedCommand) -> bool:
        """Whether the venue has said something definitive about every order that is still open."""
        cancels = cancel_all.single_cancels
        return cancels is None or all(
            order_id in self._bridge_cancels.final_acks for order_id in cancels.open_order_ids
        )

    def finish(self, cancel_all: TrackedCommand) -> None:
        """Keep nothing of a cancel_orders that has its terminal result."""
        if cancel_all.single_cancels is None:
            return
        cancel_all.single_cancels = None
        if all(other.single_cancels is None for other in self._lanes.list_cancel_alls()):
            self._bridge_cancels.forget_answers()

    def describe(self, cancel_all: TrackedCommand) -> str:
        """Return in words what became of the orders of a cancel_orders."""
        cancels = cancel_all.single_cancels or SingleCancels()
        text = f"cancelling {sum(map(self._is_cancelled, cancels.order_ids))} orders one by one"
        why = "its answer was lost" if cancel_all.rate_refusal is None else "it was refused for its rate"
        text = f"{why}; finished by {text}" if cancels.answer_was_lost else f"done by {text}"
        if cancels.open_order_ids:
            text += f"; {len(cancels.open_order_ids)} are still open, see their order's last state"
        return text

    def _is_cancelled(self, order_id: str) -> bool:
        """Whether the venue took the cancel of an order, or shows it as cancelled though a repeat was refused."""
        order = self._orders.find(order_id, None)
        return self._bridge_cancels.final_acks.get(order_id, False) or (order is not None and order.cancelled)

    def _end(self, order_id: str, cancels: SingleCancels) -> None:
        cancels.order_ids.add(order_id)
        cancels.open_order_ids.add(order_id)
        self._bridge_cancels.request(order_id)

    def _is_to_end(self, order: Order, command: TrackedCommand, cancels: SingleCancels) -> bool:
        """Whether an order is of the scope and older than the record, and so is no new quote."""
        if not in_scope(command.exchange, order.exchange):
            return False
        older_ms = self._clocks.certainly_older_ms(command.timestamp_ms)
        return order.order_id in cancels.order_ids or _is_older(order, command, self._index, older_ms)


def _is_older(order: Order, cancel_all: TrackedCommand, index: DedupeIndex, older_ms: int) -> bool:
    """Compare ours by offset, whatever the clocks say; foreign ones by time, and only those surely older count."""
    ours = index.find_order_offset(order.client_order_id or "")
    if ours is not None:
        return ours < cancel_all.offset
    return order.created_ms < older_ms


def _is_newer_of_ours(order: Order, cancel_all: TrackedCommand, index: DedupeIndex) -> bool:
    ours = index.find_order_offset(order.client_order_id or "")
    return ours is not None and ours > cancel_all.offset
