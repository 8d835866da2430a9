"""The venue's side of one WebSocket in bytes: whole frames out as they are, frames of a client in, nothing else."""

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import Callable
from typing import Final, cast

from tests.support.raw_venue import frame

TEXT: Final = 0x1
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY: Final = re.compile(rb"(?i)sec-websocket-key: (\S+)")
_SHORT_MAX: Final = 125
_TWO_BYTES: Final = 126


class ClientSocket(asyncio.Protocol):
    """One connection of a client. `on_text` gets each text frame, and when its bytes arrived (CLOCK_MONOTONIC ns)."""

    def __init__(
        self, on_text: Callable[["ClientSocket", bytes, int], None], on_end: Callable[["ClientSocket"], None]
    ) -> None:
        self._on_text = on_text
        self._on_end = on_end
        self._unread = bytearray()
        self._is_upgraded = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport
        self.account = ""
        """The account that has logged in; empty before."""

    @property
    def is_open(self) -> bool:
        """Whether frames can be written."""
        return not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        # Those of uvloop are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end of the connection."""
        self._writable.set()
        self._on_end(self)

    def pause_writing(self) -> None:
        """Let writers wait: the client reads more slowly than they write."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let writers go on."""
        self._writable.set()

    def write(self, frames: bytes) -> None:
        """Write whole frames."""
        self._transport.write(frames)

    def write_text(self, payload: bytes) -> None:
        """Write one text frame."""
        self._transport.write(frame(payload))

    async def wait_until_writable(self) -> None:
        """Wait while the network takes no more."""
        await self._writable.wait()

    def data_received(self, data: bytes) -> None:
        """Take bytes in: the request for the upgrade, then frames."""
        arrived_ns = time.monotonic_ns()
        self._unread += data
        if not self._is_upgraded and not self._upgrade():
            return
        while (found := self._next_frame()) is not None:
            kind, payload = found
            if kind == TEXT:
                self._on_text(self, payload, arrived_ns)
            elif kind == _PING:
                self.write(frame(payload, _PONG))
            elif kind == _CLOSE:
                self._transport.close()

    def _upgrade(self) -> bool:
        end = self._unread.find(b"\r\n\r\n")
        if end < 0:
            return False
        key = _KEY.search(self._unread)
        if key is None:
            self._transport.abort()
            return False
        accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())  # noqa: S324 - RFC 6455
        self.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        del self._unread[: end + 4]
        self._is_upgraded = True
        return True

    def _next_frame(self) -> tuple[int, bytes] | None:
        """Return kind and payload of the next whole frame; clients mask theirs, and the bench's send no longer ones."""
        unread = self._unread
        if len(unread) < 2:
            return None
        size, begin = unread[1] & 0x7F, 2
        if size == _TWO_BYTES:
            size, begin = int.from_bytes(unread[2:4], "big"), 4
        elif size > _SHORT_MAX:
            raise ValueError("a client sent a frame of 64 KiB or more")
        end = begin + 4 + size
        if len(unread) < end:
            return None
        mask = bytes(unread[begin : begin + 4]) * (size // 4 + 1)
        masked = int.from_bytes(unread[begin + 4 : end], "big")
        payload = (masked ^ int.from_bytes(mask[:size], "big")).to_bytes(size, "big")
        kind = unread[0] & 0x0F
        del unread[:end]
        return kind, payload
