"""The way to a server: its name, a connection, the proxy in between, and TLS with its certificates."""

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from yarl import URL

from bridge.core.now import Now
from bridge.doctor.findings import Finding, Findings, Level
from bridge.ltp.resolver import CachingResolver

_CONNECT_TIMEOUT_S: Final = 5.0
_TLS_TIMEOUT_S: Final = 5.0
_ROUTE_DEADLINE_S: Final = 45.0
_ADDRESSES_MAX: Final = 16
_HEADERS_BYTES_MAX: Final = 16 * 1024
_DAY_S: Final = 86_400
SOON_DAYS: Final = 21
_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
_WRONG_HOST: Final = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAGNO_CHECK_TIME, which Python has no name for: only so an expired certificate says its day."""

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server(NamedTuple):
    """A server to reach: `area` begins the ids of its findings, `make_tls` is None where it speaks no TLS."""

    area: str
    subject: str
    host: str
    port: int
    make_tls: Callable[[], ssl.SSLContext] | None
    ca_setting: str
    renewer: str
    """Who renews its certificate."""
    address_setting: str
    proxy_url: str | None = None

    def report_ok(self, step: str, found: str) -> Finding:
        """Return that a step of the way went well."""
        return Finding(f"{self.area}.{step}", Level.OK, self.subject, found)


class ServerRoute(NamedTuple):
    """What was found on the way to a server, and whether the way is free."""

    findings: list[Finding]
    is_free: bool


class _Failed(Exception):
    """The way ends here; the finding says why."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(finding.found)


async def inspect_routes(findings: Findings, servers: Sequence[Server], clock: Callable[[], Now]) -> list[ServerRoute]:
    """Try the ways to all servers at once. One without an end in time is not free."""
    tries = [
        findings.await_check(
            _inspect_route(server, clock()),
            f"{server.area}.tcp",
            server.subject,
            deadline_s=_ROUTE_DEADLINE_S,
            remedy="look at the network between this machine and the server",
        )
        for server in servers
    ]
    return [route or ServerRoute([], is_free=False) for route in await asyncio.gather(*tries)]


async def _inspect_route(server: Server, now: Now) -> ServerRoute:
    """Try the way to a server, step by step up to the first that fails."""
    findings: list[Finding] = []
    try:
        await _inspect_steps(server, now, findings)
    except _Failed as failed:
        return ServerRoute([*findings, failed.finding], is_free=False)
    return ServerRoute(findings, is_free=True)


async def _inspect_steps(server: Server, now: Now, findings: list[Finding]) -> None:
    """Append a finding for each step that goes well. Raises _Failed with the finding of the first that does not."""
    proxy = URL(server.proxy_url) if server.proxy_url is not None else None
    host, port = (server.host, server.port) if proxy is None else (proxy.host or "", proxy.port or 0)
    where = f"{host}:{port}" if proxy is None else f"the proxy {host}:{port}"
    addresses = await _resolve(server, host)
    if not _is_address(host):
        findings.append(server.report_ok("dns", f"{host} is {', '.join(addresses)}"))
    reachable, failures = await _probe_addresses(addresses, port)
    if not reachable:
        raise _Failed(_report_unreachable(server, where, failures))
    if failures:
        found = f"{where} answers at {', '.join(reachable)}, but not at {'; '.join(failures)}"
        remedy = "let this machine reach each address, or take it out of the name's: connections begin with any of them"
        findings.append(Finding(f"{server.area}.tcp", Level.NOTE, server.subject, found, remedy))
    else:
        findings.append(server.report_ok("tcp", f"{where} takes connections"))
    if proxy is not None:
        async with _open_stream(server, reachable[0], port, tunnel=True):
            findings.append(server.report_ok("proxy", f"{host}:{port} connects to {server.host}:{server.port}"))
    if server.make_tls is not None:
        findings += await _inspect_tls(server, server.make_tls, reachable[0], port, now)


async def _resolve(server: Server, host: str) -> list[str]:
    try:
        found = await CachingResolver().resolve(host)
    except OSError as error:
        remedy = f"correct {server.address_setting}, or the name servers of this machine (/etc/resolv.conf)"
        raise _Failed(Finding(f"{server.area}.dns", Level.WRONG, server.subject, f"{host}: {error}", remedy)) from None
    return [one["host"] for one in found[:_ADDRESSES_MAX]]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _probe_addresses(addresses: Sequence[str], port: int) -> tuple[list[str], list[str]]:
    """Connect to all addresses at once. Return those that answer, and the others, each with the reason."""
    reasons = await asyncio.gather(*(_probe_address(address, port) for address in addresses))
    pairs = list(zip(addresses, reasons, strict=True))
    reachable = [address for address, reason in pairs if not reason]
    return reachable, [f"{address} ({reason})" for address, reason in pairs if reason]


async def _probe_address(address: str, port: int) -> str:
    """Return why an address takes no connection; empty if it does."""
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return f"no answer within {_CONNECT_TIMEOUT_S:g} s"
    except OSError as error:
        return error.strerror or str(error)
    writer.transport.abort()
    return ""


def _report_unreachable(server: Server, where: str, failures: Sequence[str]) -> Finding:
    found = f"no connection to {where}: {'; '.join(failures)}"
    remedy = (
        f"check {server.address_setting}, that the server runs, and that firewalls and network policies let this "
        f"machine connect to {where}"
    )
    return Finding(f"{server.area}.tcp", Level.WRONG, server.subject, found, remedy)


