"""Vendor quirks that need a connection: tiers, heartbeats of each dialect, and HTTP/2."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from bridge.config import AZ4, HA, AccountConfig, Endpoint, Kafka, Settings, Timing
from bridge.ltp.connection import connect
from bridge.ltp.network import load_network_settings
from bridge.ltp.session import Session
from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.ledger import EntryKind, LedgerEntry
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.listening import RecordingListener, make_session, running

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]

TIMING = Timing(ping_interval_s=0.2, pong_deadline_s=2, failover_after_s=4)
PINGS = 14
"""So many last longer than SILENCE_S."""
SILENCE_S = 2.5


def keys(venue: Venue, folder: Path) -> AccountConfig:
    """Write the sandbox's key to files."""
    (folder / "key").write_text(venue.keys["main"].api_key)
    (folder / "secret").write_text(venue.keys["main"].api_secret)
    return AccountConfig(api_key_file=folder / "key", api_secret_file=folder / "secret")


def session(endpoints: list[Endpoint], account: AccountConfig, notes: RecordingListener) -> Session:
    """Make a session that pings every 0.2 s."""
    return make_session(notes, endpoints, account, TIMING, random=lambda: 0.0)


def pings(venue: Venue) -> list[LedgerEntry]:
    """Return the pings that the bridge sent; the sandbox may send heartbeats too."""
    beats = venue.ledger.entries(EntryKind.PING)
    return [beat for beat in beats if beat.facts["style"] in {"json", "text"} and not beat.facts["from_venue"]]


@pytest.mark.parametrize(
    ("endpoints", "first"),
    [
        pytest.param(None, "AZ4", id="01 preferred tier: unless told otherwise"),
        pytest.param((HA, AZ4), "HA", id="01 preferred tier: as the settings say"),
    ],
)
def test_which_tier_comes_first_is_a_setting(
    endpoints: tuple[Endpoint, ...] | None, first: str, account: AccountConfig
) -> None:
    """Two official pages give opposite advice, so the order of the endpoints is a setting."""
    told = {} if endpoints is None else {"endpoints": endpoints}
    kafka = Kafka(bootstrap_servers="localhost:1")
    settings = Settings.model_validate({"environment": "t", "accounts": {"main": account}, "kafka": kafka, **told})
    assert {AZ4, HA} == set(settings.endpoints)
    assert settings.endpoints[0].name == first


@pytest.mark.parametrize(
    ("away", "found"),
    [
        pytest.param("", "az4", id="01 preferred tier: it is well"),
        pytest.param("az4", "ha", id="01 preferred tier: it is away"),
    ],
)
async def test_the_session_is_at_one_tier(away: str, found: str, tmp_path: Path) -> None:
    """It is at the first tier that accepts a session, and at no other."""
    notes = RecordingListener()
    async with Venue(VenueSettings(tiers=("az4", "ha"))) as venue:
        endpoints = [Endpoint(name=one.name, ws_url=one.ws_url, rest_url=one.rest_url) for one in venue.tiers.values()]
        if away:
            await venue.close_tier(away)
        async with running(session(endpoints, keys(venue, tmp_path), notes)):
            assert await notes.wait("logged_in") == [found]
            assert len(venue.connections) == 1


@pytest.mark.parametrize(
    "dialect",
    [
        pytest.param(Dialect(heartbeat="json"), id="04 heartbeat style: a venue of JSON alone"),
        pytest.param(Dialect(heartbeat="text"), id="04 heartbeat style: a venue of text alone"),
        pytest.param(Dialect(inactivity="client_silent"), id="05 silence rule: a venue that counts only the client"),
    ],
)
async def test_pings_keep_a_session(dialect: Dialect, tmp_path: Path) -> None:
    """The session outlives the venue's limit of silence, whichever pings it answers and whichever side it watches."""
    notes = RecordingListener()
    async with Venue(VenueSettings(dialect=dialect, inactivity_s=SILENCE_S)) as venue:
        endpoints = [Endpoint(name="T", ws_url=venue.ws_url, rest_url=venue.rest_url)]
        async with running(session(endpoints, keys(venue, tmp_path), notes)):
            await venue.ledger.wait_until(lambda: len(pings(venue)) >= PINGS, 20)
            assert notes.of("lost") == []


@pytest.mark.parametrize("pong", [pytest.param(b"pong", id="04 heartbeat style: a binary frame")])
async def test_a_pong_may_be_binary(
    venue: Callable[[Talk], Awaitable[str]], account: AccountConfig, pong: bytes
) -> None:
    """The word counts, not the type of the frame."""
    notes, answered = RecordingListener(), asyncio.Semaphore(0)

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str(json.dumps({"event": "login", "code": 0}))
        async for _ in ws:
            await ws.send_bytes(pong)
            answered.release()

    endpoints = [Endpoint(name="T", ws_url=await venue(talk), rest_url="http://localhost")]
    async with running(session(endpoints, account, notes)), asyncio.timeout(20):
        for _ in range(3):
            await answered.acquire()
        assert notes.of("lost") == []


@pytest.mark.parametrize("protocol", [pytest.param("http/1.1", id="27 HTTP/2")])
@pytest.mark.usefixtures("trusted")
async def test_the_handshake_asks_for_http_1_1(tls_venue: Callable[[Talk], Awaitable[int]], protocol: str) -> None:
    """A server that prefers HTTP/2 gets HTTP/1.1: it does not upgrade over HTTP/2."""
    spoken: asyncio.Queue[str] = asyncio.Queue()

    async def talk(ws: web.WebSocketResponse) -> None:
        spoken.put_nowait(ws.get_extra_info("ssl_object").selected_alpn_protocol())

    async with connect(f"wss://localhost:{await tls_venue(talk)}/", network=load_network_settings(), timeout_s=10):
        assert await asyncio.wait_for(spoken.get(), 10) == protocol
