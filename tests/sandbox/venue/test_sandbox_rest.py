"""The REST server: envelope, paging, and the paths for reconciliation."""

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.instruments import CATALOGUE
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.settings import RequestLimit, VenueSettings
from bridge.sandbox.venue.venue import Venue

if TYPE_CHECKING:
    from tests.support.trader import Exchange, Trader

ORDER = "/api/v1/trading/order"
ROW = {
    "clientOrderId": "r1",
    "sym": "BINANCE_PERP_BTC_USDT",
    "side": "BUY",
    "orderType": "LIMIT",
    "orderQty": "0.01",
    "limitPrice": "60000",
}


async def test_account_has_a_row_for_each_exchange(trader: "Trader") -> None:
    """The account is one row per exchange, with sums of eighteen places."""
    reply = await trader.get("account")
    assert (reply.status, reply.code, reply.body["message"]) == (200, 200000, "Success")
    assert [row["exchangeType"] for row in reply.data] == ["BINANCE", "OKX", "EDX"]
    assert reply.data[2]["equity"] == "1000000.000000000000000000"
    assert tuple(reply.data[2][name] for name in ("uniMMR", "accountStatus", "positionMode")) == (
        "999999",
        "NORMAL",
        "NET",
    )


async def test_order_lives_over_rest(trader: "Trader") -> None:
    """An order is placed, read, replaced and cancelled over REST, with the pushes of each step."""
    placed = await trader.rest("POST", ORDER, ROW)
    order_id = placed.data["orderId"]
    assert (placed.status, placed.code, placed.data["clientOrderId"]) == (200, 200000, "r1")
    assert (await trader.get("order", orderId=order_id)).data["orderState"] == "OPEN"
    replaced = await trader.rest("PUT", ORDER, {"orderId": order_id, "replaceQty": "0.02"})
    assert replaced.data == {"orderId": order_id, "orderState": "OPEN"}
    cancelled = await trader.rest("DELETE", ORDER, {"clientOrderId": "r1"})
    assert cancelled.data["action"] == "CANCEL_PENDING"
    await trader.push("Orders", orderState="CANCELLED", orderQty="0.02")


async def test_single_order_in_rests_types(trader: "Trader") -> None:
    """Over REST leverage is a number and portfolioName is null; on the WebSocket leverage is text."""
    await trader.place(clientOrderId="c1")
    row = (await trader.get("order", clientOrderId="c1")).data
    assert (row["leverage"], row["portfolioName"], row["algoOrderId"], row["reduceOnly"]) == (10, None, None, False)
    assert (await trader.push("Orders"))["leverage"] == "10"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [({}, 401008), ({"orderId": "12"}, 401007), ({"clientOrderId": "none"}, 401018)],
)
async def test_unknown_order(trader: "Trader", parameters: dict[str, str], code: int) -> None:
    """An unknown order is a business failure with 401018 and HTTP 200, not a wrong path."""
    reply = await trader.get("order", **parameters)
    assert (200, code, {}) == (reply.status, reply.code, reply.data)


async def test_open_orders_are_paged(trader: "Trader") -> None:
    """Pages hold the newest first; pageNum is the number of pages."""
    for index in range(5):
        await trader.place(clientOrderId=f"c{index}")
    pages = [(await trader.get("orders", page=str(page), pageSize="2")).data for page in (1, 2, 3, 4)]
    assert [[r["clientOrderId"] for r in p["list"]] for p in pages] == [["c4", "c3"], ["c2", "c1"], ["c0"], []]
    assert tuple(pages[0][name] for name in ("page", "pageSize", "pageNum", "totalSize")) == (1, 2, 3, 5)


async def test_no_rows_are_zero_pages_or_one(trader: "Trader") -> None:
    """Without rows pageNum is 0 or 1, at random."""
    heads = [(await trader.get("orders")).data for _ in range(20)]
    assert {0, 1} == {head["pageNum"] for head in heads}
    assert all(head["list"] == [] and head["totalSize"] == 0 for head in heads)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"pageSize": "1001"}, 400002),
        ({"pageSize": "0"}, 400002),
        ({"page": "x"}, 400003),
        ({"page": "0"}, 400003),
        ({"page": "1000001"}, 400003),
        ({"begin": "x"}, 401039),
        ({"end": "x"}, 401040),
        ({"begin": "2", "end": "1"}, 400004),
        ({"exchange": "KRAKEN"}, 401023),
        ({"businessType": "OPTION"}, 401069),
    ],
)
async def test_bad_filters(trader: "Trader", parameters: dict[str, str], code: int) -> None:
    """An invalid filter has its code and a fitting text."""
    reply = await trader.get("orders", **parameters)
    assert code == reply.code
    assert "too big" not in reply.body["message"]


