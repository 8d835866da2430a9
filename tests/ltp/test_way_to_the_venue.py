"""How the venue is reached: with authorities of one's own, and through a proxy, for REST and WebSocket alike."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.config import Account, Endpoint, Timing, VenueAccess
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.errors import VenueUnreachable
from bridge.ltp.failover import takes_websockets
from bridge.ltp.network import Way, way_to_venue
from bridge.ltp.rest import RestClient
from bridge.ltp.session import Session
from bridge.sandbox.venue.venue import Venue
from tests.support.connect_proxy import ConnectProxy
from tests.support.listening import Notes, running
from tests.support.raw_venue import CERTIFICATES, server_tls

CA = CERTIFICATES / "localhost.pem"
Run = Callable[[Way], Session]
Ask = Callable[[Way], RestClient]


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
def keys(venue: Venue, tmp_path: Path) -> Account:
    """Return the sandbox's own key."""
    (tmp_path / "key").write_text(venue.keys["main"].api_key)
    (tmp_path / "secret").write_text(venue.keys["main"].api_secret)
    return Account(api_key_file=tmp_path / "key", api_secret_file=tmp_path / "secret")


@pytest.fixture
def notes() -> Notes:
    """Return the listener of `session`."""
    return Notes()


@pytest.fixture
def session(endpoint: Endpoint, keys: Account, timing: Timing, clock: Callable[[], Now], notes: Notes) -> Run:
    """Return a function that makes a session that takes a way."""

    def make(way: Way) -> Session:
        return Session(
            endpoints=[endpoint],
            account=keys,
            timing=timing,
            login_attempts_max=3,
            listener=notes,
            clock=clock,
            random=lambda: 0.5,
            way=way,
        )

    return make


@pytest.fixture
def rest(endpoint: Endpoint, keys: Account, clock: Callable[[], Now]) -> Ask:
    """Return a function that makes a client that takes a way."""
    return lambda way: RestClient([endpoint], keys, clock, way)


async def test_an_authority_of_ones_own(rest: Ask, session: Run, notes: Notes) -> None:
    """Where the file names it the venue is trusted, and nowhere else."""
    way = way_to_venue(VenueAccess(ca_file=CA))
    async with rest(way) as client, running(session(way)):
        assert await client.account()
        await notes.wait("logged_in")
    async with rest(way_to_venue()) as client, running(session(way_to_venue())):
        with pytest.raises(VenueUnreachable, match="certificate verify failed"):
            await client.account()
        await notes.wait("attempt_failed")
    assert notes.causes("attempt_failed")[0] is Cause.TLS_FAILED


async def test_a_proxy_for_everything(endpoint: Endpoint, rest: Ask, session: Run, notes: Notes) -> None:
    """The session, REST and what is only tried go through it, and it sees nothing but where to."""
    hosts = [url.split("/")[2] for url in (endpoint.ws_url, endpoint.rest_url)]
    async with ConnectProxy() as proxy:
        way = way_to_venue(VenueAccess(ca_file=CA, proxy_url=proxy.url))
        async with running(session(way)):
            await notes.wait("logged_in")
        async with rest(way) as client:
            assert await client.account()
            assert await client.probe("T")
        assert await takes_websockets(endpoint, way)
    assert set(proxy.asked) == set(hosts)


async def test_a_proxy_that_is_not_there(rest: Ask, session: Run, notes: Notes, unused_tcp_port: int) -> None:
    """Nothing goes past it."""
    way = way_to_venue(VenueAccess(ca_file=CA, proxy_url=f"http://127.0.0.1:{unused_tcp_port}"))
    async with rest(way) as client, running(session(way)):
        with pytest.raises(VenueUnreachable):
            await client.account()
        await notes.wait("attempt_failed")
    assert notes.of("logged_in") == []
