"""Commands that end before they are sent: their validity ends, or a later cancel supersedes them."""

from typing import Final

from msgspec import Struct

from bridge.contract.commands import CANCEL, CANCEL_ALL
from bridge.contract.results import Outcome, Reason
from bridge.core.clocks import Clocks
from bridge.core.commands.command import REDUCES_RISK, TrackedCommand
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.dispatch import Dispatcher
from bridge.core.commands.in_flight_port import InFlight
from bridge.core.commands.results import Results
from bridge.core.commands.states import UNSENT, CommandState
from bridge.core.commands.timers import Timer
from bridge.core.now import Now

_EXPIRED_MAX: Final = 500
"""Results of expired commands in one turn: with thousands, a cancel would wait."""
_SUPERSEDED_MAX: Final = 100
"""Results of superseded commands in one turn: their cancel_orders is to be sent meanwhile."""
_CLAIM_CHECK_S: Final = 0.05
"""How often to check whether the commit that claims an expired command has ended: it is answered then."""


class UnsentCommands:
    """Publishes the results of commands that end before they are written."""

    def __init__(self, table: CommandTable, results: Results, dispatcher: Dispatcher, in_flight: InFlight) -> None:
        self._table = table
        self._lanes = table.lanes
        self._timers = table.timers
        self._results = results
        self._dispatcher = dispatcher
        self._in_flight = in_flight

    def expire_at_deadline(self, command: TrackedCommand) -> None:
        """Let a command expire when its validity ends, unless it is written by then."""
        self._timers.start(Timer.EXPIRY, command.deadline_boot_s, command.offset)

    def answer_due(self, now: Now) -> None:
        """Publish results of some superseded and some expired commands."""
        self._answer_superseded(now)
        for _ in range(_EXPIRED_MAX):
            due = self._timers.pop_due(Timer.EXPIRY, now.boot_s)
            if due is None:
                return
            command = self._table.find_by_offset(due[1])
            if command is not None:
                self._end_expired(command, now)

    def next_due_boot_s(self) -> float:
        """Return when the next result is to be published."""
        return min(self._timers.next_due_boot_s(timer) for timer in (Timer.SUPERSEDED, Timer.EXPIRY))

    def supersede_for(self, cancel: TrackedCommand, now: Now) -> bool:
        """Supersede the unsent commands that a cancel ends; return whether the place of its order was one of them.

        All of them were read before the cancel. A cancel_orders may supersede thousands: none of them is sent any more,
        and their results are published in parts, because the cancel_orders is not to wait for that.
        """
        if cancel.action == CANCEL_ALL:
            for earlier in self._table.list_unsent_in_scope(cancel.exchange or ""):
                if earlier.state is CommandState.QUEUED:
                    earlier.is_superseded = True
                    self._lanes.count_out(earlier)
                    self._timers.start(Timer.SUPERSEDED, now.boot_s, earlier.offset)
                else:
                    self._supersede(earlier, now)
            self._answer_superseded(now)
        elif cancel.action == CANCEL and cancel.order_key is not None:
            for earlier in self._table.list_unsent_replaces(cancel.order_key):
                self._supersede(earlier, now)
            place = self._table.find_unsent_place(cancel.order_key)
            if place is not None:
                self._supersede(place, now)
                return True
        return False

    def _end_expired(self, command: TrackedCommand, now: Now) -> None:
        """Answer a command that has expired unsent; an earlier owner's cancel is answered when its order is known."""
        if command.state in UNSENT and command.state is not CommandState.QUEUED:
            self._timers.start(Timer.EXPIRY, now.boot_s + _CLAIM_CHECK_S, command.offset)
        elif command.state is CommandState.QUEUED:
            self._dispatcher.cancel_unsent(command)
            if command.maybe_written_before:
                self._in_flight.expire_earlier_cancel(command, now)
            else:
                self._results.publish_expired(command, now)

    def _answer_superseded(self, now: Now) -> None:
        for _ in range(_SUPERSEDED_MAX):
            due = self._timers.pop_due(Timer.SUPERSEDED, now.boot_s)
            if due is None:
                return
            command = self._table.find_by_offset(due[1])
            if command is not None and command.state is CommandState.QUEUED:
                self._supersede(command, now)

    def _supersede(self, command: TrackedCommand, now: Now) -> None:
        self._dispatcher.cancel_unsent(command)
        text = "a later cancel made it pointless"
        self._results.publish_terminal(command, Outcome.SUPERSEDED, now, message=text)


class InvalidTiming(Struct, frozen=True):
    """Why a command may not be sent."""

    outcome: Outcome
    reason: Reason | None = None
    message: str | None = None


def judge_validity(command: TrackedCommand, clocks: Clocks, now: Now) -> InvalidTiming | None:
    """Return why a command may not be sent, or None; its deadline is the earliest that the broker's clock allows.

    While the broker's clock is unsure, a place or replace is denied: it neither expires nor is sent by such a clock. A
    cancel is sent until it has certainly expired.
    """
    expired = InvalidTiming(Outcome.EXPIRED)
    if now.boot_s >= command.deadline_boot_s + clocks.broker_error_s(now):
        return expired
    is_early = now.boot_s < command.deadline_boot_s
    if clocks.trusts_broker(now):
        return None if is_early else expired
    if is_early and command.action in REDUCES_RISK:
        return None
    return InvalidTiming(Outcome.DENIED, Reason.CLOCK_UNSURE, clocks.describe_broker(now))
