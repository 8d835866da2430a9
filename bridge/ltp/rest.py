"""What is asked of the venue's REST. Only reading."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec
import structlog
from msgspec import Raw, Struct, field

from bridge.config import Account, Endpoint
from bridge.core.in_flight.ack_codes import ORDER_NOT_FOUND
from bridge.core.login_refusals import KeyCheck
from bridge.core.now import Now
from bridge.core.records import Rows
from bridge.core.skew import ClockReading
from bridge.errors import ListTooLong, RowNotUnderstood, VenueError, VenueRefused, VenueUnreachable
from bridge.ltp import codes
from bridge.ltp.keys import describe_key_problem
from bridge.ltp.network import Way
from bridge.ltp.rest_get import Route, SignedGet
from bridge.ltp.rest_pace import Family
from bridge.ltp.rest_pages import AT_A_TIME, LIST_ROWS_MAX, PAGE_SIZE, PAGES_MAX, READINGS_MAX, ROWS_MAX, Listing, Page
from bridge.ltp.rest_reach import spans
from bridge.ltp.rows import AssetRow, OrderRow, Row, TradeRow, read_position, read_risk
from bridge.ltp.wire import NOT_UNDERSTOOD

_log = structlog.get_logger()

PROBE_TIMEOUT_S: Final = 5.0
_NAMED_BYTES: Final = 300
"""So much of a row that is not understood stands in the log."""

_TRADING: Final = "/api/v1/trading"
_ACCOUNT: Final = Route(f"{_TRADING}/account", Family.ACCOUNT)
_ASSETS: Final = Route(f"{_TRADING}/portfolio/assets", Family.ASSETS)
_POSITIONS: Final = Route(f"{_TRADING}/position", Family.POSITIONS)
_OPEN_ORDERS: Final = Route(f"{_TRADING}/orders", Family.OPEN_ORDERS)
_ORDER: Final = Route(f"{_TRADING}/order", Family.ORDER)
_HISTORY: Final = Route(f"{_TRADING}/history/orders", Family.HISTORY)
_OLD_HISTORY: Final = Route(f"{_TRADING}/archive/history/orders", Family.HISTORY)
_EXECUTIONS: Final = Route(f"{_TRADING}/executions/pageable", Family.EXECUTIONS)
_OLD_EXECUTIONS: Final = Route(f"{_TRADING}/archive/executions/pageable", Family.EXECUTIONS)

Amount = str | int | float | None
"""For people to look at, never to calculate with: a decimal string, but some of the vendor's fixtures have numbers."""


class AccountRisk(Struct, frozen=True, rename="camel"):
    """The state of one exchange account (LTP docs, Query Account)."""

    exchange_type: str
    account_status: str | None = None
    equity: Amount = None
    available_margin: Amount = None
    uni_mmr: Amount = field(name="uniMMR", default=None)
    position_mode: str | None = None
    portfolio_id: str | int | None = None


T = TypeVar("T")
R = TypeVar("R", bound=Row)


