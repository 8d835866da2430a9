"""Bridge cancels: single cancels without a command of their own, for a cancel_orders and for late orders.

They get no results. Each names one orderId, and is repeated until the venue gives a final ack or the order is over.
"""

from typing import Final

from msgspec import Struct

from bridge.core.commands.rate_limits import RateLimits
from bridge.core.in_flight.ack_codes import RATE_CODES, AckClass, classify_code
from bridge.core.now import Now
from bridge.core.records import Answer

_REPEAT_S: Final = 5.0
"""The pause before a repeat; it is longer when few slots are free."""


class BridgeCancel(Struct, eq=False):
    """One order to cancel."""

    order_id: str
    written_boot_s: float = 0.0
    next_boot_s: float = 0.0
    is_like_first: bool = False
    """Whether the next request gets a slot like a first one: the last had no effect, or it was requested again."""

    def expedite(self, since_boot_s: float) -> None:
        """Let the next request be sent like a first one, 5 s after a time."""
        self.is_like_first, self.next_boot_s = True, since_boot_s + _REPEAT_S


class BridgeCancels:
    """The orders that the bridge is to cancel."""

    def __init__(self, rate_limits: RateLimits, *, epoch: int) -> None:
        self._slots = rate_limits.cancels
        self._epoch = epoch
        self._count = 0
        self._unwritten: dict[str, BridgeCancel] = {}
        self._written: dict[str, BridgeCancel] = {}
        """Written before and to be repeated, the longest ago first."""
        self.requests: dict[str, BridgeCancel] = {}
        self._acked_boot_s: dict[str, float] = {}
        self.final_acks: dict[str, bool] = {}
        """Orders by orderId with a final ack of their cancel: True where the venue has accepted it."""

    def request(self, order_id: str) -> None:
        """Cancel an order, unless it is to be cancelled already."""
        if order_id not in self._unwritten and order_id not in self._written:
            self._unwritten[order_id] = BridgeCancel(order_id)

    def request_again_now(self, order_id: str) -> None:
        """Cancel an order; if it was requested before, its cancel is sent once more, within 5 s."""
        cancel = self._written.get(order_id)
        if cancel is not None:
            cancel.expedite(cancel.written_boot_s)
        self.request(order_id)

    def was_answered_since(self, order_id: str, since_boot_s: float) -> bool:
        """Whether the venue has given a final ack of the cancel of an order since then."""
        return self._acked_boot_s.get(order_id, since_boot_s) > since_boot_s

    def forget_answers(self) -> None:
        """Forget the acks: no cancel_orders waits for these orders any more."""
        self.final_acks.clear()
        self._acked_boot_s.clear()

    def order_closed(self, order_id: str) -> None:
        """Note that an order is over."""
        self._unwritten.pop(order_id, None)
        self._written.pop(order_id, None)

    def next_request(self, now: Now) -> tuple[str, dict[str, str]] | None:
        """Return id and arguments of the request to write now; None when none may be."""
        due, acquire = self._first_due(now), self._slots.acquire_for_bridge
        if due is None:
            due = next((cancel for cancel in self._written.values() if cancel.next_boot_s <= now.boot_s), None)
            acquire = self._slots.acquire_for_bridge_repeat
        request_id = f"{self._epoch:x}y{self._count:x}"
        if due is None or not acquire(request_id, now.boot_s, waiting=len(self._unwritten)):
            return None
        self._count += 1
        self.order_closed(due.order_id)
        self._written[due.order_id] = due  # behind the others
        due.is_like_first = False
        due.written_boot_s = now.boot_s
        due.next_boot_s = now.boot_s + _REPEAT_S * self._slots.repeat_delay_factor(now.boot_s)
        self.requests[request_id] = due
        return request_id, {"orderId": due.order_id}

    def on_ack(self, answer: Answer, now: Now) -> bool:
        """Take in the ack of a bridge cancel; return False when it names none of these requests."""
        cancel = self.requests.pop(answer.request_id or "", None)
        if cancel is None:
            return False
        self._slots.acknowledge(answer.request_id, now.boot_s)
        ack_class = classify_code(answer.code)
        if answer.code in RATE_CODES:
            cancel.expedite(now.boot_s)
        elif ack_class is not AckClass.INCONCLUSIVE:
            self.order_closed(cancel.order_id)
            self._acked_boot_s[cancel.order_id] = now.boot_s
            self.final_acks[cancel.order_id] = ack_class is AckClass.ACCEPTED or self.final_acks.get(
                cancel.order_id, False
            )
        return True

    def _first_due(self, now: Now) -> BridgeCancel | None:
        """Return the cancel to send now as a first one; None when there is none."""
        expedited = (
            cancel for cancel in self._written.values() if cancel.is_like_first and cancel.next_boot_s <= now.boot_s
        )
        return next(iter(self._unwritten.values()), None) or next(expedited, None)

    def link_lost(self) -> None:
        """Await no acks any more; what is still to be cancelled is sent over the next link."""
        self.requests.clear()
        for cancel in self._written.values():
            cancel.next_boot_s = 0.0

    def wake_at_boot_s(self) -> float:
        """Return when the next cancel is due."""
        if self._unwritten:
            return 0.0
        return min((cancel.next_boot_s for cancel in self._written.values()), default=float("inf"))
