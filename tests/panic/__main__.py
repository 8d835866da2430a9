"""`make panic`: how soon a cancel_orders is on the wire while the venue's order gateway hangs.

Real processes on a real broker; the sandbox venue runs in this process. Places are in doubt, others wait, cancels are
repeated; then the button is pressed, again and again, and once more after each takeover. Prints a table, and as the
last line one JSON object. Exit code 1 says that a press took longer than a second, or that the venue refused a request
for its rate.
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

from replica import Replica, replica
from rig import Rig

from bridge.sandbox.broker.launcher import start_broker
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.panic.pressed import CHANGES, WAIT_S, Crowd, Hung, hang_account

_WITHIN_MS = 1000


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Presses:
    """How long the presses took, in seconds: of a cancel_orders and of a cancel, on a running owner and a new one."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = {}

    async def press(self, hung: Hung, when: str) -> None:
        """Press both buttons."""
        one, every = await hung.press_for_one(), await hung.press()
        self.taken.setdefault(f"cancel_order {when}", []).append(one)
        self.taken.setdefault(f"cancel_orders {when}", []).append(every)
        say(f"  {when}: cancel_order {one * 1000:.0f} ms, cancel_orders {every * 1000:.0f} ms")

    def told(self) -> dict[str, dict[str, int]]:
        """Print the table, and return it."""
        say(f"{'in ms, from the append to the request at the venue':64}{'median':>8}{'max':>8}")
        return {name: _row(name, seconds) for name, seconds in sorted(self.taken.items())}


def _row(name: str, seconds: Sequence[float]) -> dict[str, int]:
    found = {"p50_ms": round(median(seconds) * 1000), "max_ms": round(max(seconds) * 1000), "of": len(seconds)}
    say(f"  {name:62}{found['p50_ms']:8}{found['max_ms']:8}")
    return found


async def _measure(rig: Rig, options: argparse.Namespace) -> dict[str, Any]:
    crowd = Crowd(options.in_doubt, options.queued, options.repeated)
    presses = Presses()
    async with AsyncExitStack() as stack:
        owner = await stack.enter_async_context(replica(rig, **CHANGES))
        await owner.until("recovery.complete", deadline_s=WAIT_S)
        hung = await hang_account(rig, crowd, say)
        for number in range(options.times):
            if number:
                await hung.queue_places()
            await presses.press(hung, "while it runs")
        for number in range(options.takeovers):
            standby = await stack.enter_async_context(replica(rig, **CHANGES))
            await standby.until("account.standby", deadline_s=WAIT_S)
            await hung.queue_places()
            (Replica.kill if number % 2 == 0 else Replica.stop)(owner)
            await standby.until("recovery.complete", deadline_s=WAIT_S)
            await presses.press(hung, "after a takeover")
            owner = standby
        told = presses.told()
        return {**told, "repeats": hung.repeats(), "refused_for_rate": hung.limited()}


async def _run(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            start_broker(say) as broker,
            Venue(VenueSettings()) as venue,
            Rig(broker.bootstrap_servers, venue, Path(folder)) as rig,
        ):
            found = await _measure(rig, options)
    found["load_1m"] = round(os.getloadavg()[0], 2)
    say(json.dumps(found))
    slow = [name for name, row in found.items() if isinstance(row, dict) and row["max_ms"] > _WITHIN_MS]
    return 1 if slow or found["refused_for_rate"] else 0


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
