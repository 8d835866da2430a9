"""The client of the venue's REST. It only reads."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec
import structlog
from msgspec import Raw

from bridge.config import AccountConfig, Endpoint
from bridge.core.in_flight.ack_codes import ORDER_NOT_FOUND
from bridge.core.now import Now
from bridge.core.records import Rows
from bridge.core.rest_rows import OrderRow, TradeRow
from bridge.core.skew import ClockReading
from bridge.errors import ListTooLong, RowNotUnderstood, VenueError, VenueRefused, VenueUnreachable
from bridge.ltp import codes
from bridge.ltp.keys import describe_key_problem
from bridge.ltp.login_refusals import KeyCheck
from bridge.ltp.network import NetworkSettings
from bridge.ltp.rest_figures import AccountRisk, SymbolRules
from bridge.ltp.rest_get import Route, SignedGet
from bridge.ltp.rest_pages import (
    ANSWER_ROWS_MAX,
    LIST_ROWS_MAX,
    PAGE_SIZE,
    PAGES_MAX,
    READINGS_MAX,
    Page,
    PagedList,
    split_batches,
)
from bridge.ltp.rest_rate_limiter import LimitGroup
from bridge.ltp.rest_reach import split_time_range
from bridge.ltp.rows import Row, read_asset, read_order, read_position, read_risk, read_trade
from bridge.ltp.wire import NOT_UNDERSTOOD

_log = structlog.get_logger()

PROBE_TIMEOUT_S: Final = 5.0
_LOGGED_ROW_BYTES: Final = 300
"""The part of a row that is not understood which is logged."""

_TRADING: Final = "/api/v1/trading"
_ACCOUNT: Final = Route(f"{_TRADING}/account", LimitGroup.ACCOUNT)
_ASSETS: Final = Route(f"{_TRADING}/portfolio/assets", LimitGroup.ASSETS)
_POSITIONS: Final = Route(f"{_TRADING}/position", LimitGroup.POSITIONS)
_OPEN_ORDERS: Final = Route(f"{_TRADING}/orders", LimitGroup.OPEN_ORDERS)
_ORDER: Final = Route(f"{_TRADING}/order", LimitGroup.ORDER)
_HISTORY: Final = Route(f"{_TRADING}/history/orders", LimitGroup.HISTORY)
_OLD_HISTORY: Final = Route(f"{_TRADING}/archive/history/orders", LimitGroup.HISTORY)
_EXECUTIONS: Final = Route(f"{_TRADING}/executions/pageable", LimitGroup.EXECUTIONS)
_SYMBOLS: Final = Route(f"{_TRADING}/sym/info", LimitGroup.SYMBOLS)
_OLD_EXECUTIONS: Final = Route(f"{_TRADING}/archive/executions/pageable", LimitGroup.EXECUTIONS)

T = TypeVar("T")
R = TypeVar("R", bound=Row)


def _decode_data(route: Route, data: bytes | Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except NOT_UNDERSTOOD as error:
        raise VenueUnreachable(f"GET {route.path}: the answer is not understood: {error}") from None


class RestClient:
    """The REST client of one account. Use it as a context manager; calls may run at the same time.

    Each call raises VenueRefused for a coded refusal that a repetition does not change, and VenueUnreachable for every
    other failure. Rows are in the shape of the pushes.

    A list is yielded in small batches while it is read, so that only one answer is in memory. Each
    batch has the number of the rows that were not understood, or that the venue counts and does not list. A list may
    change while its pages are read, so it is read again until no row can be missing, at most READINGS_MAX times; a row
    is yielded again only if it is not older than the one before. A row that is in the list all the time is missed only
    if the list shrank in every reading. Every yielded row was in the list at some moment of the call, and may have left
    it since.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        account: AccountConfig,
        clock: Callable[[], Now],
        network: NetworkSettings | None = None,
    ) -> None:
        self._signed_get = SignedGet(endpoints, account, clock, network)
        self._account = account
        self._clock = clock

    async def __aenter__(self) -> Self:
        await self._signed_get.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._signed_get.__aexit__(kind, error, trace)

    @property
    def clock_reading(self) -> ClockReading | None:
        """The reading of the venue's clock in the last answer; None if it had none."""
        return self._signed_get.clock_reading

    @property
    def key_problem(self) -> str | None:
        """Which file of the key cannot be used now, and why; None when all can."""
        return describe_key_problem(self._account)

    @property
    def slowed_limits(self) -> list[str]:
        """The names of the limits of which the bridge uses less since the venue refused a request for its rate."""
        return self._signed_get.slowed_limits

    def prefer(self, endpoint: str) -> None:
        """Send requests to the endpoint of this name from now on, until it is unavailable."""
        self._signed_get.prefer(endpoint)

    async def probe(self, endpoint: str) -> bool:
        """Return whether the endpoint of this name answers a signed request with success within PROBE_TIMEOUT_S."""
        try:
            await self._signed_get.get_at(endpoint, _ACCOUNT, PROBE_TIMEOUT_S)
        except VenueError as error:
            _log.info("rest.probe_failed", endpoint=endpoint, detail=str(error))
            return False
        return True

    async def check_key(self) -> KeyCheck:
        """Send a signed request and return what its answer says about the key, within PROBE_TIMEOUT_S."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._signed_get.get(_ACCOUNT)
        except VenueRefused as error:
            return KeyCheck.REFUSED if codes.is_permanent_login_failure(error.code) else KeyCheck.INCONCLUSIVE
        except (VenueError, TimeoutError):
            return KeyCheck.INCONCLUSIVE
        return KeyCheck.ACCEPTED

    async def fetch_account_states(self) -> list[AccountRisk]:
        """Return the state of each exchange account, to show to people."""
        return _decode_data(_ACCOUNT, await self._signed_get.get(_ACCOUNT), list[AccountRisk])

    async def fetch_symbol_rules(self) -> dict[str, SymbolRules]:
        """Return the rules of every symbol of the venue's, to show to people."""
        return _decode_data(_SYMBOLS, await self._signed_get.get(_SYMBOLS), dict[str, SymbolRules])

    def fetch_account_risks(self) -> AsyncIterator[Rows[bytes]]:
        """Yield the risk of each exchange account as its `MarginCall` push; the venue gives no time with it."""
        return self._read_whole_list(_ACCOUNT, read_risk)

    def fetch_positions(self) -> AsyncIterator[Rows[bytes]]:
        """Yield every open position as its `Positions` push."""
        return self._read_whole_list(_POSITIONS, read_position)

    async def fetch_assets(self) -> AsyncIterator[Rows[bytes]]:
        """Yield the balance of every coin as its `Assets` push."""
        async for rows in self._read_paged_list(_ASSETS, {}, read_asset):
            yield Rows((row.raw for row in rows), rows.unreadable)

    def fetch_open_orders(self) -> AsyncIterator[Rows[OrderRow]]:
        """Yield every open order of the portfolio."""
        return self._read_paged_list(_OPEN_ORDERS, {}, read_order)

    async def fetch_order(self, *, order_id: str | None = None, client_order_id: str | None = None) -> OrderRow | None:
        """Return one order by one of its ids; None when the venue has no such order.

        Raises RowNotUnderstood if the answer is not understood.
        """
        ids = {"orderId": order_id, "clientOrderId": client_order_id}
        try:
            data = await self._signed_get.get(_ORDER, {name: value for name, value in ids.items() if value is not None})
        except VenueRefused as error:
            if error.code == ORDER_NOT_FOUND:
                return None
            raise
        try:
            return read_order(data)
        except NOT_UNDERSTOOD as error:
            raise RowNotUnderstood(f"GET {_ORDER.path}: the answer is not understood: {error}") from None

    def fetch_ended_orders(
        self, sym: str | None, begin_ms: int, end_ms: int | None = None
    ) -> AsyncIterator[Rows[OrderRow]]:
        """Yield the ended orders of one symbol or of all that were created between two times in Unix ms.

        They reach back `sweep.ARCHIVE_REACH_MS`. The newest stand first, as at the venue. Raises ListTooLong; if the
        venue says how many pages and rows there are, it does so before the first row.
        """
        of_sym = {} if sym is None else {"sym": sym}
        return self._read_time_range((_HISTORY, _OLD_HISTORY), of_sym, begin_ms, end_ms, read_order)

    def fetch_executions(
        self, sym: str | None, begin_ms: int, end_ms: int | None = None
    ) -> AsyncIterator[Rows[TradeRow]]:
        """Yield the executions of one symbol or of all between two times in Unix ms, as `fetch_ended_orders` does."""
        of_sym = {} if sym is None else {"sym": sym}
        return self._read_time_range((_EXECUTIONS, _OLD_EXECUTIONS), of_sym, begin_ms, end_ms, read_trade)

    def fetch_order_executions(self, order_id: str, begin_ms: int) -> AsyncIterator[Rows[TradeRow]]:
        """Yield the executions of one order since a time in Unix ms."""
        return self._read_time_range((_EXECUTIONS, _OLD_EXECUTIONS), {"orderId": order_id}, begin_ms, None, read_trade)

    async def _read_time_range(
        self,
        routes: tuple[Route, Route],
        of: Mapping[str, str],
        begin_ms: int,
        end_ms: int | None,
        read: Callable[[bytes], R],
    ) -> AsyncIterator[Rows[R]]:
        for span in split_time_range(begin_ms, end_ms, self._clock().wall_ms):
            params = {**of, "begin": str(span.begin_ms), "end": str(span.end_ms)}
            async for rows in self._read_paged_list(routes[span.archived], params, read, only_grows=True):
                yield rows

    async def _read_whole_list(self, route: Route, read: Callable[[bytes], T]) -> AsyncIterator[Rows[T]]:
        """Yield the rows of a list that has one page."""
        raws = _decode_data(route, await self._signed_get.get(route), list[Raw])
        _check_row_count(route, raws)
        for batch in split_batches(raws):
            rows = [_parse_row(route, bytes(raw), read) for raw in batch]
            yield Rows((row for row in rows if row is not None), rows.count(None))
            await asyncio.sleep(0)

    async def _read_paged_list(
        self, route: Route, params: Mapping[str, str], read: Callable[[bytes], R], *, only_grows: bool = False
    ) -> AsyncIterator[Rows[R]]:
        """Yield the rows of a list that has pages, and read it again as the class says."""
        paged_list = PagedList()
        for _ in range(READINGS_MAX):
            paged_list.begin_reading()
            async for rows in self._read_pages(route, params, read, paged_list):
                yield rows
            if paged_list.is_complete(only_grows=only_grows):
                break
        else:
            _log.warning("rest.list_kept_changing", path=route.path, readings=READINGS_MAX)
        if paged_list.missing:
            yield Rows((), paged_list.missing)

    async def _read_pages(
        self, route: Route, params: Mapping[str, str], read: Callable[[bytes], R], paged_list: PagedList
    ) -> AsyncIterator[Rows[R]]:
        count = 0
        for number in range(1, PAGES_MAX + 1):
            paging = {"page": str(number), "pageSize": str(PAGE_SIZE)}
            page = _decode_data(route, await self._signed_get.get(route, {**params, **paging}), Page)
            _check_row_count(route, page.rows or ())
            count += len(page.rows or ())
            if count > LIST_ROWS_MAX or page.is_too_long:
                break
            paged_list.note_total(page.total)
            for batch in split_batches(page.rows or ()):
                yield _read_rows(route, batch, read, paged_list)
                await asyncio.sleep(0)
            if page.is_last(number):
                return
        raise ListTooLong(f"GET {route.path}: more than {PAGES_MAX} pages, or {LIST_ROWS_MAX} rows")


def _read_rows(route: Route, raws: Sequence[Raw], read: Callable[[bytes], R], paged_list: PagedList) -> Rows[R]:
    """Return some rows of a page without those that were yielded before."""
    found: list[R] = []
    unreadable = 0
    for raw in map(bytes, raws):
        row = _parse_row(route, raw, read)
        if row is None:
            unreadable += paged_list.note_unreadable(raw)
        elif paged_list.note_row(row):
            found.append(row)
    return Rows(found, unreadable)


def _check_row_count(route: Route, rows: Sequence[Raw]) -> None:
    if len(rows) > ANSWER_ROWS_MAX:
        raise VenueUnreachable(f"GET {route.path}: {len(rows)} rows in one answer, more than were requested")


def _parse_row(route: Route, raw: bytes, read: Callable[[bytes], T]) -> T | None:
    try:
        return read(raw)
    except NOT_UNDERSTOOD as error:
        _log.warning("rest.row_not_understood", path=route.path, detail=str(error), row=raw[:_LOGGED_ROW_BYTES])
        return None
