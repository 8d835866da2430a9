"""The settings of all connections to the venue: verified TLS, HTTP/1.1, no redirects, no cookies, only a set proxy."""

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
from bridge.ltp.resolver import CachingResolver

_REDIRECTS: Final = range(300, 400)
_TCP_USER_TIMEOUT_MS: Final = 15_000
_resolver: Final = CachingResolver()
"""One for the process: an address that one connection has reached is used by the others."""


class NetworkSettings(NamedTuple):
    """The TLS settings and the proxy of connections to the venue."""

    tls: ssl.SSLContext
    proxy_url: str | None = None


def load_network_settings(access: VenueAccess | None = None) -> NetworkSettings:
    """Return the settings, with the certificates of the file that they may name. Raises OSError."""
    access = access or VenueAccess()
    return NetworkSettings(_build_tls_context(access.ca_file), access.proxy_url)


def _build_tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return TLS settings that verify certificate and host name, with TLS 1.2 or newer.

    ALPN offers HTTP/1.1 only, because the venue's load balancer does not upgrade to WebSocket over HTTP/2.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _open_tcp_socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setblocking(False)  # noqa: FBT003 - the standard library's signature
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT_MS)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # What the peer does not take stays in this process, not in the kernel: so the gate before a write can see it.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 1)
    return opened


async def _check_response(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    response = await send(request)
    _resolver.mark_reachable((request.proxy or request.url).raw_host or "")
    if response.status in _REDIRECTS:
        response.close()
        raise VenueUnreachable(
            f"{request.url.host} answered with a redirect (HTTP {response.status}), which is not followed; "
            "check the endpoint's address"
        )
    return response


def open_http_session(
    network: NetworkSettings,
    *,
    timeout: ClientTimeout,
    socket_class: type[ClientWebSocketResponse[Any]] = ClientWebSocketResponse,
) -> ClientSession:
    """Return an HTTP session that connects as these settings say."""
    return ClientSession(
        connector=TCPConnector(
            ssl=network.tls, socket_factory=_open_tcp_socket, resolver=_resolver, use_dns_cache=False
        ),
        cookie_jar=DummyCookieJar(),
        headers={"User-Agent": "ltp-bridge"},
        middlewares=(_check_response,),
        timeout=timeout,
        proxy=network.proxy_url,
        trust_env=False,
        ws_response_class=socket_class,
    )
