"""Venues that close the connection at the worst moment: the link ends, and the other endpoint gets its turn."""

import asyncio
import struct
from collections.abc import Callable
from unittest.mock import AsyncMock

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, web

from bridge.config import AccountConfig, Endpoint, Timing
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import Received
from bridge.ltp.connection import LinkEnded, connect
from bridge.ltp.failover import EndpointSelector, probe_websocket
from bridge.ltp.network import load_network_settings
from bridge.ltp.session import Session
from bridge.sandbox.venue.venue import Venue
from tests.support.listening import RecordingListener, make_session, running
from tests.support.raw_venue import CLOSE, PING, Talk, frame, log_in, raw_venue, server_tls
from tests.support.small_rest import Serve

Make = Callable[..., Session]
TRIES = 20
PUSH = b'{"channel":"Orders","data":{"n":1}}'


def endpoints_at(*urls: str) -> list[Endpoint]:
    """Return endpoints with these URLs, in order of preference."""
    return [Endpoint(name=f"E{i}", ws_url=url, rest_url="http://localhost") for i, url in enumerate(urls)]


@pytest.fixture
def make(account: AccountConfig, timing: Timing) -> Make:
    """Return a function that makes a session for URLs, the first of which is preferred."""

    def session(notes: RecordingListener, *urls: str, selector: EndpointSelector | None = None) -> Session:
        return make_session(notes, selector or endpoints_at(*urls), account, timing, random=lambda: 0.1)

    return session


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a frame before the login, and stay connected."""
    writer.write(frame(PUSH))
    await reader.read()


async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close the connection at once."""


def send_and_leave(*frames: bytes) -> Talk:
    """Return a venue that accepts the login, sends these frames, and closes the connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await log_in(reader, writer)
        writer.write(b"".join(frames))

    return talk


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("secure", [False, True])
async def test_a_venue_that_hangs_up_right_behind_the_handshake(*, secure: bool) -> None:
    """The connection does not open, or ends: no other exception comes out of it."""
    async with raw_venue(leave, server_tls() if secure else None) as url:
        for _ in range(TRIES):
            with pytest.raises(LinkEnded) as caught:
                async with connect(url, network=load_network_settings(), timeout_s=5) as connection:
                    await connection.receive()
            assert caught.value.cause is Cause.LINK_FAILED
            assert caught.value.detail.strip()


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(
    "frames",
    [
        (frame(b"hb", PING),),
        (frame(b"hb", PING), frame(struct.pack(">H", 1001) + b"going away", CLOSE)),
        (frame(PUSH), frame(b"hb", PING)),
    ],
    ids=["ping", "ping and farewell", "push and ping"],
)
async def test_a_venue_that_hangs_up_right_behind_a_ping(
    make: Make, timing: Timing, frames: tuple[bytes, ...], *, secure: bool
) -> None:
    """Each session is reported as lost, and the other endpoint is tried."""
    notes, talk = RecordingListener(), send_and_leave(*frames)
    tls = server_tls() if secure else None
    async with raw_venue(talk, tls) as url, raw_venue(stay) as other, running(make(notes, url, other)):
        await notes.wait("logged_in", 3)
    assert notes.of("logged_in") == ["E0", "E0", "E1"]
    assert set(notes.causes("lost")[:2]) <= {Cause.LINK_FAILED, Cause.CLOSED_BY_VENUE}
    assert timing.failover_after_s > notes.times_of("logged_in")[2] - notes.times_of("logged_in")[0]


@pytest.mark.parametrize("step", ["ws_connect", "receive"])
async def test_every_exception_of_the_library_ends_the_link(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """This includes its own assertions, which fail if a connection ends while it opens."""
    whose = ClientSession if step == "ws_connect" else ClientWebSocketResponse
    async with raw_venue(stay) as url:
        monkeypatch.setattr(whose, step, AsyncMock(side_effect=AssertionError))
        with pytest.raises(LinkEnded, match="it ended meanwhile") as caught:
            async with connect(url, network=load_network_settings(), timeout_s=5) as connection:
                await connection.receive()
    assert caught.value.cause is Cause.LINK_FAILED


async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept the login, push once, and stay connected."""
    await log_in(reader, writer)
    writer.write(frame(PUSH))
    await reader.read()


async def test_two_mistakes_at_one_endpoint_select_the_next(make: Make, timing: Timing) -> None:
    """The selector outlives the sessions: two that failed at the first endpoint lead to the second."""

    class Failing(RecordingListener):
        def received(self, event: Received, now: Now) -> None:
            raise RuntimeError("a mistake")

    async with raw_venue(stay) as first, raw_venue(stay) as second:
        notes, selector = Failing(), EndpointSelector(endpoints_at(first, second), timing)
        for _ in range(4):
            with pytest.raises(RuntimeError, match="a mistake"):
                await asyncio.wait_for(make(notes, selector=selector).run(), 5)
    assert notes.of("logged_in") == ["E0", "E0", "E1", "E1"]
    assert notes.causes("lost") == [Cause.BRIDGE_FAILED] * 4


async def test_a_probe_needs_a_websocket_that_stays_open(serve: Serve) -> None:
    """A probe fails if the handshake is refused, or the connection closed right after it. It needs no login."""

    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    network = load_network_settings()
    async with Venue() as venue, raw_venue(greet) as greeting, raw_venue(leave) as leaving:
        urls = [venue.ws_url, greeting, f"ws://{await serve(refuse)}/v1/private", leaving]
        healthy = [await probe_websocket(endpoint, network) for endpoint in endpoints_at(*urls)]
    assert healthy == [True, True, False, False]
