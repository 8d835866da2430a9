"""Short pages, rows that shift between pages, and the archive behind the history."""

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.venue import Venue

if TYPE_CHECKING:
    from tests.support.trader import Exchange, Trader

BTC = "BINANCE_PERP_BTC_USDT"
DAY_MS = 24 * 3600 * 1000
HISTORY, ARCHIVE = "history/orders", "archive/history/orders"
TRADES, ARCHIVED_TRADES = "executions/pageable", "archive/executions/pageable"


async def pages(trader: "Trader", name: str, field: str = "clientOrderId", **parameters: str) -> list[list[Any]]:
    """Read a list page by page until the last, and return one field of each row."""
    found = []
    for number in itertools.count(1):
        data = (await trader.get(name, page=str(number), **parameters)).data
        found.append([row[field] for row in data["list"]])
        if number >= data["pageNum"]:
            return found
    raise AssertionError


def limit_rows(venue: Venue, rows: int = 2) -> None:
    """Limit every page to a number of rows."""
    venue.faults.add(Fault(kind=FaultKind.SHORT_PAGES, limit=rows, times=None))


async def test_pages_may_be_shorter_than_asked_for(venue: Venue, trader: "Trader") -> None:
    """The venue returns fewer rows a page and counts pages by that; each page is a fault in the ledger."""
    for index in range(5):
        await trader.place(clientOrderId=f"c{index}")
    limit_rows(venue)
    assert await pages(trader, "orders", pageSize="1000") == [["c4", "c3"], ["c2", "c1"], ["c0"]]
    assert await pages(trader, "orders", pageSize="1") == [["c4"], ["c3"], ["c2"], ["c1"], ["c0"]]
    head = (await trader.get("orders")).data
    assert tuple(head[name] for name in ("pageSize", "pageNum", "totalSize")) == (2, 3, 5)
    assert {entry.facts["fault"] for entry in venue.ledger.entries(EntryKind.FAULT)} == {"short_pages"}


async def test_a_row_that_ends_between_pages_hides_another(venue: Venue, trader: "Trader") -> None:
    """When a row of the first page ends, the first row of the second page moves to the first and is not read."""
    for index in range(4):
        await trader.place(clientOrderId=f"c{index}")
    limit_rows(venue)
    venue.faults.add(
        Fault(
            kind=FaultKind.SHIFT_PAGES,
            action="GET /api/v1/trading/orders",
            between=lambda: venue.inject.foreign_action("main", "cancel_order", {"clientOrderId": "c3"}),
        )
    )
    assert await pages(trader, "orders") == [["c3", "c2"], ["c0"]]
    assert [e.facts["fault"] for e in venue.ledger.entries(EntryKind.FAULT)].count("shift_pages") == 1


async def test_a_row_that_comes_between_pages_repeats_another(venue: Venue, trader: "Trader") -> None:
    """A new order comes first, and moves a row that was read to the next page."""
    for index in range(3):
        await trader.place(clientOrderId=f"c{index}")
    limit_rows(venue)
    args = {"sym": BTC, "side": "BUY", "orderType": "LIMIT", "orderQty": "0.01", "limitPrice": "60000"}
    venue.faults.add(
        Fault(
            kind=FaultKind.SHIFT_PAGES,
            between=lambda: venue.inject.foreign_action("main", "place_order", args | {"clientOrderId": "new"}),
        )
    )
    assert await pages(trader, "orders") == [["c2", "c1"], ["c1", "c0"]]


async def test_the_market_may_move_between_pages(venue: Venue, trader: "Trader") -> None:
    """By default the shift is a market step; there is none after the last page."""
    for index in range(3):
        await trader.place(clientOrderId=f"c{index}")
    price = venue.quotation(BTC).price
    shift = venue.faults.add(Fault(kind=FaultKind.SHIFT_PAGES, times=None))
    await trader.get("orders")
    await trader.get("position")
    assert (shift.trigger_count, venue.quotation(BTC).price) == (0, price)
    await trader.get("orders", pageSize="2")
    await trader.get("orders", pageSize="2", page="2")
    assert (shift.trigger_count, venue.quotation(BTC).price != price) == (1, True)


