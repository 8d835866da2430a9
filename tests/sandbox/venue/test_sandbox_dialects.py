"""The effect of each switch of a dialect, and the README's lists of switches and symbols."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from bridge.cli import sandbox_
from bridge.sandbox.venue.clock import ManualClock
from bridge.sandbox.venue.decimals import format_decimal
from bridge.sandbox.venue.dialects import DIALECTS, Dialect
from bridge.sandbox.venue.instruments import CATALOGUE
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.venue import Venue

if TYPE_CHECKING:
    from tests.support.trader import Exchange

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
NOW_MS = 1_763_977_805_203
SYM = "BINANCE_PERP_BTC_USDT"
PLACE = {"sym": SYM, "side": "BUY", "orderType": "LIMIT", "orderQty": "0.01", "limitPrice": "60000"}
ORDER = "/api/v1/trading/order"
CANCEL_ALL = "/api/v1/trading/cancelAll"


class SocketlessVenue:
    """Two portfolios of a venue of one dialect, without sockets."""

    def __init__(self, **switches: Any) -> None:  # noqa: ANN401 - of any switch
        accounts = (AccountSettings(name="main"), AccountSettings(name="other"))
        self.venue = Venue(VenueSettings(dialect=Dialect(**switches), accounts=accounts), ManualClock(NOW_MS))

    def act(self, action: str, args: Mapping[str, str], account: str = "main", *, over_rest: bool = False) -> int:
        """Perform an action and return its code."""
        portfolio = self.venue.portfolio(account)
        return self.venue.gateway.act(portfolio, action, dict(args), NOW_MS, over_rest=over_rest).code

    def open_after_cancel_all(self, args: Mapping[str, str], *, over_rest: bool) -> dict[str, int]:
        """Return how many orders each portfolio has left after a cancel-all of `main`."""
        for account in ("main", "other"):
            assert self.act("place_order", PLACE, account) == 200000
        assert self.act("cancel_orders", args, over_rest=over_rest) == 200000
        return {account: len(self.venue.portfolio(account).open_orders) for account in ("main", "other")}


async def make_trades(exchange: "Exchange", dialect: Dialect) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Fill an order twice as a maker, with a rebate; return the fills of REST and of the pushes."""
    venue = await exchange.open(VenueSettings(dialect=dialect))
    trader = await exchange.trader(venue)
    await trader.place(orderQty="0.1", limitPrice="64000")
    while len(venue.portfolio().trades) < 2:
        venue.quotation(SYM).move(venue.quotation(SYM).instrument.start_price - 2000)
        venue.settle_prices()
    await trader.settle()
    from_rest = (await trader.get("executions")).data
    return sorted(from_rest, key=lambda row: int(row["transactionId"])), trader.seen("Trades")


@pytest.mark.parametrize(
    ("scope", "over_rest", "left"),
    [
        ("portfolio", False, {"main": 0, "other": 1}),
        ("portfolio", True, {"main": 0, "other": 1}),
        ("rest", False, {"main": 0, "other": 1}),
        ("rest", True, {"main": 0, "other": 0}),
        ("user", False, {"main": 0, "other": 0}),
        ("user", True, {"main": 0, "other": 0}),
    ],
)
def test_scope_of_a_cancel_all(scope: str, left: dict[str, int], *, over_rest: bool) -> None:
    """A cancel-all cancels the orders of the portfolio, or of all portfolios of the user."""
    assert SocketlessVenue(cancel_all_scope=scope).open_after_cancel_all({}, over_rest=over_rest) == left


def test_a_cancel_all_over_rest_may_name_a_portfolio() -> None:
    """A cancel-all with a portfolioId cancels only its orders; a portfolio of another user is refused."""
    case = SocketlessVenue(cancel_all_scope="rest")
    other = case.venue.portfolio("other").portfolio_id
    assert case.open_after_cancel_all({"portfolioId": other}, over_rest=True) == {"main": 1, "other": 0}
    assert case.act("cancel_orders", {"portfolioId": "1"}, over_rest=True) == 401010


