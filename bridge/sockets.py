"""Resetting sockets that are given up, in place of closing them: what they still hold must not arrive later.

The bytes of a socket that is closed are still sent, by the event loop while its buffer lasts, and by the kernel for
minutes after that, even when the process has ended.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
from typing import Final

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_SIOCOUTQNSD: Final = 0x894B
"""The request for the bytes of a TCP socket that were not sent (linux/sockios.h)."""


def reset_on_close(sock: socket.socket | None) -> None:
    """Let the kernel reset a socket and forget its bytes when it is closed, the end of the process included."""
    if sock is not None:
        with contextlib.suppress(OSError):  # it is closed already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def count_unsent_bytes(sock: socket.socket | None) -> int:
    """Return how many bytes the kernel has not sent; 0 where it does not say, or the socket is closed."""
    if sock is None or not sys.platform.startswith("linux"):
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), _SIOCOUTQNSD, bytes(4)), sys.byteorder)
    except (OSError, ValueError):
        return 0


def abort_on_close(writer: asyncio.StreamWriter | None) -> None:
    """Make every close of a stream reset its socket and drop what is not sent yet; None is a stream that has ended.

    A write after the end raises ConnectionResetError: asyncio would pass over it, and uvloop raise what no library
    expects.
    """
    if writer is None:
        return
    transport = writer.transport

    def write_if_open(data: bytes | bytearray | memoryview) -> None:
        if transport.is_closing():
            raise ConnectionResetError("the connection has ended")
        transport.write(data)

    writer.write = write_if_open  # type: ignore[method-assign] # as below
    reset_on_close(writer.get_extra_info("socket"))
    writer.close = writer.transport.abort  # type: ignore[method-assign] # the library calls close() by itself
