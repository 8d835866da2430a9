"""What the tests of the doctor share: a rig whose topics are made, and what examines it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from bridge import account_parts
from bridge.config import Settings
from bridge.doctor.findings import Finding, Findings, Level
from bridge.doctor.run import examine
from bridge.sandbox.venue.venue import Venue
from tests.support.rig import Rig


@pytest_asyncio.fixture(loop_scope="session")
async def rig(bootstrap: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """Return a rig on the run's broker with a venue of its own."""
    async with Venue() as venue, Rig(bootstrap, venue, tmp_path) as built:
        yield built


class Examination:
    """The findings of one run."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings

    def of(self, finding_id: str) -> list[Finding]:
        """Return the findings with an id."""
        return [one for one in self.findings if one.id == finding_id]

    def one(self, finding_id: str, level: Level) -> Finding:
        """Return the only finding with an id, which must have this level, and a remedy unless all is well."""
        (found,) = self.of(finding_id)
        assert found.level is level
        assert bool(found.remedy) is (level is not Level.OK)
        return found

    @property
    def wrong(self) -> set[str]:
        """The ids of what is wrong."""
        return {one.id for one in self.findings if one.level is Level.WRONG}


Examine = Callable[[Settings], Awaitable[Examination]]


@pytest.fixture
def examined() -> Examine:
    """Return what runs the doctor once."""

    async def run(settings: Settings) -> Examination:
        findings = Findings()
        await examine(settings, account_parts.clock, findings)
        return Examination(findings.all)

    return run
