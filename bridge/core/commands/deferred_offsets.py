"""Offsets of deferred commands: they were read with too many behind them, are not sent, and are answered later.

A place of a runaway strategy costs nothing but its offset until the cancels behind it have been read.

A record is deferred if it has not the form of a cancel and more than `lane_commands_max` records are behind it; a
record of n KiB counts for n. Only a strict decode of a value that contains the word tells whether it is a cancel, and
its cost is bounded by the bytes. The number of records behind a record only grows, so by this rule a successor, which
reads later, defers the same commands. The committable offset stays at the first of them. A deferred command is read
again after everything else, and then it is denied (`lane_full`), or expired if its validity is over.

Commands are deferred for memory too: while the answers that wait for Kafka take more than 16 MiB, however few records
are behind. (With twice as much nothing is read.) A successor has no such answers, so it may send the same command. If a
later command of its order had been sent by then, the order of the two would be reversed. So no place or replace after
a command that was deferred for memory is claimed before the answer to that one is durable.
"""

from collections import deque
from typing import Final

from bridge.core.commands.parse import is_cancel
from bridge.core.records import CommandRecord

_COMMAND_BYTES: Final = 1024
"""A usual command is shorter."""


class DeferredOffsets:
    """Ranges of offsets, in order. A range holds deferred commands, and offsets without a record."""

    def __init__(self) -> None:
        self._ranges: deque[tuple[int, int]] = deque()
        self.is_growing = False
        """Whether the next offset that is deferred belongs to the last range."""
        self._for_memory_begin = self._for_memory_end = 0

    @property
    def span(self) -> tuple[int, int] | None:
        """The first offset and the one after the last; None when there is none."""
        return (self._ranges[0][0], self._ranges[-1][1]) if self._ranges else None

    def add(self, begin: int, end: int) -> None:
        """Add the offsets from `begin` up to `end`, which were read next."""
        if self.is_growing:
            begin, _ = self._ranges.pop()
        self._ranges.append((begin, end))
        self.is_growing = True

    def note_for_memory(self, begin: int, end: int) -> None:
        """Note that the offsets from `begin` up to `end`, which were added last, were deferred for memory alone."""
        if self.first_for_memory is None:
            self._for_memory_begin = begin
        self._for_memory_end = end

    @property
    def first_for_memory(self) -> int | None:
        """The first deferred offset from the first one that was deferred for memory on; None when there is none."""
        if not self._ranges or self._ranges[0][0] >= self._for_memory_end:
            return None
        return max(self._ranges[0][0], self._for_memory_begin)

    def is_for_memory(self, offset: int) -> bool:
        """Whether an offset was deferred for memory, or stands between two that were."""
        return self._for_memory_begin <= offset < self._for_memory_end

    def end_range(self) -> None:
        """End the last range: the next command is not deferred."""
        self.is_growing = False

    def pop(self, offset: int) -> bool:
        """Take out an offset, and all below it, which hold no command; return False when it is in no range."""
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
        self.is_growing = self.is_growing and bool(self._ranges)


def behind_max(record: CommandRecord, lane_commands_max: int) -> int:
    """Return how many records, itself too, may be unread for a record not to be deferred; n KiB count as n records."""
    return max(1, lane_commands_max // (1 + len(record.value or b"") // _COMMAND_BYTES))


def may_be_cancel(record: CommandRecord) -> bool:
    """Return whether a record has the form of a cancel."""
    return record.value is not None and is_cancel(record.value)
