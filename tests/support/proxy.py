"""A proxy between one client and one broker that knows where a request begins, and may keep one back.

A broker's answers name the address that clients go to from then on. Here that is the proxy's own: host and port are
replaced in place, which keeps every length.
"""

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import Callable
from typing import Final, Self

PRODUCE: Final = 0
OFFSET_COMMIT: Final = 8
JOIN_GROUP: Final = 11
"""Kinds of requests (Kafka protocol, API keys)."""

_LENGTH: Final = struct.Struct(">i")
_REQUEST: Final = struct.Struct(">hhi")
"""API key, version, and the correlation id that the answer begins with."""

Wanted = Callable[[int, bytes], bool]
"""API key and request: whether it is meant."""


class KafkaProxy:
    """Passes everything on until it is told otherwise."""

    def __init__(self, bootstrap: str) -> None:
        host, _, port = bootstrap.partition(",")[0].rpartition(":")
        self._host, self._port = host, int(port)
        self._server: asyncio.Server
        self._connections: set[asyncio.Task[None]] = set()
        self._own_port = 0
        self._open = asyncio.Event()
        self._open.set()
        self._holds: Wanted | None = None
        self._loses: Wanted | None = None
        self._cuts: Wanted | None = None
        self.passed: Counter[int] = Counter()
        """How many requests of each kind were passed on."""
        self.held = 0
        """How many requests wait here."""
        self.late = 0
        """How many requests were passed on when their client had given their connection up, and were answered."""
        self.late_and_reset = 0
        """How many of those connections their client had reset, not closed."""
        self.lost = 0
        """How many answers were lost here."""
        self.cut = 0
        """How many connections were cut here."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._own_port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def bootstrap(self) -> str:
        """What the client connects to."""
        return f"127.0.0.1:{self._own_port}"

    def hold(self, wanted: Wanted) -> None:
        """Let these requests, and what follows them on their connections, wait here until `release`."""
        self._holds = wanted
        self._open.clear()

    def hold_next(self, wanted: Wanted, count: int = 1) -> None:
        """Let the next such requests wait here until `release`, and nothing else but what follows on their connections.

        They are passed on then whatever their client has done to the connection, as by a network that is slow.
        """
        left = iter(range(count))
        self.hold(lambda kind, request: wanted(kind, request) and next(left, None) is not None)

    def release(self) -> None:
        """Pass on what waits, in its order."""
        self._holds = None
        self._open.set()

    def lose_one_answer(self, wanted: Wanted) -> None:
        """Let the next such request reach the broker, and its answer nobody."""
        self._loses = wanted

    def cut_at(self, wanted: Wanted | None) -> None:
        """Cut the connection at every such request, which the broker does not get; None ends it."""
        self._cuts = wanted

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        writers = [to_client]
        try:
            broker, to_broker = await asyncio.open_connection(self._host, self._port)
            writers.append(to_broker)
            lost: set[int] = set()
            late: dict[int, asyncio.Event] = {}
            pumps = [
                asyncio.ensure_future(self._requests(client, to_broker, lost, late)),
                asyncio.ensure_future(self._answers(broker, to_client, lost, late)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # no broker, or the end of the proxy; either way the connection ends
        finally:
            for writer in writers:
                writer.close()
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await writer.wait_closed()

    async def _requests(
        self,
        client: asyncio.StreamReader,
        to_broker: asyncio.StreamWriter,
        lost: set[int],
        late: dict[int, asyncio.Event],
    ) -> None:
        while True:
            request = await _frame(client)
            kind, _, correlation_id = _REQUEST.unpack_from(request)
            if self._cuts is not None and self._cuts(kind, request):
                self.cut += 1
                return
            if self._loses is not None and self._loses(kind, request):
                self._loses = None
                lost.add(correlation_id)
            if self._holds is not None and self._holds(kind, request):
                self.held += 1
                await self._open.wait()
                self.held -= 1
                if client.at_eof() or client.exception() is not None:
                    late[correlation_id] = asyncio.Event()
            to_broker.write(_LENGTH.pack(len(request)) + request)
            self.passed[kind] += 1
            await to_broker.drain()
            if correlation_id in late:
                await late[correlation_id].wait()
                self.late += 1
                self.late_and_reset += isinstance(client.exception(), ConnectionResetError)

    async def _answers(
        self,
        broker: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        lost: set[int],
        late: dict[int, asyncio.Event],
    ) -> None:
        address, own = (self._host.encode() + _LENGTH.pack(port) for port in (self._port, self._own_port))
        while True:
            answer = await _frame(broker)
            (correlation_id,) = _LENGTH.unpack_from(answer)
            if correlation_id in lost:
                self.lost += 1
                continue
            if correlation_id in late:
                late[correlation_id].set()
                continue
            to_client.write(_LENGTH.pack(len(answer)) + answer.replace(address, own))
            await to_client.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """Read one request or answer; IncompleteReadError at the end of the connection."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return await reader.readexactly(length)
