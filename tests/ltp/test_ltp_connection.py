"""One WebSocket to the venue, over real sockets."""

import asyncio
import base64
import hashlib
import queue
import re
import socket
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from aiohttp import web

from bridge.contract.session import Cause
from bridge.ltp.connection import FRAME_BYTES_MAX, UNSENT_BYTES_MAX, Connection, LinkEnded, connect
from bridge.ltp.network import load_network_settings

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]
Venue = Callable[[Talk], Awaitable[str]]
TlsVenue = Callable[[Talk], Awaitable[int]]
Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


async def _ending(connection: Connection) -> LinkEnded:
    with pytest.raises(LinkEnded) as caught:
        await asyncio.wait_for(connection.receive(), 5)
    return caught.value


async def _no_connection(url: str, timeout_s: float = 5) -> LinkEnded:
    with pytest.raises(LinkEnded) as caught:
        async with connect(url, network=load_network_settings(), timeout_s=timeout_s):
            pass
    return caught.value


async def test_text_and_binary_frames_give_bytes(venue: Venue) -> None:
    """Text and binary frames give their bytes; protocol pings are answered."""

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.ping()
        await ws.send_str('{"a": "é"}')
        await ws.send_bytes(b"pong")
        await ws.receive()

    async with connect(await venue(talk), network=load_network_settings(), timeout_s=5) as connection:
        assert await connection.receive() == '{"a": "é"}'.encode()
        assert await connection.receive() == b"pong"


async def test_a_close_frame_gives_its_code_and_reason(venue: Venue) -> None:
    """If the venue closes the connection, the detail has its code and reason."""

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.close(code=1001, message=b"maintenance")

    async with connect(await venue(talk), network=load_network_settings(), timeout_s=5) as connection:
        ending = await _ending(connection)
    assert ending.cause == Cause.CLOSED_BY_VENUE
    assert ending.detail == "the venue closed the connection with code 1001 maintenance"


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_cut_link_differs_from_a_close_frame(venue: Venue, how: str) -> None:
    """The end of the stream, or a reset, is a failure of the link."""

    async def talk(ws: web.WebSocketResponse) -> None:
        transport = ws._req.transport  # type: ignore[union-attr] # there is one while the handshake's request is served
        getattr(transport, how)()

    async with connect(await venue(talk), network=load_network_settings(), timeout_s=5) as connection:
        assert (await _ending(connection)).cause == Cause.LINK_FAILED


async def test_an_oversize_frame_ends_the_connection(venue: Venue) -> None:
    """A frame at the limit is read; a larger one ends the connection at once, with its own cause."""

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.send_str("x" * (FRAME_BYTES_MAX - 1))
        await ws.send_str("x" * (FRAME_BYTES_MAX + 1))
        await asyncio.Event().wait()

    async with (
        asyncio.timeout(30),
        connect(await venue(talk), network=load_network_settings(), timeout_s=5) as connection,
    ):
        assert len(await connection.receive()) == FRAME_BYTES_MAX - 1
        ending = await _ending(connection)
    assert ending.cause == Cause.PROTOCOL_ERROR
    assert ending.detail == f"a frame of more than {FRAME_BYTES_MAX} bytes"


async def test_what_is_not_websocket_ends_the_connection(venue: Venue) -> None:
    """Bytes that break the framing give a cause of their own."""

    async def talk(ws: web.WebSocketResponse) -> None:
        transport = ws._req.transport  # type: ignore[union-attr] # there is one while the handshake's request is served
        assert transport is not None
        transport.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        await ws.receive()

    async with connect(await venue(talk), network=load_network_settings(), timeout_s=5) as connection:
        ending = await _ending(connection)
    assert Cause.PROTOCOL_ERROR == ending.cause
    assert ending.detail.startswith("not WebSocket: ")


