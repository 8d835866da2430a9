"""A server socket that limits how many connections callers hold open, and for how long; with TLS where it is wanted."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

CONNECTIONS_MAX: Final = 64
CONNECTION_S: Final = 5.0
"""Life of a connection from its beginning, whatever its caller does: a probe needs milliseconds."""
_BACKLOG: Final = 32
_SHUTDOWN_S: Final = 1.0

_EndConnection = Callable[[], None]


class _Connections:
    """The open connections: each is ended after its time, and the oldest is ended when there are too many."""

    def __init__(self, connections_max: int, connection_s: float) -> None:
        self._max = connections_max
        self._connection_s = connection_s
        self._open: deque[tuple[_EndConnection, asyncio.TimerHandle]] = deque()

    def make_room(self) -> None:
        """End the oldest connections until there is room for one more."""
        while len(self._open) >= self._max:
            self._end_oldest_now()

    def add(self, end: _EndConnection) -> None:
        """Take in a connection and what ends it."""
        self._open.append((end, asyncio.get_running_loop().call_later(self._connection_s, self._end_oldest)))

    def end_all(self) -> None:
        """End every connection now."""
        while self._open:
            self._end_oldest_now()

    def _end_oldest_now(self) -> None:
        self._open[0][1].cancel()
        self._end_oldest()

    def _end_oldest(self) -> None:
        """End the oldest connection. All have the same time, so its time is the first to be over."""
        self._open.popleft()[0]()


class _PlainDoor:
    """Makes the handler of each new connection without TLS."""

    def __init__(self, make: Callable[[], web.RequestHandler], connections: _Connections) -> None:
        self._make = make
        self._connections = connections

    def __call__(self) -> web.RequestHandler:
        self._connections.make_room()
        handler = self._make()

        def end_connection() -> None:
            if handler.transport is not None:
                handler.transport.abort()

        self._connections.add(end_connection)
        return handler


class _TlsDoor:
    """Takes each new connection through its handshake, in a task of its own that can be ended at any moment.

    A server of asyncio with a TLS context keeps a connection out of reach until its handshake is done. So its socket
    is taken off the server first.
    """

    def __init__(
        self,
        make: Callable[[], web.RequestHandler],
        connections: _Connections,
        read_context: Callable[[], ssl.SSLContext],
        handshake_s: float,
    ) -> None:
        self._make = make
        self._connections = connections
        self._read_context = read_context
        self._handshake_s = handshake_s
        self._handshakes: set[asyncio.Task[None]] = set()

    def __call__(self) -> asyncio.Protocol:
        return _SocketTaker(self._begin_handshake)

    async def wait_until_ended(self) -> None:
        """Wait for the handshakes that were ended."""
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _begin_handshake(self, taken: socket.socket) -> None:
        self._connections.make_room()
        opened: list[asyncio.WriteTransport] = []
        task = asyncio.create_task(self._shake_hands(taken, opened), name="TLS handshake")
        self._handshakes.add(task)

        def forget_handshake(task: asyncio.Task[None]) -> None:
            self._handshakes.discard(task)
            if not opened:
                taken.close()

        def end_connection() -> None:
            task.cancel()
            for transport in opened:
                transport.abort()

        task.add_done_callback(forget_handshake)
        self._connections.add(end_connection)

    async def _shake_hands(self, taken: socket.socket, opened: list[asyncio.WriteTransport]) -> None:
        """Append the transport of a handshake that succeeds. One that fails is its caller's own affair."""
        with contextlib.suppress(OSError):
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                self._make,
                taken,
                ssl=self._read_context(),
                ssl_handshake_timeout=self._handshake_s,
                ssl_shutdown_timeout=self._handshake_s,
            )
            opened.append(transport)


class _SocketTaker(asyncio.Protocol):
    """Takes the socket of a new connection off its server."""

    def __init__(self, take: Callable[[socket.socket], None]) -> None:
        self._take = take

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # TCP has no other
        with contextlib.suppress(OSError):  # no descriptor is left: the caller is cut off
            taken = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
            taken.setblocking(False)  # noqa: FBT003 - the standard library's own
            self._take(taken)
        transport.abort()  # closes the server's descriptor, and not the connection


@asynccontextmanager
async def serve_bounded(
    application: web.Application,
    host: str,
    port: int,
    *,
    read_context: Callable[[], ssl.SSLContext] | None = None,
    connections_max: int = CONNECTIONS_MAX,
    connection_s: float = CONNECTION_S,
) -> AsyncIterator[int]:
    """Serve an application with one request for each connection; yield the port that was bound.

    A connection lives for at most `connection_s`, its TLS handshake included, and where `connections_max` are open a
    new one ends the oldest. So a probe gets its answer even while many callers hold connections open. `read_context`
    is asked for the TLS context of each connection. Raises OSError when it cannot listen.
    """
    runner = web.AppRunner(application, access_log=None, keepalive_timeout=0, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        if runner.server is None:
            raise RuntimeError("aiohttp has set up no server")
        connections = _Connections(connections_max, connection_s)
        door = (
            _PlainDoor(runner.server, connections)
            if read_context is None
            else _TlsDoor(runner.server, connections, read_context, connection_s)
        )
        server = await asyncio.get_running_loop().create_server(door, host, port, backlog=_BACKLOG)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            connections.end_all()
            if isinstance(door, _TlsDoor):
                await door.wait_until_ended()
    finally:
        await runner.cleanup()
