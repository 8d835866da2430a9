"""How to ask the venue's REST about each unknown command, by what it has answered before."""

from enum import Enum, auto
from math import inf
from typing import Final

from bridge.contract.commands import CANCEL_ALL, PLACE
from bridge.core.in_flight.query_schedule import StatusQuery
from bridge.core.now import Now

_REFUSED_S: Final = 60.0
"""After the venue has refused so long to speak of an order, the lists that it would be in are asked for instead."""


class QueryKind(Enum):
    """What answers a status query."""

    ORDER = auto()
    """The order, by its orderId and by its clientOrderId."""
    OPEN_ORDERS = auto()
    """The list of open orders."""
    LISTS = auto()
    """The lists of what is open, over and executed."""


class QueryMemory:
    """What the venue has refused to speak of, and which symbols were searched, during one term."""

    def __init__(self) -> None:
        self._refused_boot_s: dict[int, float] = {}
        """Since when the venue refuses to speak of the order of the command at an offset."""
        self._searched: dict[str, tuple[float, int]] = {}
        """When a symbol was last searched, and back to which Unix ms."""

    def kind_of(self, query: StatusQuery, now: Now) -> QueryKind:
        """Return what to ask for now."""
        if query.action == CANCEL_ALL:
            return QueryKind.OPEN_ORDERS
        refused_s = now.boot_s - self._refused_boot_s.get(query.offset, inf)
        return QueryKind.LISTS if query.is_last and refused_s >= _REFUSED_S else QueryKind.ORDER

    def refused(self, query: StatusQuery, now: Now) -> None:
        """Note that the venue refuses to speak of an order."""
        self._refused_boot_s.setdefault(query.offset, now.boot_s)

    def answered(self, query: StatusQuery) -> None:
        """Note that it has spoken of the order."""
        self._refused_boot_s.pop(query.offset, None)

    def needs_search(self, query: StatusQuery) -> bool:
        """Whether history and executions are to be searched for a place: once for all of a symbol that land no more."""
        if not query.is_last or query.action != PLACE:
            return False
        searched_boot_s, since_ms = self._searched.get(query.sym or "", (-inf, 0))
        return searched_boot_s < query.lands_until_boot_s or since_ms > query.since_ms

    def searched(self, sym: str, since_ms: int, asked_boot_s: float) -> None:
        """Note that a symbol was searched, at a time, back to a time."""
        self._searched[sym] = asked_boot_s, since_ms
