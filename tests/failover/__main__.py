"""`make failover`: how long an account stands still when its owner ends, and what standbys cost the owner's callers.

Real processes on a real broker at the default settings; the sandbox venue runs in this process. Prints a table, and as
the last line one JSON object. Exit code 1 says that something was sent that must not be, or that a part failed.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from bridge.sandbox.broker.launcher import start_broker
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.failover.desk import CANCELS_PER_S, PLACES_PER_S, Desk
from tests.failover.past import write_past
from tests.failover.pauses import Phase, pauses
from tests.failover.takeovers import Takeover, frozen, pair, takeovers
from tests.support.rig import Rig
from tests.witness.console import say
from tests.witness.replica import Replica

_BEGUN = time.monotonic()


class Run:
    """One run: its options and its broker."""

    def __init__(self, options: argparse.Namespace, bootstrap: str, folder: Path) -> None:
        self._options = options
        self._bootstrap = bootstrap
        self._folder = folder

    async def _on_a_new_account(self, do: Callable[[Rig], Coroutine[Any, Any, Any]]) -> Any:  # noqa: ANN401 - what `do` returns
        async with Venue(VenueSettings()) as venue, Rig(self._bootstrap, venue, self._folder) as rig:
            return await do(rig)

    async def kill(self) -> dict[str, Any]:
        """Measure takeovers after SIGKILL."""
        return await self._takeovers("SIGKILL of the owner", Replica.kill)

    async def stop(self) -> dict[str, Any]:
        """Measure takeovers after SIGTERM."""
        return await self._takeovers("SIGTERM of the owner", Replica.stop)

    async def _takeovers(self, name: str, end: Callable[[Replica], None]) -> dict[str, Any]:
        times = self._options.takeovers
        found = await self._on_a_new_account(lambda rig: takeovers(rig, times, end, say))
        return _told(f"{name}, then a place", found)

    async def results(self) -> dict[str, Any]:
        """Measure takeovers that have much to remember."""
        count = self._options.results

        async def measure(rig: Rig) -> list[tuple[str, Takeover]]:
            await write_past(rig, count)
            say(f"  {count} commands and results are written")
            async with pair(rig) as both, Desk(rig) as desk:
                killed = await both.takeover(desk, Replica.kill)
                await both.renew()
                return [("SIGKILL", killed), ("SIGTERM", await both.takeover(desk, Replica.stop))]

        found = await self._on_a_new_account(measure)
        return {
            "results": count,
            **{name: _told(f"{name} with {count} results to remember", [one]) for name, one in found},
        }

    async def freeze(self) -> dict[str, Any]:
        """Freeze the owner, and see what it does when it wakes up."""
        found: dict[str, Any] = await self._on_a_new_account(lambda rig: frozen(rig, self._options.freeze))
        say(f"owner frozen for {self._options.freeze:g} s under load, then woken up")
        for name, value in found.items():
            say(f"  {name:32} {value:.2f}" if isinstance(value, float) else f"  {name:32} {value}")
        return found

    async def pauses(self) -> dict[str, Any]:
        """Measure what standbys cost."""
        phases, outcomes = await self._on_a_new_account(
            lambda rig: pauses(rig, self._options.quiet, self._options.standbys, say)
        )
        _tell_pauses(phases)
        return {"phases": [msgspec.to_builtins(one) for one in phases], "outcomes": outcomes}


def _told(name: str, found: list[Takeover]) -> dict[str, Any]:
    """Print and return what a series of takeovers took."""
    took = sorted(one.answered_s for one in found)
    p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
    say(f"{name}: {len(took)} times, p50 {median(took):.2f} s, p99 {p99:.2f} s, max {took[-1]:.2f} s")
    owned, logged_in, opened = (
        median(getattr(one, step) for one in found) for step in ("owned_s", "logged_in_s", "opened_s")
    )
    say(f"  median until owned {owned:.2f} s, logged in {logged_in:.2f} s, swept {opened:.2f} s")
    return {
        "times": len(took),
        "p50_s": median(took),
        "p99_s": p99,
        "max_s": took[-1],
        "owned_p50_s": owned,
        "logged_in_p50_s": logged_in,
        "opened_p50_s": opened,
    }


def _tell_pauses(phases: list[Phase]) -> None:
    say(f"from hand-over to answer at {PLACES_PER_S} places/s and {CANCELS_PER_S} cancels/s, in ms")
    say(f"  {'phase':42}{'places':>8}{'p50':>8}{'worst':>8}{'cancels':>9}{'p50':>8}{'worst':>8}{'own lag':>9}")
    for one in phases:
        say(
            f"  {one.name:42}{one.places:8}{one.place_p50_s * 1000:8.1f}{one.place_s * 1000:8.0f}"
            f"{one.cancels:9}{one.cancel_p50_s * 1000:8.1f}{one.cancel_s * 1000:8.0f}{one.lag_s * 1000:9.0f}"
        )


def _options() -> argparse.Namespace:
    parts = ("kill", "stop", "results", "freeze", "pauses")
    parser = argparse.ArgumentParser(prog="make failover", description=__doc__)
    parser.add_argument("--takeovers", type=int, default=20, help="how many of each kind")
    parser.add_argument("--results", type=int, default=200_000, help="how many results a takeover has to remember")
    parser.add_argument("--freeze", type=float, default=30.0, help="for how many seconds the owner is frozen")
    parser.add_argument("--quiet", type=float, default=20.0, help="seconds of load without any disturbance")
    parser.add_argument("--standbys", type=int, default=3, help="how many join, leave and are killed")
    parser.add_argument("--parts", nargs="*", choices=parts, default=parts, help="what to measure")
    return parser.parse_args()


async def main(options: argparse.Namespace) -> int:
    """Measure every part; return the exit code."""
    logging.basicConfig(level=logging.ERROR)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with start_broker(say) as broker:
            run = Run(options, broker.bootstrap_servers, Path(folder))
            for part in options.parts:
                say(f"--- {part}, {time.monotonic() - _BEGUN:.0f} s after the start")
                try:
                    found[part] = await getattr(run, part)()
                except AssertionError as error:
                    # The other parts still say something.
                    found[part] = {"failed": str(error)}
                    say("\n".join([f"FAILED: {error}", *getattr(error, "__notes__", ())]))
    found["took_s"] = round(time.monotonic() - _BEGUN)
    found["cores"], found["load_1m"] = os.cpu_count(), round(os.getloadavg()[0], 2)
    freeze = found.get("freeze", {})
    wrong = freeze.get("sent_with_lease_after_waking", 0) + freeze.get("places_sent_twice", 0)
    failed = any("failed" in found[part] for part in options.parts)
    say(json.dumps(found))
    return 1 if wrong or failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(_options())))
