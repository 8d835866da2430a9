"""The whole bridge: real broker, sandbox venue, daemon."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from rig import Rig

from bridge.sandbox.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue import Venue


@pytest_asyncio.fixture(loop_scope="session")
async def rig(bootstrap: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """Return a rig on the run's broker with a venue of its own."""
    async with Venue(VenueSettings(step_period_s=0.05)) as venue, Rig(bootstrap, venue, tmp_path) as built:
        yield built


@pytest_asyncio.fixture(loop_scope="session")
async def two_accounts(bootstrap: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """Return a rig whose venue knows the accounts `main` and `second`."""
    accounts = (AccountSettings(), AccountSettings(name="second"))
    async with Venue(VenueSettings(accounts=accounts)) as venue, Rig(bootstrap, venue, tmp_path) as built:
        yield built
