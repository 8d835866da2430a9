"""The whole bridge over TLS, as in production: through a proxy, and where the preferred endpoint hangs up on us."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from bridge.contract.topics import Stream
from bridge.sandbox.venue.venue import Venue
from tests.support.connect_proxy import ConnectProxy
from tests.support.raw_venue import CERTIFICATES, PING, frame, raw_venue, server_tls
from tests.support.rig import PLACE, Rig, command

CA = {"ca_file": CERTIFICATES / "localhost.pem"}


@pytest_asyncio.fixture(loop_scope="session")
async def secure(bootstrap: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """Return a rig whose venue speaks TLS."""
    async with Venue(tls=server_tls()) as venue, Rig(bootstrap, venue, tmp_path) as built:
        yield built


async def _accepted(rig: Rig) -> dict[str, Any]:
    """Send a place and return its result."""
    one = command("place_order", PLACE, valid_s=60)
    results = await rig.topic(Stream.RESULTS)
    await rig.send(one)
    found = await results.result(one, 60)
    assert found["outcome"] == "accepted"
    return found


async def test_everything_goes_through_the_proxy(secure: Rig) -> None:
    """Session and REST both, with the authority that the settings name."""
    async with ConnectProxy() as proxy:
        async with secure.daemon(secure.settings(venue={**CA, "proxy_url": proxy.url})):
            await _accepted(secure)
        assert {url.split("/")[2] for url in (secure.venue.ws_url, secure.venue.rest_url)} == set(proxy.asked)


async def test_a_venue_that_pings_and_hangs_up_is_left_for_the_other(secure: Rig) -> None:
    """No term ends by it: one owner tries, fails over and trades."""

    async def ping_and_leave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(b"hb", PING))

    async with raw_venue(ping_and_leave, server_tls()) as url:
        first = {"name": "FIRST", "ws_url": url, "rest_url": secure.venue.rest_url}
        second = {"name": "SECOND", "ws_url": secure.venue.ws_url, "rest_url": secure.venue.rest_url}
        async with secure.daemon(secure.settings(venue=CA, endpoints=[first, second])):
            session = await secure.topic(Stream.SESSION)
            await _accepted(secure)
    assert [one["endpoint"] for one in session.values if one["type"] == "session.opened"] == ["SECOND"]
    assert sum(one["type"] == "owner.acquired" for one in session.values) == 1
