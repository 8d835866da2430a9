"""Which orders a cancel_orders whose answer was lost should have ended."""

from collections.abc import Iterable

from bridge.core.command import Pending, in_scope
from bridge.core.memory import Memory
from bridge.core.orders import Order


def orders_to_end(cancel_all: Pending, live: Iterable[Order], memory: Memory, skew_ms: int) -> list[Order]:
    """Return the live orders of its scope that are older than its record, and no others: a new quote survives it."""
    return [
        order
        for order in live
        if in_scope(cancel_all.exchange, order.exchange) and _is_older(order, cancel_all, memory, skew_ms)
    ]


def _is_older(order: Order, cancel_all: Pending, memory: Memory, skew_ms: int) -> bool:
    """Compare ours by offset, whatever the clocks say; foreign ones by time, and only those surely older count."""
    ours = memory.find(memory.holder(order.client_order_id or "") or "")
    if ours is not None:
        return ours.offset < cancel_all.offset
    return order.created_ms < cancel_all.timestamp_ms - skew_ms
