"""How every connection to the venue is made: TLS verified, no proxy, no redirect, no cookie, HTTP/1.1."""

import socket
import ssl
from typing import Any, Final

from aiohttp import (
    AddrInfoType,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    DummyCookieJar,
    TCPConnector,
)

from bridge.errors import VenueUnreachable
from bridge.ltp.names import Names

_REDIRECTS: Final = range(300, 400)
_UNACKNOWLEDGED_MS: Final = 15_000
_names: Final = Names()
"""One for the process: an address that one connection found good is good for the others."""


def tls_context() -> ssl.SSLContext:
    """Build the TLS settings: certificate and host name verified, TLS 1.2 or newer.

    ALPN says HTTP/1.1 because the venue's load balancer does not upgrade to WebSocket over HTTP/2.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _tcp_socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)  # noqa: FBT003 - the standard library's signature
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # What the peer does not take stays with us, where the gate before a write can see it, and not in the kernel.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 1)
    return made


async def _check_answer(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    response = await send(request)
    _names.proved(request.url.raw_host or "")
    if response.status in _REDIRECTS:
        response.close()
        raise VenueUnreachable(
            f"{request.url.host} answered with a redirect (HTTP {response.status}), which is not followed; "
            "check the endpoint's address"
        )
    return response


def http_session(
    tls: ssl.SSLContext,
    *,
    timeout: ClientTimeout,
    socket_class: type[ClientWebSocketResponse[Any]] = ClientWebSocketResponse,
) -> ClientSession:
    """Open a session that goes to the venue and nowhere else."""
    return ClientSession(
        connector=TCPConnector(ssl=tls, socket_factory=_tcp_socket, resolver=_names, use_dns_cache=False),
        cookie_jar=DummyCookieJar(),
        headers={"User-Agent": "ltp-bridge"},
        middlewares=(_check_answer,),
        timeout=timeout,
        trust_env=False,
        ws_response_class=socket_class,
    )
