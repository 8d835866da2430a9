"""The four order actions: their acks, and the pushes that follow."""

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.venue import Venue

if TYPE_CHECKING:
    from tests.support.trader import Exchange, Trader

SYM = "BINANCE_PERP_BTC_USDT"


def fields(names: str) -> set[str]:
    """Return the names of a field table."""
    return set(names.split())


ORDER_FIELDS = fields("""
portfolioId orderId clientOrderId exchangeType businessType sym limitPrice orderQty quoteOrderQty side
exchangeOrderType orderType timeInForce executedQty executedAmount executedAvgPrice lastExecutedQty
lastExecutedPrice lastExecutedAmount fee feeCoin rebate rebateCoin orderState updateAt createAt
borrowAmount borrowAsset reason leverage positionSide reduceOnly tpTriggerPrice tpTriggerType tpPrice
slTriggerPrice slTriggerType slPrice action actionMsg cancelType amendType
""")
TRADE_FIELDS = fields("""
transactionId portfolioId orderId clientOrderId exchangeType businessType sym side quantity price
tradingFee tradingFeeCoin rpnl createAt execType
""")
ASSET_FIELDS = fields("""
portfolioId exchangeType coin balance available frozen debt equity borrow overdraw virtualBorrow
indexPrice marginValue upnl debtMargin perpMargin maxTransferable equityValue createAt updateAt
""")
POSITION_FIELDS = fields("""
positionId portfolioId exchangeType sym positionSide positionQty positionValue positionMargin positionMM
unrealizedPNL unrealizedPNLRate avgPrice markPrice leverage maxLeverage riskLevel fee fundingFee createAt
updateAt liqPrice
""")


async def test_place_is_acked_then_pushed(trader: "Trader") -> None:
    """The ack names the order; NEW and OPEN follow on Orders."""
    ack = await trader.place(clientOrderId="c0a81f0001")
    order_id = ack["data"]["orderId"]
    assert ack == {
        "id": "q1",
        "event": "place_order",
        "code": 200000,
        "msg": "Success",
        "data": {"orderId": order_id, "clientOrderId": "c0a81f0001"},
    }
    assert (len(order_id), order_id.isdigit()) == (16, True)
    await trader.settle()
    assert [row["orderState"] for row in trader.seen("Orders")] == ["NEW", "OPEN"]
    assert [next(name for name in ("event", "channel") if name in f) for f in trader.frames[1:3]] == [
        "event",
        "channel",
    ]


async def test_order_push_has_every_field(trader: "Trader") -> None:
    """An order push has all documented fields: numbers and leverage as text, reduceOnly as a boolean."""
    await trader.place()
    row = await trader.push("Orders", orderState="OPEN")
    assert set(row) == ORDER_FIELDS
    assert (row["reduceOnly"], row["leverage"], row["orderType"]) == (False, "10", "DMA")
    assert all(isinstance(value, str) for name, value in row.items() if name != "reduceOnly")
    frame = next(frame for frame in trader.frames if frame.get("channel") == "Orders")
    assert (list(frame), frame["instId"]) == (["channel", "instId", "data"], SYM)


async def test_fill_is_pushed_on_four_channels(trader: "Trader") -> None:
    """A fill of a market order is pushed on Orders, Trades, Assets and Positions, each with its fields."""
    await trader.place(orderType="MARKET", limitPrice="", orderQty="0.02")
    order = await trader.push("Orders", orderState="FILLED")
    trade, asset = await trader.push("Trades"), await trader.push("Assets")
    position = await trader.push("Positions")
    assert [set(row) for row in (trade, asset, position)] == [TRADE_FIELDS, ASSET_FIELDS, POSITION_FIELDS]
    assert (trade["quantity"], trade["execType"], len(trade["transactionId"])) == ("0.02", "TAKER", 17)
    assert (order["limitPrice"], order["executedQty"], order["fee"]) == ("", "0.02", trade["tradingFee"])
    assert (position["positionQty"], position["positionSide"]) == ("0.02", "NONE")


async def test_maker_gets_a_rebate(venue: Venue, trader: "Trader") -> None:
    """A resting order that the price reaches is a maker; its signed fee is negative and its rebate is not."""
    await trader.place(orderQty="0.001")
    venue.quotation(SYM).move(Decimal(59990))
    venue.settle_prices()
    trade = await trader.push("Trades")
    order = await trader.push("Orders", orderState="FILLED")
    assert (trade["tradingFee"], trade["execType"], trade["price"]) == ("-0.006", "MAKER", "60000")
    assert tuple(order[name] for name in ("fee", "feeCoin", "rebate", "rebateCoin")) == ("0", "", "0.006", "USDT")