async def test_filters_narrow(venue: Venue, trader: "Trader") -> None:
    """Orders are found by symbol, exchange, business type and time."""
    await trader.place(clientOrderId="b")
    await trader.place(clientOrderId="o", sym="OKX_PERP_ETH_USDT", orderQty="1", limitPrice="2000")
    later = str(venue.clock.wall_ms() + 1)

    async def found(**parameters: str) -> list[str]:
        return [row["clientOrderId"] for row in (await trader.get("orders", **parameters)).data["list"]]

    assert await found(exchange="OKX") == ["o"]
    assert await found(sym="BINANCE_PERP_BTC_USDT") == ["b"]
    assert await found(businessType="SPOT") == []
    assert await found(begin=later) == []
    assert await found(end=later) == ["o", "b"]


async def test_history_holds_what_has_ended(exchange: "Exchange", trader: "Trader") -> None:
    """Ended orders are in the history for seven days, without action; a filter selects executed ones."""
    await trader.place(clientOrderId="open")
    await trader.place(clientOrderId="ioc", timeInForce="IOC")
    await trader.place(clientOrderId="market", orderType="MARKET")
    rows = (await trader.get("history/orders")).data["list"]
    assert [row["clientOrderId"] for row in rows] == ["market", "ioc"]
    assert "action" not in rows[0]
    assert (rows[0]["quoteOrderQty"], rows[0]["algoOrderId"]) == ("", "")
    executed = (await trader.get("history/orders", filterExecuted="true")).data["list"]
    assert [row["clientOrderId"] for row in executed] == ["market"]
    exchange.clock.advance(7 * 24 * 3600 + 1)
    assert (await trader.get("history/orders")).data["list"] == []


async def test_executions_split_the_fee(venue: Venue, trader: "Trader") -> None:
    """REST has the signed fee, and fee and rebate apart; the identity is that of the push."""
    await trader.place(clientOrderId="t", orderType="MARKET", orderQty="0.01")
    await trader.place(clientOrderId="m", orderQty="0.001")
    venue.quotation("BINANCE_PERP_BTC_USDT").move(Decimal(59000))
    venue.settle_prices()
    maker, taker = (await trader.get("executions/pageable")).data["list"]
    assert tuple(maker[name] for name in ("tradingFee", "fee", "feeCoin", "rebate", "rebateCoin")) == (
        "-0.006",
        "0",
        "",
        "0.006",
        "USDT",
    )
    assert (taker["tradingFee"], "0", "") == (taker["fee"], taker["rebate"], taker["rebateCoin"])
    await trader.settle()
    assert [taker["transactionId"], maker["transactionId"]] == [row["transactionId"] for row in trader.seen("Trades")]
    assert [maker] == (await trader.get("executions", limit="1")).data
    assert [taker] == (await trader.get("executions", orderId=taker["orderId"])).data


async def test_positions_and_assets(trader: "Trader") -> None:
    """Only open positions are returned; assets are one row per coin and exchange."""
    assert (await trader.get("position")).data == []
    await trader.place(orderType="MARKET", side="SELL")
    (position,) = (await trader.get("position", exchange="BINANCE")).data
    assert (position["positionQty"], position["positionSide"], position["tpslOrder"]) == ("-0.01", "NONE", [])
    assert Decimal(position["liqPrice"]) > Decimal(position["markPrice"])
    assets = (await trader.get("portfolio/assets", exchangeType="EDX")).data
    assert [(row["exchangeType"], row["coin"]) for row in assets["list"]] == [("EDX", "USDT")]


