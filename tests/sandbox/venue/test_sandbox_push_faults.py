"""Faults of pushes on a healthy link: late, muted and enlarged ones; and slow REST reads."""

import asyncio
import time
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import WSCloseCode

from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.settings import RequestLimit
from bridge.sandbox.venue.venue import Venue

if TYPE_CHECKING:
    from tests.support.trader import Trader


def delivered(venue: Venue, channel: str) -> list[bool]:
    """Return for each push of a channel whether it was sent to a socket."""
    numbers = {entry.facts["event_number"] for entry in venue.ledger.entries(EntryKind.DELIVER)}
    pushes = [
        entry for entry in venue.ledger.entries(EntryKind.EVENT) if entry.event and entry.event.channel == channel
    ]
    return [entry.number in numbers for entry in pushes]


async def test_a_channel_may_be_muted_for_a_while(venue: Venue, trader: "Trader") -> None:
    """The pushes of a muted channel are lost; other channels and later pushes are sent."""
    await trader.place(clientOrderId="before")
    mute = venue.faults.add(Fault(kind=FaultKind.MUTE_PUSH, channel="Orders", times=None))
    await trader.place(clientOrderId="muted")
    mute.remove()
    await trader.place(clientOrderId="after")
    await trader.settle()
    assert [row["clientOrderId"] for row in trader.seen("Orders")] == ["before", "before", "after", "after"]
    assert delivered(venue, "Orders") == [True, True, False, False, True, True]
    assert delivered(venue, "Assets") == [True, True, True]


async def test_rest_may_lead_the_stream(venue: Venue, trader: "Trader") -> None:
    """Pushes that are equally late keep their order, and REST shows their states before them."""
    venue.faults.add(Fault(kind=FaultKind.DELAY_PUSH, delay_s=0.2, times=None))
    began = time.monotonic()
    for index in range(30):
        venue.inject.margin_call("main", riskRatio=str(index))
    await trader.place(clientOrderId="c1")
    assert (await trader.get("order", clientOrderId="c1")).data["orderState"] == "OPEN"
    await trader.push("MarginCall")
    assert time.monotonic() - began >= 0.2
    await trader.push("Assets")
    assert [row["riskRatio"] for row in trader.seen("MarginCall")] == [str(index) for index in range(30)]
    assert [row["orderState"] for row in trader.seen("Orders")] == ["NEW", "OPEN"]


@pytest.mark.parametrize("action", ["", "GET"])
async def test_every_read_may_be_slow(venue: Venue, trader: "Trader", action: str) -> None:
    """One fault delays every path; the answer is as of the request."""
    venue.limits.set_limit("rest_executions", RequestLimit(1000, 1.0))
    slow = venue.faults.add(Fault(kind=FaultKind.DELAY_ANSWER, action=action, delay_s=0.1, times=None))
    names = ["account", "portfolio/assets", "orders", "history/orders", "archive/history/orders", "position", "order"]
    names += ["executions", "executions/pageable", "archive/executions/pageable", "sym/info"]
    began = time.monotonic()
    await asyncio.gather(*(trader.get(name) for name in names))
    assert time.monotonic() - began >= 0.1
    assert slow.trigger_count == len(names)


async def test_a_slow_read_shows_the_time_of_the_request(venue: Venue, trader: "Trader") -> None:
    """A delayed answer lacks what happens meanwhile; a fault for GET does not affect the WebSocket."""
    slow = venue.faults.add(Fault(kind=FaultKind.DELAY_ANSWER, action="GET", delay_s=0.3, times=None))
    reading = asyncio.create_task(trader.get("orders"))
    await venue.ledger.wait_until(lambda: slow.trigger_count == 1)
    assert (await trader.place())["code"] == 200000
    assert (await reading).data["list"] == []
    assert slow.trigger_count == 1


async def test_a_frame_may_be_larger_than_a_client_takes(venue: Venue, trader: "Trader") -> None:
    """A push may have a frame of any size; a client with a limit closes the link."""
    venue.faults.add(Fault(kind=FaultKind.SWELL_PUSH, channel="Assets", limit=5 << 20))
    await trader.send({"id": "1", "action": "place_order", "args": _RESTING})
    await trader.push("Orders", orderState="OPEN")
    while (message := await trader.socket.receive(timeout=3)).type is aiohttp.WSMsgType.TEXT:
        pass
    assert trader.socket.close_code == WSCloseCode.MESSAGE_TOO_BIG, message
    assert [entry.facts["fault"] for entry in venue.ledger.entries(EntryKind.FAULT)] == ["swell_push"]
    assert delivered(venue, "Assets") == [True]


async def test_an_enlarged_push_is_the_same_push(venue: Venue, trader: "Trader") -> None:
    """Below the client's limit the added blanks change nothing."""
    venue.faults.add(Fault(kind=FaultKind.SWELL_PUSH, limit=3 << 20, times=None))
    venue.inject.margin_call("main", riskRatio="0.85")
    assert (await trader.push("MarginCall"))["riskRatio"] == "0.85"


async def test_a_push_may_be_an_array_of_many(venue: Venue, trader: "Trader") -> None:
    """An injected frame of many rows is pushed unchanged."""
    rows = [{"exchangeType": "BINANCE", "coin": f"C{index}", "balance": "1"} for index in range(10_000)]
    venue.inject.push("main", "Assets", rows)
    frame = await trader.until(lambda frame: frame.get("channel") == "Assets")
    assert frame["data"] == rows


_RESTING = {
    "sym": "BINANCE_PERP_BTC_USDT",
    "side": "BUY",
    "orderType": "LIMIT",
    "orderQty": "0.01",
    "limitPrice": "60000",
}
