"""The proxy before the venue: its faults and its counts."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import aiohttp
import pytest
import pytest_asyncio

from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.venue import Venue
from tests.support.wire_proxy import WireProxy
from tests.witness.waiting import until

if TYPE_CHECKING:
    from tests.support.trader import Exchange, Trader

CLOSED = aiohttp.WSMsgType.CLOSED


@pytest_asyncio.fixture
async def proxy(venue: Venue) -> AsyncIterator[WireProxy]:
    """Return a proxy before the venue's WebSocket."""
    async with WireProxy(venue.ws_url) as running:
        yield running


@pytest_asyncio.fixture
async def caller(exchange: "Exchange", venue: Venue, proxy: WireProxy) -> "Trader":
    """Return a trader who is logged in through the proxy."""
    trader = await exchange.stranger(venue)
    await trader.connect(proxy.url)
    exchange.clock.advance(1)
    await trader.login()
    return trader


async def test_bytes_go_through_unchanged(proxy: WireProxy, caller: "Trader") -> None:
    """Without a fault the proxy changes nothing."""
    assert (await caller.place())["code"] == 200000
    await caller.push("Orders", orderState="OPEN")
    assert (proxy.accepted, proxy.cut_links) == (1, 0)
    assert (proxy.passed["up"] > 0, proxy.passed["down"] > 0) == (True, True)


async def test_rest_goes_through_a_proxy_of_its_own(venue: Venue, trader: "Trader") -> None:
    """A request through a proxy before REST is answered, fails while the proxy refuses, and is answered again."""
    async with WireProxy(venue.rest_url) as proxy, aiohttp.ClientSession() as session:
        proxy.refuse()
        with pytest.raises(aiohttp.ClientError):
            await session.post(f"{proxy.url}/api/v1/trading/nothing")
        proxy.resume()
        async with session.post(f"{proxy.url}/api/v1/trading/nothing") as answer:
            assert answer.status == 404
        assert proxy.refused >= 1


async def test_a_cut_resets_both_sides(venue: Venue, proxy: WireProxy, caller: "Trader") -> None:
    """After a cut neither the client nor the venue has the connection."""
    assert proxy.cut() == 1
    assert (await caller.socket.receive(timeout=3)).type in {CLOSED, aiohttp.WSMsgType.ERROR}
    await venue.ledger.wait_until(lambda: len(venue.ledger.entries(EntryKind.DROP)) == 1)
    assert (proxy.cut_links, proxy.cut()) == (1, 0)


async def test_a_cut_comes_after_a_number_of_bytes(venue: Venue, proxy: WireProxy, caller: "Trader") -> None:
    """The link is cut inside a frame, after exactly the given number of bytes."""
    down, more = proxy.passed["down"], 321
    proxy.cut_after(more)
    await caller.send('{"id":"1","action":"cancel_orders","args":{}}')
    for _ in range(20):
        venue.inject.margin_call("main")
    await until(lambda: proxy.cuts_in_flow == 1)
    assert (proxy.passed["down"] - down, proxy.cut_links) == (more, 1)


async def test_a_black_hole_drops_bytes_silently(venue: Venue, proxy: WireProxy, caller: "Trader") -> None:
    """No bytes go either way, nor the end of the venue's side; the client gets it when the network heals."""
    proxy.black_hole()
    await caller.send("ping")
    venue.inject.margin_call("main")
    await until(lambda: proxy.kept_back["up"] > 0 and proxy.kept_back["down"] > 0)
    venue.cut_connections()
    with pytest.raises(TimeoutError):
        await caller.socket.receive(timeout=0.05)
    proxy.resume()
    await caller.push("MarginCall")
    assert (await caller.socket.receive(timeout=3)).type is CLOSED


async def test_a_black_hole_may_be_one_way(venue: Venue, proxy: WireProxy, caller: "Trader") -> None:
    """The client's bytes arrive, and the answers come only after the healing."""
    proxy.black_hole("down")
    await caller.send({"id": "1", "action": "place_order", "args": {"sym": "none"}})
    await venue.ledger.wait_until(lambda: len(venue.ledger.entries(EntryKind.VERDICT)) == 1)
    await until(lambda: proxy.kept_back["down"] > 0)
    assert proxy.kept_back["up"] == 0
    proxy.resume()
    assert (await caller.until(lambda frame: frame.get("id") == "1"))["event"] == "place_order"


async def test_a_black_hole_takes_new_connections(venue: Venue, proxy: WireProxy, exchange: "Exchange") -> None:
    """A connection is accepted, its upgrade is not answered, and it reaches the venue only after the healing."""
    proxy.black_hole("up")
    opening = asyncio.create_task(exchange.session.ws_connect(proxy.url))
    await until(lambda: proxy.kept_back["up"] == 1)
    assert (opening.done(), venue.ledger.entries(EntryKind.CONN)) == (False, [])
    proxy.resume()
    await (await opening).close()


async def test_what_is_cut_in_a_black_hole_never_arrives(venue: Venue, proxy: WireProxy, caller: "Trader") -> None:
    """A request that a black hole holds is lost when the link is cut."""
    proxy.black_hole("up")
    await caller.send("ping")
    await until(lambda: proxy.kept_back["up"] == 1)
    proxy.cut()
    proxy.resume()
    await venue.ledger.wait_until(lambda: len(venue.ledger.entries(EntryKind.DROP)) == 1)
    assert [e for e in venue.ledger.entries(EntryKind.PING) if e.facts["style"] == "text"] == []


async def test_refusing_keeps_open_connections(proxy: WireProxy, caller: "Trader", exchange: "Exchange") -> None:
    """New connections are reset, the open one goes on; after the healing new ones are accepted."""
    proxy.refuse()
    with pytest.raises(aiohttp.ClientError):
        await exchange.session.ws_connect(proxy.url)
    assert (await caller.place())["code"] == 200000
    proxy.resume()
    await (await exchange.session.ws_connect(proxy.url)).close()
    assert (proxy.accepted, proxy.refused >= 1) == (2, True)


async def test_slices_arrive_unchanged(proxy: WireProxy, caller: "Trader") -> None:
    """Bytes that are sent one at a time arrive unchanged."""
    proxy.slice()
    assert (await caller.place())["code"] == 200000
    await caller.push("Orders", orderState="OPEN")
    assert (proxy.sliced["up"] > 100, proxy.sliced["down"] > 1000) == (True, True)
    proxy.resume()
    await caller.settle()


async def test_the_venue_may_be_down(proxy: WireProxy, venue: Venue, exchange: "Exchange") -> None:
    """When nothing listens behind the proxy, a connection ends at once."""
    await venue.close_tier("az4")
    with pytest.raises(aiohttp.ClientError):
        await exchange.session.ws_connect(proxy.url)
