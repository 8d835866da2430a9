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
    is_urgent: bool = False


class QuerySchedule:
    """When each command in doubt is asked about next: ever more slowly, and once when it can no longer land."""

    def __init__(self) -> None:
        self._schedules: dict[int, _Schedule] = {}
        self._due: list[tuple[float, int]] = []
        self._urgent: list[tuple[float, int]] = []

    def ask_at(self, offset: int, at_boot_s: float, *, is_urgent: bool = False) -> None:
        """Plan a query about the command at `offset`, unless an earlier one is planned. What is urgent comes first."""
        schedule = self._schedules.setdefault(offset, _Schedule(is_urgent=is_urgent))
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
        while len(offsets) < _AT_ONCE and (due := self._next_due(now_boot_s)) is not None:
            at, offset = due
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
        return min(plans[0][0] if plans else inf for plans in (self._urgent, self._due))

    def _next_due(self, now_boot_s: float) -> tuple[float, int] | None:
        for plans in (self._urgent, self._due):
            if plans and plans[0][0] <= now_boot_s:
                return heappop(plans)
        return None

    def _plan(self, offset: int, schedule: _Schedule, at_boot_s: float) -> None:
        schedule.next_at = at_boot_s
        heappush(self._urgent if schedule.is_urgent else self._due, (at_boot_s, offset))
