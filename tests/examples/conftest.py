"""The examples against a whole bridge: real broker, sandbox venue, daemon."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.rig import Rig


@pytest_asyncio.fixture(loop_scope="session")
async def rig(bootstrap: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """Return a rig on the run's broker with a venue of its own."""
    async with Venue(VenueSettings(step_period_s=0.05)) as venue, Rig(bootstrap, venue, tmp_path) as built:
        yield built
