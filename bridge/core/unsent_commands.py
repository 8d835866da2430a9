"""Commands that wait to be sent and end before: their validity passes, or a later cancel makes them pointless."""

from collections import deque
from heapq import heappop, heappush
from math import inf
from typing import Final

from bridge.contract.commands import CANCEL, CANCEL_ALL
from bridge.contract.results import Outcome, Reason
from bridge.core.command import Pending
from bridge.core.earlier_cancels import EarlierCancels
from bridge.core.lanes import Lanes
from bridge.core.life import UNSENT, State
from bridge.core.now import Now
from bridge.core.replies import Replies
from bridge.core.sending import Sending
from bridge.core.settling import Settling

_EXPIRED_AT_ONCE: Final = 500
"""Commands that expire in one turn: thousands at once would hold up a cancel."""
_SUPERSEDED_AT_ONCE: Final = 100
"""Commands that a cancel_orders has ended and that are answered in one turn: it is to go out meanwhile."""
_LOOK_AGAIN_S: Final = 0.05
"""A command that expires while its claim is under way is answered when that has come back."""


class UnsentCommands:
    """Ends and answers commands that were taken in and have not been written."""

    def __init__(self, replies: Replies, lanes: Lanes, sending: Sending, settling: Settling) -> None:
        self._replies = replies
        self._lanes = lanes
        self._sending = sending
        self._settling = settling
        self._deadlines: list[tuple[float, int, Pending]] = []
        self._superseded: deque[Pending] = deque()
        self._earlier_cancels = EarlierCancels(settling.was_done)

    def expire_at_deadline(self, pending: Pending) -> None:
        """Let a command end when its validity passes, unless it has been written by then."""
        heappush(self._deadlines, (pending.deadline, pending.offset, pending))

    def expire_earlier_cancel(self, cancel: Pending, now: Now) -> None:
        """Let an expired cancel that an earlier owner may have written be answered when its fate is known."""
        self._earlier_cancels.add(cancel, self._settling.lands_until(cancel, now), now)

    def answer_due(self, now: Now, *, recovered: bool) -> None:
        """Answer some of what a cancel_orders has ended, and some of what has expired.

        `recovered` says that the first REST sweep of this owner is complete.
        """
        self._answer_superseded(now)
        self._answer_expired(now)
        for cancel, was_done in self._earlier_cancels.pop_judged(now, recovered=recovered):
            self._answer_earlier_cancel(cancel, now, was_done=was_done)

    def wake_at(self, now: Now) -> float:
        """Return when the next command is to be answered."""
        if self._superseded:
            return now.mono
        return self._deadlines[0][0] if self._deadlines else inf

    def supersede_for(self, cancel: Pending, now: Now) -> bool:
        """Let a cancel end what waits before it; return whether that was the place of its order.

        Everything that waits was read before, so it stands at a lower offset. Thousands may wait before a
        cancel_orders: they are ended at once and answered in parts, because it is not to wait for their answers.
        """
        if cancel.action == CANCEL_ALL:
            for earlier in self._lanes.unsent_in_scope(cancel.exchange or ""):
                if earlier.state is State.QUEUED:
                    earlier.superseded = True
                    self._lanes.discard(earlier)
                    self._superseded.append(earlier)
                else:
                    self._supersede(earlier, now)
            self._answer_superseded(now)
        elif cancel.action == CANCEL and cancel.order is not None:
            for earlier in self._lanes.unsent_replaces(cancel.order):
                self._supersede(earlier, now)
            place = self._lanes.unsent_place(cancel.order)
            if place is not None:
                self._supersede(place, now)
                return True
        return False

    def end(
        self,
        pending: Pending,
        outcome: Outcome,
        now: Now,
        *,
        reason: Reason | None = None,
        code: int | None = None,
        message: str | None = None,
    ) -> None:
        """Answer a command that waited, and let the next of its order go."""
        self._replies.last_word(pending, outcome, now, reason=reason, code=code, message=message)
        self._lanes.settled(pending)

    def _answer_expired(self, now: Now) -> None:
        for _ in range(_EXPIRED_AT_ONCE):
            if not self._deadlines or self._deadlines[0][0] > now.mono:
                return
            _, _, pending = heappop(self._deadlines)
            if pending.state is State.QUEUED:
                self._sending.withdraw(pending)
                self._end_expired(pending, now)
            elif pending.state in UNSENT:
                heappush(self._deadlines, (now.mono + _LOOK_AGAIN_S, pending.offset, pending))

    def _end_expired(self, pending: Pending, now: Now) -> None:
        """Answer a command that has expired in its lane; a cancel of an earlier owner waits until its fate is known."""
        if pending.maybe_sent_before:
            self.expire_earlier_cancel(pending, now)
        else:
            self._publish_expired(pending, now)

    def _answer_earlier_cancel(self, cancel: Pending, now: Now, *, was_done: bool) -> None:
        if was_done:
            self._settling.inherited(cancel, now)
        else:
            self._publish_expired(cancel, now)

    def _publish_expired(self, pending: Pending, now: Now) -> None:
        """Answer an expired command: as rejected where the venue refused it for its rate before."""
        if pending.deferred is None:
            self._settling.answered_unsent(pending, now)
            self.end(pending, Outcome.EXPIRED, now)
        else:
            code, message = pending.deferred
            self.end(pending, Outcome.REJECTED, now, code=code, message=message)

    def _answer_superseded(self, now: Now) -> None:
        for _ in range(min(len(self._superseded), _SUPERSEDED_AT_ONCE)):
            pending = self._superseded.popleft()
            if pending.state is State.QUEUED:
                self._supersede(pending, now)

    def _supersede(self, pending: Pending, now: Now) -> None:
        self._sending.withdraw(pending)
        self.end(pending, Outcome.SUPERSEDED, now, message="a later cancel made it pointless")
