"""Venues that hang up at the worst moment: each time it is the end of a link, and the other endpoint has its turn."""

import asyncio
import struct
from collections.abc import Callable
from unittest.mock import AsyncMock

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, web

from bridge.config import Account, Endpoint, Timing
from bridge.contract.session import Cause
from bridge.core.endpoints import EndpointSelector
from bridge.core.now import Now
from bridge.core.records import Received
from bridge.ltp.connection import LinkEnded, connect
from bridge.ltp.failover import begin_choice, takes_websockets
from bridge.ltp.network import way_to_venue
from bridge.ltp.session import Session
from bridge.sandbox.venue.venue import Venue
from tests.support.listening import Notes, running
from tests.support.raw_venue import CLOSE, PING, Talk, frame, log_in, raw_venue, server_tls
from tests.support.small_rest import Serve

Make = Callable[..., Session]
TRIES = 20
PUSH = b'{"channel":"Orders","data":{"n":1}}'


@pytest.fixture
def make(account: Account, timing: Timing, clock: Callable[[], Now]) -> Make:
    """Return a function that makes a session for URLs, the first of which is preferred."""

    def session(notes: Notes, *urls: str, choice: EndpointSelector | None = None) -> Session:
        return Session(
            endpoints=[Endpoint(name=f"E{i}", ws_url=url, rest_url="http://localhost") for i, url in enumerate(urls)],
            account=account,
            timing=timing,
            login_attempts_max=3,
            listener=notes,
            clock=clock,
            random=lambda: 0.1,
            choice=choice,
        )

    return session


async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hang up at once."""


def say_and_leave(*frames: bytes) -> Talk:
    """Return a venue that accepts the login, says this, and hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await log_in(reader, writer)
        writer.write(b"".join(frames))

    return talk


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("secure", [False, True])
async def test_a_venue_that_hangs_up_right_behind_the_handshake(*, secure: bool) -> None:
    """The connection did not come about, or is at its end: nothing else comes out of it."""
    async with raw_venue(leave, server_tls() if secure else None) as url:
        for _ in range(TRIES):
            with pytest.raises(LinkEnded) as caught:
                async with connect(url, way=way_to_venue(), timeout_s=5) as connection:
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
    """Each session is lost as any other, and the session looks for the other endpoint."""
    notes, talk = Notes(), say_and_leave(*frames)
    tls = server_tls() if secure else None
    async with raw_venue(talk, tls) as url, raw_venue(stay) as other, running(make(notes, url, other)):
        await notes.wait("logged_in", 3)
    assert notes.of("logged_in") == ["E0", "E0", "E1"]
    assert set(notes.causes("lost")[:2]) <= {Cause.LINK_FAILED, Cause.CLOSED_BY_VENUE}
    assert timing.failover_after_s > notes.times_of("logged_in")[2] - notes.times_of("logged_in")[0]


@pytest.mark.parametrize("step", ["ws_connect", "receive"])
async def test_whatever_the_library_raises_is_the_end_of_the_link(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Its own assertions too, which fail where a connection ends while it is set up or asked something."""
    whose = ClientSession if step == "ws_connect" else ClientWebSocketResponse
    async with raw_venue(stay) as url:
        monkeypatch.setattr(whose, step, AsyncMock(side_effect=AssertionError))
        with pytest.raises(LinkEnded, match="it ended meanwhile") as caught:
            async with connect(url, way=way_to_venue(), timeout_s=5) as connection:
                await connection.receive()
    assert caught.value.cause is Cause.LINK_FAILED


async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept the login, push once, and stay."""
    await log_in(reader, writer)
    writer.write(frame(PUSH))
    await reader.read()


async def test_a_mistake_of_ours_at_one_endpoint_lets_the_next_session_look_elsewhere(
    make: Make, timing: Timing
) -> None:
    """What each session has learned of the endpoints outlives it: two that failed at the first lead to the second."""

    class Failing(Notes):
        def received(self, event: Received, now: Now) -> None:
            raise RuntimeError("a mistake")

    async with raw_venue(stay) as first, raw_venue(stay) as second:
        notes, ends = Failing(), (first, second)
        choice = begin_choice([Endpoint(name="T", ws_url=url, rest_url="http://localhost") for url in ends], timing)
        for _ in range(4):
            with pytest.raises(RuntimeError, match="a mistake"):
                await asyncio.wait_for(make(notes, *ends, choice=choice).run(), 5)
    assert notes.of("logged_in") == ["E0", "E0", "E1", "E1"]
    assert notes.causes("lost") == [Cause.BRIDGE_FAILED] * 4


async def test_only_an_endpoint_that_takes_websockets_is_gone_back_to(serve: Serve) -> None:
    """One that refuses the handshake does not, nor one that hangs up behind it; nobody has to log in to find out."""

    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    async with Venue() as venue, raw_venue(leave) as leaving:
        urls = [venue.ws_url, f"ws://{await serve(refuse)}/v1/private", leaving]
        ends = [Endpoint(name="T", ws_url=url, rest_url="http://localhost") for url in urls]
        assert [await takes_websockets(end, way_to_venue()) for end in ends] == [True, False, False]
