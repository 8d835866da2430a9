"""Answers: requests that were written and await theirs, and what each answer, or its absence, says."""

from heapq import heappop, heappush
from typing import Final

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Outcome
from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.clocks import Clocks
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.lanes import Lanes
from bridge.core.commands.rate_limits import RateLimits
from bridge.core.commands.results import Results
from bridge.core.commands.states import OVER, CommandEvent, CommandState
from bridge.core.in_flight.ack_codes import KINDS, ORDER_STATE_CODES, RATE_CODES, AckClass, CodeKind, verdict
from bridge.core.in_flight.unknown_commands import UnknownCommands
from bridge.core.now import Now
from bridge.core.orders import Orders
from bridge.core.records import Answer

_REPEAT_FIRST_S: Final = 0.1
_REPEAT_LAST_S: Final = 5.0
"""A cancel in doubt waits before it goes out again, twice as long each time: its class has a budget too."""


class InFlightRequests:
    """The requests in flight of one account."""

    def __init__(
        self,
        replies: Results,
        lanes: Lanes,
        windows: RateLimits,
        orders: Orders,
        doubts: UnknownCommands,
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
        self._requests: dict[str, tuple[TrackedCommand, object]] = {}
        self._awaited: dict[str, TrackedCommand] = {}
        self._repeats: list[tuple[float, int, TrackedCommand]] = []
        self._newest_written = -1
        """The highest offset of the places and replaces that were written."""

    @property
    def awaited_count(self) -> int:
        """How many answers are awaited."""
        return sum(command.state not in OVER for command in self._awaited.values())

    def await_ack(self, command: TrackedCommand, request_id: str, token: object) -> None:
        """Await the answer to a request."""
        self._requests[request_id] = (command, token)
        self._awaited[request_id] = command
        if command.action in {PLACE, REPLACE}:
            self._newest_written = max(self._newest_written, command.offset)
        self._doubts.track(command)

    def begin_single_cancels(self, cancel_all: TrackedCommand, now: Now) -> None:
        """Carry a cancel_orders out by single cancels; it is in doubt when they take as long as an answer may."""
        self._awaited[f"{cancel_all.offset}"] = cancel_all
        self._doubts.begin_single_cancels(cancel_all, now)

    def inherit(self, command: TrackedCommand, now: Now) -> None:
        """Take over a command that an earlier owner may have written and left without a result."""
        command.maybe_sent_before = True
        self._replies.publish_inherited(command, now)
        self._doubts.written_commands.add(command)
        self._doubts.mark_unknown(command, now)
        if command.action == CANCEL and command.state is CommandState.UNKNOWN:
            self._lanes.queue_repeat(command)

    def count_earlier_request(self, command: TrackedCommand, now: Now) -> None:
        """Let commits tell of a cancel that an earlier owner may have written: no result will stand for it."""
        if command.maybe_sent_before:
            written_at = self._clocks.last_write_boot_s(command.deadline_boot_s, now)
            self._windows.cancels.extra.restore(("earlier owner", command.offset), written_at)

    def lands_until_boot_s(self, cancel: TrackedCommand, now: Now) -> float:
        """Return until when the venue may carry out a cancel that an earlier owner may have written."""
        return self._doubts.lands_until_boot_s(cancel, now)

    def was_done(self, cancel: TrackedCommand) -> bool:
        """Whether the order of a cancel shows what it asked for: an earlier owner may have written it."""
        return self._doubts.was_done(cancel)

    def on_ack(self, answer: Answer, now: Now) -> bool:
        """Match an answer to its request; False when it names none of ours."""
        found = self._requests.pop(answer.request_id, None) if answer.request_id is not None else None
        if found is None:
            return False
        command, token = found
        self._awaited.pop(answer.request_id or "", None)
        self._windows[command.action].acknowledge(token, now.boot_s)
        if command.action == CANCEL and token != (command.offset, command.attempts - 1):
            # The result will stand for this request, and no record for the last one.
            self._windows.cancels.extra.add((command.offset, command.attempts - 1), command.written_boot_s)
        self.check_rate(command.action, answer.code, now)
        if command.state in OVER:
            command.step(CommandEvent.ACKED)
            return True
        proof = verdict(answer.code)
        command.refused_requests += proof is AckClass.REFUSED
        if answer.code in RATE_CODES and self._is_repeatable(command, now):
            self._repeat_after_rate_refusal(command, answer, now)
            return True
        if (
            proof is AckClass.REFUSED
            and command.action == CANCEL
            and not self._is_refused_for_good(command, answer.code)
        ):
            command.last_refusal = (answer.code, answer.message)
            proof = AckClass.IN_DOUBT
        if proof is AckClass.IN_DOUBT:
            if KINDS.get(answer.code) is CodeKind.GENERAL:
                command.general_failure = (answer.code, answer.message, now.boot_s)
            self._mark_unknown(command, now, code=answer.code, message=answer.message)
            return True
        if proof is AckClass.TAKEN:
            self._learn_names(command, answer, now)
        outcome = Outcome.ACCEPTED if proof is AckClass.TAKEN else Outcome.REJECTED
        self._doubts.settle(command, outcome, CommandEvent.ACKED, now, code=answer.code, message=answer.message)
        return True

    def check_rate(self, action: str, code: int, now: Now) -> None:
        """Halve the budget of an action that the venue refused for its rate, and raise the alarm."""
        if code in RATE_CODES and self._windows[action].halve(now.boot_s):
            text = f"{action} was refused with {code}; its limit is halved, and climbs back while none is refused"
            self._alarms.raise_alarm(Alarm.RATE_REJECTED, text, now, action)

    def tick(self, now: Now) -> None:
        """Doubt what has waited too long for its answer, and let cancels go out again when it is time."""
        for action in self._windows.climb(now):
            text = f"{action} has its whole limit again; none was refused for its rate of late"
            self._alarms.clear_alarm(Alarm.RATE_REJECTED, text, now, action)
        while self._repeats and self._repeats[0][0] <= now.boot_s:
            _, _, command = heappop(self._repeats)
            if command.state is CommandState.QUEUED and command.action == CANCEL_ALL:
                self._lanes.put_back(command)
            elif (
                command.state in {CommandState.QUEUED, CommandState.UNKNOWN} and command.request_id not in self._awaited
            ):
                self._lanes.queue_repeat(command)
        while self._awaited:
            request_id, command = next(iter(self._awaited.items()))
            if now.boot_s < command.written_boot_s + self._ack_timeout_s:
                return
            del self._awaited[request_id]
            self._mark_unknown(command, now, message=f"no answer within {self._ack_timeout_s:g} s")

    def link_lost(self, now: Now) -> None:
        """Doubt everything that awaits an answer: its link is gone, and no answer comes over another."""
        awaited, self._awaited = list(self._awaited.values()), {}
        self._requests.clear()
        for command in awaited:
            self._mark_unknown(command, now, message="the link was lost before an answer came")

    def wake_at_boot_s(self) -> float:
        """Return when the oldest awaited answer is overdue, or a cancel is to go out again."""
        command = next(iter(self._awaited.values()), None)
        overdue = command.written_boot_s + self._ack_timeout_s if command is not None else float("inf")
        return min(overdue, self._repeats[0][0]) if self._repeats else overdue

    def _is_refused_for_good(self, cancel: TrackedCommand, code: int) -> bool:
        """Whether a refusal ends a cancel: it says nothing about other requests of it, nor about an order to come."""
        return cancel.is_surely_refused and not (
            code in ORDER_STATE_CODES and self._doubts.written_commands.may_make_order_of(cancel)
        )

    def _learn_names(self, command: TrackedCommand, answer: Answer, now: Now) -> None:
        if command.action == REPLACE and answer.order_id is not None and answer.order_id != command.order_id:
            self._orders.note_successor(command.order_id, answer.order_id)
        command.order_id = answer.order_id or command.order_id
        command.client_order_id = command.client_order_id or answer.client_order_id
        if command.action in {PLACE, REPLACE}:
            acked_ms = self._clocks.venue.read_at(now.boot_s).latest
            self._orders.note_ack(command.order_id, command.client_order_id, command.args.get("sym"), acked_ms)

    def _mark_unknown(
        self, command: TrackedCommand, now: Now, *, code: int | None = None, message: str | None = None
    ) -> None:
        self._replies.publish_unknown(command, now, code=code, message=message)
        if command.state is not CommandState.UNKNOWN:
            return
        self._doubts.mark_unknown(command, now)
        if command.action == CANCEL and now.boot_s < command.deadline_boot_s:
            self._repeat_later(command, now)

    @staticmethod
    def _is_repeatable(command: TrackedCommand, now: Now) -> bool:
        """Whether a refusal for the rate, which had no effect, is not the last word; nor about a request before it."""
        valid = now.boot_s < command.deadline_boot_s
        return command.action in {CANCEL, CANCEL_ALL} and (valid or command.state is CommandState.UNKNOWN)

    def _repeat_after_rate_refusal(self, command: TrackedCommand, answer: Answer, now: Now) -> None:
        """Let a cancel go out again while it is valid. A cancel_orders in doubt is finished by single cancels.

        So is one after which a newer place or replace was written: its message would end that too.
        """
        command.rate_refusal = (answer.code, answer.message)
        if (
            command.action == CANCEL_ALL
            and command.state is CommandState.SENT
            and command.offset < self._newest_written
        ):
            self._mark_unknown(command, now, code=answer.code, message=answer.message)
            return
        command.step(CommandEvent.DEFERRED)
        if command.action == CANCEL_ALL and command.state is CommandState.QUEUED:
            self._lanes.block_again(command)
        if now.boot_s < command.deadline_boot_s and (command.action == CANCEL or command.state is CommandState.QUEUED):
            self._repeat_later(command, now)

    def _repeat_later(self, command: TrackedCommand, now: Now) -> None:
        pause_s = min(_REPEAT_LAST_S, _REPEAT_FIRST_S * 2.0 ** min(command.attempts - 1, 16))
        at = now.boot_s + pause_s * self._windows.cancels.stretch(now.boot_s)
        heappush(self._repeats, (at, command.offset, command))
