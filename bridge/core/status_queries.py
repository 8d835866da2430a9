"""Order status queries: what to ask the venue about each command in doubt, and when."""

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from typing import Final

from msgspec import Struct

_PAUSE_FIRST_S: Final = 0.5
_PAUSE_LAST_S: Final = 10.0
_AT_ONCE: Final = 20


class StatusQuery(Struct, frozen=True):
    """What to ask the venue about the command at `offset`.

    `last`: it cannot land after `until`, which has come, so history and executions since `since_ms` are to be looked
    at too; if nothing is found, it is given up.
    """

    offset: int
    action: str
    order_id: str | None
    client_order_id: str | None
    sym: str | None
    since_ms: int
    until: float
    last: bool


class _Schedule(Struct):
    next_at: float = inf
    pause_s: float = _PAUSE_FIRST_S


class QuerySchedule:
    """When each command in doubt is asked about next: ever more slowly, and once when it can no longer land."""

    def __init__(self) -> None:
        self._schedules: dict[int, _Schedule] = {}
        self._due: list[tuple[float, int]] = []

    def ask_at(self, offset: int, at_boot_s: float) -> None:
        """Plan a query about the command at `offset`, unless an earlier one is planned."""
        schedule = self._schedules.setdefault(offset, _Schedule())
        if at_boot_s < schedule.next_at:
            self._plan(offset, schedule, at_boot_s)

    def forget(self, offset: int) -> None:
        """Plan no more queries about a command."""
        self._schedules.pop(offset, None)

    def pop_due(self, now_boot_s: float, until: Callable[[int], float]) -> list[int]:
        """Return the offsets of a few commands to ask about now, and plan their next queries.

        `until` returns from when on a command can no longer land.
        """
        offsets: list[int] = []
        while len(offsets) < _AT_ONCE and self._due and self._due[0][0] <= now_boot_s:
            at, offset = heappop(self._due)
            schedule = self._schedules.get(offset)
            if schedule is None or schedule.next_at != at:
                continue
            offsets.append(offset)
            next_at, until_boot_s = now_boot_s + schedule.pause_s, until(offset)
            schedule.pause_s = min(2 * schedule.pause_s, _PAUSE_LAST_S)
            self._plan(offset, schedule, min(next_at, until_boot_s) if now_boot_s < until_boot_s else next_at)
        return offsets

    def wake_at(self) -> float:
        """Return when the next query is due."""
        return self._due[0][0] if self._due else inf

    def _plan(self, offset: int, schedule: _Schedule, at_boot_s: float) -> None:
        schedule.next_at = at_boot_s
        heappush(self._due, (at_boot_s, offset))
