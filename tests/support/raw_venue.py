"""A venue that speaks WebSocket byte by byte, with TLS or without, for what no library would send."""

import asyncio
import base64
import contextlib
import hashlib
import re
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

TEXT, CLOSE, PING = 0x1, 0x8, 0x9
ACCEPTED = b'{"id":null,"event":"login","code":0,"msg":"","data":null}'
CERTIFICATES = Path(__file__).parent.parent / "ltp" / "tls"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def frame(payload: bytes, kind: int = TEXT) -> bytes:
    """Return one whole frame as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes([0x80 | kind, size]) + payload
    if size < 65_536:
        return bytes([0x80 | kind, 126]) + struct.pack(">H", size) + payload
    return bytes([0x80 | kind, 127]) + struct.pack(">Q", size) + payload


def server_tls() -> ssl.SSLContext:
    """Return the TLS settings of a server with a certificate for `localhost`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / "localhost.pem", CERTIFICATES / "localhost.key")
    return context


async def _take_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    (key,) = re.findall(rb"(?i)sec-websocket-key: (\S+)", request)
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324 - RFC 6455
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
    writer.write(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")


@asynccontextmanager
async def raw_venue(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Take every handshake, let `talk` go on, and hang up behind it; yields the URL."""
    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await _take_handshake(reader, writer)
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "localhost", 0, ssl=tls, family=2)
    scheme = "ws" if tls is None else "wss"
    try:
        yield f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}/v1/private"
    finally:
        server.close()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)


async def log_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept whatever login comes, once it has."""
    await reader.read(4096)
    writer.write(frame(ACCEPTED))
    await writer.drain()
