"""One WebSocket to the venue, from its handshake to its end. It carries bytes and does not read them."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import (
    ClientConnectionResetError,
    ClientConnectorDNSError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    ClientWebSocketResponse,
    WebSocketError,
    WSCloseCode,
    WSMsgType,
    WSServerHandshakeError,
)
from aiohttp.http_websocket import WebSocketWriter
from yarl import URL

from bridge.contract.session import Cause
from bridge.errors import VenueUnreachable
from bridge.ltp.http_date import parse_http_date
from bridge.ltp.network import NetworkSettings, open_http_session
from bridge.sockets import count_unsent_bytes, reset_on_close

FRAME_BYTES_MAX: Final = 1024 * 1024
"""A larger frame ends the session. The venue's frames are far smaller. The elements of a frame may take a hundred times
its size in memory, and splitting them blocks everything else."""
UNSENT_BYTES_MAX: Final = 1024 * 1024
_MESSAGES: Final = (WSMsgType.TEXT, WSMsgType.BINARY)
_HOLD_OFF_BY_STATUS_S: Final = {418: 30.0, 429: 30.0, 503: 1.0}
"""The HTTP answers to a handshake that ask for a pause, and how long it is without the header Retry-After."""
_HOLD_OFF_MIN_S: Final = 1.0
_HOLD_OFF_MAX_S: Final = 900.0
"""The limit of the pause, whatever the venue or a proxy asks for."""


class LinkEnded(VenueUnreachable):
    """The connection ended or never began. `detail` is text for people.

    `hold_off_s` is for how long the venue wants no further attempt.
    """

    def __init__(self, cause: Cause, detail: str, hold_off_s: float = 0.0) -> None:
        self.cause = cause
        self.detail = detail
        self.hold_off_s = hold_off_s
        super().__init__(detail)


class _Socket(ClientWebSocketResponse[bool]):
    """aiohttp's client socket, with access to its transport."""

    def __init__(self, reader: Any, writer: WebSocketWriter, *rest: Any, **named: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(reader, writer, *rest, **named)
        self.transport = writer.transport

    @property
    def has_message(self) -> bool:
        """Whether `receive` returns a message that was read already; it answers pings itself, and waits behind them."""
        buffer = self._reader._buffer  # noqa: SLF001 - aiohttp has no public way to it
        return bool(buffer) and buffer[0][0].type in _MESSAGES

    def release(self) -> None:
        """Release what aiohttp holds for the connection; after an abort nothing else does."""
        self._response.close()


class Connection:
    """An open WebSocket; `connect` opens it."""

    def __init__(self, opened: ClientWebSocketResponse[bool]) -> None:
        if not isinstance(opened, _Socket):
            raise TypeError("aiohttp made a socket of another class than the one it was given")
        self._socket = opened
        self._transport = opened.transport
        # Set now, so that the end of the process resets the connection too. Later it may be impossible: a TLS transport
        # that both ends have closed raises at every call but is_closing().
        self._sock = self._transport.get_extra_info("socket")
        reset_on_close(self._sock)
        # aiohttp waits inside a write once this much is unsent; `write` ends the connection before that.
        self._transport.set_write_buffer_limits(high=2 * UNSENT_BYTES_MAX)
        self._backlog_bytes = 0
        """What was written since nothing waited for the network."""

    @property
    def unsent_bytes(self) -> int:
        """The most that was written and may wait for the network, in bytes; 0 after the end."""
        if self._transport.is_closing():
            return 0
        waiting = self._transport.get_write_buffer_size() + count_unsent_bytes(self._sock)
        # Over TLS a transport counts only what TLS itself holds, not what waits below it: asyncio shows that, and for
        # uvloop the kernel does. With TCP_NOTSENT_LOWAT at 1 it takes nothing before it has sent what it has.
        below = getattr(getattr(self._transport, "_ssl_protocol", None), "_transport", None)
        waiting += below.get_write_buffer_size() if below is not None else 0
        return max(waiting, self._backlog_bytes) if waiting else 0

    @property
    def write_buffer_empty(self) -> bool:
        """Whether the connection is open and everything written has gone to the network."""
        return not self._transport.is_closing() and self.unsent_bytes == 0

    def write(self, frame: bytes) -> None:
        """Hand one text frame to the transport before returning.

        Raises LinkEnded when the connection has ended; then nothing of the frame was written.
        """
        if self._transport.is_closing():
            raise LinkEnded(Cause.LINK_FAILED, "the connection has ended")
        unsent_bytes = self.unsent_bytes
        if unsent_bytes > UNSENT_BYTES_MAX:
            self.abort()
            raise LinkEnded(Cause.LINK_FAILED, f"the venue does not read: over {UNSENT_BYTES_MAX} bytes are unsent")
        # aiohttp's coroutine writes an uncompressed frame before it could first wait. It is run by hand, so that
        # nothing else runs between the caller's own checks and the write.
        self._backlog_bytes = len(frame) + (self._backlog_bytes if unsent_bytes else 0)
        coroutine = self._socket.send_frame(frame, WSMsgType.TEXT)
        try:
            coroutine.send(None)
        except StopIteration:
            return
        except ClientConnectionResetError:
            raise LinkEnded(Cause.LINK_FAILED, "the connection has ended") from None
        coroutine.close()
        self.abort()
        raise RuntimeError("aiohttp waited inside a write, so a check and its write are no longer one step")

    @property
    def has_frame(self) -> bool:
        """Whether a frame has been read from the socket and waits for `receive`."""
        return self._socket.has_message

    async def receive(self) -> bytes:
        """Wait for the next frame and return it. Raises LinkEnded at the end of the connection."""
        try:
            message = await self._socket.receive()
        except Exception as error:  # noqa: BLE001 - aiohttp answers a ping here, and raises various errors after a close
            raise LinkEnded(Cause.LINK_FAILED, f"the link was cut: {_describe_error(error)}") from None
        if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is WSMsgType.CLOSE:
            reason = f" {message.extra}" if message.extra else ""
            raise LinkEnded(Cause.CLOSED_BY_VENUE, f"the venue closed the connection with code {message.data}{reason}")
        failure = message.data if message.type is WSMsgType.ERROR else self._socket.exception()
        if isinstance(failure, WebSocketError):
            if failure.code == WSCloseCode.MESSAGE_TOO_BIG:
                raise LinkEnded(Cause.PROTOCOL_ERROR, f"a frame of more than {FRAME_BYTES_MAX} bytes")
            raise LinkEnded(Cause.PROTOCOL_ERROR, f"not WebSocket: {failure}")
        raise LinkEnded(Cause.LINK_FAILED, f"the link was cut{f': {failure}' if failure else ' without a farewell'}")

    def abort(self) -> None:
        """End the connection now. What was not sent is discarded, so that it cannot arrive later."""
        self._transport.abort()

    def release(self) -> None:
        """Abort the connection and release everything that it holds."""
        self.abort()
        self._socket.release()


async def _open_websocket(http: ClientSession, url: str, timeout_s: float) -> Connection:
    host = URL(url).host
    try:
        async with asyncio.timeout(timeout_s):
            opened = await http.ws_connect(url, compress=0, max_msg_size=FRAME_BYTES_MAX, decode_text=False)
        return Connection(opened)
    except TimeoutError:
        raise LinkEnded(Cause.LINK_FAILED, f"no connection to {host} within {timeout_s:.3g} s") from None
    except WSServerHandshakeError as error:
        raise _describe_refused_handshake(host, error) from None
    except ClientSSLError as error:
        detail = f"TLS with {host} failed, nothing was sent: {error}; check the address and the CA certificates"
        raise LinkEnded(Cause.TLS_FAILED, detail) from None
    except ClientConnectorDNSError as error:
        raise LinkEnded(Cause.NAME_NOT_RESOLVED, f"no connection to {host}: {error.os_error}") from None
    except Exception as error:  # noqa: BLE001 - aiohttp asserts that nothing closes the connection while it opens
        raise LinkEnded(Cause.LINK_FAILED, f"no connection to {host}: {_describe_error(error)}") from None


def _describe_error(error: Exception) -> str:
    return str(error) or f"it ended meanwhile ({type(error).__name__})"


def _describe_refused_handshake(host: str | None, error: WSServerHandshakeError) -> LinkEnded:
    detail = f"{host} answered the WebSocket handshake with HTTP {error.status}"
    if error.status not in _HOLD_OFF_BY_STATUS_S:
        return LinkEnded(Cause.LINK_FAILED, detail)
    header = error.headers.get("Retry-After", "") if error.headers is not None else ""
    asked_s = parse_retry_after(header, time.time())
    hold_off_s = _HOLD_OFF_BY_STATUS_S[error.status] if asked_s is None else asked_s
    hold_off_s = min(max(hold_off_s, _HOLD_OFF_MIN_S), _HOLD_OFF_MAX_S)
    return LinkEnded(Cause.LOGIN_REFUSED, f"{detail}; no further attempt there for {hold_off_s:.3g} s", hold_off_s)


def parse_retry_after(header: str, unix_s: float) -> float | None:
    """Return the seconds in the header Retry-After, which is a number or a date; None when it is neither."""
    if re.fullmatch(r"[0-9]{1,9}", header.strip(), re.ASCII):
        return float(header)
    until_unix_s = parse_http_date(header)
    return None if until_unix_s is None else max(0.0, until_unix_s - unix_s)


@contextlib.asynccontextmanager
async def connect(url: str, *, network: NetworkSettings, timeout_s: float) -> AsyncIterator[Connection]:
    """Open a WebSocket and abort it at the end. Raises LinkEnded when it does not open within `timeout_s`."""
    async with open_http_session(network, timeout=ClientTimeout(total=None), socket_class=_Socket) as http:
        connection = await _open_websocket(http, url, timeout_s)
        try:
            yield connection
        finally:
            connection.release()
