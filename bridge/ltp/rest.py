"""The venue's REST calls, signed (LTP docs, Authentication). Only reading."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Annotated, Any, Final, Self, TypeVar

import msgspec
import structlog
from aiohttp import ClientError, ClientResponse, ClientTimeout
from msgspec import Meta, Raw, Struct, field

from bridge.config import Account, Endpoint
from bridge.contract.pushes import OrderPush, TradePush
from bridge.core.now import Now
from bridge.errors import VenueRefused, VenueUnreachable
from bridge.ltp import codes, wire
from bridge.ltp.network import http_session, tls_context
from bridge.ltp.signing import read_keys, rest_signature, without_secrets

_log = structlog.get_logger()

TOTAL_TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 5.0
PAGE_SIZE: Final = 1000
PAGES_MAX: Final = 100
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
_OK: Final = range(200, 300)
_SERVER_FAULT: Final = 500
_TOO_MANY_REQUESTS: Final = 429

Amount = str | int | float | None
"""For people to look at, never to calculate with: a decimal string, but some of the vendor's fixtures have numbers."""
Count = int | Annotated[str, Meta(pattern=r"^[0-9]{1,9}$")]


class AccountRisk(Struct, frozen=True, rename="camel"):
    """The state of one exchange account (LTP docs, Query Account)."""

    exchange_type: str
    account_status: str | None = None
    equity: Amount = None
    available_margin: Amount = None
    uni_mmr: Amount = field(name="uniMMR", default=None)
    position_mode: str | None = None
    portfolio_id: str | int | None = None


class OrderRow(Struct, frozen=True):
    """An order as REST tells it, and the venue's own bytes."""

    order: OrderPush
    raw: bytes


class _Envelope(Struct):
    code: Any = None
    message: Any = None
    msg: Any = None
    data: Raw = Raw(b"null")


class _Page(Struct, rename="camel"):
    """One page of a list. `page_num` is the number of pages, 0 or 1 when there is nothing."""

    page_num: Count
    list: list[Raw] | None

    def is_last(self, number: int) -> bool:
        """Whether no page follows. A short page alone proves nothing: the venue may give fewer rows than asked for."""
        return not self.list or number >= int(self.page_num)


T = TypeVar("T")
_NOT_UNDERSTOOD = (msgspec.MsgspecError, ValueError, RecursionError)


