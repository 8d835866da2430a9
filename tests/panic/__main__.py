"""`make panic`: how soon a cancel_orders is on the wire while the venue's order gateway hangs.

Real processes on a real broker; the sandbox venue runs in this process. Places are in doubt, others wait, cancels are
repeated; then the button is pressed, again and again, and once more after each takeover; at the end the gateway answers
again. So with each `limits.cancel_orders`: by the venue's message, and by single cancels, of which the first and the
last count, of orders that are opened before each press and some whose cancels are never answered. Prints a table for
each, and as the last line one JSON object. Exit code 1 says that a press took longer than a second, or that the venue
refused a request for its rate.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bridge.sandbox.broker.launcher import start_broker
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.panic.pressed import POLICIES, WAIT_S, Crowd, Hung, Policy, changes, hang_account
from tests.support.replica import replica
from tests.support.rig import Rig
from tests.witness.console import say
from tests.witness.replica import Replica

_WITHIN_MS = 1000


class Presses:
    """How long the presses took, in seconds: of a cancel_orders and of a cancel, on a running owner and a new one."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = {}

    async def press(self, hung: Hung, when: str) -> None:
        """Press both buttons."""
        one, every = await hung.press_for_one(), await hung.press()
        for what, seconds in (("cancel_order", one), ("first request", every.first_s), ("last request", every.last_s)):
            self.taken.setdefault(f"{what} {when}", []).append(seconds)
        took = f"first {every.first_s * 1000:.0f} ms, last {every.last_s * 1000:.0f} ms"
        say(f"  {when}: cancel_order {one * 1000:.0f} ms; cancel_orders: {took}")

    def told(self, policy: Policy) -> dict[str, dict[str, int]]:
        """Print the table, and return it."""
        say(f"{f'{policy}: ms from the append to the request at the venue':64}{'median':>8}{'max':>8}")
        return {name: _row(name, seconds) for name, seconds in sorted(self.taken.items())}


def _row(name: str, seconds: Sequence[float]) -> dict[str, int]:
    found = {"p50_ms": round(median(seconds) * 1000), "max_ms": round(max(seconds) * 1000), "of": len(seconds)}
    say(f"  {name:62}{found['p50_ms']:8}{found['max_ms']:8}")
    return found


async def _measure(rig: Rig, policy: Policy, options: argparse.Namespace) -> dict[str, Any]:
    say(f"cancel_orders by {policy}")
    crowd = Crowd(options.in_doubt, options.queued, options.repeated)
    settings, presses = changes(policy), Presses()
    async with AsyncExitStack() as stack:
        owner = await stack.enter_async_context(replica(rig, **settings))
        await owner.until("recovery.complete", deadline_s=WAIT_S)
        hung = await hang_account(rig, crowd, policy, say)
        for number in range(options.times):
            if number:
                await hung.prepare()
            await presses.press(hung, "while it runs")
        for number in range(options.takeovers):
            standby = await stack.enter_async_context(replica(rig, **settings))
            await standby.until("account.standby", deadline_s=WAIT_S)
            await hung.prepare()
            (Replica.kill if number % 2 == 0 else Replica.stop)(owner)
            await standby.until("recovery.complete", deadline_s=WAIT_S)
            await presses.press(hung, "after a takeover")
            owner = standby
        repeats, settled_s = hung.repeats(), await hung.settle()
        say(f"  every cancel_orders was answered {settled_s:.0f} s after the gateway answered again")
        told = presses.told(policy)
        return {**told, "repeats": repeats, "settled_s": round(settled_s, 1), "refused_for_rate": hung.limited()}


async def _run(options: argparse.Namespace) -> int:
    found: dict[str, Any] = {}
    async with start_broker(say) as broker:
        for policy in POLICIES:
            with tempfile.TemporaryDirectory() as folder:
                async with (
                    Venue(VenueSettings()) as venue,
                    Rig(broker.bootstrap_servers, venue, Path(folder)) as rig,
                ):
                    found[policy] = await _measure(rig, policy, options)
    say(json.dumps({**found, "load_1m": round(os.getloadavg()[0], 2)}))
    rows = [row for of_policy in found.values() for row in of_policy.values() if isinstance(row, dict)]
    slow = any(row["max_ms"] > _WITHIN_MS for row in rows)
    return 1 if slow or any(of_policy["refused_for_rate"] for of_policy in found.values()) else 0


def main() -> int:
    """Measure, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make panic", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="presses on a running owner")
    parser.add_argument("--takeovers", type=int, default=4, help="takeovers, by SIGKILL and SIGTERM in turn")
    parser.add_argument("--in-doubt", type=int, default=1140)
    parser.add_argument("--queued", type=int, default=10_000)
    parser.add_argument("--repeated", type=int, default=500)
    logging.basicConfig(level=logging.ERROR)
    return asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
