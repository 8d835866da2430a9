"""A way of TCP to a local port, on which bytes get lost, or come one by one."""

import asyncio
import contextlib
from typing import Self


class Passage:
    """Passes bytes on. Those of a direction that is shut are lost, and neither side is told: no reset, no end."""

    def __init__(self, port: int, *, slice_bytes: int = 65_536) -> None:
        self.there = True
        """Whether what the client sends arrives."""
        self.back = True
        """Whether what the server sends arrives."""
        self._to = port
        self._slice_bytes = slice_bytes
        self._ways: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    @property
    def port(self) -> int:
        """Where clients connect to."""
        return int(self._server.sockets[0].getsockname()[1])

    def shut(self) -> None:
        """Lose everything from now on."""
        self.there = self.back = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._open, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for way in self._ways:
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    async def _open(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._ways.add(task)
        task.add_done_callback(self._ways.discard)
        writers = [to_client]
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", self._to)
            writers.append(to_server)
            pumps = [
                asyncio.ensure_future(self._pump(client, to_server, there=True)),
                asyncio.ensure_future(self._pump(server, to_client, there=False)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # nobody there, or the end of the test; either way the connection ends
        finally:
            for writer in writers:
                writer.close()
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await writer.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, there: bool) -> None:
        while some := await reader.read(65_536):
            for begin in range(0, len(some), self._slice_bytes):
                if self.there if there else self.back:
                    writer.write(some[begin : begin + self._slice_bytes])
                    await writer.drain()
