"""`make recovery`: how long the recovery after a cut takes, and what share of it no client could spare.

A real daemon on a real broker at the default settings; the sandbox venue runs in this process, and answers REST late.
Prints a table, and as the last line one JSON object. Times are told and not judged: exit code 1 says that something was
not recovered, or that the venue counted a request over its limit.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from msgspec import to_builtins

from bridge.config import Timing
from bridge.sandbox.broker.launcher import start_broker
from bridge.sandbox.venue.ledger import EntryKind, Ledger
from bridge.sandbox.venue.settings import DOCUMENTED_LIMITS, VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.recovery.cuts import Cut, Cuts, Found
from tests.recovery.floors import Floors, Span, budget, calls, floors
from tests.support.rig import Rig
from tests.witness.console import say

_BEGUN = time.monotonic()
_SPACING_MS = Timing().login_spacing_s * 1000


def _spread(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"p50": round(median(ordered)), "p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))])}


def _row(name: str, values: Sequence[float]) -> dict[str, float]:
    spread = _spread(values)
    say(f"  {name:62}{spread['p50']:8}{spread['p99']:8}")
    return spread


def _times(cuts: list[Cut], spacing_ms: list[float]) -> dict[str, Any]:
    say(f"{'in ms':64}{'median':>8}{'p99':>8}")
    return {
        "cut_to_complete_ms": _row("from the cut to recovery.complete", [one.complete_ms - one.cut_ms for one in cuts]),
        "cut_to_opened_ms": _row("  from the cut to session.opened", [one.opened_ms - one.cut_ms for one in cuts]),
        "login_spacing_ms": _row("    of which the spacing of logins (1.1 s) allowed none", spacing_ms),
        "opened_to_complete_ms": _row("  from session.opened to recovery.complete", _took(cuts)),
    }


def _took(cuts: list[Cut]) -> list[float]:
    return [one.complete_ms - one.opened_ms for one in cuts]


def _held_back(cuts: list[Cut], ledger: Ledger) -> list[float]:
    """Return for how long after each cut no login was allowed, in ms."""
    logins = [entry.wall_ms for entry in ledger.entries(EntryKind.LOGIN)]
    before = [max(at_ms for at_ms in logins if at_ms <= one.cut_ms) for one in cuts]
    return [max(0.0, at_ms + _SPACING_MS - one.cut_ms) for at_ms, one in zip(before, cuts, strict=True)]


def _parts(took: list[float], lows: list[Floors], delay_ms: float) -> dict[str, Any]:
    """Say of what the time from login to end is made; each part is what comes on top of those before it."""
    parts = {
        "documented_limits": ("the venue's documented limits", [one.documented_ms for one in lows]),
        "chain": (f"answers that need each other, {delay_ms:g} ms each", [one.chain_ms for one in lows]),
        "budget": ("the part of the limits that is left to others", [one.budget_ms for one in lows]),
        "order_of_questions": ("questions that wait for others without need", [one.built_ms for one in lows]),
        "own_work": ("everything else: the work of both sides on this machine", took),
    }
    say("  of that, each on top of those before it:")
    told, below = {}, [0.0] * len(took)
    for name, (text, until_ms) in parts.items():
        within = [min(one, ms) for one, ms in zip(until_ms, took, strict=True)]
        values = [high - low for low, high in zip(below, within, strict=True)]
        share, below = sum(values) / sum(took), within
        told[name] = {**_row(f"    {share:4.0%}  {text}", values), "share": round(share, 3)}
    free = [ms for ms, one in zip(took, lows, strict=True) if one.budget_ms == one.chain_ms]
    if free:
        told["held_back_by_no_limit"] = {"times": len(free), **_row(f"  the {len(free)} that no limit held back", free)}
    return told


def _questions(made: dict[str, list[int]], spans: list[Span], delay_ms: float) -> dict[str, Any]:
    say(f"  {'limit':22}{'documented':>14}{'used':>16}{'calls':>8}{'per cut':>9}{'asked at':>10}{'p99':>8}")
    told = {}
    for action, times in made.items():
        after = [[at_ms - span.opened_ms for at_ms in times if span.holds(at_ms)] for span in spans]
        last = [max(one) for one in after if one] or [0]
        per_cut, asked, ours = sum(map(len, after)) / len(spans), _spread(last), budget(action, delay_ms)
        venue = DOCUMENTED_LIMITS[action]
        say(
            f"  {action:22}{f'{venue.count} in {venue.window_s:g} s':>14}{f'{ours.count} in {ours.window_s:.2f} s':>16}"
            f"{len(times):8}{per_cut:9.2f}{asked['p50']:10}{asked['p99']:8}"
        )
        told[action] = {"calls": len(times), "per_cut": round(per_cut, 2), "last_asked_ms": asked}
    return told


def _tell(found: Found, venue: Venue, delay_ms: float) -> dict[str, Any]:
    """Print and return what was found."""
    made = calls(venue.ledger)
    spans = [Span(one.opened_ms, one.complete_ms) for one in found.cuts]
    lows = floors(made, spans, delay_ms)
    told = _times(found.cuts, _held_back(found.cuts, venue.ledger))
    told["parts"] = _parts(_took(found.cuts), lows, delay_ms)
    say("what was asked after the login, and when the last of it, in ms")
    told["questions"] = _questions(made, spans, delay_ms)
    recovered = {name: sum(one.recovered[name] for one in found.cuts) for name in found.cuts[0].recovered}
    say(f"recovered: {recovered}; {found.trades} trades published, {found.published_twice} of them a second time")
    say(f"{found.gaps} gaps closed {found.closed_ms / 1000:.1f} s after the last login; logged: {found.warnings}")
    for what in found.wrong:
        say(f"WRONG: {what}")
    return {**told, "recovered": recovered, **{k: v for k, v in to_builtins(found).items() if k != "cuts"}}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make recovery", description=__doc__)
    parser.add_argument("--cuts", type=int, default=50, help="how often the WebSocket is cut")
    parser.add_argument("--orders", type=int, default=1000, help="how many orders are open all the while")
    parser.add_argument("--delay-ms", type=int, default=100, help="how late every REST answer is")
    return parser.parse_args()


async def main(options: argparse.Namespace) -> int:
    """Measure; return the exit code."""
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            start_broker(say) as broker,
            Venue(VenueSettings()) as venue,
            Rig(broker.bootstrap_servers, venue, Path(folder)) as rig,
        ):
            say(f"{options.cuts} cuts, {options.orders} open orders, every REST answer {options.delay_ms} ms late")
            try:
                found = await Cuts(rig, options.orders, options.delay_ms / 1000, say).run(options.cuts)
            except AssertionError as error:
                say("\n".join([f"FAILED: {error}", *getattr(error, "__notes__", ())]))
                say(json.dumps({"failed": str(error)}))
                return 1
            told = {**vars(options), **_tell(found, venue, options.delay_ms)}
    told["took_s"] = round(time.monotonic() - _BEGUN)
    told["cores"], told["load_1m"] = os.cpu_count(), round(os.getloadavg()[0], 2)
    say(json.dumps(told))
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(_options())))