AGES = [(0, "history"), (6.99, "history"), (7.01, "archive"), (89.99, "archive"), (90.01, "nowhere")]


@pytest.mark.parametrize(("days", "place"), AGES)
async def test_age_of_history_and_archive(
    exchange: "Exchange", venue: Venue, trader: "Trader", days: float, place: str
) -> None:
    """The history reaches seven days back, the archive from there to ninety."""
    at_ms = exchange.clock.wall_ms() - int(days * DAY_MS)
    order = venue.inject.past_order("main", at_ms, fills_at_ms=[at_ms])
    found = {
        name: [await pages(trader, orders, "orderId"), await pages(trader, trades, "orderId")]
        for name, orders, trades in (("history", HISTORY, TRADES), ("archive", ARCHIVE, ARCHIVED_TRADES))
    }
    here = [[[order.order_id]], [[order.order_id]]]
    assert found == {name: here if name == place else [[[]], [[]]] for name in found}


async def test_an_injected_past_order(exchange: "Exchange", venue: Venue, trader: "Trader") -> None:
    """An injected order is filled by its trades, or cancelled without trades; it can be read and is not pushed."""
    day_ms = exchange.clock.wall_ms() - DAY_MS
    filled = venue.inject.past_order("main", day_ms, fills_at_ms=[day_ms + 2, day_ms + 1], client_order_id="p1")
    venue.inject.past_order("main", day_ms - 1, client_order_id="p0")
    row = (await trader.get("order", clientOrderId="p1")).data
    assert tuple(row[name] for name in ("orderState", "orderQty", "executedQty", "createAt", "updateAt")) == (
        "FILLED",
        "0.02",
        "0.02",
        str(day_ms),
        str(day_ms + 2),
    )
    assert (await trader.get("order", clientOrderId="p0")).data["orderState"] == "CANCELLED"
    assert await pages(trader, TRADES, "createAt", orderId=filled.order_id) == [[str(day_ms + 2), str(day_ms + 1)]]
    assert (await trader.get("orders")).data["list"] == []
    assert (venue.ledger.entries(EntryKind.EVENT), venue.portfolio().open_count[BTC]) == ([], 0)


async def test_the_newest_row_comes_first(exchange: "Exchange", venue: Venue, trader: "Trader") -> None:
    """History and executions are in the order of createAt, also with injected orders."""
    await trader.place(clientOrderId="now", orderType="MARKET", limitPrice="")
    for days in (3, 1, 2):
        at_ms = exchange.clock.wall_ms() - days * DAY_MS
        venue.inject.past_order("main", at_ms, fills_at_ms=[at_ms], client_order_id=f"d{days}")
    assert await pages(trader, HISTORY) == [["now", "d1", "d2", "d3"]]
    assert await pages(trader, TRADES) == [["now", "d1", "d2", "d3"]]


async def test_injected_fills_change_no_balance(exchange: "Exchange", venue: Venue, trader: "Trader") -> None:
    """Injected fills change no balance and no position."""
    at_ms = exchange.clock.wall_ms() - 8 * DAY_MS
    before = venue.portfolio().wallets["BINANCE", "USDT"].balance
    venue.inject.past_order("main", at_ms, fills_at_ms=[at_ms], side="SELL", fill_qty=Decimal(1))
    assert (await trader.get("position")).data == []
    assert venue.portfolio().wallets["BINANCE", "USDT"].balance == before


@pytest.mark.parametrize(
    ("name", "other", "count", "left"), [(ARCHIVE, HISTORY, 30, 200), (ARCHIVED_TRADES, TRADES, 5, 429)]
)
async def test_limits_of_the_archive(trader: "Trader", name: str, other: str, count: int, left: int) -> None:
    """Archived orders have their own limit; archived executions count with all executions."""
    statuses = [(await trader.get(name)).status for _ in range(count + 1)]
    assert [200] * count + [429] == statuses
    assert left == (await trader.get(other)).status
