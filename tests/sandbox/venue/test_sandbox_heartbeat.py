"""Pings, pongs, and the end of silent connections."""

import time
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue

if TYPE_CHECKING:
    from tests.support.trader import Exchange, Trader


async def test_json_ping_gets_the_venues_time(venue: Venue, trader: "Trader") -> None:
    """A JSON pong carries the venue's own milliseconds, not an echo."""
    await trader.send({"ping": 1})
    assert await trader.read() == {"pong": venue.clock.wall_ms()}


async def test_text_ping_gets_text(trader: "Trader") -> None:
    """A raw text ping is answered by a raw text pong."""
    await trader.send("ping")
    assert await trader.read() == {"text": "pong"}


async def test_heartbeats_are_answered_before_login(exchange: "Exchange", venue: Venue) -> None:
    """A heartbeat needs no login."""
    trader = await exchange.stranger(venue)
    await trader.settle()


@pytest.mark.parametrize(("heartbeat", "heard"), [("json", {"pong"}), ("text", {"text"})])
async def test_one_style_only(exchange: "Exchange", heartbeat: str, heard: set[str]) -> None:
    """A venue with one style of heartbeat ignores the other."""
    venue = await exchange.open(VenueSettings(dialect=Dialect(heartbeat=heartbeat)))  # type: ignore[arg-type] # each is one
    trader = await exchange.trader(venue)
    for ping in ("ping", '{"ping":1}'):
        await trader.send(ping)
    await trader.place()
    assert heard == {name for frame in trader.frames for name in frame if name in {"pong", "text"}}


async def test_protocol_ping_comes_after_connect(exchange: "Exchange", venue: Venue) -> None:
    """The venue pings at the protocol's level, and the client library's pong reaches it."""
    trader = await exchange.stranger(venue)
    await trader.send("ping")

    def ponged() -> bool:
        return any(entry.facts["style"] == "protocol_pong" for entry in venue.ledger.entries(EntryKind.PING))

    while not ponged():
        await trader.settle()


async def test_protocol_ping_is_answered(exchange: "Exchange", venue: Venue) -> None:
    """A client's protocol ping gets a protocol pong."""
    async with exchange.session.ws_connect(venue.ws_url, autoping=False) as socket:
        await socket.ping(b"there")
        while (message := await socket.receive(timeout=3)).type is not aiohttp.WSMsgType.PONG:
            pass
        assert message.data == b"there"


async def test_silent_connection_is_closed(exchange: "Exchange") -> None:
    """A connection without frames is closed after the inactivity time."""
    venue = await exchange.open(VenueSettings(inactivity_s=0.2))
    trader = await exchange.stranger(venue)
    began = time.monotonic()
    message = await trader.socket.receive(timeout=3)
    assert message.type is aiohttp.WSMsgType.CLOSE or trader.socket.closed
    assert time.monotonic() - began >= 0.19
    await venue.ledger.wait_until(lambda: bool(venue.ledger.entries(EntryKind.DROP)))
    (drop,) = venue.ledger.entries(EntryKind.DROP)
    assert drop.facts["reason"] == "inactive"


@pytest.mark.parametrize(("inactivity", "is_closed"), [("both_silent", False), ("client_silent", True)])
async def test_pushes_keep_a_connection(exchange: "Exchange", inactivity: str, is_closed: bool) -> None:  # noqa: FBT001 - a row
    """By default the venue's pushes keep a connection open; by the stricter reading only the client's frames do."""
    dialect = Dialect(inactivity=inactivity)  # type: ignore[arg-type] # each is one
    venue = await exchange.open(VenueSettings(inactivity_s=0.3, dialect=dialect))
    trader = await exchange.trader(venue)
    began = time.monotonic()
    while time.monotonic() - began < 0.6 and not trader.socket.closed:
        venue.inject.push("main", "Assets", {"coin": "USDT"})
        await trader.socket.receive(timeout=3)
    assert is_closed == trader.socket.closed


async def test_pong_can_be_lost_or_late(venue: Venue, trader: "Trader") -> None:
    """A fault may drop a pong or delay it."""
    lost = venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action="ping"))
    venue.faults.add(Fault(kind=FaultKind.DELAY_ANSWER, action="ping", delay_s=0.05))
    for _ in range(2):
        await trader.send("ping")
    assert (await trader.place())["code"] == 200000
    assert {"text": "pong"} not in trader.frames
    await trader.until(lambda frame: frame == {"text": "pong"})
    assert lost.trigger_count == 1


async def test_binary_frames_are_read_as_text(trader: "Trader") -> None:
    """A heartbeat in a binary frame is answered like one in a text frame."""
    await trader.socket.send_bytes(b"ping")
    assert await trader.read() == {"text": "pong"}


async def test_frame_beyond_the_size_limit_ends_the_connection(venue: Venue, trader: "Trader") -> None:
    """A frame beyond the size limit closes the connection, and the ledger records why."""
    await trader.send("x" * (venue.settings.frame_bytes_max + 1))
    await venue.ledger.wait_until(lambda: bool(venue.ledger.entries(EntryKind.DROP)))
    assert venue.connections == []
