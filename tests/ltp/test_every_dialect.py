"""Session and REST against the sandbox in each of its dialects: every action, and every list."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from bridge.config import AccountConfig, Endpoint, Timing
from bridge.contract.topics import Stream
from bridge.core.in_flight.ack_codes import AckClass, classify_code
from bridge.core.now import Now
from bridge.core.order_states import canonical_state
from bridge.core.records import Answer, Push
from bridge.core.stream.venue_record import PARSERS, VenueRecord
from bridge.ltp.rest import RestClient
from bridge.ltp.session import Session
from bridge.ltp.wire import encode_action
from bridge.sandbox.venue.dialects import DIALECTS, Dialect
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.listening import RecordingListener, make_session, running
from tests.support.small_rest import read_all

SWITCHES: dict[str, Dialect] = {
    "cancel-all-scope user": Dialect(cancel_all_scope="user"),
    "trading-fee pushed": Dialect(trading_fee="pushed"),
    "trading-fee gone": Dialect(trading_fee="gone"),
    "rebate order": Dialect(rebate="order"),
    "both gone": Dialect(trading_fee="gone", rebate="order"),
}
ALL: Mapping[str, Dialect] = {**DIALECTS, **SWITCHES}
ORDER = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "LIMIT", "orderQty": "0.1", "limitPrice": "10000"}
MARKET = {**ORDER, "orderType": "MARKET", "limitPrice": "", "orderQty": "0.01"}
HOUR_MS = 3600 * 1000


class Desk:
    """A session of one account with its recorded events."""

    def __init__(self, session: Session, notes: RecordingListener) -> None:
        self._session = session
        self.notes = notes
        self._sent = 0

    @property
    def answers(self) -> dict[str | None, Answer]:
        """The answers, by the id of the request."""
        return {one.request_id: one for one in self.notes.of("received") if isinstance(one, Answer)}

    async def ask(self, action: str, **args: str) -> Answer:
        """Do an action and return its answer."""
        self._sent += 1
        request_id = f"r-{self._sent}"
        self._session.send(encode_action(request_id, action, {name: text for name, text in args.items() if text}))
        async with asyncio.timeout(10):
            while request_id not in self.answers:
                await self.notes.wait("received", len(self.notes.of("received")) + 1)
        return self.answers[request_id]

    def elements(self, stream: Stream, channel: str) -> list[VenueRecord]:
        """Return what a channel pushed, as the bridge reads it."""
        pushes = [one for one in self.notes.of("received") if isinstance(one, Push) and one.channel == channel]
        return [PARSERS[stream](bytes(one.data)) for one in pushes]


@pytest_asyncio.fixture(loop_scope="session", params=ALL, ids=str)
async def venue(request: pytest.FixtureRequest) -> AsyncIterator[Venue]:
    """Return a venue of each dialect, with two portfolios."""
    accounts = (AccountSettings(name="main"), AccountSettings(name="other"))
    async with Venue(VenueSettings(dialect=ALL[request.param], accounts=accounts)) as running_venue:
        yield running_venue


@pytest.fixture
def account(venue: Venue, tmp_path: Path) -> AccountConfig:
    """Return the first account's key, in files."""
    key = venue.keys["main"]
    (tmp_path / "key").write_text(key.api_key)
    (tmp_path / "secret").write_text(key.api_secret)
    return AccountConfig(api_key_file=tmp_path / "key", api_secret_file=tmp_path / "secret")


@pytest_asyncio.fixture(loop_scope="session")
async def desk(venue: Venue, account: AccountConfig, clock: Callable[[], Now]) -> AsyncIterator[Desk]:
    """Return a session that is logged in."""
    notes = RecordingListener()
    endpoints = [Endpoint(name="T", ws_url=venue.ws_url, rest_url=venue.rest_url)]
    session = make_session(notes, endpoints, account, Timing(ping_interval_s=0.2, pong_deadline_s=1.0))
    async with running(session):
        await notes.wait("logged_in")
        yield Desk(session, notes)
        assert notes.of("lost") == []


@pytest_asyncio.fixture(loop_scope="session")
async def rest(venue: Venue, account: AccountConfig, clock: Callable[[], Now]) -> AsyncIterator[RestClient]:
    """Return a client of its REST side."""
    endpoint = Endpoint(name="T", ws_url=venue.ws_url, rest_url=venue.rest_url)
    async with RestClient([endpoint], account, clock) as client:
        yield client


async def test_every_action_is_answered_and_pushed(venue: Venue, desk: Desk) -> None:
    """Place, replace, cancel and cancel_orders are accepted, a fault is refused, and pushes report each order."""
    placed = await desk.ask("place_order", **ORDER, clientOrderId="a1")
    assert classify_code(placed.code) is AckClass.ACCEPTED
    assert placed.order_id
    assert placed.client_order_id == "a1"
    replaced = await desk.ask("replace_order", orderId=placed.order_id, replacePrice="11000")
    cancelled = await desk.ask("cancel_order", clientOrderId="a1")
    assert {classify_code(one.code) for one in (replaced, cancelled)} == {AckClass.ACCEPTED}
    await desk.ask("place_order", **ORDER, clientOrderId="a2")
    assert classify_code((await desk.ask("cancel_orders", exchangeType="BINANCE")).code) is AckClass.ACCEPTED
    refused = await desk.ask("place_order", **{**ORDER, "orderQty": "0.00001"}, clientOrderId="a3")
    general = venue.settings.dialect.action_failure == "older"
    assert (refused.code, classify_code(refused.code)) == (
        (60009, AckClass.INCONCLUSIVE) if general else (401013, AckClass.REFUSED)
    )
    last = {one.key: one for one in desk.elements(Stream.ORDERS, "Orders")}
    states = {one.order.client_order_id: canonical_state(one.order.order_state) for one in last.values() if one.order}
    assert states == {"a1": "CANCELLED", "a2": "CANCELLED"}
    assert venue.portfolio().open_orders == {}


