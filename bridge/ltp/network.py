"""How every connection to the venue is made: TLS verified, no redirect, no cookie, HTTP/1.1, no proxy but a set one."""

import socket
import ssl
from pathlib import Path
from typing import Any, Final, NamedTuple

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

from bridge.config import VenueAccess
from bridge.errors import VenueUnreachable
from bridge.ltp.names import Names

_REDIRECTS: Final = range(300, 400)
_UNACKNOWLEDGED_MS: Final = 15_000
_names: Final = Names()
"""One for the process: an address that one connection found good is good for the others."""


class Way(NamedTuple):
    """How connections to the venue are made: with which TLS settings, and through which proxy."""

    tls: ssl.SSLContext
    proxy_url: str | None = None


def way_to_venue(access: VenueAccess | None = None) -> Way:
    """Read the settings, and the file of certificates that they may name. Raises OSError."""
    access = access or VenueAccess()
    return Way(_tls_context(access.ca_file), access.proxy_url)


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Build the TLS settings: certificate and host name verified, TLS 1.2 or newer.

    ALPN says HTTP/1.1 because the venue's load balancer does not upgrade to WebSocket over HTTP/2.
    """
    context = ssl.create_default_context(cafile=ca_file)
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
    _names.proved((request.proxy or request.url).raw_host or "")
    if response.status in _REDIRECTS:
        response.close()
        raise VenueUnreachable(
            f"{request.url.host} answered with a redirect (HTTP {response.status}), which is not followed; "
            "check the endpoint's address"
        )
    return response


def http_session(
    way: Way,
    *,
    timeout: ClientTimeout,
    socket_class: type[ClientWebSocketResponse[Any]] = ClientWebSocketResponse,
) -> ClientSession:
    """Open a session that goes to the venue and nowhere else."""
    return ClientSession(
        connector=TCPConnector(ssl=way.tls, socket_factory=_tcp_socket, resolver=_names, use_dns_cache=False),
        cookie_jar=DummyCookieJar(),
        headers={"User-Agent": "ltp-bridge"},
        middlewares=(_check_answer,),
        timeout=timeout,
        proxy=way.proxy_url,
        trust_env=False,
        ws_response_class=socket_class,
    )
