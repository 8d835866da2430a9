"""The crash test: `python -m tests.crash.run --rounds 1`. The last line on stdout is one JSON object."""

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bridge.sandbox.broker.launcher import start_broker
from tests.crash import plan
from tests.crash.batch import DEFAULTS, SHORTENED, Batch, Report
from tests.crash.plan import Scenario
from tests.witness.console import say

_STREAMS = 2
"""Batches that run beside each other."""
_BATCH = 64
_AT_DEFAULTS = 8
"""Scenarios of a round that are played once more with the daemon's own numbers."""


def main() -> int:
    """Run what the arguments ask for; 0 when every kill happened and every rule held."""
    parser = argparse.ArgumentParser(description="Kill the daemon at every step of a command, and check what is left.")
    parser.add_argument("--rounds", type=int, default=1, help="how often the whole matrix is played")
    parser.add_argument("--seed", type=int, default=None, help="decides order and details; told in the result")
    parser.add_argument("--scenarios", type=int, default=None, help="play a sample of so many, all at short settings")
    parser.add_argument("--only", default="", help="play only scenarios whose description holds this text")
    parser.add_argument("--keep", type=Path, default=None, help="keep logs, ledgers and histories in this folder")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    with tempfile.TemporaryDirectory(prefix="crash-") as scratch:
        folder = options.keep or Path(scratch)
        result = asyncio.run(_run(options, folder))
    say(json.dumps(result))
    return 0 if result["clean"] else 1


async def _run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # topics that are just being made are no news
    began = time.monotonic()
    reports: list[Report] = []
    async with start_broker(say) as broker:
        for number in range(1, options.rounds + 1):
            seed = options.seed + number - 1
            batches = _batches(options, folder / f"round-{number}", seed)
            reports += await _side_by_side(batches, broker.bootstrap_servers)
    return _result(options.seed, options.rounds, reports, time.monotonic() - began)


def _batches(options: argparse.Namespace, folder: Path, seed: int) -> list[Batch]:
    """Cut the matrix, or the sample, into batches."""
    if options.scenarios is not None:
        scenarios = plan.sample(seed, options.scenarios)
    else:
        scenarios = [one for one in plan.matrix(seed) if options.only in str(one)]
    size = min(_BATCH, -(-len(scenarios) // _STREAMS))
    pieces = [group[at : at + size] for group in _by_policy(scenarios).values() for at in range(0, len(group), size)]
    batches = [
        Batch(f"batch {number}", folder / f"batch-{number}", piece, timing=dict(SHORTENED), seed=seed, say=say)
        for number, piece in enumerate(pieces, 1)
    ]
    if options.scenarios is None and not options.only:
        for policy, slow in _by_policy(plan.sample(seed, _AT_DEFAULTS)).items():
            name = f"defaults, {policy}"
            batches.insert(
                0, Batch(name, folder / f"defaults-{policy}", slow, timing=dict(DEFAULTS), seed=seed, say=say)
            )
    return batches


def _by_policy(scenarios: Iterable[Scenario]) -> dict[str, list[Scenario]]:
    """Group scenarios: a batch has one policy, which stands in its daemons' settings."""
    groups: dict[str, list[Scenario]] = {}
    for one in scenarios:
        groups.setdefault(one.policy, []).append(one)
    return groups


async def _side_by_side(batches: list[Batch], bootstrap: str) -> list[Report]:
    """Run the batches, some at a time; the one at default settings mostly waits, so it takes no place."""
    places = asyncio.Semaphore(_STREAMS)

    async def one(batch: Batch) -> Report:
        if batch.at_defaults:
            return _told(await batch.run(bootstrap))
        async with places:
            return _told(await batch.run(bootstrap))

    return list(await asyncio.gather(*(one(batch) for batch in batches)))


def _told(report: Report) -> Report:
    say(f"{report.name}: {report.kills} kills, {len(report.violations)} violations, {report.facts}")
    for line in [*(json.dumps(one) for one in report.violations), *report.surprises]:
        say(f"{report.name}: {line}")
    return report


def _result(seed: int, rounds: int, reports: list[Report], seconds: float) -> dict[str, Any]:
    played = [one for report in reports for one in report.scenarios]
    violations = [{"batch": report.name, **violation} for report in reports for violation in report.violations]
    return {
        "clean": all(report.is_clean for report in reports),
        "seed": seed,
        "rounds": rounds,
        "seconds": round(seconds, 1),
        "scenarios": len(played),
        "kills": sum(report.kills for report in reports),
        "unreached": [one for report in reports for one in report.unreached],
        "surprises": [one for report in reports for one in report.surprises],
        "violations": len(violations),
        "witnesses": violations[:20],
        "commands": sum(report.facts.get("commands", 0) for report in reports),
        "outcomes": _summed(report.facts.get("outcomes", {}) for report in reports),
        "sent": _summed(report.facts.get("sent", {}) for report in reports),
        "worst_lateness_ms": max((report.facts.get("worst_lateness_ms", 0) for report in reports), default=0),
        "by_policy": dict(sorted(Counter(one.policy for one in played).items())),
        "by_step": dict(sorted(Counter(_steps(played)).items())),
        "by_action": dict(sorted(Counter(one.action for one in played).items())),
        "by_answer": dict(sorted(Counter(one.answer for one in played).items())),
        "takeover_s": {
            "at defaults" if at_defaults else "shortened": _times(
                one for report in reports if report.at_defaults is at_defaults for one in report.takeovers_s
            )
            for at_defaults in sorted({report.at_defaults for report in reports})
        },
    }


def _times(seconds: Iterable[float]) -> dict[str, float]:
    """Sum up from a death to the next open session."""
    ordered = sorted(seconds)
    if not ordered:
        return {"count": 0}
    return {"count": len(ordered), "median": round(ordered[len(ordered) // 2], 2), "worst": round(ordered[-1], 2)}


def _steps(played: Iterable[Scenario]) -> Iterable[str]:
    for one in played:
        yield one.step
        if one.takeover is not None:
            yield one.takeover


def _summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))


if __name__ == "__main__":
    sys.exit(main())
