"""Signed reading, against a small HTTP server."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from bridge.config import Account, Endpoint
from bridge.core.now import Now
from bridge.errors import VenueRefused, VenueUnreachable
from bridge.ltp import rest
from bridge.ltp.rest import AccountRisk, RestClient
from bridge.ltp.signing import rest_signature

Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]
Client = Callable[[str], RestClient]

ROW = '{ "orderId":"%s","orderState":"OPEN", "leverage":5,"limitPrice":"1.10","unknown":[1.0]}'


@pytest.fixture
def client(account: Account, clock: Callable[[], Now]) -> Client:
    """Return a function that makes a client of a host and port."""

    def make(host: str) -> RestClient:
        return RestClient(Endpoint(name="T", ws_url="ws://localhost", rest_url=f"http://{host}"), account, clock)

    return make


def ok(data: str, code: str = "200000") -> web.Response:
    """Return a success as the venue words it."""
    return web.Response(text=f'{{"code":{code},"message":"Success","data":{data}}}', content_type="application/json")


def answering(response: Callable[[], web.Response]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Answer every request alike."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return response()

    return answer


async def test_a_request_is_signed_as_documented(serve: Serve, client: Client) -> None:
    """Key, nonce in seconds and signature are headers; the raw values are signed, and arrive unchanged."""
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        return ok("{}")

    params = {"sym": "A+B C&=é", "begin": "1"}
    async with client(await serve(answer)) as venue:
        assert await venue.get("/api/v1/trading/orders", params) == b"{}"
    (request,) = asked
    assert params == dict(request.query)
    assert request.headers["X-MBX-APIKEY"] == "ak-test"
    expected = rest_signature("sk-test-secret", params, int(request.headers["nonce"]))
    assert expected == request.headers["signature"]


@pytest.mark.parametrize("code", ["200", "200000", '"200"', '"200000"'])
async def test_both_success_codes_as_number_or_text(serve: Serve, client: Client, code: str) -> None:
    """The data is returned byte for byte."""
    async with client(await serve(answering(lambda: ok('[ {"a":1.0} ]', code)))) as venue:
        assert await venue.get("/x") == b'[ {"a":1.0} ]'


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (2000, "key and secret belong together"),
        (2001, "IP allow-list"),
        (2003, "level or permissions"),
        (7000, "clock"),
        (405001, "unknown or disabled"),
        (401999, ""),
    ],
)
async def test_a_definitive_code_is_refused_with_advice(serve: Serve, client: Client, code: int, advice: str) -> None:
    """The error names the code, the venue's text and what to do, and neither key nor secret."""
    body = json.dumps({"code": str(code), "message": "no: ak-test sk-test-secret", "data": {}})
    async with client(await serve(answering(lambda: web.Response(status=400, text=body)))) as venue:
        with pytest.raises(VenueRefused) as caught:
            await venue.get("/x")
    assert code == caught.value.code
    assert advice in str(caught.value)
    assert "no: *** ***" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (500, '{"code":200000,"data":[]}'),
        (503, "busy"),
        (429, '{"code":100429,"message":"too many"}'),
        (200, '{"code":100429,"message":"too many"}'),
        (200, '{"code":400013,"message":"timeout"}'),
        (404, "<html>"),
        (200, ""),
        (200, '{"data":[]}'),
        (404, '{"code":200000,"data":[]}'),
        (302, ""),
        (200, "[" * 50_000),
    ],
)
async def test_what_is_no_answer_is_unreachable(serve: Serve, client: Client, status: int, text: str) -> None:
    """Faults of the server, rate limits, redirects and nonsense may be asked again."""
    headers = {"Location": "/y"} if status == 302 else {}
    async with client(await serve(answering(lambda: web.Response(status=status, text=text, headers=headers)))) as venue:
        with pytest.raises(VenueUnreachable):
            await venue.get("/x")


