"""The REST client, against small HTTP servers."""

import asyncio
import json
from collections.abc import Callable, Sequence

import pytest
from aiohttp import web

from bridge.config import AccountConfig
from bridge.core.now import Now
from bridge.core.rest_rows import TradeRow
from bridge.errors import ListTooLong, VenueRefused, VenueUnreachable
from bridge.ltp import rest, rest_pages
from bridge.ltp.rest import RestClient
from bridge.ltp.rest_figures import AccountRisk
from tests.support.small_rest import Answer, Serve, answering, endpoint, noting, ok, page, paged, read_all

Client = Callable[..., RestClient]

ROW = '{ "orderId":"%s","orderState":"OPEN", "leverage":5,"limitPrice":"1.10","unknown":[1.0]}'
PUSHED = (
    b'{"orderId":"%s","orderState":"OPEN","leverage":"5","limitPrice":"1.10","unknown":[1.0],'
    b'"action":"","actionMsg":""}'
)
TRADE = (
    '{"transactionId":"%s","orderId":"1","sym":"BINANCE_PERP_BTC_USDT","quantity":"1","price":"2","side":"BUY",'
    '"clientOrderId":"c","createAt":"5"}'
)
ODD = '{"orderId":"3","orderState":null}'
SYM = "BINANCE_PERP_BTC_USDT"
DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def client(account: AccountConfig, clock: Callable[[], Now]) -> Client:
    """Return a function that makes a client of endpoints A, B and so on, each a host and port."""

    def make(*hosts: str) -> RestClient:
        return RestClient([endpoint(host, name) for host, name in zip(hosts, "ABC", strict=False)], account, clock)

    return make