async def test_resting_order_fills_in_parts(venue: Venue, trader: "Trader") -> None:
    """A large resting order is filled over steps, and its updateAt grows strictly."""
    await trader.place(orderQty="0.05")
    for _ in range(60):
        venue.quotation(SYM).move(Decimal(59990))
        venue.settle_prices()
    last = await trader.push("Orders", orderState="FILLED")
    rows = trader.seen("Orders")
    assert "PARTIALLY_FILLED" in [row["orderState"] for row in rows]
    times = [int(row["updateAt"]) for row in rows]
    assert times == sorted(set(times))
    await trader.settle()
    assert Decimal(last["executedQty"]) == sum(Decimal(row["quantity"]) for row in trader.seen("Trades"))


async def test_cancel_is_pending_then_complete(trader: "Trader") -> None:
    """The ack says CANCEL_PENDING while the order is OPEN; CANCELLED follows with CANCEL_COMPLETE."""
    order_id = (await trader.place(clientOrderId="c1"))["data"]["orderId"]
    ack = await trader.ask("cancel_order", clientOrderId="c1")
    assert ack["data"] == {
        "orderId": order_id,
        "clientOrderId": "c1",
        "orderState": "OPEN",
        "action": "CANCEL_PENDING",
        "actionMsg": "",
    }
    await trader.push("Orders", orderState="OPEN", action="CANCEL_PENDING")
    await trader.push("Orders", orderState="CANCELLED", action="CANCEL_COMPLETE")
    asset = await trader.until(lambda frame: frame.get("channel") == "Assets")
    assert asset["data"]["frozen"] == "0"


async def test_order_id_wins_when_both_are_given(trader: "Trader") -> None:
    """A cancel with both ids cancels the order of the orderId."""
    first = (await trader.place(clientOrderId="a1"))["data"]["orderId"]
    await trader.place(clientOrderId="b1")
    ack = await trader.ask("cancel_order", orderId=first, clientOrderId="b1")
    assert ack["data"]["clientOrderId"] == "a1"


async def test_replace_is_pending_then_completed(trader: "Trader") -> None:
    """A replace keeps the orderId; the pushes say AMEND_PENDING, then AMEND_COMPLETED with the new values."""
    order_id = (await trader.place())["data"]["orderId"]
    ack = await trader.ask("replace_order", orderId=order_id, replaceQty="0.02", replacePrice="59000")
    assert ack["data"] == {"orderId": order_id, "orderState": "OPEN"}
    pending = await trader.push("Orders", action="AMEND_PENDING")
    done = await trader.push("Orders", action="AMEND_COMPLETED")
    assert [(r["orderQty"], r["limitPrice"]) for r in (pending, done)] == [("0.01", "60000"), ("0.02", "59000")]


async def test_replace_across_the_market_fills(trader: "Trader") -> None:
    """A replace to a price that crosses the market trades at once."""
    order_id = (await trader.place())["data"]["orderId"]
    await trader.ask("replace_order", orderId=order_id, replacePrice="66000")
    assert (await trader.push("Orders", orderState="FILLED"))["executedQty"] == "0.01"


async def test_replace_to_what_is_executed_fills_the_order(venue: Venue, trader: "Trader") -> None:
    """A replace to exactly the executed quantity fills the order."""
    order_id = (await trader.place(orderQty="1", limitPrice="65000.1"))["data"]["orderId"]
    executed = (await trader.push("Orders", orderState="PARTIALLY_FILLED"))["executedQty"]
    assert (await trader.ask("replace_order", orderId=order_id, replaceQty="0.4"))["code"] == 401077
    assert (await trader.ask("replace_order", orderId=order_id, replaceQty=executed))["code"] == 200000
    await trader.push("Orders", orderState="FILLED", orderQty=executed)


async def test_replace_by_client_order_id_is_a_switch(exchange: "Exchange") -> None:
    """The official documents require the orderId; a switch of the dialect allows the clientOrderId too."""
    venue = await exchange.open(VenueSettings(dialect=Dialect(replace_by_client_order_id=True)))
    trader = await exchange.trader(venue)
    await trader.place(clientOrderId="c1")
    assert (await trader.ask("replace_order", clientOrderId="c1", replaceQty="0.02"))["code"] == 200000


async def test_cancel_orders_has_the_scope_of_an_exchange(trader: "Trader") -> None:
    """A batch cancel cancels the orders of one exchange, and its ack has no data."""
    await trader.place(clientOrderId="b1")
    await trader.place(clientOrderId="b2")
    await trader.place(clientOrderId="o1", sym="OKX_PERP_ETH_USDT", orderQty="1", limitPrice="2000")
    ack = await trader.ask("cancel_orders", exchangeType="BINANCE")
    assert ack == {"id": "q4", "event": "cancel_orders", "code": 200000, "msg": "Success"}
    await trader.settle()
    cancelled = [row["clientOrderId"] for row in trader.seen("Orders") if row["orderState"] == "CANCELLED"]
    assert cancelled == ["b1", "b2"]
    await trader.ask("cancel_orders")
    await trader.push("Orders", clientOrderId="o1", orderState="CANCELLED")


