"""Commands that wait to be sent: one lane for each action, the most urgent first.

A place or replace that must wait for an earlier command of its order is put into its lane when that one has its result
(`CommandTable.finish`). So the head of a lane waits for no command of its order; what else it waits for, dispatch.py
lists.
"""

from collections import deque
from typing import Final

from bridge.contract.commands import CANCEL_ALL, PLACE, REPLACE
from bridge.core.commands.command import ACTIONS, TrackedCommand
from bridge.core.commands.states import FINISHED, CommandState

CLAIM_LANES: Final = (CANCEL_ALL, REPLACE, PLACE)
"""Lanes whose commands need a claim, most urgent first."""
_REPEATS: Final = "repeats"
"""The lane of cancels that are to be repeated: a new cancel does not wait for them."""


class Lanes:
    """The lanes of one account, each in order of arrival."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[TrackedCommand]] = {lane: deque() for lane in (*ACTIONS, _REPEATS)}
        self._waiting = dict.fromkeys(ACTIONS, 0)
        self._positions = 0

    def count_waiting(self, action: str) -> int:
        """Count the commands of an action that wait, in their lane or outside of it."""
        return self._waiting[action]

    def count_in(self, command: TrackedCommand) -> None:
        """Count a command as waiting, in its lane or outside of it."""
        self._waiting[command.action] += not command.is_waiting
        command.is_waiting = True

    def count_out(self, command: TrackedCommand) -> None:
        """Count a command as waiting no longer; its lane drops it later."""
        self._waiting[command.action] -= command.is_waiting
        command.is_waiting = False

    def append(self, command: TrackedCommand) -> None:
        """Put a command at the end of its lane."""
        self._positions += 1
        command.queue_position = self._positions
        self._lanes[command.action].append(command)

    def peek_head(self, action: str) -> TrackedCommand | None:
        """Return the head of a lane, and leave it there; commands that were answered meanwhile are dropped."""
        lane = self._lanes[action]
        while lane and (lane[0].state is not CommandState.QUEUED or lane[0].is_superseded):
            lane.popleft()
        return lane[0] if lane else None

    def pop_head(self, command: TrackedCommand) -> None:
        """Take the head out of a lane; it no longer waits."""
        self.set_aside(command)
        self.count_out(command)

    def set_aside(self, command: TrackedCommand) -> None:
        """Take the head out of a lane; it is still counted as waiting."""
        self._lanes[command.action].popleft()

    def put_back(self, command: TrackedCommand) -> None:
        """Put a command that was not written back into its lane, where it was before."""
        lane = self._lanes[command.action]
        index = next((n for n, other in enumerate(lane) if other.queue_position > command.queue_position), len(lane))
        lane.insert(index, command)
        self.count_in(command)

    def queue_repeat(self, cancel: TrackedCommand) -> None:
        """Let a cancel be repeated."""
        if not cancel.is_repeat_queued:
            cancel.is_repeat_queued = True
            self._lanes[_REPEATS].append(cancel)

    def peek_repeat(self, now_boot_s: float) -> TrackedCommand | None:
        """Return the next cancel to repeat, and leave it there; one that has its result or has expired is dropped."""
        repeats = self._lanes[_REPEATS]
        while repeats and (repeats[0].state in FINISHED or now_boot_s >= repeats[0].deadline_boot_s):
            self.pop_repeat()
        return repeats[0] if repeats else None

    def pop_repeat(self) -> None:
        """Take out the next cancel to repeat."""
        self._lanes[_REPEATS].popleft().is_repeat_queued = False
