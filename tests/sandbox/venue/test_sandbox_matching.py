"""The matching: fills, orders, positions and balances agree after any actions."""

from decimal import Decimal
from typing import Any, Literal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sandbox.venue.clock import ManualClock
from bridge.sandbox.venue.decimals import ZERO
from bridge.sandbox.venue.ledger import VenuePush
from bridge.sandbox.venue.portfolio import Portfolio
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.venue import Venue

NOW_MS = 1_763_977_805_203
START = Decimal(1_000_000)
PERP, SPOT = "BINANCE_PERP_BTC_USDT", "BINANCE_SPOT_BTC_USDT"

Move = tuple[str, dict[str, str]]


def steps() -> st.SearchStrategy[list[Move]]:
    """Draw actions and market moves in any order."""
    side = st.sampled_from(["BUY", "SELL"])
    qty = st.integers(1, 3000).map(lambda lots: str(Decimal(lots) / 1000))
    price = st.integers(640000, 660000).map(lambda ticks: str(Decimal(ticks) / 10))
    sym = st.sampled_from([PERP, PERP, SPOT, "OKX_PERP_ETH_USDT"])
    place = st.fixed_dictionaries(
        {
            "sym": sym,
            "side": side,
            "orderType": st.sampled_from(["LIMIT", "LIMIT", "LIMIT", "MARKET"]),
            "timeInForce": st.sampled_from(["GTC", "GTC", "IOC", "FOK", "GTX"]),
            "orderQty": qty,
            "limitPrice": price,
            "reduceOnly": st.sampled_from(["false", "false", "false", "true"]),
            "positionSide": st.sampled_from(["LONG", "SHORT"]),
        }
    )
    moves = st.one_of(
        place.map(lambda args: ("place_order", args)),
        st.fixed_dictionaries({"nth": st.integers(0, 9).map(str), "replaceQty": qty, "replacePrice": price}).map(
            lambda args: ("replace_order", args)
        ),
        st.fixed_dictionaries({"nth": st.integers(0, 9).map(str)}).map(lambda args: ("cancel_order", args)),
        st.just(("step", {})),
        st.fixed_dictionaries({"price": price}).map(lambda args: ("move", args)),
        st.just(("cancel_orders", {})),
    )
    return st.lists(moves, min_size=1, max_size=25)