@pytest.mark.parametrize(("honours", "left"), [(False, 0), (True, 1)])
async def test_cancel_orders_ignores_the_symbol_by_default(exchange: "Exchange", honours: bool, left: int) -> None:  # noqa: FBT001 - a row
    """The symbol is not in the official arguments: by default it is ignored and everything is cancelled."""
    venue = await exchange.open(VenueSettings(dialect=Dialect(batch_cancel_honours_sym=honours)))
    trader = await exchange.trader(venue)
    await trader.place()
    await trader.ask("cancel_orders", sym="BINANCE_PERP_ETH_USDT")
    assert left == len(venue.portfolio().open_orders)


async def test_fill_may_come_before_a_cancel(exchange: "Exchange") -> None:
    """A cancel that takes effect a step later may find the order filled."""
    venue = await exchange.open(VenueSettings(cancel_steps=1))
    trader = await exchange.trader(venue)
    order_id = (await trader.place(orderQty="0.001"))["data"]["orderId"]
    await trader.ask("cancel_order", orderId=order_id)
    assert (await trader.ask("cancel_order", orderId=order_id))["code"] == 401116
    venue.quotation(SYM).move(Decimal(59000))
    venue.step()
    assert (await trader.push("Orders", orderState="FILLED"))["action"] == "CANCEL_PENDING"
    await trader.settle()
    assert "CANCELLED" not in [row["orderState"] for row in trader.seen("Orders")]


async def test_older_failure_shape(exchange: "Exchange") -> None:
    """The older refusal is an error event with the same text code for every error."""
    venue = await exchange.open(VenueSettings(dialect=Dialect(action_failure="older")))
    trader = await exchange.trader(venue)
    answer = await trader.place(side="HOLD")
    assert answer == {"id": "q1", "event": "error", "code": "60009", "msg": "Place order failed."}


async def test_current_failure_shape(trader: "Trader") -> None:
    """The current refusal is the action's own event with the documented number."""
    await trader.place(clientOrderId="c1")
    answer = await trader.place(clientOrderId="c1")
    expected = {
        "id": "q2",
        "event": "place_order",
        "code": 401009,
        "msg": "clientOrderId already exists",
        "data": None,
    }
    assert expected == answer


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("not json", 601001),
        ("[1]", 601001),
        ('{"id":"1"}', 601008),
        ('{"id":"1","action":"fly"}', 601011),
        ('{"id":"1","action":["place_order"]}', 601011),
        ('{"id":1,"action":"place_order","args":{}}', 1000),
    ],
)
async def test_invalid_frames_are_answered_with_an_error(trader: "Trader", frame: str, code: int) -> None:
    """A frame that cannot be read as a request is answered with an error event."""
    await trader.send(frame)
    answer = await trader.read()
    assert ("error", code) == (answer["event"], answer["code"])


async def test_request_without_id_is_answered_with_null(trader: "Trader") -> None:
    """The id is optional; the answer to a request without one has a null id."""
    await trader.send({"action": "cancel_order", "args": {"clientOrderId": "none"}})
    answer = await trader.read()
    assert (answer["id"], answer["code"]) == (None, 401018)


async def test_synonyms_of_states_are_a_switch(exchange: "Exchange") -> None:
    """A switch of the dialect spells the states as other documents do."""
    venue = await exchange.open(VenueSettings(dialect=Dialect(order_states="synonyms")))
    trader = await exchange.trader(venue)
    await trader.place(timeInForce="IOC")
    await trader.push("Orders", orderState="CANCELED")


async def test_accounts_do_not_see_each_other(exchange: "Exchange") -> None:
    """A key sees neither orders nor pushes of another key."""
    venue = await exchange.open(VenueSettings(accounts=(AccountSettings(name="one"), AccountSettings(name="two"))))
    one, two = await exchange.trader(venue, "one"), await exchange.trader(venue, "two")
    await one.place(clientOrderId="c1")
    assert (await two.ask("cancel_order", clientOrderId="c1"))["code"] == 401018
    await two.settle()
    assert two.seen("Orders") == []


async def test_orders_survive_a_disconnect(exchange: "Exchange", venue: Venue, trader: "Trader") -> None:
    """No cancel on disconnect is documented: an order outlives its socket, and nothing is replayed."""
    await trader.place(clientOrderId="c1")
    await trader.socket.close()
    again = await exchange.trader(venue)
    await again.settle()
    assert again.seen("Orders") == []
    assert (await again.ask("cancel_order", clientOrderId="c1"))["code"] == 200000
