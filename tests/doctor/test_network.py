"""The way to a server: each step that fails is a finding with its id and what to do, and nothing hangs."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge import account_parts
from bridge.config import Kafka, Settings, VenueAccess
from bridge.core.now import Now
from bridge.doctor import network
from bridge.doctor.brokers import reach_brokers
from bridge.doctor.findings import Finding, Findings, Level
from bridge.doctor.network import Server, inspect_routes
from bridge.ltp.network import load_network_settings
from tests.support.connect_proxy import ConnectProxy
from tests.support.raw_venue import CERTIFICATES, server_tls

CA = CERTIFICATES / "localhost.pem"
EXPIRED = CERTIFICATES / "expired.pem"
DAY_S = 86_400
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the peer has left."""
    try:
        await reader.read()
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def _listening(tls: ssl.SSLContext | None = None, serve: Serve = _hold) -> AsyncIterator[int]:
    """Listen on 127.0.0.1, and yield the port."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _expired_tls() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(EXPIRED, CERTIFICATES / "localhost.key")
    return context


def _server(port: int, host: str = "localhost", ca_file: Path | None = CA, **changes: Any) -> Server:  # noqa: ANN401
    server = Server(
        area="venue",
        subject=f"HA {host}:{port}",
        host=host,
        port=port,
        make_tls=lambda: load_network_settings(VenueAccess(ca_file=ca_file)).tls,
        ca_setting="venue.ca_file",
        renewer="the venue",
        address_setting="the address in endpoints",
    )
    return server._replace(**changes)


async def _inspect(server: Server, clock: Callable[[], Now] = account_parts.clock) -> dict[str, Finding]:
    """Return what is found on the way to a server, by id."""
    findings = Findings()
    (route,) = await inspect_routes(findings, [server], clock)
    found = {one.id: one for one in (*findings.all, *route.findings)}
    assert route.is_free is not any(one.level is Level.WRONG for one in found.values())
    assert all(one.remedy for one in found.values() if one.level is not Level.OK)
    return found


async def test_a_free_way_is_told_in_full() -> None:
    """Name, connection, TLS with its version, and the day on which the certificate ends."""
    async with _listening(server_tls()) as port:
        found = await _inspect(_server(port))
    assert list(found) == ["venue.dns", "venue.tcp", "venue.tls", "venue.tls.expiry"]
    assert "127.0.0.1" in found["venue.dns"].found
    assert "TLSv1.3, the certificate is trusted and is for localhost" in found["venue.tls"].found
    assert found["venue.tls.expiry"].found.endswith("ends on 2126-10-27")


async def test_an_expired_certificate_is_told_with_its_day() -> None:
    """It is what is wrong, and not the authority."""
    async with _listening(_expired_tls()) as port:
        found = await _inspect(_server(port, ca_file=EXPIRED))
    expiry = found["venue.tls.expiry"]
    assert expiry.level is Level.WRONG
    assert expiry.found == (
        "the certificate is refused: certificate has expired: the certificate of localhost ends on 2021-01-01"
    )
    assert "must renew it; check this machine's clock too" in expiry.remedy
    assert "venue.tls" not in found


@pytest.mark.parametrize(("days", "level"), [(22, Level.OK), (20, Level.NOTE), (1, Level.NOTE), (-2, Level.WRONG)])
async def test_a_certificate_that_ends_soon_is_noted(days: int, level: Level) -> None:
    """By this machine's clock, less than 21 days before its end."""
    ends_unix_s = datetime(2126, 10, 27, 20, 34, 9, tzinfo=UTC).timestamp()
    now = Now(0.0, int((ends_unix_s - days * DAY_S - 3600) * 1000))
    findings = Findings()
    async with _listening(server_tls()) as port:
        (route,) = await inspect_routes(findings, [_server(port)], lambda: now)
    (expiry,) = [one for one in route.findings if one.id == "venue.tls.expiry"]
    assert expiry.level is level
    assert "2126-10-27" in expiry.found
    assert ("must renew it before that day" in expiry.remedy) is (level is not Level.OK)


