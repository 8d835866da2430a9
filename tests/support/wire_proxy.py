"""A proxy on the way to the venue, for its WebSocket or for its REST: what networks do to bytes, and a count of it.

It knows nothing of frames. "up" is from the client to the venue, "down" from the venue to the client.
"""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from typing import Final, Literal, Self

from yarl import URL

Direction = Literal["up", "down"]

_BOTH: Final[tuple[Direction, Direction]] = ("up", "down")
_CHUNK_BYTES: Final = 65_536
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class WireProxy:
    """Passes everything on until it is told otherwise."""

    def __init__(self, url: str) -> None:
        self._venue = URL(url)
        self._server: asyncio.Server
        self._links: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._open: dict[Direction, asyncio.Event] = {direction: asyncio.Event() for direction in _BOTH}
        self._bytes_until_cut: int | None = None
        self._refuses = False
        self._slices = False
        self.url = ""
        """What the client connects to."""
        self.accepted = 0
        """How many connections were taken."""
        self.refused = 0
        """How many connections were reset as soon as they came."""
        self.cut_links = 0
        """How many connections were reset in their life."""
        self.cuts_in_flow = 0
        """How often the bytes of `cut_after` ran out."""
        self.passed: Counter[Direction] = Counter()
        """How many bytes went on."""
        self.sliced: Counter[Direction] = Counter()
        """How many of them went on alone."""
        self.kept_back: Counter[Direction] = Counter()
        """How often a black hole stood before bytes, or before the beginning or the end of a connection."""

    async def __aenter__(self) -> Self:
        self.resume()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = str(self._venue.with_host("127.0.0.1").with_port(port)).rstrip("/")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        links = list(self._links)
        self.cut()
        await asyncio.gather(*links, return_exceptions=True)

    def cut(self) -> int:
        """Reset every connection, both ways, now; return how many."""
        cut = len(self._links)
        for task, writers in self._links.items():
            for writer in writers:
                _reset(writer)
            task.cancel()
        self._links.clear()
        self.cut_links += cut
        return cut

    def cut_after(self, down_bytes: int) -> None:
        """Reset every connection once so many more bytes have gone down, wherever in a frame that is."""
        self._bytes_until_cut = down_bytes

    def black_hole(self, *directions: Direction) -> None:
        """Pass nothing on, both ways if none is named: no byte, and no end of a connection. New ones are taken.

        What was written meanwhile goes on with `resume`, as when a network heals; `cut` before that loses it.
        """
        for direction in directions or _BOTH:
            self._open[direction].clear()

    def refuse(self) -> None:
        """Reset new connections; those that are open stay."""
        self._refuses = True

    def slice(self) -> None:
        """Pass bytes on one at a time."""
        self._slices = True

    def resume(self) -> None:
        """Pass everything on again."""
        self._bytes_until_cut, self._refuses, self._slices = None, False, False
        for gate in self._open.values():
            gate.set()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self._refuses:
            self.refused += 1
            _reset(to_client)
            return
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        writers = self._links[task] = [to_client]
        try:
            await self._may_pass("up")
            venue, to_venue = await asyncio.open_connection(self._venue.host, self._venue.port)
            writers.append(to_venue)
            await asyncio.gather(self._pump(client, to_venue, "up"), self._pump(venue, to_client, "down"))
        except (OSError, asyncio.CancelledError):
            pass  # no venue, or a cut: either way the connection ends
        finally:
            self._links.pop(task, None)
            for writer in writers:
                writer.close()
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await writer.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction) -> None:
        """Carry one direction, and then its end. An end of the other direction waits for that one's own gate."""
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                await self._pass_on(memoryview(chunk), writer, direction)
        await self._may_pass(direction)
        writer.close()

    async def _pass_on(self, left: memoryview, writer: asyncio.StreamWriter, direction: Direction) -> None:
        while left:
            await self._may_pass(direction)
            sliced = self._slices
            size = 1 if sliced else len(left)
            if direction == "down" and self._bytes_until_cut is not None:
                size = min(size, self._bytes_until_cut)
                self._bytes_until_cut -= size
            writer.write(left[:size])
            await writer.drain()
            left = left[size:]
            self.passed[direction] += size
            if sliced:
                self.sliced[direction] += size
                # The receiver gets its turn before the next byte.
                await asyncio.sleep(0)
            if direction == "down" and self._bytes_until_cut == 0:
                self._bytes_until_cut = None
                self.cuts_in_flow += 1
                self.cut()
                return

    async def _may_pass(self, direction: Direction) -> None:
        gate = self._open[direction]
        if not gate.is_set():
            self.kept_back[direction] += 1
        while not gate.is_set():
            await gate.wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    below: socket.socket | None = writer.get_extra_info("socket")
    if below is not None:
        with contextlib.suppress(OSError):
            below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
