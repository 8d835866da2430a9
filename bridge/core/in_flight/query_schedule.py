"""Order status queries: what to ask the venue about each unknown command, and when.

A place, replace or cancel_orders is asked about as soon as it is unknown; a cancel from its deadline on, because until
then it is repeated. A refused repeat and a general failure make a query due at once. Further queries follow after 0.5,
1, 2 ... 10 s. Each asks by both names of the order, because a replace may have given it another orderId. Queries about
a cancel_orders come before all others.

- The last query is due when the command can no longer land: `late_landing_s` after its last write. An inherited command
  counts as written at the end of its validity at the latest (and what the clocks may differ): a bridge that crashes
  again and again still reaches the last query. The last query is repeated until it settles the command.
- A place is `not_found` only if the venue answers the last query and shows nothing. A replace is `not_found` then, or
  earlier when its order has ended for good; a cancel when a query shows that its order had ended otherwise. A
  cancel_orders is never `not_found`. While REST is away, the bridge concludes nothing.
- Where the venue refuses for a minute to speak of one order, the last query asks for its lists of open, ended and
  executed orders instead.
- After a place is `not_found`, `LateOrders` watches for its order. The last query would have found an order that was
  there before it, so the next owner takes only a younger order for the late order of that place.
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
