"""A cluster whose brokers can all move: one bootstrap address stays, the brokers behind it change theirs."""

import asyncio
import contextlib
from typing import Self

from tests.support.proxy import KafkaProxy


class MovingCluster:
    """Leads from one address to a broker that names another as its own; `move` gives it a new one and ends the old."""

    def __init__(self, bootstrap: str) -> None:
        self._broker = bootstrap
        self._proxy: KafkaProxy
        self._server: asyncio.Server
        self._passing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._proxy = KafkaProxy(self._broker)
        await self._proxy.__aenter__()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for one in self._passing:
            one.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        await self._proxy.__aexit__(None, None, None)

    @property
    def bootstrap(self) -> str:
        """The address that stays."""
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def move(self) -> None:
        """Cut every connection, let nothing listen at the old address, and be reachable at a new one."""
        after = KafkaProxy(self._broker)
        await after.__aenter__()
        before, self._proxy = self._proxy, after
        await before.__aexit__(None, None, None)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)
        host, _, port = self._proxy.bootstrap.rpartition(":")
        writers = [to_client]
        try:
            broker, to_broker = await asyncio.open_connection(host, int(port))
            writers.append(to_broker)
            pumps = [asyncio.ensure_future(_pump(client, to_broker)), asyncio.ensure_future(_pump(broker, to_client))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # the end of the cluster; the connection ends with it
        finally:
            for writer in writers:
                writer.close()
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65_536):
        writer.write(part)
        await writer.drain()
