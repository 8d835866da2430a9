"""Replaced orders: a replace may end an order and open another under its clientOrderId (LTP docs, Replace Order).

The other order is then the successor of the first: a command about the first is about the successor.
"""

from collections import OrderedDict
from typing import Final

_REQUESTS_MAX: Final = 10_000
_SUCCESSORS_MAX: Final = 25_000


class Replacements:
    """The replaces that were requested or seen, and the orders that they made, by orderId.

    A replace may be under way for `rest_lag_ms` after its request.
    """

    def __init__(self, rest_lag_ms: int) -> None:
        self._rest_lag_ms = rest_lag_ms
        self._requested_ms: OrderedDict[str, int] = OrderedDict()
        """When a replace of an order was last requested, or seen, by the venue's clock."""
        self._successors: OrderedDict[str, str] = OrderedDict()
        self._made_by_replace: set[str] = set()

    def note_request(self, order_id: str | None, at_ms: int) -> None:
        """Note that an order is requested to be replaced: it may come back under another orderId."""
        if order_id:
            self._requested_ms[order_id] = max(at_ms, self._requested_ms.pop(order_id, 0))
            if len(self._requested_ms) > _REQUESTS_MAX:
                self._requested_ms.popitem(last=False)

    def note_successor(self, order_id: str | None, successor_id: str | None) -> None:
        """Note that a replace has given an order another orderId."""
        if order_id and successor_id and self.latest_order_id(successor_id) != order_id:
            self._successors[order_id] = successor_id
            self._made_by_replace.add(successor_id)
            if len(self._successors) > _SUCCESSORS_MAX:
                # These orders were never pushed; an order that has ended is removed by `forget`.
                self._made_by_replace.discard(self._successors.popitem(last=False)[1])

    def latest_order_id(self, order_id: str) -> str:
        """Return the orderId that an order has now."""
        passed = set()
        while order_id in self._successors and order_id not in passed:
            passed.add(order_id)
            order_id = self._successors[order_id]
        return order_id

    def has_successor(self, order_id: str) -> bool:
        """Whether a replace has given an order another orderId."""
        return order_id in self._successors

    def is_successor(self, order_id: str) -> bool:
        """Whether a replace made this order of another one."""
        return order_id in self._made_by_replace

    def was_under_way(self, at_ms: int, *order_ids: str) -> bool:
        """Whether a replace of one of these orders may have been under way at a time of the venue's clock."""
        if not self._requested_ms:
            return False
        requested_ms = max(self._requested_ms.get(order_id, 0) for order_id in order_ids)
        return requested_ms > 0 and at_ms < requested_ms + self._rest_lag_ms

    def forget(self, order_id: str) -> None:
        """Forget everything about an order."""
        self._requested_ms.pop(order_id, None)
        self._successors.pop(order_id, None)
        self._made_by_replace.discard(order_id)