@contextmanager
def blocking_venue(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve one WebSocket in a thread, so that it works while our event loop is blocked; yields its URL."""

    def answer() -> None:
        peer, _ = listening.accept()
        with peer:
            request = b""
            while b"\r\n\r\n" not in request:
                request += peer.recv(4096)
            (key,) = re.findall(rb"(?i)sec-websocket-key: (\S+)", request)
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324 - RFC 6455
            peer.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
            talk(peer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listening.getsockname()[1]}/v1/private"
        finally:
            thread.join(timeout=5)


async def test_a_frame_is_with_the_kernel_when_write_returns() -> None:
    """The venue receives the frame although our event loop has not run since the write."""
    got: queue.Queue[bytes] = queue.Queue()

    def talk(peer: socket.socket) -> None:
        frame = peer.recv(4096)
        mask = frame[2:6]
        got.put(bytes(byte ^ mask[i % 4] for i, byte in enumerate(frame[6:])))

    with blocking_venue(talk) as url:
        async with connect(url, network=load_network_settings(), timeout_s=5) as connection:
            connection.write(b'{"a":1}')
            assert got.get(timeout=5) == b'{"a":1}'  # blocks the loop, on purpose
            assert connection.write_buffer_empty


async def test_unsent_bytes_are_discarded_at_the_end() -> None:
    """An abort resets the link: what the venue had not read by then does not arrive later."""
    resume = threading.Event()
    ends: queue.Queue[str] = queue.Queue()

    def talk(peer: socket.socket) -> None:
        resume.wait(5)
        try:
            while peer.recv(65_536):
                pass
        except ConnectionResetError:
            ends.put("reset")
        else:
            ends.put("a farewell after all of it")

    with blocking_venue(talk) as url:
        async with connect(url, network=load_network_settings(), timeout_s=5) as connection:
            while connection.write_buffer_empty:
                connection.write(b"x" * 65_536)
        resume.set()
        assert await asyncio.to_thread(ends.get, timeout=5) == "reset"


@pytest.mark.skipif(sys.platform != "linux", reason="the socket options are Linux's")
async def test_the_kernel_holds_nothing_back(venue: Venue) -> None:
    """Small frames are sent at once, unsent bytes stay visible, and a dead link is noticed."""

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()

    async with connect(await venue(talk), network=load_network_settings(), timeout_s=5) as connection:
        made = connection._transport.get_extra_info("socket")
        options = (socket.TCP_NODELAY, socket.TCP_NOTSENT_LOWAT, socket.TCP_USER_TIMEOUT)
        assert [made.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [1, 1, 15_000]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("secure", [False, True])
async def test_a_venue_that_does_not_read_is_noticed(venue: Venue, tls_venue: TlsVenue, *, secure: bool) -> None:
    """Unread bytes show in the write buffer, over TLS too, and end the connection above a limit."""
    done = asyncio.Event()

    async def talk(ws: web.WebSocketResponse) -> None:
        transport = ws._req.transport  # type: ignore[union-attr] # there is one while the handshake's request is served
        assert transport is not None
        transport.pause_reading()
        await ws.send_str("paused")
        await done.wait()

    url = f"wss://localhost:{await tls_venue(talk)}/v1/private" if secure else await venue(talk)
    async with connect(url, network=load_network_settings(), timeout_s=5) as connection:
        await connection.receive()
        for _ in range(100_000):
            connection.write(b"x" * 1000)
            if not connection.write_buffer_empty:
                break
        else:
            pytest.fail("a venue that does not read was not noticed")
        with pytest.raises(LinkEnded, match="does not read"):  # noqa: PT012 - it is the last of many writes
            for _ in range(UNSENT_BYTES_MAX // 1000 + 2):
                connection.write(b"x" * 1000)
        assert (await _ending(connection)).cause == Cause.LINK_FAILED
    done.set()


async def test_nothing_is_written_to_an_ended_connection(venue: Venue) -> None:
    """A write after the end raises."""

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()

    async with connect(await venue(talk), network=load_network_settings(), timeout_s=5) as connection:
        connection.abort()
        with pytest.raises(LinkEnded):
            connection.write(b"late")
        assert (await _ending(connection)).cause == Cause.LINK_FAILED


@pytest.mark.usefixtures("trusted")
async def test_tls_speaks_http_1_1_at_tls_1_2_or_newer(tls_venue: TlsVenue) -> None:
    """A server that prefers HTTP/2 is offered HTTP/1.1 only, because it would not upgrade otherwise."""
    seen: asyncio.Queue[tuple[str | None, str | None]] = asyncio.Queue()

    async def talk(ws: web.WebSocketResponse) -> None:
        tls = ws.get_extra_info("ssl_object")
        seen.put_nowait((tls.selected_alpn_protocol(), tls.version()))

    async with connect(f"wss://localhost:{await tls_venue(talk)}/", network=load_network_settings(), timeout_s=5):
        assert await asyncio.wait_for(seen.get(), 5) == ("http/1.1", "TLSv1.3")
    assert load_network_settings().tls.minimum_version == ssl.TLSVersion.TLSv1_2


async def test_an_unknown_certificate_is_refused(tls_venue: TlsVenue) -> None:
    """No byte of ours is sent to a server with an untrusted certificate."""
    ending = await _no_connection(f"wss://localhost:{await tls_venue(_silent)}/")
    assert ending.cause == Cause.TLS_FAILED
    assert "TLS with localhost failed, nothing was sent" in ending.detail


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_for_another_host_is_refused(tls_venue: TlsVenue) -> None:
    """A trusted certificate is valid for its own host only."""
    ending = await _no_connection(f"wss://127.0.0.1:{await tls_venue(_silent)}/")
    assert "certificate is not valid for '127.0.0.1'" in ending.detail


async def _silent(ws: web.WebSocketResponse) -> None:
    raise AssertionError(f"{ws} should not have been opened")


@pytest.mark.parametrize(
    ("status", "headers", "detail"),
    [
        (302, {"Location": "/elsewhere"}, "a redirect (HTTP 302), which is not followed"),
        (429, {}, "answered the WebSocket handshake with HTTP 429"),
        (200, {}, "answered the WebSocket handshake with HTTP 200"),
    ],
)
async def test_another_answer_to_the_handshake(serve: Serve, status: int, headers: dict[str, str], detail: str) -> None:
    """A redirect is not followed, and any other answer is reported with its status."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=status, headers=headers)

    ending = await _no_connection(f"ws://{await serve(answer)}/v1/private")
    assert asked == ["/v1/private"]
    assert detail in ending.detail


async def test_a_handshake_without_answer_ends_in_time(serve: Serve) -> None:
    """A server that accepts and does not answer is given up."""
    done = asyncio.Event()

    async def answer(_: web.Request) -> web.StreamResponse:
        await done.wait()
        return web.Response()

    ending = await _no_connection(f"ws://{await serve(answer)}/", timeout_s=0.2)
    done.set()
    assert ending.detail == "no connection to 127.0.0.1 within 0.2 s"


async def test_a_refused_connection_is_reported(unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is reported; a proxy of the environment is not used."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    ending = await _no_connection(f"ws://127.0.0.1:{unused_tcp_port}/")
    assert f"127.0.0.1:{unused_tcp_port}" in ending.detail
