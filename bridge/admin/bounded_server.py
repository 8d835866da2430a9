"""A server socket whose callers can hold neither many descriptors nor one for long."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

CONNECTIONS_MAX: Final = 64
CONNECTION_S: Final = 5.0
"""From its beginning on, whatever its caller does meanwhile: a probe's question and answer take milliseconds."""
_BACKLOG: Final = 32
_SHUTDOWN_S: Final = 1.0


class _Connections:
    """Makes the protocol of each connection; ends it after its time, and the oldest where there are too many."""

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
        """End the oldest connection: each has the same time, so it is also the one whose time is over."""
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
    """Serve an application, one request for each connection; gives the port that was bound.

    A connection lives for `connection_s` at most, and while there are `connections_max` a new one ends the oldest: so
    a probe is answered however many hold a connection open and say nothing. Raises OSError when it cannot listen.
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
