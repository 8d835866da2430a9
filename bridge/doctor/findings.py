"""The findings of one run: what was tried, how it went, and what to do."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TypeVar

from msgspec import Struct

from bridge.errors import BridgeError
from bridge.problem import Problem

_Answer = TypeVar("_Answer")


class Level(StrEnum):
    """How a check went."""

    OK = "ok"
    NOTE = "note"
    """A person should know it, although the daemon works."""
    WRONG = "wrong"


class Finding(Struct, frozen=True):
    """One thing that was tried. `id` is stable, `subject` is the account, endpoint, topic, broker or file.

    `remedy` says what to do; it is empty where all is well. Others may have written parts of each text.
    """

    id: str
    level: Level
    subject: str
    found: str
    remedy: str = ""


class Findings:
    """Collects the findings in their order, and hands each on at once."""

    def __init__(self, on_finding: Callable[[Finding], None] | None = None) -> None:
        self.all: list[Finding] = []
        self._on_finding = on_finding

    def add(self, *found: Finding) -> None:
        """Take in findings."""
        for one in found:
            self.all.append(one)
            if self._on_finding is not None:
                self._on_finding(one)

    def add_ok(self, finding_id: str, subject: str, found: str) -> None:
        """Take in something that works."""
        self.add(Finding(finding_id, Level.OK, subject, found))

    def add_note(self, finding_id: str, subject: str, found: str, remedy: str) -> None:
        """Take in something to know."""
        self.add(Finding(finding_id, Level.NOTE, subject, found, remedy))

    def add_wrong(self, finding_id: str, subject: str, found: str, remedy: str) -> None:
        """Take in something that is wrong."""
        self.add(Finding(finding_id, Level.WRONG, subject, found, remedy))

    def add_problem(self, problem: Problem, level: Level = Level.WRONG) -> None:
        """Take in a problem that the daemon's own checks have found."""
        self.add(Finding(problem.id, level, problem.subject, problem.found, problem.remedy))

    def count(self, level: Level) -> int:
        """Return how many findings have a level."""
        return sum(one.level is level for one in self.all)

    async def await_check(
        self, check: Awaitable[_Answer], finding_id: str, subject: str, *, deadline_s: float, remedy: str
    ) -> _Answer | None:
        """Return what a check returns; None when it fails or has not ended in time, which is a finding then."""
        try:
            async with asyncio.timeout(deadline_s):
                return await check
        except TimeoutError:
            self.add_wrong(finding_id, subject, f"no end of this check within {deadline_s:g} s", remedy)
        except (BridgeError, OSError) as error:
            self.add_wrong(finding_id, subject, str(error), remedy)
        return None