async def test_a_client_order_id_is_accepted_once(desk: Desk) -> None:
    """The venue refuses a second order with the same clientOrderId, in each dialect with its own code."""
    await desk.ask("place_order", **ORDER, clientOrderId="a1")
    assert classify_code((await desk.ask("place_order", **ORDER, clientOrderId="a1")).code) is not AckClass.ACCEPTED


async def test_rest_agrees_with_the_pushes(
    venue: Venue, desk: Desk, rest: RestClient, clock: Callable[[], Now]
) -> None:
    """Order, lists, executions, positions, balances and risk are read in full, and agree with the pushes."""
    await desk.ask("place_order", **ORDER, clientOrderId="open")
    price = venue.quotation(ORDER["sym"]).price
    # Filled in two parts as a maker, whose fees are rebates, then in one as a taker.
    await desk.ask("place_order", **{**ORDER, "limitPrice": str(price - 50), "orderQty": "0.05"}, clientOrderId="maker")
    for _ in range(100):
        venue.quotation(ORDER["sym"]).move(price - 51)
        venue.settle_prices()
    await desk.ask("place_order", **MARKET, clientOrderId="taker")
    since_ms = clock().wall_ms - HOUR_MS
    assert [row.order.client_order_id for row in await read_all(rest.fetch_open_orders())] == ["open"]
    assert {row.order.client_order_id for row in await read_all(rest.fetch_ended_orders(None, since_ms))} == {
        "maker",
        "taker",
    }
    named = await rest.fetch_order(client_order_id="open")
    assert named is not None
    assert await rest.fetch_order(client_order_id="nowhere") is None
    trades = await read_all(rest.fetch_executions(None, since_ms))
    pushed = {one.identity: one for one in desk.elements(Stream.TRADES, "Trades")}
    assert pushed.keys() == {PARSERS[Stream.TRADES](row.raw).identity for row in trades}
    assert {one.compared_fields for one in pushed.values()} == {
        PARSERS[Stream.TRADES](row.raw).compared_fields for row in trades
    }
    (position,) = await read_all(rest.fetch_positions())
    assert PARSERS[Stream.POSITIONS](position).key == f"{ORDER['sym']}:NONE"
    assert {one.key for one in desk.elements(Stream.POSITIONS, "Positions")} == {
        PARSERS[Stream.POSITIONS](position).key
    }
    assert "BINANCE:USDT" in {PARSERS[Stream.ASSETS](row).key for row in await read_all(rest.fetch_assets())}
    assert {PARSERS[Stream.MARGIN_CALLS](row).key for row in await read_all(rest.fetch_account_risks())} == {
        "BINANCE",
        "OKX",
        "EDX",
    }


async def test_a_recovered_fee_is_that_of_the_fill(
    venue: Venue, desk: Desk, rest: RestClient, clock: Callable[[], Now]
) -> None:
    """A recovered trade has the pushed fee or none: it is not computed from a rebate that may belong to the order."""
    price = venue.quotation(ORDER["sym"]).price
    await desk.ask("place_order", **{**ORDER, "limitPrice": str(price - 50), "orderQty": "0.05"}, clientOrderId="maker")
    for _ in range(100):
        venue.quotation(ORDER["sym"]).move(price - 51)
        venue.settle_prices()
    await desk.ask("place_order", **MARKET, clientOrderId="taker")
    true = {trade.transaction_id: trade.fee for trade in venue.portfolio().trades}
    assert len(true) > 2
    for row in await read_all(rest.fetch_executions(None, clock().wall_ms - HOUR_MS)):
        told = json.loads(row.raw)
        fee = true[told["transactionId"]]
        if "tradingFee" in told:
            assert msgspec.json.decode(told["tradingFee"]) == pytest.approx(float(fee))
        else:
            assert venue.settings.dialect.trading_fee != "sent"
            assert told["rebate"] != "0"
            assert {"fee", "feeCoin", "rebateCoin"} <= told.keys()


async def test_the_other_portfolio_keeps_its_orders(venue: Venue, desk: Desk) -> None:
    """This holds unless the venue's cancel-all is the user's; because of that the bridge cancels orders one by one."""
    venue.inject.foreign_action("other", "place_order", {**ORDER, "clientOrderId": "theirs"})
    await desk.ask("cancel_orders", exchangeType="BINANCE")
    kept = [one.client_order_id for one in venue.portfolio("other").open_orders.values()]
    assert kept == ([] if venue.settings.dialect.cancel_all_scope == "user" else ["theirs"])