def script(pages: Sequence[tuple[str, int]]) -> Answer:
    """Return an answer for each page in turn: the ids of its rows, and the total; two rows to a page."""
    coming = iter(pages)

    async def answer(_: web.Request) -> web.StreamResponse:
        ids, total = next(coming)
        return page([ROW % one for one in ids], -(-total // 2), total)

    return answer


async def test_account(serve: Serve, client: Client) -> None:
    """There is one entry for each exchange; unknown fields are ignored."""
    data = (
        '[{"portfolioId":"1","exchangeType":"BINANCE","equity":"10.000000000000000000","uniMMR":"82.98",'
        '"accountStatus":"NORMAL","availableMargin":"9","positionMode":"NET","new":{}}, {"exchangeType":"OKX"}]'
    )
    async with client(await serve(answering(lambda: ok(data)))) as venue:
        binance, okx = await venue.fetch_account_states()
    assert AccountRisk("BINANCE", "NORMAL", "10.000000000000000000", "9", "82.98", "NET", "1") == binance
    assert AccountRisk("OKX") == okx


@pytest.mark.parametrize("page_num", [3, "3", 9])
@pytest.mark.parametrize("total", [4, "4", "many", None])
async def test_open_orders_of_all_pages(serve: Serve, client: Client, page_num: object, total: object) -> None:
    """Pages are read to the last or to an empty one; a row that moved between pages counts once."""
    pages = [[ROW % "1", ROW % "2"], [ROW % "2", ROW % "3"], [ROW % "4"]]
    asked: list[dict[str, str]] = []
    async with client(await serve(noting(asked, paged(pages, page_num, total or "")))) as venue:
        rows = await read_all(venue.fetch_open_orders())
    assert [row.order.order_id for row in rows] == ["1", "2", "3", "4"]
    assert PUSHED % b"1" == rows[0].raw
    assert len(asked) == min(4, int(str(page_num)))


async def test_more_rows_than_were_requested(serve: Serve, client: Client) -> None:
    """Two million zeros are few bytes and many rows: none of them is read."""
    noughts = "[" + "0," * 2_000_000 + "0]"

    async def answer(request: web.Request) -> web.StreamResponse:
        return ok(noughts if "position" in request.path else f'{{"pageNum":1,"list":{noughts}}}')

    async with client(await serve(answer)) as venue:
        for ask in (venue.fetch_positions, venue.fetch_open_orders, venue.fetch_assets):
            with pytest.raises(VenueUnreachable, match="2000001 rows in one answer"):
                await read_all(ask())


async def test_a_list_that_is_too_long_raises(
    serve: Serve, client: Client, clock: Callable[[], Now], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call raises after the first page if the venue says how long the list is, else at the limit."""
    monkeypatch.setattr(rest_pages, "PAGES_MAX", 1)
    for module in (rest, rest_pages):
        monkeypatch.setattr(module, "LIST_ROWS_MAX", 4)
    pages = [[TRADE % number for number in "123"], [TRADE % number for number in "45"]]
    for total, rows in ((5, 0), (None, 3)):
        found: list[TradeRow] = []

        async def read(venue: RestClient, found: list[TradeRow] = found) -> None:
            async for some in venue.fetch_executions(SYM, clock().wall_ms - DAY_MS):
                found += some

        async with client(await serve(paged(pages, total=total or ""))) as venue:
            with pytest.raises(ListTooLong, match="more than 100 pages, or 4 rows"):
                await read(venue)
        assert len(found) == rows
    monkeypatch.setattr(rest, "LIST_ROWS_MAX", 5)
    async with client(await serve(paged(pages, total=""))) as venue:
        assert len(await read_all(venue.fetch_executions(SYM, clock().wall_ms - DAY_MS))) == 5


async def test_rows_come_before_the_next_page_is_asked_for(serve: Serve, client: Client) -> None:
    """Only one answer of a list is in memory."""
    asked: list[dict[str, str]] = []
    pages = [[ROW % f"{number}" for number in range(150)], [ROW % "last"]]
    async with client(await serve(noting(asked, paged(pages, total=151)))) as venue:
        told = [(len(rows), len(asked)) async for rows in venue.fetch_open_orders()]
    assert told == [(100, 1), (50, 1), (1, 2)]


async def test_history_and_executions_of_a_symbol(serve: Serve, client: Client, clock: Callable[[], Now]) -> None:
    """Both are requested by symbol and time and read to the last page; an unreadable row hides no other."""
    asked: list[dict[str, str]] = []
    begin_ms = clock().wall_ms - DAY_MS

    async def answer(request: web.Request) -> web.StreamResponse:
        trades, orders = [[TRADE % "7"], [TRADE % "7", TRADE % "8", ODD]], [[ROW % "1", ODD], [ROW % "2"]]
        return await paged(trades if "executions" in request.path else orders, total=3)(request)

    async with client(await serve(noting(asked, answer))) as venue:
        orders = await read_all(venue.fetch_ended_orders(SYM, begin_ms))
        trades = await read_all(venue.fetch_executions(SYM, begin_ms, begin_ms + 5))
    assert (orders.unreadable, trades.unreadable) == (1, 1)
    assert [row.order.order_id for row in orders] == ["1", "2"]
    assert [(row.trade.transaction_id, row.trade.client_order_id) for row in trades] == [("7", "c"), ("8", "c")]
    assert [(one["path"], one["sym"], int(one["begin"]) - begin_ms, one["page"]) for one in asked] == [
        (path, SYM, 0, number) for path in ("history/orders", "executions/pageable") for number in "12"
    ]
    assert int(asked[0]["end"]) - clock().wall_ms == pytest.approx(60_000, abs=10_000)
    assert asked[-1]["end"] == str(begin_ms + 5)


async def test_older_rows_are_read_from_the_archive(serve: Serve, client: Client, clock: Callable[[], Now]) -> None:
    """Both lists are read around their boundary, and nothing beyond 90 days; a row of both comes twice."""
    asked: list[dict[str, str]] = []
    async with client(await serve(noting(asked, paged([[TRADE % "7"]])))) as venue:
        trades = await read_all(venue.fetch_executions(None, 0))
        await read_all(venue.fetch_ended_orders(None, clock().wall_ms - 8 * DAY_MS))
        assert await read_all(venue.fetch_ended_orders(None, 0, 1)) == ()
    assert [row.trade.transaction_id for row in trades] == ["7", "7"]
    paths = ["executions/pageable", "archive/executions/pageable", "history/orders", "archive/history/orders"]
    assert paths == [one["path"] for one in asked]
    days = [(clock().wall_ms - int(one["begin"])) / DAY_MS for one in asked]
    assert [7, 90, 7, 8] == pytest.approx(days, abs=0.01)
    assert all("sym" not in one for one in asked)


@pytest.mark.parametrize("page_num", [0, 1])
async def test_no_open_orders(serve: Serve, client: Client, page_num: int) -> None:
    """The number of pages of an empty list may be 0 or 1."""
    async with client(await serve(paged([[]], page_num))) as venue:
        assert await read_all(venue.fetch_open_orders()) == ()


@pytest.mark.parametrize("data", ["null", "{}", '""', '{"pageNum":1}', '{"pageNum":1,"list":7}'])
async def test_a_page_that_is_none_is_not_an_empty_one(serve: Serve, client: Client, data: str) -> None:
    """An answer that is not understood is never taken for an empty list of open orders."""
    async with client(await serve(answering(lambda: ok(data)))) as venue:
        with pytest.raises(VenueUnreachable):
            await read_all(venue.fetch_open_orders())


async def test_a_row_that_cannot_be_read_hides_no_other(serve: Serve, client: Client) -> None:
    """The list counts it as unreadable, so no order that is still open is taken for ended."""
    async with client(await serve(paged([[ROW % "1", '{"orderId":"2"}']], total=2))) as venue:
        rows = await read_all(venue.fetch_open_orders())
    assert ([row.order.order_id for row in rows], rows.unreadable) == (["1"], 1)


async def test_half_of_a_character_hides_no_row(serve: Serve, client: Client, clock: Callable[[], Now]) -> None:
    """The venue may cut a text within a character: page and row are still read."""
    odd = TRADE.replace('"clientOrderId":"c"', r'"clientOrderId":"c","tradingFee":"\ud83d"')
    async with client(await serve(paged([[odd % "1", TRADE % "2"]]))) as venue:
        rows = await read_all(venue.fetch_executions(SYM, clock().wall_ms - DAY_MS))
    assert ([row.trade.transaction_id for row in rows], rows.unreadable) == (["1", "2"], 0)
    assert json.loads(rows[0].raw)["tradingFee"] == "\N{REPLACEMENT CHARACTER}"


async def test_pages_without_end_are_given_up(serve: Serve, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that never ends is an error, not half an answer."""
    monkeypatch.setattr(rest, "PAGES_MAX", 2)
    async with client(await serve(paged([[ROW % "1"], [ROW % "2"], [ROW % "3"]], 3))) as venue:
        with pytest.raises(VenueUnreachable, match="more than 2 pages"):
            await read_all(venue.fetch_open_orders())


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        ([("43", 4), ("1", 3), ("32", 3), ("1", 3)], "4312"),  # 4 went: 2 moved to a page that was read already
        ([("43", 4), ("32", 5), ("1", 5), ("54", 5), ("32", 5), ("1", 5)], "43215"),  # 5 came in between
        ([("43", 4), ("21", 4)], "4321"),
        ([("43", 4), ("1", 3), ("32", 3), ("", 2), ("21", 3), ("1", 2)], "4312"),  # it never holds still
    ],
)
async def test_a_list_that_changes_is_read_again(
    serve: Serve, client: Client, pages: list[tuple[str, int]], found: str
) -> None:
    """It is read until it did not change, three times at most; the rows of every reading count."""
    asked: list[dict[str, str]] = []
    async with client(await serve(noting(asked, script(pages)))) as venue:
        rows = await read_all(venue.fetch_open_orders())
    assert list(found) == [row.order.order_id for row in rows]
    assert len(pages) == len(asked)


async def test_a_list_that_grows_hides_no_execution(serve: Serve, client: Client, clock: Callable[[], Now]) -> None:
    """New executions move others to later pages; nothing has to be read again."""
    asked: list[dict[str, str]] = []
    answer = script([("43", 4), ("32", 5), ("1", 5)])
    async with client(await serve(noting(asked, answer))) as venue:
        rows = await read_all(venue.fetch_ended_orders(None, clock().wall_ms - DAY_MS))
    assert [row.order.order_id for row in rows] == ["4", "3", "2", "1"]
    assert len(asked) == 3


@pytest.mark.parametrize("newer_first", [True, False])
async def test_of_two_rows_of_one_order_the_newer_counts(serve: Serve, client: Client, *, newer_first: bool) -> None:
    """The older row is yielded before it, or not at all."""
    row = '{"orderId":"1","orderState":"OPEN","updateAt":"%d"}'
    rows = [[row % 20], [row % 10]] if newer_first else [[row % 10], [row % 20]]
    async with client(await serve(paged(rows, total=1))) as venue:
        found = await read_all(venue.fetch_open_orders())
    assert [row.order.update_at for row in found] == (["20"] if newer_first else ["10", "20"])


async def test_a_long_page_is_read_to_its_end(serve: Serve, client: Client) -> None:
    """It is yielded in batches, so that other tasks run."""
    async with client(await serve(paged([[ROW % number for number in range(250)]]))) as venue:
        assert len(await read_all(venue.fetch_open_orders())) == 250


async def test_one_order(serve: Serve, client: Client) -> None:
    """An order is requested by either id."""
    asked: list[dict[str, str]] = []
    async with client(await serve(noting(asked, answering(lambda: ok(ROW % "7"))))) as venue:
        row = await venue.fetch_order(client_order_id="a1")
        await venue.fetch_order(order_id="7")
    assert row is not None
    assert PUSHED % b"7" == row.raw
    assert asked == [{"path": "order", "clientOrderId": "a1"}, {"path": "order", "orderId": "7"}]


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
            assert await venue.fetch_order(order_id="1") is None
        else:
            with pytest.raises(VenueUnreachable):
                await venue.fetch_order(order_id="1")


async def test_another_refusal_is_not_that_there_is_no_order(serve: Serve, client: Client) -> None:
    """Any other refusal is raised as it is."""
    async with client(await serve(answering(lambda: ok("{}", "401007")))) as venue:
        with pytest.raises(VenueRefused):
            await venue.fetch_order(order_id="1")


async def test_assets_positions_and_risks(serve: Serve, client: Client) -> None:
    """Each row is its push; an unreadable row is counted and hides no other."""
    coin, position = '{"coin":"BTC", "exchangeType":"OKX","updateAt":"1"}', '{"sym":"OKX_PERP_BTC_USDT","tpslOrder":[]}'
    risk = '{"exchangeType":"OKX","updateAt":1,"equity":"1.0"}'

    async def answer(request: web.Request) -> web.StreamResponse:
        if "assets" in request.path:
            return await paged([[coin], [coin, "{}"]], total=2)(request)
        return ok(f"[{risk},7]" if "account" in request.path else f"[{position},null]")

    async with client(await serve(answer)) as venue:
        found = await asyncio.gather(
            *map(read_all, (venue.fetch_assets(), venue.fetch_positions(), venue.fetch_account_risks()))
        )
    assert [rows.unreadable for rows in found] == [1, 1, 1]
    assert (coin.encode(),) == found[0]
    assert [{"sym": "OKX_PERP_BTC_USDT", "exchangeType": "OKX"}] == [json.loads(row) for row in found[1]]
    assert [{"exchangeType": "OKX", "updateAt": "1", "equity": "1.0"}] == [json.loads(row) for row in found[2]]


async def test_what_is_no_list_is_not_an_empty_one(serve: Serve, client: Client) -> None:
    """Such an answer never means that every position is closed."""
    async with client(await serve(answering(lambda: ok("null")))) as venue:
        with pytest.raises(VenueUnreachable):
            await read_all(venue.fetch_positions())


async def test_a_probe_goes_to_one_endpoint_only(serve: Serve, client: Client) -> None:
    """Other requests go on to the endpoint in use."""
    asked: list[dict[str, str]] = []
    answers = iter([ok("[]"), web.Response(status=503), ok("[]", "2001")])
    away = await serve(answering(lambda: next(answers)))
    async with client(await serve(noting(asked, paged([[ROW % "1"]]))), away) as venue:
        assert [await venue.probe("B") for _ in range(3)] == [True, False, False]
        assert asked == []
        await read_all(venue.fetch_open_orders())
    assert len(asked) == 1


async def test_a_probe_does_not_wait_for_long(serve: Serve, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that hangs is not healthy."""
    monkeypatch.setattr(rest, "PROBE_TIMEOUT_S", 0.1)
    done = asyncio.Event()

    async def answer(_: web.Request) -> web.StreamResponse:
        await done.wait()
        return ok("[]")

    async with client(await serve(answer)) as venue:
        assert not await venue.probe("A")
        done.set()


async def test_prefer_selects_the_endpoint(serve: Serve, client: Client, clock: Callable[[], Now]) -> None:
    """`prefer` selects the endpoint, and the answer gives a clock reading."""
    asked: list[dict[str, str]] = []
    hosts = [await serve(paged([[]])), await serve(noting(asked, paged([[]])))]
    async with client(*hosts) as venue:
        venue.prefer("B")
        await read_all(venue.fetch_open_orders())
        assert venue.clock_reading is not None
        assert not venue.clock_reading.skew(clock()).exceeds(60)
    assert len(asked) == 1
