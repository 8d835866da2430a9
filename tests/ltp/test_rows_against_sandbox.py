"""REST rows against the pushes of the same facts, both from the sandbox."""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.config import AccountConfig, Endpoint
from bridge.core.now import Now
from bridge.ltp.rest import RestClient
from bridge.ltp.rows import trade_as_pushed
from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.rows import rest_execution
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.small_rest import read_all

PERP = "BINANCE_PERP_BTC_USDT"
HOUR_MS = 3600 * 1000
Shape = dict[str, object]


def _act(venue: Venue, action: str, **args: str) -> str:
    outcome = venue.inject.foreign_action("main", action, args)
    assert outcome.is_success, outcome
    return str((outcome.data or {}).get("orderId", ""))


def _place(venue: Venue, name: str, **args: str) -> str:
    return _act(venue, "place_order", clientOrderId=name, **{"sym": PERP, "side": "BUY", "orderQty": "0.1", **args})


def _limit(venue: Venue, name: str, price: str, **args: str) -> str:
    return _place(venue, name, orderType="LIMIT", timeInForce="GTC", limitPrice=price, **args)


def _trade_a_little(venue: Venue, side: str) -> None:
    """Make orders in every state, fills as maker and taker, positions and balances at three exchanges."""
    args = {"positionSide": side}
    price = venue.quotation(PERP).price
    _limit(venue, "partly", str(price - 100), orderQty="5", **args)
    venue.quotation(PERP).move(price - 101)
    venue.settle_prices()
    _limit(venue, "open", "10000", **args)
    _act(venue, "replace_order", orderId=_limit(venue, "amended", "10000", **args), replaceQty="0.2")
    _act(venue, "cancel_order", orderId=_limit(venue, "cancelled", "10000", **args))
    _place(venue, "filled", orderType="MARKET", **args)
    _place(venue, "contracts", sym="OKX_PERP_ETH_USDT", orderType="MARKET", orderQty="2", **args)
    _place(venue, "edx", sym="EDX_PERP_ETH_USDT", orderType="MARKET", **args)
    spot = {"sym": "BINANCE_SPOT_BTC_USDT", "orderType": "MARKET", "side": "BUY", "quoteOrderQty": "500"}
    _act(venue, "place_order", clientOrderId="quoted", **spot)


OLDER = Dialect(order_states="synonyms", rest_success_code=200)


@pytest_asyncio.fixture(
    loop_scope="session",
    params=[
        VenueSettings(),
        VenueSettings(dialect=OLDER),
        VenueSettings(accounts=(AccountSettings(position_mode="BOTH"),)),
    ],
    ids=["netted", "older", "hedged"],
)
async def venue(request: pytest.FixtureRequest) -> AsyncIterator[Venue]:
    """Return a venue after some trading: netted, in the older dialect, and hedged."""
    async with Venue(request.param) as venue:
        _trade_a_little(venue, "NONE" if venue.portfolio().position_mode == "NET" else "LONG")
        yield venue


@pytest_asyncio.fixture(loop_scope="session")
async def rest(venue: Venue, tmp_path: Path, clock: Callable[[], Now]) -> AsyncIterator[RestClient]:
    """Return a REST client of the venue."""
    key = venue.keys["main"]
    (tmp_path / "key").write_text(key.api_key)
    (tmp_path / "secret").write_text(key.api_secret)
    account = AccountConfig(api_key_file=tmp_path / "key", api_secret_file=tmp_path / "secret")
    place = Endpoint(name="T", ws_url=venue.ws_url, rest_url=venue.rest_url)
    async with RestClient([place], account, clock) as client:
        yield client


def _pushed(venue: Venue, channel: str) -> dict[str, Shape]:
    """Return the last push of every key of a channel."""
    last = venue.ledger.last_states(channel, venue.portfolio().portfolio_id)
    return {key: json.loads(event.payload) for key, event in last.items()}


def _shapes(rows: Iterable[bytes]) -> list[Shape]:
    return [json.loads(row) for row in rows]


