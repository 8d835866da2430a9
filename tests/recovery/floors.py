"""How soon a recovery could have been complete at best, by the venue's limits and by the delay of its answers.

The floors hold for the logins as they were: of each call that a recovery made, the earliest time that a limit allows is
the login, or a window after the call so many before it, had that one gone as early as allowed.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from bridge.core.ack_window import MARGIN_S
from bridge.ltp.rest_rate_limiter import BUDGET_PERCENT, LIMITS, LimitGroup
from bridge.sandbox.venue.ledger import EntryKind, Ledger
from bridge.sandbox.venue.settings import DOCUMENTED_LIMITS, RequestLimit

EXECUTIONS: Final = "rest_executions"
OPEN_ORDERS: Final = "rest_open_orders"
HISTORY: Final = "rest_history_orders"
ONE_ORDER: Final = "rest_order"
_FAMILIES: Final = {
    EXECUTIONS: LimitGroup.EXECUTIONS,
    OPEN_ORDERS: LimitGroup.OPEN_ORDERS,
    HISTORY: LimitGroup.HISTORY,
    ONE_ORDER: LimitGroup.ORDER,
    "rest_account": LimitGroup.ACCOUNT,
    "rest_assets": LimitGroup.ASSETS,
    "rest_position": LimitGroup.POSITIONS,
}
_AT_ONCE: Final = 10
"""So many single orders are asked for side by side."""


class Span(NamedTuple):
    """One recovery, from its login to its end. Unix ms."""

    opened_ms: int
    complete_ms: int

    def holds(self, at_ms: float) -> bool:
        """Whether something happened in it."""
        return self.opened_ms <= at_ms <= self.complete_ms


class Floors(Struct):
    """Of one recovery, each in ms from its login, and each at least the one before it."""

    documented_ms: float
    """By the venue's documented limits alone."""
    chain_ms: float
    """By the longest chain of questions that need each other's answers besides."""
    budget_ms: float
    """By that part of the limits that the bridge keeps to."""
    built_ms: float
    """By the order in which the bridge asks besides."""


def calls(ledger: Ledger) -> dict[str, list[int]]:
    """Return when the venue counted each reading request, by its limit."""
    found: dict[str, list[int]] = {action: [] for action in _FAMILIES}
    for entry in ledger.entries(EntryKind.COUNT):
        if entry.facts["action"] in found:
            found[entry.facts["action"]].append(entry.wall_ms)
    return found


def earliest(releases: Sequence[float], limit: RequestLimit) -> list[float]:
    """Return when each of these calls may be made at the earliest; `releases` are in ms, and in order."""
    legal: list[float] = []
    for number, release in enumerate(releases):
        free = legal[number - limit.count] + limit.window_s * 1000 if number >= limit.count else release
        legal.append(max(release, free))
    return legal


def budget(action: str, delay_ms: float) -> RequestLimit:
    """Return what the bridge uses of a limit: its slots cool from the answer on."""
    limit = LIMITS[_FAMILIES[action]]
    window_s = limit.window_s + MARGIN_S + delay_ms / 1000
    return RequestLimit(max(1, limit.requests * BUDGET_PERCENT // 100), window_s)


def floors(made: dict[str, list[int]], spans: Sequence[Span], delay_ms: float) -> list[Floors]:
    """Return the floors of each recovery."""
    documented = _waits(made, spans, {action: DOCUMENTED_LIMITS[action] for action in made})
    budgets = _waits(made, spans, {action: budget(action, delay_ms) for action in made})
    found = []
    for span, by_limit, by_budget in zip(spans, documented, budgets, strict=True):
        counted = Counter({action: sum(map(span.holds, times)) for action, times in made.items()})
        needed, built = _chains(counted)
        chain_ms = max(by_limit + delay_ms, needed * delay_ms)
        budget_ms = max(by_budget + delay_ms, chain_ms)
        found.append(Floors(by_limit, chain_ms, budget_ms, max(budget_ms, built * delay_ms)))
    return found


def _waits(made: dict[str, list[int]], spans: Sequence[Span], limits: dict[str, RequestLimit]) -> list[float]:
    """Return, for each recovery, when the last of its calls was allowed, in ms after the login."""
    waits = [0.0] * len(spans)
    for action, times in made.items():
        within = [_span_of(at_ms, spans) for at_ms in times]
        releases = [
            at_ms if number is None else spans[number].opened_ms for at_ms, number in zip(times, within, strict=True)
        ]
        for number, legal in zip(within, earliest(releases, limits[action]), strict=True):
            if number is not None:
                waits[number] = max(waits[number], legal - spans[number].opened_ms)
    return waits


def _span_of(at_ms: int, spans: Iterable[Span]) -> int | None:
    return next((number for number, span in enumerate(spans) if span.holds(at_ms)), None)


def _chains(counted: Counter[str]) -> tuple[int, int]:
    """Return the longest chain of dependent calls: as it must be, and as the bridge asks.

    A page needs the one before it, and single orders need both lists. The bridge asks for ended orders after the open
    ones, and for single orders some at a time.
    """
    singles = counted[ONE_ORDER]
    needed = max(counted[OPEN_ORDERS], counted[HISTORY]) + bool(singles)
    built = counted[OPEN_ORDERS] + counted[HISTORY] + -(-singles // _AT_ONCE)
    others = max((count for action, count in counted.items() if action not in {OPEN_ORDERS, HISTORY, ONE_ORDER}))
    return max(needed, others), max(built, others)