async def test_a_certificate_for_another_host_is_called_so() -> None:
    """The address of the settings leads to another server."""
    async with _listening(server_tls()) as port:
        found = await _inspect(_server(port, host="127.0.0.1"))
    assert found["venue.tls.hostname"].level is Level.WRONG
    assert "the address in endpoints" in found["venue.tls.hostname"].remedy


async def test_an_unknown_authority_is_called_so() -> None:
    """The remedy names the setting for the authority."""
    async with _listening(server_tls()) as port:
        found = await _inspect(_server(port, ca_file=None))
    assert found["venue.tls"].level is Level.WRONG
    assert "self-signed certificate" in found["venue.tls"].found
    assert "venue.ca_file" in found["venue.tls"].remedy


async def test_a_server_without_tls_is_called_so() -> None:
    """What answers there is no TLS."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await _hold(reader, writer)

    async with _listening(serve=speak) as port:
        found = await _inspect(_server(port))
    assert found["venue.tls"].found.startswith("no TLS: ")


async def test_a_server_that_says_nothing_does_not_hold_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handshake has a deadline."""
    monkeypatch.setattr(network, "_TLS_TIMEOUT_S", 0.2)
    begun_s = time.monotonic()
    async with _listening() as port:
        found = await _inspect(_server(port))
    assert found["venue.tls"].level is Level.WRONG
    assert time.monotonic() - begun_s < 5


async def test_a_name_without_an_address_is_called_so() -> None:
    """By the name's own finding; nothing else is tried."""
    found = await _inspect(_server(443, host="nowhere.invalid"))
    assert list(found) == ["venue.dns"]
    assert "nowhere.invalid" in found["venue.dns"].found


async def test_a_server_that_takes_no_connection_is_called_so(unused_tcp_port: int) -> None:
    """With address and port, to look for in a firewall."""
    found = await _inspect(_server(unused_tcp_port))
    assert f"no connection to localhost:{unused_tcp_port}: 127.0.0.1 (" in found["venue.tcp"].found
    assert "firewalls" in found["venue.tcp"].remedy


async def test_the_way_leads_through_the_proxy() -> None:
    """The proxy is resolved and connected to; TLS is with the server behind it."""
    async with _listening(server_tls()) as port, ConnectProxy() as proxy:
        found = await _inspect(_server(port, proxy_url=proxy.url))
    assert list(found) == ["venue.tcp", "venue.proxy", "venue.tls", "venue.tls.expiry"]
    assert set(proxy.asked) == {f"localhost:{port}"}


async def test_a_proxy_that_refuses_is_called_so() -> None:
    """With its answer, and where it should connect to."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Not on the list\r\n\r\n")
        await _hold(reader, writer)

    async with _listening(serve=refuse) as port:
        found = await _inspect(_server(443, host="venue.invalid", proxy_url=f"http://127.0.0.1:{port}"))
    assert found["venue.proxy"].found == "the proxy does not connect to venue.invalid:443: HTTP/1.1 403 Not on the list"
    assert "CONNECT to venue.invalid:443" in found["venue.proxy"].remedy


async def test_a_broker_with_an_expired_certificate_is_named(tmp_path: Path) -> None:
    """Before any client of Kafka tries it."""
    for name in ("key", "secret"):
        (tmp_path / name).write_text(name)
    async with _listening(_expired_tls()) as port:
        kafka = {"bootstrap_servers": f"localhost:{port}", "security_protocol": "SSL", "ssl_ca_file": EXPIRED}
        settings = Settings(
            environment="x",
            accounts={"main": {"api_key_file": tmp_path / "key", "api_secret_file": tmp_path / "secret"}},
            kafka=Kafka.model_validate(kafka),
        )
        findings = Findings()
        async with reach_brokers(findings, settings, account_parts.clock) as admin:
            assert admin is None
    (expiry,) = [one for one in findings.all if one.id == "kafka.tls.expiry"]
    assert (expiry.level, expiry.subject) == (Level.WRONG, f"localhost:{port}")
    assert "2021-01-01" in expiry.found
    assert "who runs the brokers must renew it" in expiry.remedy