def test_a_symbol_narrows_a_cancel_all() -> None:
    """The symbol of a cancel-all is used over REST, and on the WebSocket in the contest's dialect."""
    away = {"sym": "BINANCE_PERP_ETH_USDT"}
    assert SocketlessVenue().open_after_cancel_all(away, over_rest=True) == {"main": 1, "other": 1}
    assert SocketlessVenue().open_after_cancel_all(away, over_rest=False)["main"] == 0
    assert SocketlessVenue(batch_cancel_honours_sym=True).open_after_cancel_all(away, over_rest=False)["main"] == 1


@pytest.mark.parametrize(
    ("rules", "taken"),
    [
        ("place_page", {"a" * 32}),
        ("error_codes", {"a" * 32, "a" * 40, "Upper1", "a" * 63}),
        ("contest", {"a" * 32, "a" * 40, "Upper1", "agent-001", "my_order_001"}),
    ],
)
def test_client_order_ids(rules: str, taken: set[str]) -> None:
    """Each of three documents has its own rule for a clientOrderId."""
    every = {"a" * 32, "a" * 40, "a" * 63, "a" * 64, "Upper1", "agent-001", "my_order_001", "with.dot", "ünicode"}
    case = SocketlessVenue(client_order_ids=rules)
    codes = {one: case.act("place_order", {**PLACE, "clientOrderId": one}) for one in every}
    assert {one for one, code in codes.items() if code == 200000} == taken
    assert set(codes.values()) <= {200000, 401001, 401051}


def test_a_client_order_id_in_use_is_refused() -> None:
    """A clientOrderId in use is refused with the code of one table or of the other."""
    for code in (401009, 406010):
        case = SocketlessVenue(duplicate_code=code)
        case.act("place_order", {**PLACE, "clientOrderId": "c1"})
        assert case.act("place_order", {**PLACE, "clientOrderId": "c1"}) == code


def test_a_replace_by_order_id_alone() -> None:
    """Where a replace takes only an orderId, a replace by clientOrderId is refused as an invalid orderId."""
    case = SocketlessVenue(replace_by_client_order_id=False)
    case.act("place_order", {**PLACE, "clientOrderId": "c1"})
    assert case.act("replace_order", {"clientOrderId": "c1", "replaceQty": "0.02"}) == 401082


async def test_acks_with_a_code_as_text(exchange: "Exchange") -> None:
    """The code of an ack is text, as the SDKs compare it."""
    trader = await exchange.trader(await exchange.open(VenueSettings(dialect=Dialect(ack_code="text"))))
    assert (await trader.place())["code"] == "200000"


@pytest.mark.parametrize(
    ("spelling", "words"),
    [
        ("official", {"REJECT", "CANCELLED"}),
        ("rejected", {"REJECTED", "CANCELLED"}),
        ("synonyms", {"REJECTED", "CANCELED"}),
    ],
)
def test_order_states(spelling: str, words: set[str]) -> None:
    """Each document spells the final states of an order in its own way."""
    case = SocketlessVenue(order_states=spelling)
    portfolio, matching = case.venue.portfolio(), case.venue.gateway.matching
    for name in ("a", "b"):
        case.act("place_order", {**PLACE, "clientOrderId": name})
    matching.cancel_order(portfolio.orders_by_client_order_id["a"], NOW_MS)
    matching.reject_order(portfolio.orders_by_client_order_id["b"], "", NOW_MS)
    rows = [json.loads(event.payload) for event in case.venue.gateway.pushes.drain() if event.channel == "Orders"]
    from_rest = {row["orderState"] for row in rows}
    assert from_rest - {"NEW", "OPEN"} == words


async def test_pushes_of_orders_as_the_contest_shows_them(exchange: "Exchange") -> None:
    """A push has no instId, and LIMIT as its orderType."""
    trader = await exchange.trader(await exchange.open(VenueSettings(dialect=Dialect(order_pushes="contest"))))
    await trader.place()
    row = await trader.push("Orders")
    assert (row["orderType"], row["exchangeOrderType"]) == ("LIMIT", "LIMIT")
    assert {"instId" in frame for frame in trader.frames if frame.get("channel") == "Orders"} == {False}


