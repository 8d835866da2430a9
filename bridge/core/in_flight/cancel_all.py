"""A cancel_orders by single cancels: of the orders of this account that are open and older, one after the other.

So each is carried out, unless `limits.cancel_orders` has the venue's own message for it, which may reach every
portfolio of the user (LTP docs, Cancel All: said of REST, and of the WebSocket nothing); and so is each finished whose
answer was lost.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct, field

from bridge.core.clocks import Clocks
from bridge.core.commands.command import TrackedCommand, in_scope
from bridge.core.commands.dedupe_index import DedupeIndex
from bridge.core.in_flight.bridge_cancels import BridgeCancels
from bridge.core.now import Now
from bridge.core.orders import Order, Orders

_LEFT_IN_PEACE_S: Final = 35.0
"""So long an order is not cancelled again whose cancel the venue has answered: its list may lag, and so may a push."""


class _SingleCancels(Struct):
    command: TrackedCommand
    answer_was_lost: bool = True
    older: set[str] = field(default_factory=set)
    """The orders that were to be ended for a cancel_orders."""
    left: set[str] = field(default_factory=set)
    """Those that are still open."""
    is_listed: bool = False
    """Whether the venue has told its whole list since the command was begun."""


class CancelAlls:
    """The single cancels of each cancel_orders that has no answer yet, by the offset of its command."""

    def __init__(self, orders: Orders, memory: DedupeIndex, own_cancels: BridgeCancels, clocks: Clocks) -> None:
        self._orders = orders
        self._memory = memory
        self._own_cancels = own_cancels
        self._clocks = clocks
        self._cancels: dict[int, _SingleCancels] = {}

    def begin(self, cancel_all: TrackedCommand) -> None:
        """Carry a cancel_orders out: cancel at once every order that is known to be open, and not newer than it.

        An order whose cancel for an earlier cancel_orders has no answer is cancelled once more.
        """
        cancels = _SingleCancels(cancel_all, answer_was_lost=False)
        self._cancels[cancel_all.offset] = cancels
        in_scope_now = (order for order in self._orders.live() if in_scope(cancel_all.exchange, order.exchange))
        for order in in_scope_now:
            if not _is_newer_of_ours(order, cancel_all, self._memory):
                self._own_cancels.request_again_now(order.order_id)
                self._end(order.order_id, cancels)

    def order_seen(self, order: Order) -> list[TrackedCommand]:
        """Cancel an order that shows itself and is older; return what the end of an order has finished."""
        for cancels in self._cancels.values():
            if order.over:
                cancels.left.discard(order.order_id)
            elif self._is_to_end(order, cancels) and order.order_id not in self._own_cancels.acked:
                self._end(order.order_id, cancels)
        return [cancels.command for cancels in self._cancels.values() if cancels.is_listed and not cancels.left]

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
        of_late_ms = self._clocks.rest_tells_until_ms(now)
        unlisted = (
            order
            for order in self._orders.live()
            if order.known_ms >= of_late_ms and order.order_id not in self._own_cancels.acked
        )
        known = (self._orders.find(order_id, None) for order_id in listed)
        shown = (order for order in known if order is not None and not order.over)
        live = {order.order_id: order for order in (*unlisted, *shown)}
        done = []
        for command in waiting:
            cancels = self._cancels.setdefault(command.offset, _SingleCancels(command))
            cancels.is_listed = True
            left = [order_id for order_id, order in live.items() if self._is_to_end(order, cancels)]
            cancels.left = set(left)
            for order_id in left:
                if not self._own_cancels.answered_since(order_id, now.boot_s - _LEFT_IN_PEACE_S):
                    self._end(order_id, cancels)
            if not left:
                done.append(command)
        return done

    def all_answered(self, cancel_all: TrackedCommand) -> bool:
        """Whether the venue has said something definitive about every order that is still open."""
        cancels = self._cancels.get(cancel_all.offset)
        return cancels is None or all(order_id in self._own_cancels.acked for order_id in cancels.left)

    def forget(self, cancel_all: TrackedCommand) -> None:
        """Keep nothing of a command that has its last word."""
        if self._cancels.pop(cancel_all.offset, None) is not None and not self._cancels:
            self._own_cancels.forget_answers()

    def told(self, cancel_all: TrackedCommand) -> str:
        """Return in words what became of the orders of a cancel_orders."""
        cancels = self._cancels.get(cancel_all.offset, _SingleCancels(cancel_all))
        text = f"cancelling {sum(map(self._is_cancelled, cancels.older))} orders one by one"
        why = "its answer was lost" if cancel_all.rate_refusal is None else "it was refused for its rate"
        text = f"{why}; finished by {text}" if cancels.answer_was_lost else f"done by {text}"
        if cancels.left:
            text += f"; {len(cancels.left)} are still open, see their order's last state"
        return text

    def _is_cancelled(self, order_id: str) -> bool:
        """Whether the venue took the cancel of an order, or shows it as cancelled though a repeat was refused."""
        order = self._orders.find(order_id, None)
        return self._own_cancels.acked.get(order_id, False) or (order is not None and order.cancelled)

    def _end(self, order_id: str, cancels: _SingleCancels) -> None:
        cancels.older.add(order_id)
        cancels.left.add(order_id)
        self._own_cancels.request(order_id)

    def _is_to_end(self, order: Order, cancels: _SingleCancels) -> bool:
        """Whether an order is of the scope and older than the record, and so is no new quote."""
        if not in_scope(cancels.command.exchange, order.exchange):
            return False
        older_ms = self._clocks.surely_older_ms(cancels.command.timestamp_ms)
        return order.order_id in cancels.older or _is_older(order, cancels.command, self._memory, older_ms)


def _is_older(order: Order, cancel_all: TrackedCommand, memory: DedupeIndex, older_ms: int) -> bool:
    """Compare ours by offset, whatever the clocks say; foreign ones by time, and only those surely older count."""
    ours = memory.order_offset(order.client_order_id or "")
    if ours is not None:
        return ours < cancel_all.offset
    return order.created_ms < older_ms


def _is_newer_of_ours(order: Order, cancel_all: TrackedCommand, memory: DedupeIndex) -> bool:
    ours = memory.order_offset(order.client_order_id or "")
    return ours is not None and ours > cancel_all.offset
