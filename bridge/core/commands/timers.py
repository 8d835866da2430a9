"""Timers of commands: one heap for each purpose, because each purpose is polled under other conditions."""

from enum import Enum, auto
from heapq import heappop, heappush
from math import inf


class Timer(Enum):
    """What a timer is for."""

    EXPIRY = auto()
    """The validity of the command ends."""
    SUPERSEDED = auto()
    """The result of a command that a later cancel_orders has ended is to be published."""
    EARLIER_CANCEL = auto()
    """The order of an expired cancel of an earlier owner is checked."""
    REPEAT = auto()
    """A cancel or cancel_orders is sent again."""
    ACK = auto()
    """The ack of the last request is overdue."""
    URGENT_QUERY = auto()
    """The venue is asked about a cancel_orders, before any other query."""
    QUERY = auto()
    """The venue is asked about the command."""


class Timers:
    """Due times and offsets of commands.

    A timer cannot be stopped: the caller that pops an entry checks whether the command still needs it.
    """

    def __init__(self) -> None:
        self._heaps: dict[Timer, list[tuple[float, int]]] = {timer: [] for timer in Timer}

    def start(self, timer: Timer, due_boot_s: float, offset: int) -> None:
        """Start a timer of the command at an offset; one that runs already goes on as well."""
        heappush(self._heaps[timer], (due_boot_s, offset))

    def pop_due(self, timer: Timer, now_boot_s: float) -> tuple[float, int] | None:
        """Take out and return the due time and offset of the next entry that is due; None when none is."""
        heap = self._heaps[timer]
        return heappop(heap) if heap and heap[0][0] <= now_boot_s else None

    def peek(self, timer: Timer) -> tuple[float, int] | None:
        """Return the due time and the offset of the next entry, and leave it there."""
        heap = self._heaps[timer]
        return heap[0] if heap else None

    def next_due_boot_s(self, timer: Timer) -> float:
        """Return when the next entry is due; infinity when there is none."""
        heap = self._heaps[timer]
        return heap[0][0] if heap else inf
