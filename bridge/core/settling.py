"""Answers: requests that were written and await theirs, and what each answer, or its absence, says."""

from heapq import heappop, heappush
from typing import Final

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Outcome
from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.answers import KINDS, ORDER_STATE_CODES, RATE_CODES, CodeKind, Verdict, verdict
from bridge.core.clocks import Clocks
from bridge.core.command import Pending
from bridge.core.doubts import Doubts
from bridge.core.lanes import Lanes
from bridge.core.life import OVER, Event, State
from bridge.core.now import Now
from bridge.core.orders import Orders
from bridge.core.replies import Replies
from bridge.core.traffic import Answer
from bridge.core.windows import Windows

_REPEAT_FIRST_S: Final = 0.1
_REPEAT_LAST_S: Final = 5.0
"""A cancel in doubt waits before it goes out again, twice as long each time: its class has a budget too."""


class Settling:
    """The requests in flight of one account."""

    def __init__(
        self,
        replies: Replies,
        lanes: Lanes,
        windows: Windows,
        orders: Orders,
        doubts: Doubts,
        *,
        alarms: ActiveAlarms,
        clocks: Clocks,
        ack_timeout_s: float,
    ) -> None:
        self._replies = replies
        self._lanes = lanes
        self._windows = windows
        self._orders = orders
        self._doubts = doubts
        self._alarms = alarms
        self._clocks = clocks
        self._ack_timeout_s = ack_timeout_s
        self._requests: dict[str, tuple[Pending, object]] = {}
        self._awaited: dict[str, Pending] = {}
        self._repeats: list[tuple[float, int, Pending]] = []
        self._newest_written = -1
        """The highest offset of the places and replaces that were written."""

    @property
    def awaited(self) -> int:
        """How many answers are awaited."""
        return sum(pending.state not in OVER for pending in self._awaited.values())

    def written(self, pending: Pending, request_id: str, token: object) -> None:
        """Await the answer to a request."""
        self._requests[request_id] = (pending, token)
        self._awaited[request_id] = pending
        if pending.action in {PLACE, REPLACE}:
            self._newest_written = max(self._newest_written, pending.offset)
        self._doubts.written(pending)

    def begin_single_cancels(self, cancel_all: Pending, now: Now) -> None:
        """Carry a cancel_orders out by single cancels; it is in doubt when they take as long as an answer may."""
        self._awaited[f"{cancel_all.offset}"] = cancel_all
        self._doubts.begin_single_cancels(cancel_all, now)

    def inherited(self, pending: Pending, now: Now) -> None:
        """Take over a command that an earlier owner may have written and left without a result."""
        pending.maybe_sent_before = True
        self._replies.inherited(pending, now)
        self._doubts.written_commands.add(pending)
        self._doubts.add(pending, now)
        if pending.action == CANCEL and pending.state is State.UNKNOWN:
            self._lanes.repeat(pending)

    def answered_unsent(self, pending: Pending, now: Now) -> None:
        """Let commits tell of a cancel that an earlier owner may have written: no result will stand for it."""
        if pending.maybe_sent_before:
            written_at = self._clocks.last_write_boot_s(pending, now)
            self._windows.cancels.extra.restore(("earlier owner", pending.offset), written_at)

    def lands_until(self, cancel: Pending, now: Now) -> float:
        """Return until when the venue may carry out a cancel that an earlier owner may have written."""
        return self._doubts.lands_until(cancel, now)

    def was_done(self, cancel: Pending) -> bool:
        """Whether the order of a cancel shows what it asked for: an earlier owner may have written it."""
        return self._doubts.was_done(cancel)

    def answered(self, answer: Answer, now: Now) -> bool:
        """Match an answer to its request; False when it names none of ours."""
        found = self._requests.pop(answer.request_id, None) if answer.request_id is not None else None
        if found is None:
            return False
        pending, token = found
        self._awaited.pop(answer.request_id or "", None)
        self._windows[pending.action].acked(token, now.mono)
        if pending.action == CANCEL and token != (pending.offset, pending.attempts - 1):
            # The result will stand for this request, and no record for the last one.
            self._windows.cancels.extra.add((pending.offset, pending.attempts - 1), pending.written_at)
        self.check_rate(pending.action, answer.code, now)
        if pending.state in OVER:
            pending.step(Event.ACKED)
            return True
        proof = verdict(answer.code)
        pending.refused += proof is Verdict.REFUSED
        if answer.code in RATE_CODES and self._is_deferred(pending, now):
            self._defer(pending, answer, now)
            return True
        if (
            proof is Verdict.REFUSED
            and pending.action == CANCEL
            and not self._is_refused_for_good(pending, answer.code)
        ):
            pending.refusal = (answer.code, answer.message)
            proof = Verdict.IN_DOUBT
        if proof is Verdict.IN_DOUBT:
            if KINDS.get(answer.code) is CodeKind.GENERAL:
                pending.failed = (answer.code, answer.message, now.mono)
            self._doubt(pending, now, code=answer.code, message=answer.message)
            return True
        if proof is Verdict.TAKEN:
            self._learn(pending, answer, now)
        outcome = Outcome.ACCEPTED if proof is Verdict.TAKEN else Outcome.REJECTED
        self._doubts.settle(pending, outcome, Event.ACKED, now, code=answer.code, message=answer.message)
        return True

    def check_rate(self, action: str, code: int, now: Now) -> None:
        """Halve the budget of an action that the venue refused for its rate, and raise the alarm."""
        if code in RATE_CODES and self._windows[action].halve(now.mono):
            text = f"{action} was refused with {code}; its limit is halved, and climbs back while none is refused"
            self._alarms.raise_alarm(Alarm.RATE_REJECTED, text, now, action)

    def tick(self, now: Now) -> None:
        """Doubt what has waited too long for its answer, and let cancels go out again when it is time."""
        for action in self._windows.climb(now):
            text = f"{action} has its whole limit again; none was refused for its rate of late"
            self._alarms.clear_alarm(Alarm.RATE_REJECTED, text, now, action)
        while self._repeats and self._repeats[0][0] <= now.mono:
            _, _, pending = heappop(self._repeats)
            if pending.state is State.QUEUED and pending.action == CANCEL_ALL:
                self._lanes.put_back(pending)
            elif pending.state in {State.QUEUED, State.UNKNOWN} and pending.request_id not in self._awaited:
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

    def wake_at(self) -> float:
        """Return when the oldest awaited answer is overdue, or a cancel is to go out again."""
        pending = next(iter(self._awaited.values()), None)
        overdue = pending.written_at + self._ack_timeout_s if pending is not None else float("inf")
        return min(overdue, self._repeats[0][0]) if self._repeats else overdue

    def _is_refused_for_good(self, cancel: Pending, code: int) -> bool:
        """Whether a refusal ends a cancel: it says nothing about other requests of it, nor about an order to come."""
        return cancel.is_refused and not (
            code in ORDER_STATE_CODES and self._doubts.written_commands.may_make_order_of(cancel)
        )

    def _learn(self, pending: Pending, answer: Answer, now: Now) -> None:
        if pending.action == REPLACE and answer.order_id is not None and answer.order_id != pending.order_id:
            self._orders.succeeded(pending.order_id, answer.order_id)
        pending.order_id = answer.order_id or pending.order_id
        pending.client_order_id = pending.client_order_id or answer.client_order_id
        if pending.action in {PLACE, REPLACE}:
            acked_ms = self._clocks.venue.read_at(now.mono).latest
            self._orders.acked(pending.order_id, pending.client_order_id, pending.args.get("sym"), acked_ms)

    def _doubt(self, pending: Pending, now: Now, *, code: int | None = None, message: str | None = None) -> None:
        self._replies.doubt(pending, now, code=code, message=message)
        if pending.state is not State.UNKNOWN:
            return
        self._doubts.add(pending, now)
        if pending.action == CANCEL and now.mono < pending.deadline:
            self._repeat_later(pending, now)

    @staticmethod
    def _is_deferred(pending: Pending, now: Now) -> bool:
        """Whether a refusal for the rate, which had no effect, is not the last word; nor about a request before it."""
        valid = now.mono < pending.deadline
        return pending.action in {CANCEL, CANCEL_ALL} and (valid or pending.state is State.UNKNOWN)

    def _defer(self, pending: Pending, answer: Answer, now: Now) -> None:
        """Let a cancel go out again while it is valid. A cancel_orders in doubt is finished by single cancels.

        So is one after which a newer place or replace was written: its message would end that too.
        """
        pending.deferred = (answer.code, answer.message)
        if pending.action == CANCEL_ALL and pending.state is State.SENT and pending.offset < self._newest_written:
            self._doubt(pending, now, code=answer.code, message=answer.message)
            return
        pending.step(Event.DEFERRED)
        if pending.action == CANCEL_ALL and pending.state is State.QUEUED:
            self._lanes.bar_again(pending)
        if now.mono < pending.deadline and (pending.action == CANCEL or pending.state is State.QUEUED):
            self._repeat_later(pending, now)

    def _repeat_later(self, pending: Pending, now: Now) -> None:
        pause_s = min(_REPEAT_LAST_S, _REPEAT_FIRST_S * 2.0 ** min(pending.attempts - 1, 16))
        at = now.mono + pause_s * self._windows.cancels.stretch(now.mono)
        heappush(self._repeats, (at, pending.offset, pending))
