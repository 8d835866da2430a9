"""Cancels that the bridge sends of its own accord: for a cancel_orders, and for orders that land late.

They belong to no command and are answered to nobody. Each names one orderId, and is repeated until the venue gives a
definitive answer or the order is seen to be over.
"""

from typing import Final

from msgspec import Struct

from bridge.core.commands.rate_limits import RateLimits
from bridge.core.in_flight.ack_codes import RATE_CODES, AckClass, classify_code
from bridge.core.now import Now
from bridge.core.records import Answer

_REPEAT_S: Final = 5.0
"""After so long an order is cancelled again; after longer where slots are few."""


class BridgeCancel(Struct, eq=False):
    """One order to end."""

    order_id: str
    written_boot_s: float = 0.0
    next_boot_s: float = 0.0
    is_like_first: bool = False
    """Whether the next request is no mere repeat: the last one had no effect, or somebody has asked again."""

    def expedite(self, since_boot_s: float) -> None:
        """Let it go out like a first one, so soon after that time."""
        self.is_like_first, self.next_boot_s = True, since_boot_s + _REPEAT_S


class BridgeCancels:
    """The orders that the bridge itself wants ended."""

    def __init__(self, windows: RateLimits, *, epoch: int) -> None:
        self._window = windows.cancels
        self._epoch = epoch
        self._count = 0
        self._unwritten: dict[str, BridgeCancel] = {}
        self._written: dict[str, BridgeCancel] = {}
        """Written before and still wanted, the longest ago first."""
        self._requests: dict[str, BridgeCancel] = {}
        self._answered_at: dict[str, float] = {}
        self.final_acks: dict[str, bool] = {}
        """The orders of which the venue has said something definitive, and whether it took the cancel."""

    def request(self, order_id: str) -> None:
        """Ask for the end of an order, unless that was asked for already."""
        if order_id not in self._unwritten and order_id not in self._written:
            self._unwritten[order_id] = BridgeCancel(order_id)

    def request_again_now(self, order_id: str) -> None:
        """Ask for the end of an order; where that was asked for before, its cancel goes out once more, within 5 s."""
        wanted = self._written.get(order_id)
        if wanted is not None:
            wanted.expedite(wanted.written_boot_s)
        self.request(order_id)

    def was_answered_since(self, order_id: str, since_boot_s: float) -> bool:
        """Whether the venue has said something definitive about the cancel of an order since then."""
        return self._answered_at.get(order_id, since_boot_s) > since_boot_s

    def forget_answers(self) -> None:
        """Forget what the venue has said: nobody waits for the end of these orders any more."""
        self.final_acks.clear()
        self._answered_at.clear()

    def order_closed(self, order_id: str) -> None:
        """Note that an order has ended."""
        self._unwritten.pop(order_id, None)
        self._written.pop(order_id, None)

    def next_request(self, now: Now) -> tuple[str, dict[str, str]] | None:
        """Return id and arguments of the request to write now, if any."""
        due, take = self._first_due(now), self._window.acquire_for_bridge
        if due is None:
            due = next((wanted for wanted in self._written.values() if wanted.next_boot_s <= now.boot_s), None)
            take = self._window.acquire_for_bridge_repeat
        request_id = f"{self._epoch:x}y{self._count:x}"
        if due is None or not take(request_id, now.boot_s, waiting=len(self._unwritten)):
            return None
        self._count += 1
        self.order_closed(due.order_id)
        self._written[due.order_id] = due  # the others come first now
        due.is_like_first = False
        due.written_boot_s = now.boot_s
        due.next_boot_s = now.boot_s + _REPEAT_S * self._window.repeat_delay_factor(now.boot_s)
        self._requests[request_id] = due
        return request_id, {"orderId": due.order_id}

    def on_ack(self, answer: Answer, now: Now) -> bool:
        """Match an answer to its request; False when it names none of these."""
        asked = self._requests.pop(answer.request_id or "", None)
        if asked is None:
            return False
        self._window.acknowledge(answer.request_id, now.boot_s)
        proof = classify_code(answer.code)
        if answer.code in RATE_CODES:
            asked.expedite(now.boot_s)
        elif proof is not AckClass.INCONCLUSIVE:
            self.order_closed(asked.order_id)
            self._answered_at[asked.order_id] = now.boot_s
            self.final_acks[asked.order_id] = proof is AckClass.ACCEPTED or self.final_acks.get(asked.order_id, False)
        return True

    def _first_due(self, now: Now) -> BridgeCancel | None:
        """Return an order that was not cancelled yet, or is to be as if it was not; None when there is none now."""
        again = (
            wanted for wanted in self._written.values() if wanted.is_like_first and wanted.next_boot_s <= now.boot_s
        )
        return next(iter(self._unwritten.values()), None) or next(again, None)

    def link_lost(self) -> None:
        """Await no answers any more; what is still wanted goes out over the next link."""
        self._requests.clear()
        for wanted in self._written.values():
            wanted.next_boot_s = 0.0

    def wake_at_boot_s(self) -> float:
        """Return when the next cancel is due."""
        if self._unwritten:
            return 0.0
        return min((wanted.next_boot_s for wanted in self._written.values()), default=float("inf"))
