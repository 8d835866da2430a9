"""Expired cancels that an earlier owner may have written: only their orders prove their outcome.

Such a cancel is `expired` only when the venue can no longer carry it out and its order does not show that it has.
"""

from collections.abc import Iterator
from typing import Final

from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.timers import Timer
from bridge.core.now import Now

_CHECKS_MAX: Final = 500
_CHECK_PERIOD_S: Final = 5.0


class EarlierCancels:
    """Expired cancels of an earlier owner, by when their orders are checked next."""

    def __init__(self, table: CommandTable) -> None:
        self._table = table
        self._timers = table.timers

    def add(self, cancel: TrackedCommand, now: Now) -> None:
        """Check the order of a cancel from now on."""
        self._timers.start(Timer.EARLIER_CANCEL, now.boot_s, cancel.offset)

    def postpone(self, cancel: TrackedCommand, now: Now) -> None:
        """Check the order of a cancel again, a while later."""
        self._timers.start(Timer.EARLIER_CANCEL, now.boot_s + _CHECK_PERIOD_S, cancel.offset)

    def pop_due(self, now: Now) -> Iterator[TrackedCommand]:
        """Yield the cancels whose orders are to be checked now, and plan no other check of them."""
        for _ in range(_CHECKS_MAX):
            due = self._timers.pop_due(Timer.EARLIER_CANCEL, now.boot_s)
            if due is None:
                return
            cancel = self._table.find_by_offset(due[1])
            if cancel is not None:
                yield cancel
