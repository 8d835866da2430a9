"""The client against a whole bridge: real broker, sandbox venue, daemon."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.client import Client
from bridge.contract.topics import Stream
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.rig import Rig


@pytest_asyncio.fixture(loop_scope="session")
async def rig(bootstrap: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """Return a rig on the run's broker with a venue of its own."""
    async with Venue(VenueSettings(step_period_s=0.05)) as venue, Rig(bootstrap, venue, tmp_path) as built:
        yield built


@pytest_asyncio.fixture(loop_scope="session")
async def client(rig: Rig, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """Return a client of a running daemon; its settings are the fixture's parameter, if it has one."""
    async with rig.daemon(rig.settings(**getattr(request, "param", {}))):
        session = await rig.topic(Stream.SESSION)
        await session.until(lambda values: any(v["type"] == "recovery.complete" for v in values))
        async with Client(rig.bootstrap, prefix=rig.prefix) as opened:
            yield opened
