"""The chaos test: `python -m tests.chaos.run --runs 4`. The last line on stdout is one JSON object."""

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge.sandbox.broker.launcher import start_broker
from tests.chaos import plan
from tests.chaos.checker import check
from tests.chaos.desk import Desk
from tests.chaos.faults import Faults
from tests.chaos.plan import Plan
from tests.chaos.scene import Scene, recovery_s
from tests.witness.console import say
from tests.witness.waiting import comes_true

_WITNESSES_MAX = 20
_SLOW_S = 20.0
"""What everything may take longer on a busy machine."""
_A_LOOK_S = 2.0
_SHOWN_MAX = 3
"""Of each rule that was broken."""


def main() -> int:
    """Run what the arguments ask for; 0 when every rule held."""
    parser = argparse.ArgumentParser(description="Let everything go wrong that costs pushes, and check what is left.")
    parser.add_argument("--runs", type=int, default=4, help="how many; every fourth has long outages")
    parser.add_argument("--seed", type=int, default=None, help="decides what happens when; told in the result")
    parser.add_argument("--length", choices=("short", "full", "long"), help="of every run, instead of a mixture")
    parser.add_argument("--only", default="", help="these faults in this order, with commas between, in every run")
    parser.add_argument("--keep", type=Path, default=None, help="keep logs, ledgers and recordings in this folder")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        result = asyncio.run(_run(options, options.keep or Path(scratch)))
    say(json.dumps(result))
    return 1 if result["violations"] else 0


async def _run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    for noisy in ("aiokafka", "aiohttp.server"):  # brokers that are away and sockets that are cut are no news here
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    began, faults, facts = time.monotonic(), Counter[str](), list[dict[str, Any]]()
    witnesses: list[dict[str, Any]] = []
    count = 0
    async with start_broker(say) as broker:
        for number in range(1, options.runs + 1):
            length = options.length or ("long" if number % 4 == 0 else "full")
            one = plan.draw(options.seed + number - 1, f"run-{number}", length)
            if options.only:
                one = plan.only(one, options.only.split(","))
            say(f"{one.name}: {json.dumps(plan.as_facts(one))}")
            bitten, violations, found = await play(one, broker.bootstrap_servers, folder / one.name)
            faults.update(bitten)
            facts.append(found)
            witnesses += [{"run": one.name, "seed": one.seed, **violation} for violation in _some_of_each(violations)]
            count += len(violations)
    return {
        "runs": options.runs,
        "seed": options.seed,
        "faults": dict(sorted(faults.items())),
        "unbitten": sorted(kind for kind, bites in faults.items() if not bites),
        "violations": count,
        "witnesses": witnesses[:_WITNESSES_MAX],
        "trades": sum(one["trades"] for one in facts),
        "events": sum(one["events"] for one in facts),
        "recovered": dict(sum((Counter(one["recovered"]) for one in facts), Counter[str]())),
        "gaps": sum(one["gaps"] for one in facts),
        "outage_s": round(sum(one["outage_s"] for one in facts), 1),
        "gap_s": round(sum(one["gap_s"] for one in facts), 1),
        "seconds": round(time.monotonic() - began, 1),
    }


async def play(one: Plan, bootstrap: str, folder: Path) -> tuple[Counter[str], list[dict[str, Any]], dict[str, Any]]:
    """Play one run; return which faults bit, every violation, and what was counted."""
    began = time.monotonic()
    async with Scene(one, bootstrap, folder) as scene, Desk(scene.rig, one.dice("desk")) as desk:
        faults = Faults(scene, one.dice("faults"))
        throughout = faults.run_throughout()
        for step in one.steps:
            await asyncio.sleep(step.after_s)
            await faults.do(step)
            say(f"{one.name}: {step.kind} for {step.lasts_s:.1f} s bit {faults.bitten[step.kind]}")
        await desk.stop()
        faults.bitten.update(
            {str(fault.fault.kind): fault.trigger_count for fault in throughout if fault.trigger_count}
        )
        scene.venue.faults.clear()
        await _come_to_rest(scene)
        recording = await scene.recording()
    violations, facts = check(recording)
    seconds = round(time.monotonic() - began, 1)
    say(f"{one.name}: {len(violations)} violations, {desk.asked} commands, {seconds} s, {json.dumps(facts)}")
    for violation in _some_of_each(violations):
        say(f"{one.name} seed {one.seed}: {json.dumps(violation)}")
    return faults.bitten, violations, facts


def _some_of_each(violations: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    shown = Counter[str]()
    for violation in violations:
        shown[violation["rule"]] += 1
        if shown[violation["rule"]] <= _SHOWN_MAX:
            yield violation


async def _come_to_rest(scene: Scene) -> None:
    """Wait until every gap could be closed, and an audit could find what nobody knows of yet."""
    timing = scene.plan.timing
    audit_s = timing["rest_lag_s"] + 2 * timing["audit_period_s"]
    home_s = timing["failback_stable_s"] + timing["failback_period_s"]
    await scene.until_live(_SLOW_S)
    await asyncio.sleep(audit_s + _A_LOOK_S)
    await comes_true(lambda: scene.is_calm, 2 * (audit_s + recovery_s(scene.plan)) + home_s + _SLOW_S)


if __name__ == "__main__":
    sys.exit(main())
