"""The whole venue: tiers, cuts, injected pushes, and the venue as a process."""

import asyncio
import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.serve import serve
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.venue import Venue

if TYPE_CHECKING:
    from tests.support.trader import Exchange, Trader

TWO_TIERS = VenueSettings(tiers=("az4", "ha"))


async def test_tiers_share_one_book(exchange: "Exchange") -> None:
    """An order that is placed on one tier is pushed on the other."""
    venue = await exchange.open(TWO_TIERS)
    az4, ha = await exchange.trader(venue), await exchange.stranger(venue)
    await ha.connect(venue.tiers["ha"].ws_url)
    exchange.clock.advance(1)
    await ha.login()
    await az4.place(clientOrderId="c1")
    await ha.push("Orders", clientOrderId="c1", orderState="OPEN")


async def test_tier_goes_down_and_comes_back(exchange: "Exchange") -> None:
    """A closed tier aborts its sockets and refuses connections; it opens at its old address; the other tier goes on."""
    venue = await exchange.open(TWO_TIERS)
    await exchange.stranger(venue)
    await venue.close_tier("az4")
    with pytest.raises(aiohttp.ClientConnectorError):
        await exchange.stranger(venue)
    assert venue.connections == []
    async with exchange.session.ws_connect(venue.tiers["ha"].ws_url):
        pass
    await venue.open_tier("az4")
    trader = await exchange.trader(venue)
    assert (await trader.place())["code"] == 200000


async def test_cut_connections(exchange: "Exchange") -> None:
    """All sockets can be cut, or those of one account, and each cut is in the ledger."""
    venue = await exchange.open(VenueSettings(accounts=(AccountSettings(name="one"), AccountSettings(name="two"))))
    one, two = await exchange.trader(venue, "one"), await exchange.trader(venue, "two")
    assert venue.cut_connections("one") == 1
    assert (await one.socket.receive(timeout=3)).type is aiohttp.WSMsgType.CLOSED
    await two.settle()
    (drop,) = venue.ledger.entries(EntryKind.DROP)
    assert (drop.facts["reason"], drop.portfolio_id) == ("cut", one.key.portfolio_id)


async def test_margin_call_is_injected(venue: Venue, trader: "Trader") -> None:
    """An injected margin call has the account's figures, some replaced by the test."""
    venue.inject.margin_call("main", riskRatio="0.85", uniMMR="1.17")
    row = await trader.push("MarginCall")
    assert (row["accountStatus"], row["riskRatio"], row["uniMMR"]) == ("MARGIN_CALL", "0.85", "1.17")
    assert list(venue.ledger.last_states("MarginCall", trader.key.portfolio_id)) == ["BINANCE"]


async def test_liquidations_are_injected(venue: Venue, trader: "Trader") -> None:
    """Liquidation rows have integer times and a null fee, unlike every other channel."""
    venue.inject.liquidation_event("main")
    venue.inject.liquidation_position("main", "BINANCE_PERP_BTC_USDT")
    venue.inject.liquidation_position("main", "BINANCE_PERP_BTC_USDT", channel="LiquidationPositionByUser")
    await trader.push("LiquidationEvent")
    row = await trader.push("LiquidationPosition")
    assert (isinstance(row["createAt"], int), row["totalTradingFee"]) == (True, None)
    await trader.push("LiquidationPositionByUser")


async def test_foreign_orders_are_pushed(venue: Venue, trader: "Trader") -> None:
    """A foreign order is pushed like any other, with its origin."""
    args = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "MARKET", "orderQty": "0.01"}
    outcome = venue.inject.foreign_action("main", "place_order", args, origin="SYSTEM_REDUCE")
    assert outcome.is_success
    assert (await trader.push("Orders", orderState="FILLED"))["orderType"] == "SYSTEM_REDUCE"


async def test_unknown_channels_and_invalid_frames(venue: Venue, trader: "Trader") -> None:
    """Any text can be pushed, valid or not, and is in the ledger."""
    venue.inject.push("main", "Accounts", {"x": 1})
    venue.inject.frame("main", b'{"channel":"Orders","data":')
    await trader.push("Accounts", x=1)
    assert (await trader.read()) == {"text": '{"channel":"Orders","data":'}
    assert [event.payload for event in venue.ledger.events("Accounts", trader.key.portfolio_id)] == [b'{"x":1}']


