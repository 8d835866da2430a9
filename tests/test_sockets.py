"""A socket that is reset sends nothing of its buffers later."""

import asyncio
import contextlib
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.sockets import abort_on_close, reset_on_close

TLS = Path(__file__).parent / "ltp" / "tls"
MORE_THAN_SOCKETS_HOLD = b"x" * 32_000_000
DEADLINE_S = 20

CHILD = """
import socket, sys, time
from bridge.sockets import reset_on_close
below = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
reset_on_close(below)
below.setblocking(False)
try:
    while True:
        below.send(b"x" * 65536)
except BlockingIOError:
    print("full", flush=True)
time.sleep(60)
"""


class DeafServer:
    """A server that reads nothing from its one connection until the test lets it."""

    def __init__(self) -> None:
        self._may_read = asyncio.Event()
        self._ended = asyncio.get_running_loop().create_future()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Wait, and then read to the end."""
        await self._may_read.wait()
        try:
            while await reader.read(1_000_000):
                pass
        except OSError as error:
            self._ended.set_result(type(error))
        else:
            self._ended.set_result(None)
        writer.close()

    async def read_to_the_end(self) -> type[OSError] | None:
        """Read what arrives, and return how it ended; None for a connection that was closed in order."""
        self._may_read.set()
        return await asyncio.wait_for(self._ended, DEADLINE_S)


@asynccontextmanager
async def deaf_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[DeafServer, int]]:
    """Run a server; yield it with its port."""
    server = DeafServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server, listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


def contexts(*, secure: bool) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """Return the TLS contexts of a server and its client, or None for both without TLS."""
    if not secure:
        return None, None
    of_server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    of_server.load_cert_chain(TLS / "localhost.pem", TLS / "localhost.key")
    return of_server, ssl.create_default_context(cafile=TLS / "localhost.pem")


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_a_stream_that_is_closed_is_reset_and_sends_no_more(*, secure: bool) -> None:
    """The other end gets a reset at once, no matter who closes the stream, also with unsent bytes."""
    of_server, of_client = contexts(secure=secure)
    async with deaf_server(of_server) as (server, port):
        _, writer = await asyncio.open_connection("localhost" if secure else "127.0.0.1", port, ssl=of_client)
        abort_on_close(writer)
        writer.write(MORE_THAN_SOCKETS_HOLD)
        writer.close()
        assert await server.read_to_the_end() is ConnectionResetError


async def test_the_end_of_the_process_is_a_reset_as_well() -> None:
    """When a process with full buffers is killed, its kernel sends nothing more of them."""
    async with deaf_server() as (server, port):
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CHILD, str(port)), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        try:
            assert await asyncio.wait_for(child.stdout.readline(), DEADLINE_S) == b"full\n"
        finally:
            os.kill(child.pid, signal.SIGKILL)
            await child.wait()
        assert await server.read_to_the_end() is ConnectionResetError


@pytest.mark.parametrize("how", ["ours", "theirs"])
async def test_a_write_after_the_end_is_an_error_of_the_connection(how: str) -> None:
    """Whichever side has ended it: a library that writes then tries again on a new connection."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reset_on_close(writer.get_extra_info("socket"))
        writer.transport.abort()

    async def stay(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    server = await asyncio.start_server(stay if how == "ours" else hang_up, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        abort_on_close(writer)
        if how == "ours":
            writer.write(b"before")
            writer.close()
        else:
            with contextlib.suppress(ConnectionError):
                await reader.read()
        with pytest.raises(ConnectionResetError):
            writer.write(b"after")
