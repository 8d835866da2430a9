"""When something is due for a command: one heap for each purpose, because each is looked at under other conditions."""

from enum import Enum, auto
from heapq import heappop, heappush
from math import inf


class Timer(Enum):
    """What is due."""

    EXPIRY = auto()
    """The command is no longer valid."""
    SUPERSEDED = auto()
    """A later cancel_orders has ended it before it was written, and it is to be answered."""
    EARLIER_CANCEL = auto()
    """Its order is looked at: an earlier owner may have written this expired cancel."""
    REPEAT = auto()
    """It goes out again."""
    ACK = auto()
    """Its ack is overdue."""
    URGENT_QUERY = auto()
    QUERY = auto()
    """The venue is asked what became of it; an urgent query comes first."""


class Timers:
    """Due times by command offset. An entry is not removed when it has become pointless: whoever pops it checks."""

    def __init__(self) -> None:
        self._heaps: dict[Timer, list[tuple[float, int]]] = {timer: [] for timer in Timer}

    def start(self, timer: Timer, due_boot_s: float, offset: int) -> None:
        """Let something be due for the command at an offset."""
        heappush(self._heaps[timer], (due_boot_s, offset))

    def pop_due(self, timer: Timer, now_boot_s: float) -> tuple[float, int] | None:
        """Return the due time and the offset of the next entry that is due, and remove it; None when none is."""
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
