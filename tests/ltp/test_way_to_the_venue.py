"""The network settings: other authorities, and a proxy, for REST and WebSocket alike."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.config import AccountConfig, Endpoint, Timing, VenueAccess
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.errors import VenueUnreachable
from bridge.ltp.failover import probe_websocket
from bridge.ltp.network import NetworkSettings, load_network_settings
from bridge.ltp.rest import RestClient
from bridge.ltp.session import Session
from bridge.sandbox.venue.venue import Venue
from tests.support.connect_proxy import ConnectProxy
from tests.support.listening import RecordingListener, make_session, running
from tests.support.raw_venue import CERTIFICATES, server_tls

CA = CERTIFICATES / "localhost.pem"
Run = Callable[[NetworkSettings], Session]
Ask = Callable[[NetworkSettings], RestClient]


@pytest_asyncio.fixture(loop_scope="session")
async def venue() -> AsyncIterator[Venue]:
    """Return a sandbox that speaks TLS, with a certificate of its own."""
    async with Venue(tls=server_tls()) as one:
        yield one


@pytest.fixture
def endpoint(venue: Venue) -> Endpoint:
    """Return where the sandbox is."""
    return Endpoint(name="T", ws_url=venue.ws_url, rest_url=venue.rest_url)


@pytest.fixture
def keys(venue: Venue, tmp_path: Path) -> AccountConfig:
    """Return the sandbox's own key."""
    (tmp_path / "key").write_text(venue.keys["main"].api_key)
    (tmp_path / "secret").write_text(venue.keys["main"].api_secret)
    return AccountConfig(api_key_file=tmp_path / "key", api_secret_file=tmp_path / "secret")


@pytest.fixture
def notes() -> RecordingListener:
    """Return the listener of `session`."""
    return RecordingListener()


@pytest.fixture
def session(endpoint: Endpoint, keys: AccountConfig, timing: Timing, notes: RecordingListener) -> Run:
    """Return a function that makes a session with these network settings."""

    def make(network: NetworkSettings) -> Session:
        return make_session(notes, [endpoint], keys, timing, network=network)

    return make


@pytest.fixture
def rest(endpoint: Endpoint, keys: AccountConfig, clock: Callable[[], Now]) -> Ask:
    """Return a function that makes a client with these network settings."""
    return lambda network: RestClient([endpoint], keys, clock, network)


async def test_an_authority_from_a_file(rest: Ask, session: Run, notes: RecordingListener) -> None:
    """The venue is trusted only if the file has its authority."""
    network = load_network_settings(VenueAccess(ca_file=CA))
    async with rest(network) as client, running(session(network)):
        assert await client.fetch_account_states()
        await notes.wait("logged_in")
    async with rest(load_network_settings()) as client, running(session(load_network_settings())):
        with pytest.raises(VenueUnreachable, match="certificate verify failed"):
            await client.fetch_account_states()
        await notes.wait("attempt_failed")
    assert notes.causes("attempt_failed")[0] is Cause.TLS_FAILED


async def test_a_proxy_for_everything(endpoint: Endpoint, rest: Ask, session: Run, notes: RecordingListener) -> None:
    """The session, REST and probes use it, and it sees only the addresses."""
    hosts = [url.split("/")[2] for url in (endpoint.ws_url, endpoint.rest_url)]
    async with ConnectProxy() as proxy:
        network = load_network_settings(VenueAccess(ca_file=CA, proxy_url=proxy.url))
        async with running(session(network)):
            await notes.wait("logged_in")
        async with rest(network) as client:
            assert await client.fetch_account_states()
            assert await client.probe("T")
        assert await probe_websocket(endpoint, network)
    assert set(proxy.asked) == set(hosts)


async def test_a_proxy_that_is_unreachable(
    rest: Ask, session: Run, notes: RecordingListener, unused_tcp_port: int
) -> None:
    """No connection bypasses it."""
    network = load_network_settings(VenueAccess(ca_file=CA, proxy_url=f"http://127.0.0.1:{unused_tcp_port}"))
    async with rest(network) as client, running(session(network)):
        with pytest.raises(VenueUnreachable):
            await client.fetch_account_states()
        await notes.wait("attempt_failed")
    assert notes.of("logged_in") == []


async def test_a_proxy_that_answers_no_text_is_escaped(rest: Ask, session: Run, notes: RecordingListener) -> None:
    """What it says may be no UTF-8 and may command a terminal; it can be published and shown all the same."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 no\xff\x1b[2J way\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    network = load_network_settings(VenueAccess(ca_file=CA, proxy_url=url))
    try:
        async with rest(network) as client, running(session(network)):
            with pytest.raises(VenueUnreachable) as caught:
                await client.fetch_account_states()
            await notes.wait("attempt_failed")
    finally:
        server.close()
    for told in (str(caught.value), str(notes.of("attempt_failed")[0])):
        assert "503" in told
        assert told.isprintable()
        assert told.encode("utf-8")