async def test_every_order_is_as_it_was_pushed(venue: Venue, rest: RestClient, clock: Callable[[], Now]) -> None:
    """This holds for open and ended orders, from lists and singly; only the history does not have the action."""
    pushed = _pushed(venue, "Orders")
    assert len({push["orderState"] for push in pushed.values()}) == 4
    ended = await read_all(rest.fetch_ended_orders(None, clock().wall_ms - HOUR_MS))
    asked = [await rest.fetch_order(order_id=order_id) for order_id in pushed]
    for row in (*await read_all(rest.fetch_open_orders()), *asked):
        assert row is not None
        assert pushed[str(row.order.order_id)] == json.loads(row.raw)
    for row in ended:
        assert pushed[str(row.order.order_id)] | {"action": "", "actionMsg": ""} == json.loads(row.raw)
    assert any(pushed[str(row.order.order_id)]["action"] for row in ended)


async def test_every_execution_is_as_it_was_pushed(venue: Venue, rest: RestClient, clock: Callable[[], Now]) -> None:
    """This holds with fees and with rebates."""
    trades = venue.ledger.trades(venue.portfolio().portfolio_id)
    pushed = {str(push["transactionId"]): push for push in _shapes(trade.payload for trade in trades)}
    rows = await read_all(rest.fetch_executions(None, clock().wall_ms - HOUR_MS))
    assert pushed == {str(row.trade.transaction_id): json.loads(row.raw) for row in rows}
    fees = {str(push["tradingFee"]).startswith("-") for push in pushed.values()}
    assert fees == {True, False}


async def test_an_execution_without_trading_fee_keeps_its_split(venue: Venue) -> None:
    """Without a rebate its fee is that of the push; with one only the split has it."""
    pushed = _shapes(trade.payload for trade in venue.ledger.trades(venue.portfolio().portfolio_id))
    rows = [rest_execution(trade, venue.settings.dialect) for trade in venue.portfolio().trades]
    gone = ("tradingFee", "tradingFeeCoin")
    for push, row in zip(pushed, rows, strict=True):
        split = {name: row[name] for name in ("fee", "feeCoin", "rebate", "rebateCoin")}
        bare = {name: value for name, value in row.items() if name not in gone}
        lost = gone if Decimal(str(row["rebate"])) else ()
        told = {name: value for name, value in push.items() if name not in lost}
        assert told | split == json.loads(trade_as_pushed(json.dumps(bare).encode()))


async def test_every_balance_is_as_it_was_pushed(venue: Venue, rest: RestClient) -> None:
    """REST also has the coins that never changed."""
    pushed = _pushed(venue, "Assets")
    shapes = {f"{row['exchangeType']}:{row['coin']}": row for row in _shapes(await read_all(rest.fetch_assets()))}
    assert pushed
    assert pushed == {key: shapes[key] for key in pushed}
    assert len(shapes) > len(pushed)


async def test_every_position_is_as_it_was_pushed(venue: Venue, rest: RestClient) -> None:
    """This holds at each exchange."""
    shapes = {f"{row['sym']}:{row['positionSide']}": row for row in _shapes(await read_all(rest.fetch_positions()))}
    assert len(shapes) == 3
    assert _pushed(venue, "Positions") == shapes


async def test_a_risk_is_as_its_margin_call(venue: Venue, rest: RestClient) -> None:
    """Only the time, which REST does not give, and zeros at the end of some amounts differ."""
    event = venue.inject.margin_call("main", status="NORMAL")
    push = json.loads(event.payload)
    del push["updateAt"]
    (shape,) = (row for row in _shapes(await read_all(rest.fetch_account_risks())) if row["exchangeType"] == "BINANCE")
    assert push.keys() == shape.keys()
    assert all(_same(push[name], shape[name]) for name in push)


def _same(one: object, other: object) -> bool:
    numbers = all(str(value).replace(".", "").removeprefix("-").isdigit() for value in (one, other))
    return Decimal(str(one)) == Decimal(str(other)) if numbers else one == other


async def test_the_executions_of_an_order_add_up_to_what_was_executed(
    venue: Venue, rest: RestClient, clock: Callable[[], Now]
) -> None:
    """They are requested by orderId; for each product the sum is exact in the unit of the order."""
    ended = [row.order for row in await read_all(rest.fetch_ended_orders(None, clock().wall_ms - HOUR_MS))]
    executed = {str(order.order_id): Decimal(str(order.executed_qty)) for order in ended}
    assert len([quantity for quantity in executed.values() if quantity]) >= 4
    for order_id, quantity in executed.items():
        rows = await read_all(rest.fetch_order_executions(order_id, clock().wall_ms - HOUR_MS))
        assert {str(row.trade.order_id) for row in rows} <= {order_id}
        assert sum((Decimal(str(row.trade.quantity)) for row in rows), Decimal(0)) == quantity