async def test_every_event_is_delivered_to_every_listener(exchange: "Exchange", venue: Venue, trader: "Trader") -> None:
    """The ledger has the sockets to which each push was sent."""
    other = await exchange.trader(venue)
    await trader.place()
    await trader.settle()
    await other.settle()
    numbers = {entry.number for entry in venue.ledger.entries(EntryKind.EVENT)}
    for connection in (1, 2):
        delivered = venue.ledger.entries(EntryKind.DELIVER, connection=connection)
        assert numbers == {entry.facts["event_number"] for entry in delivered}


async def test_market_moves_by_itself(exchange: "Exchange") -> None:
    """With a step period, prices move and fill resting orders by themselves."""
    venue = await exchange.open(VenueSettings(step_period_s=0.001))
    trader = await exchange.trader(venue)
    price = str(venue.quotation("BINANCE_PERP_BTC_USDT").bid - 5)
    await trader.place(orderQty="0.001", limitPrice=price)
    await trader.push("Trades", execType="MAKER")


async def test_venue_ends_quickly_with_sockets_open(exchange: "Exchange") -> None:
    """The end of the venue aborts open sockets without waiting."""
    async with Venue(VenueSettings(step_period_s=0.01)) as venue:
        trader = await exchange.stranger(venue)
    async with asyncio.timeout(1):
        assert (await trader.socket.receive()).type is aiohttp.WSMsgType.CLOSED


async def test_a_thousand_places_in_a_row(exchange: "Exchange", venue: Venue) -> None:
    """Each place has its ack and its pushes, and the ledger counts them all."""
    trader = await exchange.trader(venue)
    async with asyncio.timeout(60):
        for index in range(1000):
            await trader.send({"id": f"n{index}", "action": "place_order", "args": _resting()})
        await trader.until(lambda frame: frame.get("id") == "n999")
    assert venue.ledger.busiest_window("place_order", trader.key.portfolio_id) == 1000


async def test_sandbox_alone_prints_where_it_is() -> None:
    """The venue by itself prints one line of JSON, answers, and ends on SIGTERM with status 0."""
    script = (
        "import asyncio, sys\n"
        "from bridge.sandbox.venue.serve import serve\n"
        "from bridge.sandbox.venue.settings import VenueSettings\n"
        "asyncio.run(serve(VenueSettings(), as_json=True, out=sys.stdout))\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env=dict(os.environ),
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        told = json.loads(await process.stdout.readline())
        assert set(told) == {"ws_url", "rest_url", "api_key", "api_secret", "accounts"}
        async with aiohttp.ClientSession() as session, session.ws_connect(told["ws_url"]) as socket:
            await socket.send_str("ping")
            assert await socket.receive_str() == "pong"
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_sandbox_alone_prints_text_too() -> None:
    """Without JSON the venue prints the same facts as lines, with a key for each account."""
    out = _Output()
    settings = VenueSettings(accounts=(AccountSettings(name="one"), AccountSettings(name="two")))
    running = asyncio.create_task(serve(settings, as_json=False, out=out))
    async with asyncio.timeout(30):
        await out.flushed.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    lines = [line.split() for line in out.getvalue().splitlines()[1:]]
    key = ["api_key", "api_secret", "portfolio_id"]
    assert [line[0] for line in lines] == ["ws_url", "rest_url", "account", *key, "account", *key]
    assert [line[1] for line in lines if line[0] == "account"] == ["one", "two"]


def test_settings_never_show_secrets() -> None:
    """The repr of settings does not have their secrets."""
    settings = VenueSettings(accounts=(AccountSettings(api_secret="sk-test-secret"),))
    assert "sk-test-secret" not in repr(settings)


class _Output(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.flushed = asyncio.Event()

    def flush(self) -> None:
        self.flushed.set()


def _resting() -> dict[str, str]:
    return {
        "sym": "BINANCE_PERP_BTC_USDT",
        "side": "BUY",
        "orderType": "LIMIT",
        "orderQty": "0.01",
        "limitPrice": "60000",
    }
