"""Commands that wait to be sent and end before: their validity passes, or a later cancel makes them pointless."""

from collections import deque
from heapq import heappop, heappush
from math import inf
from typing import Final

from bridge.contract.commands import CANCEL, CANCEL_ALL
from bridge.contract.results import Outcome, Reason
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.dispatch import Dispatcher
from bridge.core.commands.earlier_cancels import EarlierCancels
from bridge.core.commands.lanes import Lanes
from bridge.core.commands.results import Results
from bridge.core.commands.states import UNSENT, CommandState
from bridge.core.in_flight.requests import InFlightRequests
from bridge.core.now import Now

_EXPIRED_AT_ONCE: Final = 500
"""Commands that expire in one turn: thousands at once would hold up a cancel."""
_SUPERSEDED_AT_ONCE: Final = 100
"""Commands that a cancel_orders has ended and that are answered in one turn: it is to go out meanwhile."""
_LOOK_AGAIN_S: Final = 0.05
"""A command that expires while its claim is under way is answered when that has come back."""


class UnsentCommands:
    """Ends and answers commands that were taken in and have not been written."""

    def __init__(self, replies: Results, lanes: Lanes, sending: Dispatcher, settling: InFlightRequests) -> None:
        self._replies = replies
        self._lanes = lanes
        self._sending = sending
        self._settling = settling
        self._deadlines: list[tuple[float, int, TrackedCommand]] = []
        self._superseded: deque[TrackedCommand] = deque()
        self._earlier_cancels = EarlierCancels(settling.was_done)

    def expire_at_deadline(self, command: TrackedCommand) -> None:
        """Let a command end when its validity passes, unless it has been written by then."""
        heappush(self._deadlines, (command.deadline_boot_s, command.offset, command))

    def expire_earlier_cancel(self, cancel: TrackedCommand, now: Now) -> None:
        """Let an expired cancel that an earlier owner may have written be answered when its fate is known."""
        self._earlier_cancels.add(cancel, self._settling.lands_until_boot_s(cancel, now), now)

    def answer_due(self, now: Now, *, recovered: bool) -> None:
        """Answer some of what a cancel_orders has ended, and some of what has expired.

        `recovered` says that the first REST sweep of this owner is complete.
        """
        self._answer_superseded(now)
        self._answer_expired(now)
        for cancel, was_done in self._earlier_cancels.pop_judged(now, recovered=recovered):
            self._answer_earlier_cancel(cancel, now, was_done=was_done)

    def wake_at_boot_s(self, now: Now) -> float:
        """Return when the next command is to be answered."""
        if self._superseded:
            return now.boot_s
        return self._deadlines[0][0] if self._deadlines else inf

    def supersede_for(self, cancel: TrackedCommand, now: Now) -> bool:
        """Let a cancel end what waits before it; return whether that was the place of its order.

        Everything that waits was read before, so it stands at a lower offset. Thousands may wait before a
        cancel_orders: they are ended at once and answered in parts, because it is not to wait for their answers.
        """
        if cancel.action == CANCEL_ALL:
            for earlier in self._lanes.unsent_in_scope(cancel.exchange or ""):
                if earlier.state is CommandState.QUEUED:
                    earlier.superseded = True
                    self._lanes.discard(earlier)
                    self._superseded.append(earlier)
                else:
                    self._answer_superseded_command(earlier, now)
            self._answer_superseded(now)
        elif cancel.action == CANCEL and cancel.order_key is not None:
            for earlier in self._lanes.unsent_replaces(cancel.order_key):
                self._answer_superseded_command(earlier, now)
            place = self._lanes.unsent_place(cancel.order_key)
            if place is not None:
                self._answer_superseded_command(place, now)
                return True
        return False

    def answer(
        self,
        command: TrackedCommand,
        outcome: Outcome,
        now: Now,
        *,
        reason: Reason | None = None,
        code: int | None = None,
        message: str | None = None,
    ) -> None:
        """Answer a command that waited, and let the next of its order go."""
        self._replies.publish_terminal(command, outcome, now, reason=reason, code=code, message=message)
        self._lanes.answered(command)

    def _answer_expired(self, now: Now) -> None:
        for _ in range(_EXPIRED_AT_ONCE):
            if not self._deadlines or self._deadlines[0][0] > now.boot_s:
                return
            _, _, command = heappop(self._deadlines)
            if command.state is CommandState.QUEUED:
                self._sending.cancel_unsent(command)
                self._end_expired(command, now)
            elif command.state in UNSENT:
                heappush(self._deadlines, (now.boot_s + _LOOK_AGAIN_S, command.offset, command))

    def _end_expired(self, command: TrackedCommand, now: Now) -> None:
        """Answer a command that has expired in its lane; a cancel of an earlier owner waits until its fate is known."""
        if command.maybe_sent_before:
            self.expire_earlier_cancel(command, now)
        else:
            self._publish_expired(command, now)

    def _answer_earlier_cancel(self, cancel: TrackedCommand, now: Now, *, was_done: bool) -> None:
        if was_done:
            self._settling.inherit(cancel, now)
        else:
            self._publish_expired(cancel, now)

    def _publish_expired(self, command: TrackedCommand, now: Now) -> None:
        """Answer an expired command: as rejected where the venue refused it for its rate before."""
        if command.rate_refusal is None:
            self._settling.count_earlier_request(command, now)
            self.answer(command, Outcome.EXPIRED, now)
        else:
            code, message = command.rate_refusal
            self.answer(command, Outcome.REJECTED, now, code=code, message=message)

    def _answer_superseded(self, now: Now) -> None:
        for _ in range(min(len(self._superseded), _SUPERSEDED_AT_ONCE)):
            command = self._superseded.popleft()
            if command.state is CommandState.QUEUED:
                self._answer_superseded_command(command, now)

    def _answer_superseded_command(self, command: TrackedCommand, now: Now) -> None:
        self._sending.cancel_unsent(command)
        self.answer(command, Outcome.SUPERSEDED, now, message="a later cancel made it pointless")
