"""The sandbox with the requests of the vendor's clients, and its pushes as strict third-party clients read them."""

import json
import re
from typing import TYPE_CHECKING, Any

from bridge.sandbox.venue.keys import sign_rest_request

if TYPE_CHECKING:
    from bridge.sandbox.venue.venue import Venue
    from tests.support.trader import Trader

SYM = "BINANCE_PERP_BTC_USDT"
ARGS = {
    "sym": SYM,
    "side": "BUY",
    "orderType": "LIMIT",
    "timeInForce": "GTC",
    "orderQty": "0.01",
    "limitPrice": "60000",
}
DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
MILLISECONDS = re.compile(r"1[0-9]{12}")
# What a client in production refuses a push without: texts, decimals as text, and times in ms as text.
ORDER_TEXTS = ("portfolioId", "orderId", "clientOrderId", "exchangeType", "businessType", "sym", "side")
ORDER_WORDS = ("exchangeOrderType", "timeInForce", "feeCoin", "rebateCoin", "orderState")
ORDER_AMOUNTS = ("quoteOrderQty", "executedQty", "executedAmount", "executedAvgPrice", "fee", "rebate")
ORDER_LAST = ("lastExecutedQty", "lastExecutedPrice", "lastExecutedAmount")
TRADE_TEXTS = (
    "transactionId",
    "portfolioId",
    "orderId",
    "clientOrderId",
    "exchangeType",
    "businessType",
    "sym",
    "side",
)
TRADE_AMOUNTS = ("quantity", "price", "tradingFee", "rpnl")


def lacking(row: dict[str, Any], texts: tuple[str, ...], amounts: tuple[str, ...], times: tuple[str, ...]) -> list[str]:
    """Return the fields that a strict client refuses."""
    wrong = [name for name in texts if not isinstance(row.get(name), str)]
    wrong += [name for name in amounts if not DECIMAL.fullmatch(str(row.get(name)))]
    return wrong + [name for name in times if not MILLISECONDS.fullmatch(str(row.get(name)))]


async def test_a_client_that_sends_no_ids_and_subscribes(trader: "Trader") -> None:
    """The Python SDK sends requests without an id, undocumented subscriptions, and the text ping."""
    for frame in ({"action": "subscribe", "args": {"channel": "order"}}, {"action": "place_order", "args": ARGS}):
        await trader.socket.send_str(json.dumps(frame))
    await trader.socket.send_str("ping")
    await trader.settle()
    answers = [frame for frame in trader.frames[1:] if "event" in frame]
    assert [(answer["id"], answer["event"], answer["code"]) for answer in answers] == [
        (None, "error", 601011),
        (None, "place_order", 200000),
    ]
    assert {"text": "pong"} in trader.frames
    assert [row["orderState"] for row in trader.seen("Orders")] == ["NEW", "OPEN"]


async def test_a_client_that_reads_no_body_of_an_http_error(trader: "Trader") -> None:
    """The CLI reads the reason of a refusal only from an HTTP 200, and accepts only the code 200000."""
    reply = await trader.get("order", clientOrderId="nowhere")
    assert (reply.status, reply.body["code"], reply.body["message"]) == (200, 401018, "The order was not found")
    assert (await trader.get("account")).body["code"] == 200000


async def test_a_client_that_writes_python_booleans(trader: "Trader") -> None:
    """Booleans in Python's spelling are accepted as text, over WebSocket and REST."""
    taken = await trader.rest("POST", "/api/v1/trading/order", {**ARGS, "reduceOnly": "False"})
    assert taken.code == 200000
    assert (await trader.ask("place_order", **ARGS, reduceOnly="True"))["code"] == 401048


async def test_a_cancel_all_with_nothing_in_its_body(venue: "Venue", trader: "Trader") -> None:
    """The Java SDK sends an empty object, and signs an ampersand and the nonce."""
    await trader.place()
    nonce = str(venue.clock.wall_ms() // 1000)
    signature = sign_rest_request(trader.key.api_secret, {}, nonce)
    reply = await trader.rest("DELETE", "/api/v1/trading/cancelAll", {}, nonce=nonce, signature=signature)
    assert (reply.status, reply.code, reply.data) == (202, 200000, {})
    assert venue.portfolio().open_orders == {}


async def test_every_push_of_an_order_and_a_fill_can_be_read(trader: "Trader") -> None:
    """A strict client can read the pushes of a limit order, a market order, and an order by quote amount."""
    await trader.place()
    await trader.place(orderType="MARKET", limitPrice="")
    await trader.place(sym="BINANCE_SPOT_BTC_USDT", orderType="MARKET", limitPrice="", orderQty="", quoteOrderQty="500")
    await trader.settle()
    orders, trades = trader.seen("Orders"), trader.seen("Trades")
    assert {row["businessType"] for row in trades} == {"PERP", "SPOT"}
    times = ("updateAt", "createAt")
    for row in orders:
        assert lacking(row, ORDER_TEXTS + ORDER_WORDS, ORDER_AMOUNTS + ORDER_LAST, times) == []
        assert all(row[name] == "" or DECIMAL.fullmatch(row[name]) for name in ("limitPrice", "orderQty"))
    for row in trades:
        assert lacking(row, (*TRADE_TEXTS, "tradingFeeCoin", "execType"), TRADE_AMOUNTS, ("createAt",)) == []


async def test_amounts_have_as_many_places_as_the_documents_show(trader: "Trader") -> None:
    """A balance, sum, rate and liquidation price have eighteen places; the margin value of a coin has twenty-two."""
    await trader.place(orderType="MARKET", limitPrice="", side="SELL")
    await trader.settle()
    (position,) = (await trader.get("position")).data
    assets = (await trader.get("portfolio/assets", exchangeType="BINANCE")).data["list"]
    (usdt,) = [row for row in assets if row["coin"] == "USDT"]
    account = (await trader.get("account")).data[0]

    def places(text: str) -> int:
        return len(text.partition(".")[2])

    assert {name: places(usdt[name]) for name in ("balance", "available", "equity", "marginValue")} == {
        "balance": 18,
        "available": 18,
        "equity": 18,
        "marginValue": 22,
    }
    assert {places(account[name]) for name in ("equity", "marginValue", "validMargin", "availableMargin")} == {18}
    assert places(position["liqPrice"]) == 18
    assert places(position["unrealizedPNLRate"]) == 18
