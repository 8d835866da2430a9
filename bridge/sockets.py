"""Sockets that are given up are reset, not closed: what they still hold must not arrive later.

The bytes of a socket that is closed go on being sent, by the event loop while its buffer lasts, and by the kernel for
minutes after that, whatever has become of the process.
"""

import asyncio
import contextlib
import socket
import struct
from typing import Final

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


def reset_on_close(below: socket.socket | None) -> None:
    """Let the kernel reset a socket and forget its bytes when it is closed, the end of the process included."""
    if below is not None:
        with contextlib.suppress(OSError):  # it is closed already
            below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def abort_on_close(writer: asyncio.StreamWriter | None) -> None:
    """Make every close of a stream reset its socket and drop what is not sent yet; None is one that has ended."""
    if writer is None:
        return
    reset_on_close(writer.get_extra_info("socket"))
    writer.close = writer.transport.abort  # type: ignore[method-assign] # a library closes it, and asks nobody