def play(venue: Venue, moves: list[Move]) -> list[VenuePush]:
    """Make the moves and return every push."""
    portfolio, pushes = venue.portfolio(), []
    for action, drawn in moves:
        args = dict(drawn)
        if action == "step":
            pushes += venue.gateway.step(NOW_MS)
            continue
        if action == "move":
            venue.quotation(PERP).move(Decimal(args["price"]))
            pushes += venue.gateway.settle_prices(NOW_MS)
            continue
        if "nth" in args:
            nth = int(args.pop("nth"))
            args["orderId"] = next(iter(list(portfolio.orders)[nth:]), "0000000000000000")
        if action == "place_order":
            if portfolio.position_mode == "NET" or "SPOT" in args["sym"]:
                del args["positionSide"]
            if "ETH" in args["sym"]:
                args["limitPrice"] = str(Decimal(args["limitPrice"]) / 25 // Decimal("0.01") * Decimal("0.01"))
        pushes += venue.gateway.act(portfolio, action, args, NOW_MS).events
    return pushes


def rows(pushes: list[VenuePush], channel: str) -> list[dict[str, Any]]:
    """Return the rows of one channel."""
    return [msgspec.json.decode(event.payload) for event in pushes if event.channel == channel]


def check_orders(portfolio: Portfolio) -> None:
    """Check that each order's executions add up to its totals, and only open orders reserve an amount."""
    for order in portfolio.orders.values():
        trades = [trade for trade in portfolio.trades if trade.order is order]
        assert order.executed_qty == sum((t.qty for t in trades), ZERO)
        assert order.executed_amount == sum((order.instrument.notional(t.qty, t.price) for t in trades), ZERO)
        assert order.fee - order.rebate == sum((t.fee for t in trades), ZERO)
        assert order.qty is None or order.executed_qty <= order.qty
        assert order.is_terminal is (order.order_id not in portfolio.open_orders)
        assert not (order.is_terminal and order.reserved)


def check_money(portfolio: Portfolio) -> None:
    """Check that balances are the start balances plus profit, less fees and spot purchases."""
    for (exchange, coin), wallet in portfolio.wallets.items():
        of_exchange = [t for t in portfolio.trades if t.order.instrument.exchange == exchange]
        expected = {"USDT": START, "BTC": Decimal(10)}.get(coin, ZERO)
        for trade in of_exchange:
            sign = 1 if trade.order.side == "BUY" else -1
            instrument = trade.order.instrument
            if coin == instrument.quote:
                expected += trade.rpnl - trade.fee
                expected -= ZERO if instrument.is_perp else sign * instrument.notional(trade.qty, trade.price)
            elif coin == instrument.base and not instrument.is_perp:
                expected += sign * trade.qty
        assert wallet.balance == expected
        held = [o for o in portfolio.open_orders.values() if o.instrument.exchange == exchange]
        assert wallet.frozen == sum((o.reserved for o in held if portfolio.reserved_coin(o) == coin), ZERO)
        assert wallet.frozen >= 0
        assert coin == "USDT" or wallet.balance >= 0


def check_positions(portfolio: Portfolio) -> None:
    """Check that a position is the sum of its signed fills, and its cost less profit the sum of their amounts."""
    for (sym, side), position in portfolio.positions.items():
        fills = [t for t in portfolio.trades if t.order.instrument.sym == sym and t.order.position_side == side]
        signed = [(t.qty if t.order.side == "BUY" else -t.qty, t) for t in fills]
        assert position.qty == sum((qty for qty, _ in signed), ZERO)
        worth = sum((position.instrument.notional(qty, t.price) for qty, t in signed), ZERO)
        assert worth == position.cost - sum((t.rpnl for t in fills), ZERO)
        assert side != "LONG" or position.qty >= 0
        assert side != "SHORT" or position.qty <= 0
        assert position.qty or not position.cost


def check_pushes(pushes: list[VenuePush]) -> None:
    """Check that an order's pushes never go back: time and executed quantity grow, nothing follows the end."""
    last: dict[str, dict[str, Any]] = {}
    for row in rows(pushes, "Orders"):
        before = last.get(row["orderId"])
        if before is not None:
            assert int(before["updateAt"]) < int(row["updateAt"])
            assert Decimal(before["executedQty"]) <= Decimal(row["executedQty"])
            assert before["orderState"] not in {"FILLED", "CANCELLED", "REJECT"}
        last[row["orderId"]] = row
    identities = [event.identity for event in pushes if event.channel in {"Orders", "Trades"}]
    assert len(identities) == len(set(identities))


def venue_for(mode: Literal["NET", "BOTH"], seed: int) -> Venue:
    """Return a venue with round balances, without sockets."""
    balances = {"BINANCE": {"USDT": START, "BTC": Decimal(10)}, "OKX": {"USDT": START}}
    accounts = (AccountSettings(balances=balances, position_mode=mode),)
    return Venue(VenueSettings(accounts=accounts, seed=seed, cancel_steps=seed % 2), ManualClock(NOW_MS))


@given(moves=steps(), mode=st.sampled_from(["NET", "BOTH"]), seed=st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_everything_adds_up(moves: list[Move], mode: Literal["NET", "BOTH"], seed: int) -> None:
    """After any moves, fills, orders, positions and balances agree exactly."""
    venue = venue_for(mode, seed)
    pushes = play(venue, moves)
    portfolio = venue.portfolio()
    check_orders(portfolio)
    check_money(portfolio)
    check_positions(portfolio)
    check_pushes(pushes)
    assert len(rows(pushes, "Trades")) == len(portfolio.trades)


@given(moves=steps())
@settings(max_examples=15, deadline=None)
def test_same_seed_same_fills(moves: list[Move]) -> None:
    """The same seed and the same moves give the same bytes."""
    first, second = (play(venue_for("NET", 2), moves) for _ in range(2))
    assert [event.payload for event in first] == [event.payload for event in second]


def place(venue: Venue, **changes: str) -> list[str]:
    """Place an order and return its states."""
    args = {"sym": PERP, "side": "BUY", "orderType": "LIMIT", "orderQty": "0.01", "limitPrice": "65000.1", **changes}
    outcome = venue.gateway.act(venue.portfolio(), "place_order", args, NOW_MS)
    return [row["orderState"] for row in rows(outcome.events, "Orders")]


def test_time_in_force() -> None:
    """The first level offers 0.5: by time in force the rest of the order rests, is cancelled, or forbids the whole."""
    larger = {"orderQty": "0.6"}
    assert place(venue_for("NET", 1)) == ["NEW", "OPEN", "FILLED"]
    assert place(venue_for("NET", 1), **larger) == ["NEW", "OPEN", "PARTIALLY_FILLED"]
    assert place(venue_for("NET", 1), **larger, timeInForce="IOC") == ["NEW", "PARTIALLY_FILLED", "CANCELLED"]
    assert place(venue_for("NET", 1), **larger, timeInForce="FOK") == ["NEW", "CANCELLED"]
    assert place(venue_for("NET", 1), timeInForce="FOK") == ["NEW", "FILLED"]
    assert place(venue_for("NET", 1), **larger, orderType="MARKET") == ["NEW", "PARTIALLY_FILLED", "FILLED"]


def test_market_buy_by_quote_amount() -> None:
    """A spot market buy by quote amount spends at most that amount, and its quantity stays empty."""
    venue = venue_for("NET", 1)
    args = {"sym": SPOT, "side": "BUY", "orderType": "MARKET", "quoteOrderQty": "1000"}
    outcome = venue.gateway.act(venue.portfolio(), "place_order", args, NOW_MS)
    last = rows(outcome.events, "Orders")[-1]
    assert tuple(last[name] for name in ("orderState", "orderQty", "quoteOrderQty", "executedQty")) == (
        "FILLED",
        "",
        "1000",
        "0.015",
    )


def test_reduce_only_never_turns_a_position() -> None:
    """A reduce-only order larger than the position closes it and ends."""
    venue = venue_for("NET", 1)
    place(venue)
    states = place(venue, side="SELL", orderQty="0.03", limitPrice="64000", reduceOnly="true")
    assert states == ["NEW", "OPEN", "PARTIALLY_FILLED", "CANCELLED"]
    assert venue.portfolio().positions[PERP, "NONE"].qty == 0


def test_a_contract_has_its_size() -> None:
    """On OKX a quantity is a number of contracts, each of a tenth of a coin."""
    venue = venue_for("NET", 1)
    args = {"sym": "OKX_PERP_ETH_USDT", "side": "BUY", "orderType": "MARKET", "orderQty": "10"}
    outcome = venue.gateway.act(venue.portfolio(), "place_order", args, NOW_MS)
    last = rows(outcome.events, "Orders")[-1]
    assert tuple(last[name] for name in ("executedQty", "executedAmount", "executedAvgPrice")) == (
        "10",
        "2600.01",
        "2600.01",
    )


def test_oldest_of_the_best_price_fills_first() -> None:
    """Resting orders fill by price, then by age; an amended order goes to the end."""
    venue = venue_for("NET", 1)
    for name, price in (("low", "60000"), ("first", "61000"), ("second", "61000"), ("third", "61000")):
        place(venue, clientOrderId=name, orderQty="0.001", limitPrice=price)
    first = venue.portfolio().orders_by_client_order_id["first"].order_id
    venue.gateway.act(venue.portfolio(), "replace_order", {"orderId": first, "replaceQty": "0.002"}, NOW_MS)
    filled: list[str] = []
    for _ in range(40):
        venue.quotation(PERP).move(Decimal(59000))
        filled += [row["clientOrderId"] for row in rows(venue.gateway.settle_prices(NOW_MS), "Trades")]
    assert list(dict.fromkeys(filled)) == ["second", "third", "first", "low"]


def test_margin_call_when_risk_crosses() -> None:
    """A loss near the maintenance margin is pushed once, and so is the next threshold."""
    accounts = (AccountSettings(balances={"BINANCE": {"USDT": Decimal(8000)}}),)
    venue = Venue(VenueSettings(accounts=accounts), ManualClock(NOW_MS))
    assert place(venue, orderQty="1", orderType="MARKET")[-1] == "FILLED"
    pushes: list[VenuePush] = []
    for price in ("65000", "57500", "57380", "57370", "57200"):
        venue.quotation(PERP).move(Decimal(price))
        pushes += venue.gateway.settle_prices(NOW_MS)
    calls = rows(pushes, "MarginCall")
    assert [row["accountStatus"] for row in calls] == ["MARGIN_CALL", "LIQUIDATING"]
    assert {"portfolioId", "exchangeType", "uniMMR", "riskRatio", "positionMode", "updateAt"} <= set(calls[0])
    assert place(venue) == []