async def test_silence_is_unreachable(serve: Serve, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is given up in time."""
    monkeypatch.setattr(rest, "TOTAL_TIMEOUT_S", 0.2)
    done = asyncio.Event()

    async def answer(_: web.Request) -> web.StreamResponse:
        await done.wait()
        return ok("{}")

    async with client(await serve(answer)) as venue:
        with pytest.raises(VenueUnreachable, match=r"no answer within 0\.2 s"):
            await venue.get("/x")
        done.set()


async def test_nobody_listens(unused_tcp_port: int, client: Client) -> None:
    """A refused connection is told."""
    async with client(f"127.0.0.1:{unused_tcp_port}") as venue:
        with pytest.raises(VenueUnreachable, match="GET /x"):
            await venue.get("/x")


async def test_an_endless_answer_is_cut(serve: Serve, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer above the limit does not fill the memory."""
    monkeypatch.setattr(rest, "ANSWER_BYTES_MAX", 1000)
    async with client(await serve(answering(lambda: ok(f'"{"x" * 2000}"')))) as venue:
        with pytest.raises(VenueUnreachable, match="more than 1000 bytes"):
            await venue.get("/x")


async def test_account(serve: Serve, client: Client) -> None:
    """One entry per exchange; unknown fields are passed over."""
    data = (
        '[{"portfolioId":"1","exchangeType":"BINANCE","equity":"10.000000000000000000","uniMMR":"82.98",'
        '"accountStatus":"NORMAL","availableMargin":"9","positionMode":"NET","new":{}}, {"exchangeType":"OKX"}]'
    )
    async with client(await serve(answering(lambda: ok(data)))) as venue:
        binance, okx = await venue.account()
    assert AccountRisk("BINANCE", "NORMAL", "10.000000000000000000", "9", "82.98", "NET", "1") == binance
    assert AccountRisk("OKX") == okx


def paged(pages: list[list[str]], page_num: object) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Answer with pages of rows."""

    async def answer(request: web.Request) -> web.StreamResponse:
        number = int(request.query["page"])
        rows = ",".join(pages[number - 1]) if number <= len(pages) else ""
        return ok(f'{{"page":{number},"pageSize":1000,"pageNum":{json.dumps(page_num)},"totalSize":9,"list":[{rows}]}}')

    return answer


@pytest.mark.parametrize("page_num", [3, "3", 9])
async def test_open_orders_of_all_pages(serve: Serve, client: Client, page_num: object) -> None:
    """Pages are read to the last or to an empty one; a row that shifted between pages counts once, bytes kept."""
    pages = [[ROW % "1", ROW % "2"], [ROW % "2", ROW % "3"], [ROW % "4"]]
    async with client(await serve(paged(pages, page_num))) as venue:
        rows = await venue.open_orders()
    assert [row.order.order_id for row in rows] == ["1", "2", "3", "4"]
    assert (ROW % "1").encode() == rows[0].raw


async def test_history_and_executions_of_a_symbol(serve: Serve, client: Client) -> None:
    """Both are asked for by symbol and time, and read to the last page; a row that is none hides no other."""
    asked: list[dict[str, str]] = []
    trade = (
        '{"transactionId":"%s","orderId":"1","sym":"BINANCE_PERP_BTC_USDT","quantity":"1","price":"2","side":"BUY",'
        '"clientOrderId":"c","createAt":"5"}'
    )

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(dict(request.query))
        odd = '{"orderId":"3","orderState":null}'
        rows = [[trade % "7"], [trade % "8", odd]] if "executions" in request.path else [[ROW % "1", odd], [ROW % "2"]]
        return await paged(rows, 2)(request)

    async with client(await serve(answer)) as venue:
        orders = await venue.history("BINANCE_PERP_BTC_USDT", 3)
        trades = await venue.executions("BINANCE_PERP_BTC_USDT", 4)
    assert [row.order.order_id for row in orders] == ["1", "2"]
    assert [(trade.transaction_id, trade.client_order_id) for trade in trades] == [("7", "c"), ("8", "c")]
    assert [(one["sym"], one["begin"], one["page"]) for one in asked] == [
        ("BINANCE_PERP_BTC_USDT", begin, page) for begin in "34" for page in "12"
    ]


@pytest.mark.parametrize("page_num", [0, 1])
async def test_no_open_orders(serve: Serve, client: Client, page_num: int) -> None:
    """The number of pages of an empty list may be 0 or 1."""
    async with client(await serve(paged([[]], page_num))) as venue:
        assert await venue.open_orders() == []


@pytest.mark.parametrize("data", ["null", "{}", '""', '{"pageNum":1}', '{"pageNum":1,"list":[{"orderId":"1"}]}'])
async def test_a_page_that_is_none_is_not_an_empty_one(serve: Serve, client: Client, data: str) -> None:
    """An answer that is not understood never reads as "there are no open orders"."""
    async with client(await serve(answering(lambda: ok(data)))) as venue:
        with pytest.raises(VenueUnreachable):
            await venue.open_orders()


async def test_pages_without_end_are_given_up(serve: Serve, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue whose list never ends is an error, not half an answer."""
    monkeypatch.setattr(rest, "PAGES_MAX", 2)
    async with client(await serve(paged([[ROW % "1"], [ROW % "2"], [ROW % "3"]], 3))) as venue:
        with pytest.raises(VenueUnreachable, match="more than 2 pages"):
            await venue.open_orders()


async def test_one_order(serve: Serve, client: Client) -> None:
    """An order is asked for by either name."""
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(dict(request.query))
        return ok(ROW % "7")

    async with client(await serve(answer)) as venue:
        row = await venue.order(client_order_id="a1")
        await venue.order(order_id="7")
    assert row is not None
    assert (ROW % "7").encode() == row.raw
    assert asked == [{"clientOrderId": "a1"}, {"orderId": "7"}]


@pytest.mark.parametrize(
    ("status", "body", "absent"),
    [
        (200, '{"code":401018,"message":"The order was not found","data":{}}', True),
        (400, '{"code":"401018","message":"The order was not found"}', True),
        (404, "not found", False),
        (200, '{"code":200000,"data":null}', False),
        (200, '{"code":200000,"data":{}}', False),
    ],
)
async def test_only_401018_means_that_there_is_no_order(
    serve: Serve, client: Client, status: int, body: str, *, absent: bool
) -> None:
    """A wrong path or an empty answer proves nothing."""
    async with client(await serve(answering(lambda: web.Response(status=status, text=body)))) as venue:
        if absent:
            assert await venue.order(order_id="1") is None
        else:
            with pytest.raises(VenueUnreachable):
                await venue.order(order_id="1")


async def test_an_unreadable_key_file_is_told(serve: Serve, client: Client, account: Account) -> None:
    """A secret that is being replaced is a passing fault."""
    account.api_secret_file.unlink()
    async with client(await serve(answering(lambda: ok("{}")))) as venue:
        with pytest.raises(VenueUnreachable, match="cannot be read"):
            await venue.get("/x")
