"""REST reads that lag behind the stream: all of an answer is from the same earlier time."""

from typing import TYPE_CHECKING, Any

from bridge.sandbox.venue.clock import ManualClock
from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.faults import Fault, FaultKind, ScriptedFault
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.settings import RequestLimit, VenueSettings
from bridge.sandbox.venue.venue import Venue

if TYPE_CHECKING:
    from tests.support.trader import Exchange, Trader

BTC = "BINANCE_PERP_BTC_USDT"
MARKET = {"sym": BTC, "side": "BUY", "orderType": "MARKET", "orderQty": "0.01"}
READS = ("orders", "history/orders", "executions/pageable", "executions", "position", "portfolio/assets", "account")


def lag(venue: Venue, seconds: float, **fault: Any) -> ScriptedFault:  # noqa: ANN401 - fields of a fault
    """Let REST reads lag by some seconds, until the fault is removed."""
    return venue.faults.add(Fault(kind=FaultKind.LAG_READ, delay_s=seconds, times=None, **fault))


async def shown(venue: Venue, trader: "Trader") -> list[Any]:
    """Return the answers of REST about the account."""
    for name in ("rest_executions", "rest_account"):
        venue.limits.set_limit(name, RequestLimit(1000, 1.0))
    return [(await trader.get(name)).data for name in READS]


async def test_everything_lags_together(exchange: "Exchange", venue: Venue, trader: "Trader") -> None:
    """A lagging read shows what REST showed then, without later orders, ends, fills and positions."""
    await trader.place(clientOrderId="old")
    await trader.place(**MARKET)
    before = await shown(venue, trader)
    exchange.clock.advance(10)
    await trader.ask("cancel_order", clientOrderId="old")
    await trader.place(clientOrderId="new")
    await trader.place(**MARKET)
    now = await shown(venue, trader)
    lag(venue, 5)
    assert await shown(venue, trader) == before
    assert all(after != earlier for after, earlier in zip(now, before, strict=True))


async def test_the_lag_moves_with_the_time(exchange: "Exchange", venue: Venue, trader: "Trader") -> None:
    """A hidden change is shown after the lag, or at once without the fault."""
    exchange.clock.advance(10)
    await trader.place(clientOrderId="c1")
    lagging = lag(venue, 5)
    assert (await trader.get("orders")).data["list"] == []
    exchange.clock.advance(5)
    assert len((await trader.get("orders")).data["list"]) == 1
    await trader.place(clientOrderId="c2")
    lagging.remove()
    assert len((await trader.get("orders")).data["list"]) == 2


async def test_an_order_is_not_found_before_it_was(exchange: "Exchange", venue: Venue, trader: "Trader") -> None:
    """A lagging read of a newer order is refused with 401018; of an older order it shows an old state."""
    order_id = (await trader.place(clientOrderId="old"))["data"]["orderId"]
    exchange.clock.advance(10)
    await trader.place(clientOrderId="new")
    await trader.ask("cancel_order", clientOrderId="old")
    lag(venue, 5)
    assert (await trader.get("order", clientOrderId="new")).code == 401018
    assert (await trader.get("order", orderId=order_id)).data["orderState"] == "OPEN"


async def test_a_client_order_id_that_was_used_again(exchange: "Exchange") -> None:
    """A lagging read by clientOrderId finds the order that had it then."""
    venue = await exchange.open(VenueSettings(dialect=Dialect(client_order_id_unique="while_open")))
    trader = await exchange.trader(venue)
    first = (await trader.place(clientOrderId="twice", timeInForce="IOC"))["data"]["orderId"]
    exchange.clock.advance(10)
    second = (await trader.place(clientOrderId="twice"))["data"]["orderId"]
    assert (await trader.get("order", clientOrderId="twice")).data["orderId"] == second
    lag(venue, 5)
    assert (await trader.get("order", clientOrderId="twice")).data["orderId"] == first


async def test_a_lag_may_be_of_one_path_or_tier(exchange: "Exchange", venue: Venue, trader: "Trader") -> None:
    """A lag may apply to one path or tier only, and never applies to actions."""
    exchange.clock.advance(10)
    lag(venue, 5, action="GET /api/v1/trading/orders")
    lag(venue, 5, tier="ha")
    await trader.place(clientOrderId="c1")
    assert (await trader.get("orders")).data["list"] == []
    assert (await trader.get("order", clientOrderId="c1")).data["orderState"] == "OPEN"
    assert (await trader.rest("DELETE", "/api/v1/trading/order", {"clientOrderId": "c1"})).code == 200000


async def test_the_ledger_records_how_much_was_hidden(exchange: "Exchange", venue: Venue, trader: "Trader") -> None:
    """Each lagging read is a fault in the ledger, and its answer has the number of hidden changes."""
    exchange.clock.advance(10)
    lag(venue, 5)
    await trader.get("orders")
    await trader.place(clientOrderId="c1")
    await trader.get("orders")
    answers = [entry.facts["hidden"] for entry in venue.ledger.entries(EntryKind.ANSWER) if "hidden" in entry.facts]
    made = [e for e in venue.ledger.entries(EntryKind.EVENT) if e.event and e.event.channel != "Trades"]
    assert answers == [0, len(made)]
    assert [entry.facts["fault"] for entry in venue.ledger.entries(EntryKind.FAULT)] == ["lag_read", "lag_read"]


async def test_only_what_has_changed_since_is_undone() -> None:
    """With a long history a lagging read undoes only the changes that it hides."""
    clock = ManualClock()
    venue = Venue(clock=clock)
    for _ in range(300):
        venue.inject.foreign_action("main", "place_order", MARKET)
        clock.advance(1)
    view = venue._backend.lagged_portfolio(venue.keys["main"], 10.5)
    # Of each order two pushes, of its fill one of the coin and one of the position.
    assert (len(view.portfolio.orders), len(view.portfolio.trades), view.hidden_changes) == (290, 290, 40)
