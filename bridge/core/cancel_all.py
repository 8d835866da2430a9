"""A cancel_orders whose answer was lost: the orders that it should have ended are cancelled one by one."""

from collections.abc import Iterable

from msgspec import Struct, field

from bridge.core.clocks import Clocks
from bridge.core.command import Pending, in_scope
from bridge.core.memory import Memory
from bridge.core.now import Now
from bridge.core.orders import Order, Orders
from bridge.core.own_cancels import OwnCancels


class _SingleCancels(Struct):
    older: set[str] = field(default_factory=set)
    """The orders that were to be ended for a cancel_orders."""
    left: tuple[str, ...] = ()
    """Those that are still open."""


class UnknownCancelAlls:
    """The single cancels that take the place of each cancel_orders in doubt, by the offset of its command."""

    def __init__(self, orders: Orders, memory: Memory, own_cancels: OwnCancels, clocks: Clocks) -> None:
        self._orders = orders
        self._memory = memory
        self._own_cancels = own_cancels
        self._clocks = clocks
        self._cancels: dict[int, _SingleCancels] = {}

    def end_older_orders(self, waiting: Iterable[Pending], listed: Iterable[Order], now: Now) -> list[Pending]:
        """Cancel what each cancel_orders in doubt should have ended; return those of which nothing is left.

        `listed` is the venue's whole list. It may lag behind the stream, so orders that showed themselves of late and
        are not listed are ended too, once.
        """
        waiting = list(waiting)
        if not waiting:
            return []
        of_late_ms = self._clocks.rest_tells_until_ms(now)
        unlisted = (
            order
            for order in self._orders.live()
            if order.known_ms >= of_late_ms and order.order_id not in self._own_cancels.judged
        )
        live = {order.order_id: order for order in (*unlisted, *listed) if not order.over}
        done = []
        for pending in waiting:
            older_ms = self._clocks.surely_older_ms(pending.timestamp_ms)
            left = orders_to_end(pending, live.values(), self._memory, older_ms)
            cancels = self._cancels.setdefault(pending.offset, _SingleCancels())
            cancels.left = tuple(order.order_id for order in left)
            cancels.older.update(cancels.left)
            for order_id in cancels.left:
                self._own_cancels.want(order_id)
            if not left:
                done.append(pending)
        return done

    def all_answered(self, cancel_all: Pending) -> bool:
        """Whether the venue has said something definitive about every order that is still open."""
        cancels = self._cancels.get(cancel_all.offset, _SingleCancels())
        return all(order_id in self._own_cancels.judged for order_id in cancels.left)

    def forget(self, cancel_all: Pending) -> None:
        """Keep nothing of a command that has its last word."""
        self._cancels.pop(cancel_all.offset, None)

    def told(self, cancel_all: Pending) -> str:
        """Return in words what became of the orders of a cancel_orders."""
        cancels = self._cancels.get(cancel_all.offset, _SingleCancels())
        cancelled = sum(self._is_cancelled(order_id) for order_id in cancels.older)
        text = f"its answer was lost; finished by cancelling {cancelled} orders one by one"
        if cancels.left:
            text += f"; {len(cancels.left)} are still open, see their order's last state"
        return text

    def _is_cancelled(self, order_id: str) -> bool:
        """Whether the venue took the cancel of an order, or shows it as cancelled though a repeat was refused."""
        order = self._orders.find(order_id, None)
        return self._own_cancels.judged.get(order_id, False) or (order is not None and order.cancelled)


def orders_to_end(cancel_all: Pending, live: Iterable[Order], memory: Memory, older_ms: int) -> list[Order]:
    """Return the live orders of its scope that are older than its record, and no others: a new quote survives it.

    What the venue dated before `older_ms` surely is.
    """
    return [
        order
        for order in live
        if in_scope(cancel_all.exchange, order.exchange) and _is_older(order, cancel_all, memory, older_ms)
    ]


def _is_older(order: Order, cancel_all: Pending, memory: Memory, older_ms: int) -> bool:
    """Compare ours by offset, whatever the clocks say; foreign ones by time, and only those surely older count."""
    ours = memory.order_offset(order.client_order_id or "")
    if ours is not None:
        return ours < cancel_all.offset
    return order.created_ms < older_ms
