"""How a command in doubt is asked about, by what the venue has answered before."""

from bridge.contract.commands import CANCEL_ALL, PLACE, REPLACE
from bridge.core.in_flight.query_memory import QueryKind, QueryMemory
from bridge.core.in_flight.query_schedule import StatusQuery
from bridge.core.now import Now
from tests.support.one_account import BTC, START


def _query(action: str = PLACE, *, last: bool = True, until: float = START.boot_s, since_ms: int = 100) -> StatusQuery:
    return StatusQuery(7, action, None, "c1", BTC, since_ms, until, last)


def _after(seconds: float) -> Now:
    return Now(START.boot_s + seconds, START.wall_ms)


def test_a_cancel_orders_is_asked_about_by_the_list_of_open_orders() -> None:
    """Every other command by its order."""
    memory = QueryMemory()
    assert memory.kind_of(_query(CANCEL_ALL), START) is QueryKind.OPEN_ORDERS
    assert memory.kind_of(_query(REPLACE), START) is QueryKind.ORDER


def test_what_the_venue_refuses_to_speak_of_is_looked_for_in_the_lists() -> None:
    """When it can land no more, and a minute after the first refusal; an answer begins anew."""
    memory = QueryMemory()
    memory.refused(_query(), START)
    memory.refused(_query(), _after(59))
    assert memory.kind_of(_query(), _after(59)) is QueryKind.ORDER
    assert memory.kind_of(_query(last=False), _after(60)) is QueryKind.ORDER
    assert memory.kind_of(_query(), _after(60)) is QueryKind.LISTS
    memory.answered(_query())
    assert memory.kind_of(_query(), _after(60)) is QueryKind.ORDER


def test_a_symbol_is_searched_once_for_all_places_that_can_land_no_more() -> None:
    """Again for one that could land after the search, or that may be older than the search went back."""
    memory = QueryMemory()
    assert memory.needs_search(_query())
    assert not memory.needs_search(_query(last=False))
    assert not memory.needs_search(_query(REPLACE))
    memory.searched(BTC, 100, START.boot_s)
    assert not memory.needs_search(_query())
    assert memory.needs_search(_query(until=START.boot_s + 1))
    assert memory.needs_search(_query(since_ms=99))
