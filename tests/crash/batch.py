"""One batch: an account of its own, and one long history of commands in which daemon after daemon dies."""

import json
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.crash.checker import check
from tests.crash.plan import Scenario
from tests.crash.processes import Daemons, Exchange, exchange
from tests.crash.reading import Broker
from tests.crash.scene import Scene
from tests.witness.record import Record
from tests.witness.venue_lines import lines_in
from tests.witness.waiting import comes_true

SHORTENED = {
    "session_timeout_s": 1.5,
    "heartbeat_s": 0.25,
    "rebalance_timeout_s": 1.5,
    "commit_period_s": 0.2,
    "lease_s": 0.5,
    "ack_timeout_s": 1,
    "late_landing_s": 5,
    "validity_max_s": 600,
    "horizon_s": 1800,
}
DEFAULTS = {"session_timeout_s": 6, "rebalance_timeout_s": 6, "ack_timeout_s": 5, "late_landing_s": 120}
"""What the harness must know of the daemon's defaults; it sets them to what they are."""

_SLOW_S = 20.0
"""What everything may take longer on a busy machine."""
_COMES_BACK_S = 35.0
"""So long a replace in doubt waits after the end of its order: a step after the watermark waits with it."""
_WINDOW_S = 61.0
"""So long a cancel in doubt may wait for a slot: owners that die every few seconds leave few for repeats."""

Say = Callable[[str], None]


@dataclass
class Report:
    """What came of a batch."""

    name: str
    folder: Path
    at_defaults: bool
    """Whether the daemons ran with their own numbers; they then mostly wait."""
    scenarios: list[Scenario]
    """All with one policy."""
    unreached: list[str] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    violations: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    kills: int = 0
    takeovers_s: list[float] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every kill happened, nothing else died, and every rule held."""
        return not (self.unreached or self.surprises or self.violations)


class Batch:
    """Runs scenarios one after the other, kill after kill, and checks the whole at the end."""

    def __init__(
        self, name: str, folder: Path, scenarios: list[Scenario], *, timing: dict[str, float], seed: int, say: Say
    ) -> None:
        folder.mkdir(parents=True)
        self.at_defaults = timing == DEFAULTS
        self._report = Report(name, folder, self.at_defaults, scenarios)
        self._folder = folder
        self._timing = timing
        self._seed = seed
        self._say = say
        self._broker: Broker
        self._venue: Exchange
        self._daemons: Daemons

    async def run(self, bootstrap: str) -> Report:
        """Run the batch on a broker."""
        prefix = f"c{uuid.uuid4().hex[:10]}"
        async with exchange(self._folder, self._seed) as self._venue, Broker(bootstrap, prefix) as self._broker:
            async with Daemons.kept(
                self._folder,
                venue=self._venue,
                bootstrap=bootstrap,
                prefix=prefix,
                policy=self._report.scenarios[0].policy,
                timing=self._timing,
            ) as self._daemons:
                await self._broker.until_topics()
                for scenario in self._report.scenarios:
                    if not self._daemons.are_lost:
                        await self._play(scenario)
                await self._come_to_rest()
                self._report.surprises = self._daemons.surprises
                died = self._daemons.died_at_ms()
            history = await self._history()
        self._report.kills = len(died)
        self._report.takeovers_s = _takeovers_s(died, [Record.from_plain("session", one) for one in history["session"]])
        self._report.violations, self._report.facts = check(history)
        if not self._report.is_clean:
            (self._folder / "history.json").write_text(json.dumps(history))
        return self._report

    async def _play(self, scenario: Scenario) -> None:
        """Set the scene, let the daemon die over the target, and send what comes after."""
        began = time.monotonic()
        scene = Scene(scenario, self._seed)
        await self._broker.send([*scene.setting])
        patience_s = 3 * self._timing["session_timeout_s"] + _SLOW_S
        if not await self._until(lambda: self._answered(one["commandId"] for one in scene.setting), patience_s):
            self._report.surprises.append(f"{scenario}: its orders were not answered within {patience_s:g} s")
        for fault in scene.faults:
            await self._venue.fault(fault)
        sent = scene.scene()
        await self._broker.send(sent)
        patience_s += self._timing["late_landing_s"] + self._timing["ack_timeout_s"] + _COMES_BACK_S
        for mark in scenario.kills:
            if not await self._until(lambda mark=mark: self._daemons.is_marked(mark), patience_s):  # type: ignore[misc]
                self._report.unreached.append(str(scenario))
                self._say(f"{self._report.name} {scenario}: not reached")
                break
        if scenario.upheaval is not None:
            await self._upset(scenario.upheaval)
            await self._broker.send([*scene.setting, *sent])
        await self._broker.send(scene.aftermath())
        self._say(f"{self._report.name} {scenario} ({time.monotonic() - began:.1f} s)")

    async def _upset(self, upheaval: str) -> None:
        """Let something happen to Kafka while no daemon runs.

        A topic that is made again takes with it what was not answered: that everything is, is waited for first.
        """
        if upheaval == "commands.recreated":
            await self._until_all_answered()
        async with self._daemons.held_down():
            if upheaval == "commands.recreated":
                await self._broker.delete_commands()
            else:
                await self._broker.delete_group()
        recovered = self._broker.recoveries
        await self._broker.until_topics()
        await self._until(lambda: self._broker.recoveries > recovered, 3 * self._timing["session_timeout_s"] + _SLOW_S)

    async def _until_all_answered(self) -> None:
        patience_s = (
            3 * self._timing["session_timeout_s"] + 2 * self._timing["late_landing_s"] + _WINDOW_S + 2 * _SLOW_S
        )
        await self._broker.until_committed(await self._broker.end(), patience_s)

    async def _come_to_rest(self) -> None:
        """Wait until every command has its last word and the state is committed, and stop the daemons."""
        await self._until_all_answered()
        try:
            await self._daemons.stop()
        except TimeoutError:
            self._report.surprises.append("the daemons did not stop")

    async def _history(self) -> dict[str, Any]:
        return {
            **await self._broker.everything(),
            "ledger": lines_in(self._venue.ledger),
            "committed": await self._broker.committed(),
            "end": await self._broker.end(),
            "incarnations": self._broker.incarnations,
        }

    def _answered(self, command_ids: Iterable[str]) -> bool:
        answered = {_ended(record) for record in self._broker.results}
        return all(command_id in answered for command_id in command_ids)

    async def _until(self, holds: Callable[[], bool], patience_s: float) -> bool:
        await comes_true(lambda: holds() or self._daemons.are_lost, patience_s)
        return holds()


def _ended(record: Record) -> str | None:
    return record.fields.get("commandId") if record.fields.get("outcome") != "unknown" else None


def _takeovers_s(died_at_ms: list[float], session: list[Record]) -> list[float]:
    """Return for each death how long the account was without a session, until the next one was open."""
    opened = [record.fields["at"] for record in session if record.fields["type"] == "recovery.complete"]
    found = []
    for at, following in pairwise([*died_at_ms, float("inf")]):
        until = next((one for one in opened if at < one <= following), None)
        if until is not None:
            found.append((until - at) / 1000)
    return found
