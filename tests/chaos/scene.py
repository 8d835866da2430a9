"""What a run is made of: the venue behind wires, the brokers behind a proxy, the daemon as a process of its own."""

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any, Self

from aiokafka.admin import AIOKafkaAdminClient

from bridge.contract.topics import Stream
from bridge.sandbox.venue.settings import DOCUMENTED_LIMITS, RequestLimit, VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.chaos.contents import STREAMS
from tests.chaos.daemons import Daemons
from tests.chaos.plan import Plan
from tests.chaos.stepped_clock import SetClock
from tests.support.proxy import KafkaProxy
from tests.support.replica import replica
from tests.support.rig import Rig
from tests.support.wire_proxy import WireProxy
from tests.witness.replica import Replica
from tests.witness.topic_log import read_topic
from tests.witness.venue_lines import lines_in
from tests.witness.waiting import comes_true, until

TIERS = ("az4", "ha")
_START_S = 60.0
_QUICK_REST = {
    name: RequestLimit(one.count * 20, one.window_s) for name, one in DOCUMENTED_LIMITS.items() if "rest" in name
}
"""What is hurried many times asks many times as often."""


def now_ms() -> int:
    """Return Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


class Scene:
    """One account of its own, from a first start on."""

    def __init__(self, plan: Plan, bootstrap: str, folder: Path) -> None:
        self.plan = plan
        self.begin_ms = now_ms()
        self.done: list[dict[str, Any]] = []
        """What was done that the venue's ledger cannot tell."""
        limits = DOCUMENTED_LIMITS if plan.documented_limits else DOCUMENTED_LIMITS | _QUICK_REST
        self.venue = Venue(VenueSettings(tiers=TIERS, seed=plan.seed, limits=dict(limits)))
        self.broker = KafkaProxy(bootstrap)
        self.wires: dict[str, WireProxy] = {}
        """To the sockets of each tier."""
        self.rest_wires: dict[str, WireProxy] = {}
        self.rig: Rig
        self.daemons = Daemons(self._replica, 2 * plan.timing["stop_deadline_s"])
        self.clock: SetClock
        """The wall clock that every daemon of the run goes by."""
        self._bootstrap = bootstrap
        self._folder = folder
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.clock = SetClock(self._folder / "clock")
        enter = self._stack.enter_async_context
        try:
            await enter(self.venue)
            await enter(self.broker)
            for name in TIERS:
                tier = self.venue.tiers[name]
                self.wires[name] = await enter(WireProxy(tier.ws_url))
                self.rest_wires[name] = await enter(WireProxy(tier.rest_url))
            self.rig = await enter(Rig(self._bootstrap, self.venue, self._folder))
            self._stack.push_async_callback(self.daemons.close)
            for _ in range(self.plan.daemons):
                await self.daemons.start()
            self.session = await self.rig.topic(Stream.SESSION)
            await until(lambda: self.is_live, _START_S, "a first session")
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        self.daemons.write_logs(self._folder)

    def _replica(self) -> contextlib.AbstractAsyncContextManager[Replica]:
        endpoints = [
            {"name": name.upper(), "ws_url": self.wires[name].url, "rest_url": self.rest_wires[name].url}
            for name in TIERS
        ]
        kafka = self.rig.kafka(self.broker.bootstrap)
        program = ("tests.chaos.stepped_clock", str(self.clock.path))
        return replica(self.rig, program=program, timing=self.plan.timing, endpoints=endpoints, kafka=kafka)

    @property
    def is_live(self) -> bool:
        """Whether a session is logged in at the venue."""
        return any(connection.key is not None for connection in self.venue.connections)

    @property
    def tier(self) -> str:
        """The tier of the session, or the first."""
        return next((one.tier for one in self.venue.connections if one.key is not None), TIERS[0])

    @property
    def wire(self) -> WireProxy:
        """The wire that the session is on."""
        return self.wires[self.tier]

    async def until_live(self, deadline_s: float) -> bool:
        """Wait for a session; tell whether there is one."""
        return await comes_true(lambda: self.is_live, deadline_s)

    async def until_lost(self, deadline_s: float) -> None:
        """Wait until the venue has seen the end of the session."""
        await comes_true(lambda: not self.is_live, deadline_s)

    async def delete_topic(self, stream: str) -> None:
        """Delete a topic of the account, as an operator may by mistake."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([f"{self.rig.prefix}.main.{stream}"])
        finally:
            await admin.close()

    async def kill_daemon(self, before_s: float, after_s: float) -> int:
        """Kill the owner after some seconds, and start another daemon after some more; return 1, for one death."""
        await asyncio.sleep(before_s)
        self.did("death", now_ms())
        await self.daemons.kill()
        await asyncio.sleep(after_s)
        await self.daemons.start()
        return 1

    def did(self, kind: str, from_ms: int, **more: object) -> None:
        """Note what was done from a time until now."""
        self.done.append({"kind": kind, "from_ms": from_ms, "to_ms": now_ms(), **more})

    @property
    def is_calm(self) -> bool:
        """Whether there is a session at the preferred tier, and no gap is open."""
        return self.is_live and self.tier == TIERS[0] and not self.open_gaps

    @property
    def open_gaps(self) -> set[str]:
        """The gaps that are open now, as readers know."""
        told = [value for value in self.session.values if isinstance(value, dict)]
        opened = {value["gapId"] for value in told if value["type"] == "gap.opened"}
        return opened - {value["gapId"] for value in told if value["type"] == "gap.closed"}

    async def recording(self) -> dict[str, Any]:
        """Return everything that the checker needs; kept in the folder too."""
        timing, end_ms = self.plan.timing, now_ms()
        # The topics first: what comes then holds up the venue, which the daemon may take for the end of its session.
        names = {stream: f"{self.rig.prefix}.main.{stream}" for stream in STREAMS}
        topics = {stream: await read_topic(self._bootstrap, name) for stream, name in names.items()}
        ledger = self._folder / "ledger.jsonl"
        with ledger.open("w", encoding="utf-8") as out:
            self.venue.ledger.export(out)
        settings = ("ping_interval_s", "pong_deadline_s", "commit_period_s", "audit_period_s", "rest_lag_s")
        recording = {
            "ledger": lines_in(ledger),
            "topics": {stream: [one.plain() for one in records] for stream, records in topics.items()},
            "timing": {
                **{name: timing[name] for name in settings},
                "recovery_s": recovery_s(self.plan),
                "sweep_s": recovery_s(self.plan) / 4,
            },
            "done": self.done,
            "begin_ms": self.begin_ms,
            "end_ms": end_ms,
        }
        (self._folder / "recording.json").write_text(json.dumps(recording))
        return recording


def recovery_s(plan: Plan) -> float:
    """Return how long a first sweep may take: where REST is limited as documented, and pages shift, long.

    The bridge asks for executions four times in ten seconds at most, and reads a list whose pages shift again.
    """
    return 25.0 if plan.documented_limits else 20.0
