"""What was written, and what is known of its fate: answers, pushes and REST rows turn it into a fact."""

from heapq import heappop, heappush
from typing import Final

from msgspec import Struct

from bridge.contract.commands import CANCEL, PLACE, REPLACE
from bridge.contract.results import Outcome
from bridge.contract.session import Alarm
from bridge.core.answers import RATE_CODES, Verdict, verdict
from bridge.core.command import Pending
from bridge.core.lanes import Lanes
from bridge.core.life import OVER, State
from bridge.core.now import Now
from bridge.core.orders import Order, Orders, same_number
from bridge.core.replies import Replies
from bridge.core.traffic import Answer
from bridge.core.windows import Windows

_ORDER_UNKNOWN_TO_VENUE: Final = 401018
"""LTP docs, Error Codes: order not found."""
_REPEAT_FIRST_S: Final = 0.1
_REPEAT_LAST_S: Final = 5.0
"""A cancel in doubt waits before it goes out again, twice as long each time: its class has a budget too."""


class Question(Struct, frozen=True):
    """Something only the venue knows: whether there is an order of this clientOrderId."""

    client_order_id: str


class Settling:
    """The commands in flight of one account."""

    def __init__(
        self,
        replies: Replies,
        lanes: Lanes,
        windows: Windows,
        orders: Orders,
        *,
        ack_timeout_s: float,
        skew_bound_s: float,
    ) -> None:
        self._replies = replies
        self._lanes = lanes
        self._windows = windows
        self._orders = orders
        self._ack_timeout_s = ack_timeout_s
        self._skew_bound_ms = int(skew_bound_s * 1000)
        self._requests: dict[str, tuple[Pending, object]] = {}
        self._awaited: dict[str, Pending] = {}
        self._doubted: dict[int, Pending] = {}
        self._places: dict[str, Pending] = {}
        self._repeats: list[tuple[float, int, Pending]] = []

    @property
    def awaited(self) -> int:
        """How many answers are awaited."""
        return len(self._awaited)

    def written(self, pending: Pending, request_id: str, token: object) -> None:
        """Await the answer to a request."""
        self._requests[request_id] = (pending, token)
        self._awaited[request_id] = pending
        self._watch_place(pending)

    def inherited(self, pending: Pending) -> None:
        """Take over a command that an earlier owner claimed and left without a result."""
        self._doubted[pending.offset] = pending
        self._watch_place(pending)
        if pending.action == CANCEL:
            self._lanes.repeat(pending)

    def answered(self, answer: Answer, now: Now) -> bool:
        """Match an answer to its request; False when it names none of ours."""
        found = self._requests.pop(answer.request_id, None) if answer.request_id is not None else None
        if found is None:
            return False
        pending, token = found
        self._awaited.pop(answer.request_id or "", None)
        self._windows[pending.action].acked(token, now.mono)
        if answer.code in RATE_CODES and self._windows[pending.action].halve():
            text = f"{pending.action} was refused with {answer.code}; its limit is halved until restart"
            self._replies.alarm(Alarm.RATE_REJECTED, text, now)
        if pending.state in OVER:
            return True
        proof = verdict(answer.code)
        if proof is Verdict.IN_DOUBT or (proof is Verdict.REFUSED and self._too_early(pending, answer)):
            self._doubt(pending, now, code=answer.code, message=answer.message)
            return True
        if proof is Verdict.TAKEN:
            self._learn(pending, answer)
        outcome = Outcome.ACCEPTED if proof is Verdict.TAKEN else Outcome.REJECTED
        self._settle(pending, outcome, now, code=answer.code, message=answer.message)
        return True

    def order_seen(self, order: Order, now: Now) -> None:
        """Settle a place in doubt when its order shows itself."""
        pending = self._places.get(order.client_order_id) if order.client_order_id is not None else None
        if pending is not None and pending.state is State.UNKNOWN and self._is_of(order, pending):
            pending.order_id = order.order_id or None
            self._settle(pending, Outcome.ACCEPTED, now)

    def tick(self, now: Now) -> None:
        """Doubt what has waited too long for its answer, and let cancels in doubt go out again when it is time."""
        while self._repeats and self._repeats[0][0] <= now.mono:
            _, _, pending = heappop(self._repeats)
            if pending.state is State.UNKNOWN and pending.request_id not in self._awaited:
                self._lanes.repeat(pending)
        while self._awaited:
            request_id, pending = next(iter(self._awaited.items()))
            if now.mono < pending.written_at + self._ack_timeout_s:
                return
            del self._awaited[request_id]
            self._doubt(pending, now, message=f"no answer within {self._ack_timeout_s:g} s")

    def link_lost(self, now: Now) -> None:
        """Doubt everything that awaits an answer: its link is gone, and no answer comes over another."""
        awaited, self._awaited = list(self._awaited.values()), {}
        self._requests.clear()
        for pending in awaited:
            self._doubt(pending, now, message="the link was lost before an answer came")

    def questions(self) -> list[Question]:
        """Return what to ask the venue about commands in doubt."""
        return [
            Question(pending.client_order_id)
            for pending in self._doubted.values()
            if pending.action == PLACE and pending.client_order_id is not None
        ]

    def wake_at(self) -> float:
        """Return when the oldest awaited answer is overdue, or a cancel is to go out again."""
        pending = next(iter(self._awaited.values()), None)
        overdue = pending.written_at + self._ack_timeout_s if pending is not None else float("inf")
        return min(overdue, self._repeats[0][0]) if self._repeats else overdue

    def _watch_place(self, pending: Pending) -> None:
        if pending.action == PLACE and pending.client_order_id is not None:
            self._places[pending.client_order_id] = pending

    def _too_early(self, pending: Pending, answer: Answer) -> bool:
        """Whether the venue may not know an order yet that is on its way: a cancel then goes out again."""
        if pending.action != CANCEL or answer.code != _ORDER_UNKNOWN_TO_VENUE:
            return False
        place = self._places.get(pending.client_order_id) if pending.client_order_id is not None else None
        return place is not None and place.state in {State.SENT, State.UNKNOWN}

    def _is_of(self, order: Order, pending: Pending) -> bool:
        """Whether an order of the right clientOrderId is what this place asked for, and not older than it."""
        args = pending.args
        return (
            order.sym == args["sym"]
            and order.side == args["side"]
            and ("orderQty" not in args or order.order_qty is None or same_number(order.order_qty, args["orderQty"]))
            and order.created_ms >= pending.timestamp_ms - self._skew_bound_ms
        )

    def _learn(self, pending: Pending, answer: Answer) -> None:
        pending.order_id = answer.order_id or pending.order_id
        pending.client_order_id = pending.client_order_id or answer.client_order_id
        if pending.action in {PLACE, REPLACE}:
            self._orders.acked(pending.order_id, pending.client_order_id, pending.args.get("sym"))

    def _doubt(self, pending: Pending, now: Now, *, code: int | None = None, message: str | None = None) -> None:
        self._replies.doubt(pending, now, code=code, message=message)
        if pending.state is not State.UNKNOWN:
            return
        self._doubted[pending.offset] = pending
        if pending.action == PLACE:
            order = self._orders.find(None, pending.client_order_id)
            if order is not None:
                self.order_seen(order, now)
        elif pending.action == CANCEL and now.mono < pending.deadline:
            pause_s = min(_REPEAT_LAST_S, _REPEAT_FIRST_S * 2.0 ** min(pending.attempts - 1, 16))
            heappush(self._repeats, (now.mono + pause_s, pending.offset, pending))

    def _settle(
        self, pending: Pending, outcome: Outcome, now: Now, *, code: int | None = None, message: str | None = None
    ) -> None:
        self._replies.last_word(pending, outcome, now, code=code, message=message)
        self._doubted.pop(pending.offset, None)
        if pending.action == PLACE and pending.client_order_id is not None:
            self._places.pop(pending.client_order_id, None)
        self._lanes.settled(pending)
