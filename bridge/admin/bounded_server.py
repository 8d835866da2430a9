"""A server socket that limits how many connections callers hold open, and for how long."""

import asyncio
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


class _Connections:
    """The open connections: each is ended after its time, and the oldest is ended when there are too many."""

    def __init__(self, make: Callable[[], web.RequestHandler], connections_max: int, connection_s: float) -> None:
        self._make = make
        self._max = connections_max
        self._connection_s = connection_s
        self._open: deque[tuple[web.RequestHandler, asyncio.TimerHandle]] = deque()

    def __call__(self) -> web.RequestHandler:
        while len(self._open) >= self._max:
            self._open[0][1].cancel()
            self._end_oldest()
        handler = self._make()
        self._open.append((handler, asyncio.get_running_loop().call_later(self._connection_s, self._end_oldest)))
        return handler

    def _end_oldest(self) -> None:
        """End the oldest connection. All have the same time, so its time is the first to be over."""
        transport = self._open.popleft()[0].transport
        if transport is not None:
            transport.abort()

    def end_all(self) -> None:
        """End every connection now."""
        while self._open:
            self._open[0][1].cancel()
            self._end_oldest()


@asynccontextmanager
async def serve_bounded(
    application: web.Application,
    host: str,
    port: int,
    *,
    connections_max: int = CONNECTIONS_MAX,
    connection_s: float = CONNECTION_S,
) -> AsyncIterator[int]:
    """Serve an application with one request for each connection; yield the port that was bound.

    A connection lives for at most `connection_s`, and where `connections_max` are open a new one ends the oldest. So
    a probe gets its answer even while many callers hold connections open. Raises OSError when it cannot listen.
    """
    runner = web.AppRunner(application, access_log=None, keepalive_timeout=0, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        if runner.server is None:
            raise RuntimeError("aiohttp has set up no server")
        connections = _Connections(runner.server, connections_max, connection_s)
        server = await asyncio.get_running_loop().create_server(connections, host, port, backlog=_BACKLOG)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            connections.end_all()
    finally:
        await runner.cleanup()
