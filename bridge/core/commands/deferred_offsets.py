"""Offsets of commands that were read with too many behind them: they will not be sent, and are answered later.

A place that a runaway strategy wrote costs nothing but its offset until the cancels behind it have been found.
"""

from collections import deque
from typing import Final

from bridge.core.commands.parse import is_cancel
from bridge.core.records import CommandRecord

_ORDINARY_BYTES: Final = 1024
"""A command is shorter."""


class DeferredOffsets:
    """Ranges of offsets, in order. What a range holds besides commands that were deferred are holes of the topic."""

    def __init__(self) -> None:
        self._ranges: deque[tuple[int, int]] = deque()
        self._growing = False

    @property
    def span(self) -> tuple[int, int] | None:
        """The first offset and the one after the last; None when there is none."""
        return (self._ranges[0][0], self._ranges[-1][1]) if self._ranges else None

    def add(self, begin: int, end: int) -> None:
        """Put off what was read next."""
        if self._growing:
            begin, _ = self._ranges.pop()
        self._ranges.append((begin, end))
        self._growing = True

    def end_range(self) -> None:
        """Note that what was read next is not put off: it must not be in a range."""
        self._growing = False

    def pop(self, offset: int) -> bool:
        """Take the next offset out, and all below it, which hold nothing; False when it is in no range."""
        self.drop_below(offset)
        if not self._ranges or self._ranges[0][0] > offset:
            return False
        self.drop_below(offset + 1)
        return True

    def drop_below(self, offset: int) -> None:
        """Take out every offset below one."""
        while self._ranges and self._ranges[0][0] < offset:
            _, end = self._ranges.popleft()
            if end > offset:
                self._ranges.appendleft((offset, end))
        self._growing = self._growing and bool(self._ranges)


def behind_max(record: CommandRecord, lane_commands_max: int) -> int:
    """Return how many records, itself too, may be left where one is not put off: n KiB take the time and room of n."""
    return max(1, lane_commands_max // (1 + len(record.value or b"") // _ORDINARY_BYTES))


def may_be_cancel(record: CommandRecord) -> bool:
    """Return whether a record has the form of a cancel; the word alone does not count."""
    return record.value is not None and is_cancel(record.value)