async def test_symbols(trader: "Trader") -> None:
    """Symbol rules are a map by symbol, of all symbols or of one."""
    assert list((await trader.get("sym/info")).data) == [item.sym for item in CATALOGUE]
    rules = (await trader.get("sym/info", sym="OKX_PERP_ETH_USDT")).data["OKX_PERP_ETH_USDT"]
    assert (rules["contractSize"], rules["tickSize"], rules["state"]) == ("0.1", "0.01", "live")
    assert (rules["originalSymbol"], rules["safeLeverage"], rules["liquidationFee"]) == (
        "ETH-USDT-SWAP",
        "10",
        "0.012500",
    )
    spot = (await trader.get("sym/info", sym="OKX_SPOT_BTC_USDT")).data["OKX_SPOT_BTC_USDT"]
    assert (spot["originalSymbol"], spot["safeLeverage"]) == ("BTC-USDT", "1")
    assert {"contractSize", "liquidationFee"}.isdisjoint(spot)


async def test_unknown_symbol(trader: "Trader") -> None:
    """The exchange's own name of a symbol is refused."""
    assert (await trader.get("sym/info", sym="ETH-USDT")).code == 401011


@pytest.mark.parametrize(
    ("name", "limit", "count"),
    [("executions", "rest_executions", 5), ("account", "rest_account", 2), ("sym/info", "rest_symbols", 3)],
)
async def test_limits_of_reading(exchange: "Exchange", trader: "Trader", name: str, limit: str, count: int) -> None:
    """Over its documented limit a path answers HTTP 429 with 100429, until the window has passed."""
    statuses = [(await trader.get(name)).status for _ in range(count + 1)]
    assert [200] * count + [429] == statuses
    assert (await trader.get(name)).code == 100429
    exchange.clock.advance(10)
    assert (await trader.get(name)).status == 200


async def test_paths_and_methods(trader: "Trader") -> None:
    """A wrong path is answered by 404 and a wrong method by 405, before the signature is checked."""
    assert (await trader.rest("GET", "/api/v1/trading/nothing", signature="")).status == 404
    assert (await trader.rest("POST", "/api/v1/trading/position")).status == 405


async def test_requests_can_be_cut_and_held(venue: Venue, trader: "Trader") -> None:
    """A request may be aborted before it is performed, or held until it is released."""
    venue.faults.add(Fault(kind=FaultKind.CLOSE_BEFORE, action=f"POST {ORDER}"))
    held = venue.faults.add(Fault(kind=FaultKind.HOLD_REQUEST, action=f"POST {ORDER}"))
    with pytest.raises(aiohttp.ClientError):
        await trader.rest("POST", ORDER, ROW)
    waiting = asyncio.create_task(trader.rest("POST", ORDER, ROW))
    await venue.ledger.wait_until(lambda: held.trigger_count == 1)
    assert venue.portfolio().orders == {}
    held.release()
    assert (await waiting).code == 200000


async def test_replaced_answer_in_the_envelope(venue: Venue, trader: "Trader") -> None:
    """A scripted error with a code and status comes in the usual envelope."""
    venue.faults.add(
        Fault(kind=FaultKind.REPLACE_ANSWER, action=f"GET {ORDER}", code=400011, message="busy", status=500)
    )
    reply = await trader.get("order", clientOrderId="c1")
    assert (500, {"code": 400011, "message": "busy", "data": {}}) == (reply.status, reply.body)


async def test_cancel_all_answers_202(trader: "Trader") -> None:
    """The batch cancel over REST is answered with 202."""
    await trader.place()
    reply = await trader.rest("DELETE", "/api/v1/trading/cancelAll", {"exchangeType": "BINANCE"})
    assert (reply.status, reply.code, reply.data) == (202, 200000, {})
    await trader.push("Orders", orderState="CANCELLED")


async def test_switches_of_the_envelope(exchange: "Exchange") -> None:
    """Success may be 200, and a business failure may come with HTTP 400."""
    dialect = Dialect(rest_success_code=200, rest_failure_status=400)
    venue = await exchange.open(VenueSettings(dialect=dialect))
    trader = await exchange.trader(venue)
    assert (await trader.get("account")).code == 200
    reply = await trader.get("order", clientOrderId="none")
    assert (reply.status, reply.code) == (400, 401018)


async def test_request_is_in_the_ledger_before_its_answer(venue: Venue, trader: "Trader") -> None:
    """Each request is recorded, then its count, then its answer."""
    venue.limits.set_limit("rest_order", RequestLimit(9, 1.0))
    await trader.get("order", clientOrderId="c1")
    kinds: list[Any] = [entry.kind for entry in venue.ledger if entry.kind is not EntryKind.PING][-3:]
    assert kinds == [EntryKind.REST, EntryKind.COUNT, EntryKind.ANSWER]