@asynccontextmanager
async def _open_stream(server: Server, address: str, port: int, *, tunnel: bool) -> AsyncIterator[_Streams]:
    """Connect, through the proxy where there is one, and abort at the end. Raises _Failed."""
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(address, port, limit=_HEADERS_BYTES_MAX)
    except OSError as error:  # TimeoutError too
        where = f"{server.host}:{server.port}"
        raise _Failed(_report_unreachable(server, where, [str(error) or type(error).__name__])) from None
    try:
        if tunnel:
            await _ask_proxy(server, reader, writer)
        yield reader, writer
    finally:
        writer.transport.abort()


async def _ask_proxy(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    host = f"[{server.host}]" if ":" in server.host else server.host
    target = f"{host}:{server.port}"
    writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            status = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode("latin-1")
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        status = f"no answer ({type(error).__name__})"
    if status.split(" ")[1:2] != ["200"]:
        found = f"the proxy does not connect to {target}: {status}"
        remedy = f"let the proxy {server.proxy_url} CONNECT to {target}, or correct venue.proxy_url"
        raise _Failed(Finding(f"{server.area}.proxy", Level.WRONG, server.subject, found, remedy))


async def _inspect_tls(
    server: Server, make_tls: Callable[[], ssl.SSLContext], address: str, port: int, now: Now
) -> list[Finding]:
    """Return what TLS says of the server's certificates. Raises _Failed."""
    try:
        facts = await _shake_hands(server, make_tls(), address, port)
    except ssl.SSLCertVerificationError as error:
        ends = ""
        if error.verify_code == _EXPIRED:
            context = make_tls()
            context.verify_flags |= NO_CHECK_TIME
            with contextlib.suppress(OSError, _Failed):
                ends = (await _shake_hands(server, context, address, port)).soonest_end.describe()
        raise _Failed(_report_refused_certificate(server, error, ends)) from None
    except (OSError, ValueError) as error:  # ssl.SSLError and TimeoutError too
        reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        remedy = f"check that {server.host}:{server.port} speaks TLS 1.2 or newer, and {server.address_setting}"
        finding = Finding(f"{server.area}.tls", Level.WRONG, server.subject, f"no TLS: {reason}", remedy)
        raise _Failed(finding) from None
    found = f"{facts.version}, the certificate is trusted and is for {server.host}"
    return [server.report_ok("tls", found), _judge_end(server, facts.soonest_end, now)]


class CertificateEnd(NamedTuple):
    """When a certificate ends, in Unix seconds, and whose it is."""

    at_unix_s: int
    name: str

    def describe(self) -> str:
        """Return it in words, with the day."""
        day = datetime.fromtimestamp(self.at_unix_s, UTC).date().isoformat()
        return f"the certificate of {self.name} ends on {day}"

    def days_left(self, now: Now) -> int:
        """Return the whole days until then by this machine's clock; below 0 it has ended."""
        return (self.at_unix_s - now.wall_ms // 1000) // _DAY_S


class _TlsFacts(NamedTuple):
    version: str
    soonest_end: CertificateEnd


async def _shake_hands(server: Server, context: ssl.SSLContext, address: str, port: int) -> _TlsFacts:
    """Return what a completed handshake says. Raises OSError, ssl.SSLError and _Failed."""
    async with _open_stream(server, address, port, tunnel=server.proxy_url is not None) as (_, writer):
        async with asyncio.timeout(_TLS_TIMEOUT_S + 1):
            await writer.start_tls(context, server_hostname=server.host, ssl_handshake_timeout=_TLS_TIMEOUT_S)
        secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return _TlsFacts(secured.version() or "TLS", min(read_certificate_ends(secured)))


def read_certificate_ends(secured: ssl.SSLObject) -> Iterator[CertificateEnd]:
    """Yield the ends of the certificates of the verified chain; of the server's own alone where Python hides them."""
    try:
        chain = secured._sslobj.get_verified_chain()  # type: ignore[attr-defined] # noqa: SLF001 - public from 3.13 on, without dates
        certificates: list[dict[str, Any]] = [one.get_info() for one in chain]
    except AttributeError:
        certificates = []
    for one in certificates or [dict(secured.getpeercert() or {})]:
        names = dict(pair for group in one.get("subject", ()) for pair in group)
        name = str(names.get("commonName") or names.get("organizationName") or "without a name")
        yield CertificateEnd(int(ssl.cert_time_to_seconds(one["notAfter"])), name)


def _judge_end(server: Server, end: CertificateEnd, now: Now) -> Finding:
    days, found = end.days_left(now), end.describe()
    if days >= SOON_DAYS:
        return server.report_ok("tls.expiry", found)
    level = Level.WRONG if days < 0 else Level.NOTE
    remedy = f"{server.renewer} must renew it before that day; ask if it does not, and check this machine's clock"
    return Finding(f"{server.area}.tls.expiry", level, server.subject, f"{found}, in {days} days", remedy)


def _report_refused_certificate(server: Server, error: ssl.SSLCertVerificationError, ends: str) -> Finding:
    """Return what is wrong with a certificate, by OpenSSL's code."""
    message = error.verify_message.rstrip(".")
    if error.verify_code == _EXPIRED:
        finding_id = f"{server.area}.tls.expiry"
        remedy = f"{server.renewer} must renew it; check this machine's clock too (timedatectl)"
        message += f": {ends}" if ends else ""
    elif error.verify_code == _NOT_YET_VALID:
        finding_id, remedy = f"{server.area}.tls.expiry", "check this machine's clock (timedatectl)"
    elif error.verify_code in _WRONG_HOST:
        finding_id = f"{server.area}.tls.hostname"
        remedy = f"correct {server.address_setting}: another server answers there, or its certificate has other names"
    else:
        finding_id = f"{server.area}.tls"
        remedy = f"name the authority that signed it in {server.ca_setting} (a proxy may replace certificates)"
    return Finding(finding_id, Level.WRONG, server.subject, f"the certificate is refused: {message}", remedy)
