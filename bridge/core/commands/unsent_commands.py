"""Commands that wait to be sent and end before: their validity passes, or a later cancel makes them pointless."""

from typing import Final

from bridge.contract.commands import CANCEL, CANCEL_ALL
from bridge.contract.results import Outcome
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.dispatch import Dispatcher
from bridge.core.commands.in_flight_port import InFlight
from bridge.core.commands.results import Results
from bridge.core.commands.states import UNSENT, CommandState
from bridge.core.commands.timers import Timer
from bridge.core.now import Now

_EXPIRED_AT_ONCE: Final = 500
"""Commands that expire in one turn: thousands at once would hold up a cancel."""
_SUPERSEDED_AT_ONCE: Final = 100
"""Commands that a cancel_orders has ended and that are answered in one turn: it is to go out meanwhile."""
_LOOK_AGAIN_S: Final = 0.05
"""A command that expires while its claim is under way is answered when that has come back."""


class UnsentCommands:
    """Ends and answers commands that were taken in and have not been written."""

    def __init__(self, table: CommandTable, results: Results, dispatcher: Dispatcher, in_flight: InFlight) -> None:
        self._table = table
        self._lanes = table.lanes
        self._timers = table.timers
        self._results = results
        self._dispatcher = dispatcher
        self._in_flight = in_flight

    def expire_at_deadline(self, command: TrackedCommand) -> None:
        """Let a command end when its validity passes, unless it has been written by then."""
        self._timers.start(Timer.EXPIRY, command.deadline_boot_s, command.offset)

    def answer_due(self, now: Now) -> None:
        """Answer some of what a cancel_orders has ended, and some of what has expired."""
        self._answer_superseded(now)
        for _ in range(_EXPIRED_AT_ONCE):
            due = self._timers.pop_due(Timer.EXPIRY, now.boot_s)
            if due is None:
                return
            command = self._table.find_by_offset(due[1])
            if command is not None:
                self._end_expired(command, now)

    def next_due_boot_s(self) -> float:
        """Return when the next command is to be answered."""
        return min(self._timers.next_due_boot_s(timer) for timer in (Timer.SUPERSEDED, Timer.EXPIRY))

    def supersede_for(self, cancel: TrackedCommand, now: Now) -> bool:
        """Let a cancel end what waits before it; return whether that was the place of its order.

        Everything that waits was read before, so it stands at a lower offset. Thousands may wait before a
        cancel_orders: they are ended at once and answered in parts, because it is not to wait for their answers.
        """
        if cancel.action == CANCEL_ALL:
            for earlier in self._lanes.list_unsent_in_scope(cancel.exchange or ""):
                if earlier.state is CommandState.QUEUED:
                    earlier.is_superseded = True
                    self._lanes.count_out(earlier)
                    self._timers.start(Timer.SUPERSEDED, now.boot_s, earlier.offset)
                else:
                    self._supersede(earlier, now)
            self._answer_superseded(now)
        elif cancel.action == CANCEL and cancel.order_key is not None:
            for earlier in self._lanes.list_unsent_replaces(cancel.order_key):
                self._supersede(earlier, now)
            place = self._lanes.find_unsent_place(cancel.order_key)
            if place is not None:
                self._supersede(place, now)
                return True
        return False

    def _end_expired(self, command: TrackedCommand, now: Now) -> None:
        """Answer a command that has expired in its lane; a cancel of an earlier owner waits until its fate is known."""
        if command.state in UNSENT and command.state is not CommandState.QUEUED:
            self._timers.start(Timer.EXPIRY, now.boot_s + _LOOK_AGAIN_S, command.offset)
        elif command.state is CommandState.QUEUED:
            self._dispatcher.cancel_unsent(command)
            if command.maybe_written_before:
                self._in_flight.expire_earlier_cancel(command, now)
            else:
                self._results.publish_expired(command, now)

    def _answer_superseded(self, now: Now) -> None:
        for _ in range(_SUPERSEDED_AT_ONCE):
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
