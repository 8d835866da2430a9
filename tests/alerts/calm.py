"""`python -m tests.alerts.calm`: in ordinary times no alert fires, by the chart's own rules and waits.

A real Prometheus is there before the first start of an account. Then: a desk trades, a standby comes, the owner hands
over in good order, the old one comes back as a standby, each rolls once more, the desk goes home. Any alert that fires
is a mistake; what was pending is shown. Settings are the daemon's defaults.
"""

import argparse
import asyncio
import contextlib
import logging
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from bridge.sandbox.broker.cluster import find_free_ports
from bridge.sandbox.broker.launcher import start_broker
from bridge.sandbox.venue.venue import Venue
from tests.alerts.prometheus import Prometheus, run_prometheus
from tests.alerts.rules_file import RULES
from tests.chaos.desk import Desk
from tests.support.replica import replica
from tests.support.rig import Rig
from tests.witness.console import say
from tests.witness.replica import Replica

_PERIOD_S: Final = 5
_LOOK_S: Final = 1.0
_STEPS: Final = 6


class Watch:
    """Looks again and again which alerts there are."""

    def __init__(self, prometheus: Prometheus) -> None:
        self.fired = set[str]()
        self.pending = set[str]()
        self._prometheus = prometheus

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            found = await self._prometheus.find_series("ALERTS")
            for one in found:
                seen = self.fired if one["alertstate"] == "firing" else self.pending
                if one["alertname"] not in seen:
                    say(f"  {one['alertname']} is {one['alertstate']}")
                    seen.add(one["alertname"])
            await asyncio.sleep(_LOOK_S)


def main() -> int:
    """Run it; 0 when nothing has fired."""
    parser = argparse.ArgumentParser(description="See that no alert fires in ordinary times.")
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    for noisy in ("aiokafka", "aiohttp.server"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="alerts-") as scratch:
        return asyncio.run(_run(Path(scratch), options.minutes * 60 / _STEPS))


async def _run(folder: Path, step_s: float) -> int:
    ports = find_free_ports(2)
    rules = RULES.read_text(encoding="utf-8")
    async with (
        start_broker(say, owned=True) as broker,
        Venue() as venue,
        Rig(broker.bootstrap_servers, venue, folder) as rig,
        run_prometheus(rules, ports, folder / "prometheus", period_s=_PERIOD_S) as prometheus,
    ):
        watch = Watch(prometheus)
        watching = asyncio.create_task(watch.run())
        try:
            await _live_through_a_day(rig, ports, step_s)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    say(f"fired: {sorted(watch.fired) or 'none'}; pending at some time: {sorted(watch.pending) or 'none'}")
    return 1 if watch.fired else 0


async def _live_through_a_day(rig: Rig, ports: list[int], step_s: float) -> None:
    began = time.monotonic()

    async def pass_time(what: str) -> None:
        say(f"{time.monotonic() - began:5.0f} s: {what}")
        await asyncio.sleep(step_s)

    async with contextlib.AsyncExitStack() as stack:

        async def start(port: int, event: str) -> Replica:
            started = await stack.enter_async_context(replica(rig, management={"port": port}))
            await started.until(event)
            return started

        owner = await start(ports[0], "recovery.complete")
        async with Desk(rig, random.Random(1)):  # noqa: S311 - no secret
            await pass_time("an account has begun, and a desk trades")
            standby = await start(ports[1], "account.standby")
            await pass_time("there is a standby")
            for port in (*ports, ports[0]):
                owner.stop()
                await owner.ended()
                await standby.until("recovery.complete")
                owner, standby = standby, await start(port, "account.standby")
                await pass_time("the owner has handed over, and is back as a standby")
        await pass_time("nobody trades")


if __name__ == "__main__":
    sys.exit(main())