def _read(path: str, data: bytes | Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except _NOT_UNDERSTOOD as error:
        raise VenueUnreachable(f"GET {path}: the answer is not understood: {error}") from None


def _understood(path: str, rows: Iterable[bytes], kind: type[T]) -> Iterator[tuple[bytes, T]]:
    for raw in rows:
        try:
            yield raw, _read(path, raw, kind)
        except VenueUnreachable as error:
            _log.warning("rest.row_not_understood", detail=str(error))


def _row(path: str, raw: bytes) -> OrderRow:
    return OrderRow(_read(path, raw, OrderPush), raw)


class RestClient:
    """Signed reading of one account at one endpoint. Use it as a context manager.

    Every call raises VenueRefused for a coded answer that asking again does not change, and VenueUnreachable for
    everything else that is not an answer: time-outs, 5xx, rate limits, and what cannot be understood.
    """

    def __init__(self, endpoint: Endpoint, account: Account, clock: Callable[[], Now]) -> None:
        self._base = endpoint.rest_url
        self._account = account
        self._clock = clock

    async def __aenter__(self) -> Self:
        timeout = ClientTimeout(total=TOTAL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        self._http = http_session(tls_context(), timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """Ask, and return the bytes of the answer's `data`."""
        params = params or {}
        key, secret = read_keys(self._account)
        nonce_s = self._clock().wall_ms // 1000
        headers = {
            "X-MBX-APIKEY": key,
            "nonce": str(nonce_s),
            "signature": rest_signature(secret, params, nonce_s),
            "Content-Type": "application/json",
        }
        try:
            async with self._http.get(self._base + path, params=params, headers=headers) as response:
                body = await self._body(path, response)
        except TimeoutError:
            raise VenueUnreachable(
                f"GET {path}: no connection within {CONNECT_TIMEOUT_S:g} s or no answer within {TOTAL_TIMEOUT_S:g} s"
            ) from None
        except (ClientError, OSError) as error:
            raise VenueUnreachable(f"GET {path}: {without_secrets(str(error), key, secret)}") from None
        return self._data(path, response.status, body, (key, secret))

    async def account(self) -> list[AccountRisk]:
        """Ask for the state of each exchange account (`GET /api/v1/trading/account`)."""
        path = "/api/v1/trading/account"
        return _read(path, await self.get(path), list[AccountRisk])

    async def open_orders(self) -> list[OrderRow]:
        """Ask for every open order of the portfolio, page by page.

        The list may shift between pages, so a row may come twice; the later one is kept.
        """
        path = "/api/v1/trading/orders"
        rows = [_row(path, raw) for raw in await self._pages(path, {})]
        return list({str(row.order.order_id): row for row in rows}.values())

    async def history(self, sym: str, begin_ms: int) -> list[OrderRow]:
        """Ask for the orders of a symbol that are over, created at or after a Unix time in ms; 7 days back at most.

        A row that is not understood is passed over: it must not hide the others for ever.
        """
        path = "/api/v1/trading/history/orders"
        rows = await self._pages(path, {"sym": sym, "begin": str(begin_ms)})
        return [OrderRow(order, raw) for raw, order in _understood(path, rows, OrderPush)]

    async def executions(self, sym: str, begin_ms: int) -> list[TradePush]:
        """Ask for the executions of a symbol at or after a Unix time in ms, as `history` does."""
        path = "/api/v1/trading/executions/pageable"
        rows = await self._pages(path, {"sym": sym, "begin": str(begin_ms)})
        return [trade for _, trade in _understood(path, rows, TradePush)]

    async def _pages(self, path: str, params: Mapping[str, str]) -> list[bytes]:
        rows: list[bytes] = []
        for number in range(1, PAGES_MAX + 1):
            paging = {"page": str(number), "pageSize": str(PAGE_SIZE)}
            page = _read(path, await self.get(path, {**params, **paging}), _Page)
            rows += [bytes(raw) for raw in page.list or ()]
            if page.is_last(number):
                return rows
        raise VenueUnreachable(f"GET {path}: more than {PAGES_MAX} pages")

    async def order(self, *, order_id: str | None = None, client_order_id: str | None = None) -> OrderRow | None:
        """Ask for one order by either of its names; None when the venue says that there is none (401018)."""
        names = {"orderId": order_id, "clientOrderId": client_order_id}
        path = "/api/v1/trading/order"
        try:
            data = await self.get(path, {name: value for name, value in names.items() if value is not None})
        except VenueRefused as error:
            if error.code == codes.ORDER_NOT_FOUND:
                return None
            raise
        return _row(path, data)

    async def _body(self, path: str, response: ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > ANSWER_BYTES_MAX:
                raise VenueUnreachable(f"GET {path}: an answer of more than {ANSWER_BYTES_MAX} bytes")
        return bytes(body)

    @staticmethod
    def _data(path: str, status: int, body: bytes, secrets: tuple[str, str]) -> bytes:
        """Take the data out of an answer, or raise what the answer means."""
        if status >= _SERVER_FAULT or status == _TOO_MANY_REQUESTS:
            raise VenueUnreachable(f"GET {path}: HTTP {status}")
        try:
            envelope = msgspec.json.decode(body, type=_Envelope)
        except _NOT_UNDERSTOOD as error:
            raise VenueUnreachable(f"GET {path}: HTTP {status}, not the venue's JSON: {error}") from None
        code = wire.number(envelope.code)
        if code is None or (code in codes.SUCCESS and status not in _OK):
            raise VenueUnreachable(f"GET {path}: HTTP {status} without a code that means something")
        if code in codes.SUCCESS:
            return bytes(envelope.data)
        reason = without_secrets(wire.text(envelope.message, envelope.msg), *secrets)
        if codes.may_pass(code):
            raise VenueUnreachable(f"GET {path}: the venue answered {code}: {reason}")
        raise VenueRefused(code, reason, codes.advice(code))
