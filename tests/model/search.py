"""Looking at every state that can be reached, nearest first, so that the way to a broken promise is a shortest one."""

import fcntl
import gc
import hashlib
import pickle
from collections import deque
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from bridge.contract.results import Outcome

from .promises import is_settled
from .protocol import steps
from .trials import Trial
from .world import Phase, Term, World, first

STATES_MAX: Final = 1_500_000
"""Where a search gives up; one that is cut off proves nothing."""


class Reading(NamedTuple):
    """A takeover that was met: a term that is about to read, how many commands, and what was answered."""

    term: Term
    topic: int
    answers: tuple[Outcome | None, ...]


class Report(NamedTuple):
    """What was found.

    `broken`: the promise that was broken, and `path` the steps to it. `complete`: whether every state was looked at.
    `settled` counts the states in which everything is answered and passed by the watermark, `stuck` those from which
    none of them can be reached any more. `words` are the steps that were met, `readings` the takeovers.
    """

    broken: str
    path: tuple[str, ...]
    states: int
    complete: bool
    settled: int
    stuck: int
    words: frozenset[str]
    readings: frozenset[Reading]

    def __str__(self) -> str:
        way = "".join(f"\n  {count:2} {words}" for count, words in enumerate(self.path, 1))
        return f"{self.broken or 'nothing broken'} in {self.states} states{way}"


@cache
def report_of(trial: Trial, folder: Path | None = None) -> Report:
    """Return what a search finds; the processes that name the same folder search once for all of them."""
    if folder is None:
        return Search(trial).run()
    with (folder / hashlib.sha256(repr(trial).encode()).hexdigest()).open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # held by the one that searches, until the file is closed
        file.seek(0)
        found = file.read()
        if not found:
            file.write(found := pickle.dumps(Search(trial).run()))
    report: Report = pickle.loads(found)  # noqa: S301 - written by this run
    return report


class Search:
    """One search through the states of a trial."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.worlds: list[World] = [first(trial)]
        self._numbers: dict[World, int] = {self.worlds[0]: 0}
        self._found_by: list[tuple[int, str]] = [(0, "")]
        self._came_from: list[list[int]] = [[]]
        self._words: set[str] = set()

    def run(self) -> Report:
        """Look at every state; stop at the first that breaks a promise."""
        collecting = gc.isenabled()
        gc.disable()  # nothing here is garbage, and the collector would look at all of it again and again
        try:
            number = self._look()
        finally:
            if collecting:
                gc.enable()
        complete = number == len(self.worlds)
        last = self.worlds[0 if complete else number]
        settled = [number for number, world in enumerate(self.worlds) if is_settled(world)]
        return Report(
            broken=last.broken,
            path=self._path_to(number) if last.broken else (),
            states=len(self.worlds),
            complete=complete,
            settled=len(settled),
            stuck=len(self.worlds) - self._count_ways_to(settled) if complete else 0,
            words=frozenset(self._words),
            readings=frozenset(self._readings()),
        )

    def _look(self) -> int:
        """Return the number of the state at which the search ended: behind the last if every state was looked at."""
        number = 0
        while number < len(self.worlds) and not self.worlds[number].broken and number < STATES_MAX:
            for words, world in steps(self.trial, self.worlds[number]):
                self._words.add(words)
                self._reach(number, words, world)
            number += 1
        return number

    def _reach(self, number: int, words: str, world: World) -> None:
        reached = self._numbers.setdefault(world, len(self.worlds))
        if reached == len(self.worlds):
            self.worlds.append(world)
            self._found_by.append((number, words))
            self._came_from.append([])
        self._came_from[reached].append(number)

    def _path_to(self, number: int) -> tuple[str, ...]:
        path: deque[str] = deque()
        while number:
            number, words = self._found_by[number]
            path.appendleft(words)
        return tuple(path)

    def _count_ways_to(self, settled: list[int]) -> int:
        """Count the states from which one of these can be reached."""
        leading, todo = set(settled), deque(settled)
        while todo:
            for number in self._came_from[todo.popleft()]:
                if number not in leading:
                    leading.add(number)
                    todo.append(number)
        return len(leading)

    def _readings(self) -> set[Reading]:
        return {
            Reading(world.owner, world.topic, world.answers)
            for world in self.worlds
            if world.owner is not None and world.owner.phase is Phase.READING
        }
