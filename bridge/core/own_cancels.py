"""Cancels that the bridge sends of its own accord: for a cancel_orders, and for orders that land late.

They belong to no command and are answered to nobody. Each names one orderId, and is repeated until the venue gives a
definitive answer or the order is seen to be over.
"""

from typing import Final

from msgspec import Struct

from bridge.core.answers import RATE_CODES, Verdict, verdict
from bridge.core.now import Now
from bridge.core.traffic import Answer
from bridge.core.windows import Windows

_REPEAT_S: Final = 5.0
"""After so long an order is cancelled again; after longer where slots are few."""


class OwnCancel(Struct, eq=False):
    """One order to end."""

    order_id: str
    written_at: float = 0.0
    next_at: float = 0.0
    is_like_first: bool = False
    """Whether the next request is no mere repeat: the last one had no effect, or somebody has asked again."""

    def hurry(self, since_boot_s: float) -> None:
        """Let it go out like a first one, so soon after that time."""
        self.is_like_first, self.next_at = True, since_boot_s + _REPEAT_S


class OwnCancels:
    """The orders that the bridge itself wants ended."""

    def __init__(self, windows: Windows, *, epoch: int) -> None:
        self._window = windows.cancels
        self._epoch = epoch
        self._count = 0
        self._unwritten: dict[str, OwnCancel] = {}
        self._written: dict[str, OwnCancel] = {}
        """Written before and still wanted, the longest ago first."""
        self._requests: dict[str, OwnCancel] = {}
        self._answered_at: dict[str, float] = {}
        self.judged: dict[str, bool] = {}
        """The orders of which the venue has said something definitive, and whether it took the cancel."""

    def want(self, order_id: str) -> None:
        """Ask for the end of an order, unless that was asked for already."""
        if order_id not in self._unwritten and order_id not in self._written:
            self._unwritten[order_id] = OwnCancel(order_id)

    def want_at_once(self, order_id: str) -> None:
        """Ask for the end of an order; where that was asked for before, its cancel goes out once more, within 5 s."""
        wanted = self._written.get(order_id)
        if wanted is not None:
            wanted.hurry(wanted.written_at)
        self.want(order_id)

    def answered_since(self, order_id: str, since_boot_s: float) -> bool:
        """Whether the venue has said something definitive about the cancel of an order since then."""
        return self._answered_at.get(order_id, since_boot_s) > since_boot_s

    def forget_answers(self) -> None:
        """Forget what the venue has said: nobody waits for the end of these orders any more."""
        self.judged.clear()
        self._answered_at.clear()

    def over(self, order_id: str) -> None:
        """Note that an order has ended."""
        self._unwritten.pop(order_id, None)
        self._written.pop(order_id, None)

    def next(self, now: Now) -> tuple[str, dict[str, str]] | None:
        """Return id and arguments of the request to write now, if any."""
        due, take = self._first_due(now), self._window.take_for_own
        if due is None:
            due = next((wanted for wanted in self._written.values() if wanted.next_at <= now.mono), None)
            take = self._window.take_for_own_repeat
        request_id = f"{self._epoch:x}y{self._count:x}"
        if due is None or not take(request_id, now.mono, waiting=len(self._unwritten)):
            return None
        self._count += 1
        self.over(due.order_id)
        self._written[due.order_id] = due  # the others come first now
        due.is_like_first = False
        due.written_at = now.mono
        due.next_at = now.mono + _REPEAT_S * self._window.stretch(now.mono)
        self._requests[request_id] = due
        return request_id, {"orderId": due.order_id}

    def answered(self, answer: Answer, now: Now) -> bool:
        """Match an answer to its request; False when it names none of these."""
        asked = self._requests.pop(answer.request_id or "", None)
        if asked is None:
            return False
        self._window.acked(answer.request_id, now.mono)
        proof = verdict(answer.code)
        if answer.code in RATE_CODES:
            asked.hurry(now.mono)
        elif proof is not Verdict.IN_DOUBT:
            self.over(asked.order_id)
            self._answered_at[asked.order_id] = now.mono
            self.judged[asked.order_id] = proof is Verdict.TAKEN or self.judged.get(asked.order_id, False)
        return True

    def _first_due(self, now: Now) -> OwnCancel | None:
        """Return an order that was not cancelled yet, or is to be as if it was not; None when there is none now."""
        again = (wanted for wanted in self._written.values() if wanted.is_like_first and wanted.next_at <= now.mono)
        return next(iter(self._unwritten.values()), None) or next(again, None)

    def link_lost(self) -> None:
        """Await no answers any more; what is still wanted goes out over the next link."""
        self._requests.clear()
        for wanted in self._written.values():
            wanted.next_at = 0.0

    def wake_at(self) -> float:
        """Return when the next cancel is due."""
        if self._unwritten:
            return 0.0
        return min((wanted.next_at for wanted in self._written.values()), default=float("inf"))