async def test_positions_and_risk_in_older_words(exchange: "Exchange") -> None:
    """The older dialect has NET for NONE, another number for no risk, and no liquidation price."""
    dialect = Dialect(net_side="NET", no_risk="99999999", liq_price="gone")
    trader = await exchange.trader(await exchange.open(VenueSettings(dialect=dialect)))
    assert {row["uniMMR"] for row in (await trader.get("account")).data} == {"99999999"}
    await trader.place(orderType="MARKET")
    (from_rest,) = (await trader.get("position")).data
    pushed = await trader.push("Positions")
    assert [one["positionSide"] for one in (from_rest, pushed)] == ["NET", "NET"]
    assert ["liqPrice" in one for one in (from_rest, pushed)] == [False, False]


@pytest.mark.parametrize(
    ("trading_fee", "in_rest", "in_push"), [("sent", True, True), ("pushed", False, True), ("gone", False, False)]
)
async def test_where_the_trading_fee_is_sent(
    exchange: "Exchange", trading_fee: str, *, in_rest: bool, in_push: bool
) -> None:
    """REST always has separate fee and rebate; a push has them only in place of tradingFee."""
    from_rest, pushed = await make_trades(exchange, msgspec.convert({"trading_fee": trading_fee}, Dialect))
    split = {"fee", "feeCoin", "rebate", "rebateCoin"}
    assert {"tradingFee" in row for row in from_rest} == {in_rest}
    assert all(split <= row.keys() for row in from_rest)
    assert {"tradingFee" in row for row in pushed} == {in_push}
    assert all(split.isdisjoint(row) == in_push for row in pushed)


async def test_a_rebate_of_the_fill_or_of_the_order(exchange: "Exchange") -> None:
    """The rebate of the second fill is its own, or that of its order so far."""
    own, _ = await make_trades(exchange, Dialect())
    sums, _ = await make_trades(exchange, Dialect(rebate="order"))
    fees = [-float(row["tradingFee"]) for row in own]
    assert [float(row["rebate"]) for row in own] == pytest.approx(fees)
    assert [float(row["rebate"]) for row in sums] == pytest.approx([sum(fees[: n + 1]) for n in range(len(fees))])


def _table(first: str) -> list[list[str]]:
    """Return the rows of the README's table with this heading."""
    lines = README[README.index(f"| {first} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _written(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def test_the_readme_lists_every_switch_of_every_dialect() -> None:
    """An empty cell means the documented value."""
    names = [field.name for field in msgspec.structs.fields(Dialect)]
    rows = _table("switch")
    assert [row[0] for row in rows] == [f"`{name}`" for name in names]
    for name, row in zip(names, rows, strict=True):
        listed = {one: cell or row[1] for one, cell in zip(DIALECTS, row[1:5], strict=True)}
        assert listed == {one: _written(getattr(dialect, name)) for one, dialect in DIALECTS.items()}, name
    assert DIALECTS["documented"] == Dialect() == VenueSettings().dialect


def test_the_readme_lists_every_symbol() -> None:
    """The README lists every symbol with its price and its rules."""
    figures = ("start_price", "tick_size", "lot_size", "min_size", "min_notional")
    listed = {row[0].strip("`"): row[1:6] for row in _table("symbol")}
    assert listed == {item.sym: [format_decimal(getattr(item, name)) for name in figures] for item in CATALOGUE}
    units = {row[0].strip("`"): row[6] for row in _table("symbol")}
    for item in CATALOGUE:
        size = f"contracts of {format_decimal(item.contract_size)} {item.base}"
        assert units[item.sym] == (item.base if item.contract_size == 1 else size)


def test_the_command_line_offers_every_dialect() -> None:
    """The command line offers every dialect, and every value of three switches."""
    choices = {one.name: tuple(getattr(one.type, "choices", ())) for one in sandbox_.params}
    assert choices["dialect"] == tuple(DIALECTS)
    fields = {field.name: field for field in msgspec.structs.fields(Dialect)}
    for name in ("cancel_all_scope", "trading_fee", "rebate"):
        assert choices[name] == fields[name].type.__args__
        assert f"--{name.replace('_', '-')}" in re.findall(r"--[a-z-]+", README)