def _read(route: Route, data: bytes | Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except NOT_UNDERSTOOD as error:
        raise VenueUnreachable(f"GET {route.path}: the answer is not understood: {error}") from None


class RestClient:
    """Signed reading of one account. Use it as a context manager; calls may run at the same time.

    Each raises VenueRefused for a coded answer that asking again does not change, and VenueUnreachable for everything
    else that is not an answer. Rows are in the shape of the pushes.

    A list is handed over as it comes, AT_A_TIME rows together with the number of those that were not understood, or
    that the venue counts and does not list: no more of it than one answer is in memory. It may change while its pages
    are read. So it is read again until nothing of it can have been missed, at most READINGS_MAX times; of one thing a
    row comes again only if it is as new. What is listed all the while is missed only if the list shrank in every one
    of the readings; and what comes was listed at some moment of the call, but may be gone.
    """

    def __init__(
        self, endpoints: Sequence[Endpoint], account: Account, clock: Callable[[], Now], way: Way | None = None
    ) -> None:
        self._venue = SignedGet(endpoints, account, clock, way)
        self._account = account
        self._clock = clock

    async def __aenter__(self) -> Self:
        await self._venue.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._venue.__aexit__(kind, error, trace)

    @property
    def clock_reading(self) -> ClockReading | None:
        """What the last answer told of the venue's clock; None when it told nothing."""
        return self._venue.clock_reading

    @property
    def key_problem(self) -> str | None:
        """Which file of the key cannot be used now, and why; None when all can."""
        return describe_key_problem(self._account)

    @property
    def slowed_limits(self) -> list[str]:
        """Name the limits of which less is used than before the venue refused a request for its rate."""
        return self._venue.slowed_limits

    def prefer(self, endpoint: str) -> None:
        """Begin reading at the endpoint of this name, until it is silent."""
        self._venue.prefer(endpoint)

    async def probe(self, endpoint: str) -> bool:
        """Whether the endpoint of this name answers a signed question with success, within PROBE_TIMEOUT_S."""
        try:
            await self._venue.get_at(endpoint, _ACCOUNT, PROBE_TIMEOUT_S)
        except VenueError as error:
            _log.info("rest.probe_failed", endpoint=endpoint, detail=str(error))
            return False
        return True

    async def check_key(self) -> KeyCheck:
        """Ask a signed question and say what its answer means for the key, within PROBE_TIMEOUT_S."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._venue.get(_ACCOUNT)
        except VenueRefused as error:
            return KeyCheck.REFUSED if codes.names_the_key(error.code) else KeyCheck.UNTOLD
        except (VenueError, TimeoutError):
            return KeyCheck.UNTOLD
        return KeyCheck.TAKEN

    async def account(self) -> list[AccountRisk]:
        """Ask for the state of each exchange account, for people to look at."""
        return _read(_ACCOUNT, await self._venue.get(_ACCOUNT), list[AccountRisk])

    def account_risks(self) -> AsyncIterator[Rows[bytes]]:
        """Ask for the risk of each exchange account, as `MarginCall` would tell it; the venue gives no time with it."""
        return self._all(_ACCOUNT, read_risk)

    def positions(self) -> AsyncIterator[Rows[bytes]]:
        """Ask for every open position, as `Positions` would tell it."""
        return self._all(_POSITIONS, read_position)

    async def assets(self) -> AsyncIterator[Rows[bytes]]:
        """Ask for the balance of every coin, as `Assets` would tell it."""
        async for rows in self._list(_ASSETS, {}, AssetRow):
            yield Rows((row.raw for row in rows), rows.unreadable)

    def open_orders(self) -> AsyncIterator[Rows[OrderRow]]:
        """Ask for every open order of the portfolio."""
        return self._list(_OPEN_ORDERS, {}, OrderRow)

    async def order(self, *, order_id: str | None = None, client_order_id: str | None = None) -> OrderRow | None:
        """Ask for one order by either of its names; None when the venue says that there is none (401018).

        Raises RowNotUnderstood where the answer is not understood.
        """
        names = {"orderId": order_id, "clientOrderId": client_order_id}
        try:
            data = await self._venue.get(_ORDER, {name: value for name, value in names.items() if value is not None})
        except VenueRefused as error:
            if error.code == ORDER_NOT_FOUND:
                return None
            raise
        try:
            return OrderRow.read(data)
        except NOT_UNDERSTOOD as error:
            raise RowNotUnderstood(f"GET {_ORDER.path}: the answer is not understood: {error}") from None

    def history(self, sym: str | None, begin_ms: int, end_ms: int | None = None) -> AsyncIterator[Rows[OrderRow]]:
        """Ask for the orders that are over, of a symbol or of all, created between two Unix times in ms.

        It reaches back `sweep.ARCHIVE_REACH_MS`. The newest stand first, as the venue has them. Raises ListTooLong,
        before a row is handed over where the venue says how many pages and rows there are.
        """
        of_sym = {} if sym is None else {"sym": sym}
        return self._between((_HISTORY, _OLD_HISTORY), of_sym, begin_ms, end_ms, OrderRow)

    def executions(self, sym: str | None, begin_ms: int, end_ms: int | None = None) -> AsyncIterator[Rows[TradeRow]]:
        """Ask for the executions of a symbol or of all between two Unix times in ms, as `history` does."""
        of_sym = {} if sym is None else {"sym": sym}
        return self._between((_EXECUTIONS, _OLD_EXECUTIONS), of_sym, begin_ms, end_ms, TradeRow)

    def executions_of(self, order_id: str, begin_ms: int) -> AsyncIterator[Rows[TradeRow]]:
        """Ask for the executions of one order since a Unix time in ms."""
        return self._between((_EXECUTIONS, _OLD_EXECUTIONS), {"orderId": order_id}, begin_ms, None, TradeRow)

    async def _between(
        self, routes: tuple[Route, Route], of: Mapping[str, str], begin_ms: int, end_ms: int | None, kind: type[R]
    ) -> AsyncIterator[Rows[R]]:
        for span in spans(begin_ms, end_ms, self._clock().wall_ms):
            params = {**of, "begin": str(span.begin_ms), "end": str(span.end_ms)}
            async for rows in self._list(routes[span.archived], params, kind, only_grows=True):
                yield rows

    async def _all(self, route: Route, read: Callable[[bytes], T]) -> AsyncIterator[Rows[T]]:
        """Ask for a list that comes at once."""
        raws = _read(route, await self._venue.get(route), list[Raw])
        _check_count(route, raws)
        for some in _split(raws):
            rows = [_understood(route, bytes(raw), read) for raw in some]
            yield Rows((row for row in rows if row is not None), rows.count(None))
            await asyncio.sleep(0)

    async def _list(
        self, route: Route, params: Mapping[str, str], kind: type[R], *, only_grows: bool = False
    ) -> AsyncIterator[Rows[R]]:
        """Ask for a list that comes in pages, as often as the class says."""
        listing = Listing()
        for _ in range(READINGS_MAX):
            listing.begin()
            async for rows in self._read_pages(route, params, kind, listing):
                yield rows
            if listing.is_whole(only_grows=only_grows):
                break
        else:
            _log.warning("rest.list_kept_changing", path=route.path, readings=READINGS_MAX)
        if listing.missing:
            yield Rows((), listing.missing)

    async def _read_pages(
        self, route: Route, params: Mapping[str, str], kind: type[R], listing: Listing
    ) -> AsyncIterator[Rows[R]]:
        count = 0
        for number in range(1, PAGES_MAX + 1):
            paging = {"page": str(number), "pageSize": str(PAGE_SIZE)}
            page = _read(route, await self._venue.get(route, {**params, **paging}), Page)
            _check_count(route, page.rows or ())
            count += len(page.rows or ())
            if count > LIST_ROWS_MAX or page.is_too_long:
                break
            listing.page(page.total)
            for some in _split(page.rows or ()):
                yield _read_rows(route, some, kind, listing)
                await asyncio.sleep(0)
            if page.is_last(number):
                return
        raise ListTooLong(f"GET {route.path}: more than {PAGES_MAX} pages, or {LIST_ROWS_MAX} rows")


def _split(raws: Sequence[Raw]) -> Iterator[Sequence[Raw]]:
    return (raws[at : at + AT_A_TIME] for at in range(0, len(raws), AT_A_TIME))


def _read_rows(route: Route, raws: Sequence[Raw], kind: type[R], listing: Listing) -> Rows[R]:
    """Read some rows of a page, and leave out what was told before."""
    found: list[R] = []
    unreadable = 0
    for raw in map(bytes, raws):
        row = _understood(route, raw, kind.read)
        if row is None:
            unreadable += listing.note_unreadable(raw)
        elif listing.note(row):
            found.append(row)
    return Rows(found, unreadable)


def _check_count(route: Route, rows: Sequence[Raw]) -> None:
    if len(rows) > ROWS_MAX:
        raise VenueUnreachable(f"GET {route.path}: {len(rows)} rows in one answer, which nobody asked for")


def _understood(route: Route, raw: bytes, read: Callable[[bytes], T]) -> T | None:
    try:
        return read(raw)
    except NOT_UNDERSTOOD as error:
        _log.warning("rest.row_not_understood", path=route.path, detail=str(error), row=raw[:_NAMED_BYTES])
        return None
