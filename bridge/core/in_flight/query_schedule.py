"""Order status queries: what to ask the venue about each unknown command, and when.

A command that may have been written and has no definitive answer is asked about at once, then after 0.5, 1, 2 ... 10 s,
by both names of its order, because a replace may have given it another orderId. Queries about a cancel_orders come
before all others. The last query is made when the request can no longer land: `late_landing_s` after the write; for an
inherited command `late_landing_s` after the end of its validity at the latest, so that a loop of crashes does not put
it off for ever. Only then, and only if the venue answers that query and shows nothing, the command is `not_found`.
While REST is away no command is given up. Where the venue refuses for a minute to speak of one order, its lists of
open, ended and executed orders are asked for instead. An order that was there to be found by the last query is not the
command's, for the next owner too; a younger one has landed late.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from msgspec import Struct

from bridge.contract.commands import CANCEL_ALL
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.timers import Timer, Timers

_PAUSE_FIRST_S: Final = 0.5
_PAUSE_LAST_S: Final = 10.0
_QUERIES_MAX: Final = 20


class StatusQuery(Struct, frozen=True):
    """What to ask the venue about the command at `offset`.

    `is_last`: it is past `lands_until_boot_s`, so the command cannot land any more. Then the history and the executions
    since `since_ms` are searched too, and if nothing is found, the result is `not_found`.
    """

    offset: int
    action: str
    order_id: str | None
    client_order_id: str | None
    sym: str | None
    since_ms: int
    lands_until_boot_s: float
    is_last: bool


class QuerySchedule:
    """Plans the queries about each unknown command: after ever longer pauses, and once when it can no longer land."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    def schedule_query(self, command: TrackedCommand, at_boot_s: float) -> None:
        """Plan a query about a command, unless an earlier one is planned. Queries about a cancel_orders come first."""
        if at_boot_s < command.next_query_boot_s:
            command.next_query_boot_s = at_boot_s
            self._timers.start(_timer_of(command), at_boot_s, command.offset)

    def pop_due(
        self,
        now_boot_s: float,
        find_queried: Callable[[int], TrackedCommand | None],
        lands_until_boot_s: Callable[[TrackedCommand], float],
    ) -> list[TrackedCommand]:
        """Return a few commands to ask about now, and plan their next queries."""
        found: list[TrackedCommand] = []
        while len(found) < _QUERIES_MAX and (due := self._pop_next(now_boot_s)) is not None:
            command = find_queried(due[1])
            if command is None or command.next_query_boot_s != due[0]:
                continue
            found.append(command)
            command.query_pause_s = min(2 * command.query_pause_s or _PAUSE_FIRST_S, _PAUSE_LAST_S)
            next_boot_s, until_boot_s = now_boot_s + command.query_pause_s, lands_until_boot_s(command)
            command.next_query_boot_s = inf
            self.schedule_query(command, min(next_boot_s, until_boot_s) if now_boot_s < until_boot_s else next_boot_s)
        return found

    def wake_at_boot_s(self) -> float:
        """Return when the next query is due."""
        return min(self._timers.next_due_boot_s(timer) for timer in (Timer.URGENT_QUERY, Timer.QUERY))

    def _pop_next(self, now_boot_s: float) -> tuple[float, int] | None:
        urgent = self._timers.pop_due(Timer.URGENT_QUERY, now_boot_s)
        return self._timers.pop_due(Timer.QUERY, now_boot_s) if urgent is None else urgent


def _timer_of(command: TrackedCommand) -> Timer:
    return Timer.URGENT_QUERY if command.action == CANCEL_ALL else Timer.QUERY
