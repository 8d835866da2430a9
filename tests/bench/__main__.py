"""`make bench`: what the daemon costs beside the least that its libraries need for the same job.

A real broker, a venue, the daemon and a floor, each in a process of its own; the daemon and its floor take turns.
Prints a table for each case, and as the last line one JSON object. Times are told and not judged: exit code 1 says that
a push or a result was missing, repeated or in the wrong place, or that a measurement failed.
"""

import argparse
import asyncio
import gc
import json
import logging
import signal
import sys
import tempfile
import time
import traceback
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bridge.sandbox.broker.launcher import BrokerError, start_broker
from tests.bench.cases import SCENARIOS, Case, Contender, list_cases
from tests.bench.chart import draw_ratios
from tests.bench.events import measure_flood
from tests.bench.machine import describe_machine, list_versions
from tests.bench.orders import run_on_quick_loop
from tests.bench.processes import BenchFailed
from tests.bench.report import CaseReport, Round, list_bars, print_legend
from tests.bench.stage import Measured, Stage, open_stage
from tests.witness.console import say

_BEGUN_S = time.monotonic()
_WARM_UP_PUSHES = 5000
_GARBAGE_MIN = 100_000
"""The meter's own collector must not stand in a measurement."""


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is measured, in turns")
    parser.add_argument("--json", type=Path, help="a file for every round as JSON")
    parser.add_argument("--svg", type=Path, help="a file for the chart of the ratios")
    parser.add_argument("--pushes", type=int, default=100_000, help="of a flood")
    parser.add_argument("--rates", type=float, nargs="+", default=[100.0, 1000.0, 10_000.0], help="pushes per s")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long a steady stream lasts")
    parser.add_argument("--places", type=int, default=500, help="one at a time; at most 1,139, by the venue's limit")
    parser.add_argument("--cancels", type=int, default=500, help="one at a time; at most 1,139, by the venue's limit")
    parser.add_argument("--burst", type=int, default=1140, help="places at once")
    parser.add_argument("--queued", type=int, default=50_000, help="places that wait while orders are cancelled")
    parser.add_argument("--queued-cancels", type=int, default=1000, help="cancels meanwhile, and as many before")
    parser.add_argument("--idle-seconds", type=float, default=30.0, help="how long nothing happens")
    parser.add_argument("--idle-after", type=float, default=10.0, help="how long after the recovery")
    parser.add_argument("--accounts", type=int, nargs="+", default=[1, 10, 50], help="in one process, at most 100")
    options = parser.parse_args()
    options.scenarios = options.scenarios or list(SCENARIOS)
    unknown = [name for name in options.scenarios if name not in SCENARIOS]
    if unknown or options.rounds < 1:
        parser.error(f"no scenario: {', '.join(unknown)}" if unknown else "--rounds must be 1 or more")
    return options


async def _measure(contender: Contender, stage: Stage) -> Measured:
    """Measure one side; what fails is a problem of this measurement, and the others still say something."""
    gc.collect()
    try:
        return await contender.measure(stage)
    except BenchFailed as error:
        return Measured({}, ["\n".join([f"{contender.name}: {error}", *getattr(error, "__notes__", ())])], "")
    except Exception:  # noqa: BLE001 - an hour of other measurements shall not be lost
        return Measured({}, [f"{contender.name}: {traceback.format_exc()}"], "")


async def _run_round(case: Case, stage: Stage, number: int) -> Round:
    """Measure both sides; the one that is first in one round is second in the next."""
    if case.beside is None:
        return Round(await _measure(case.measured, stage))
    if number % 2 == 0:
        measured = await _measure(case.measured, stage)
        return Round(measured, await _measure(case.beside, stage))
    beside = await _measure(case.beside, stage)
    return Round(await _measure(case.measured, stage), beside)


async def _run_cases(stage: Stage, options: argparse.Namespace) -> list[CaseReport]:
    async with stage.events_floor() as floor:  # the broker compiles what it needs often
        await measure_flood(stage, floor, _WARM_UP_PUSHES)
    reports = []
    for case in list_cases(options):
        rounds = []
        for number in range(options.rounds):
            rounds.append(await _run_round(case, stage, number))
            say(f"{case.name}: round {number + 1} of {options.rounds} after {time.monotonic() - _BEGUN_S:.0f} s")
        reports.append(CaseReport(case, rounds))
    return reports


def _write_files(options: argparse.Namespace, found: dict[str, Any], reports: list[CaseReport]) -> None:
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.svg is not None:
        title = f"times the floor; median and spread of {options.rounds} rounds"
        options.svg.write_text(draw_ratios(list_bars(reports), title), encoding="utf-8")


async def _main(options: argparse.Namespace) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    machine = describe_machine()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = await stack.enter_async_context(start_broker(say))
        accounts = max(options.accounts) if {"accounts", "takeover"} & {*options.scenarios} else 1
        stage = await stack.enter_async_context(open_stage(broker.bootstrap_servers, folder, accounts))
        reports = await _run_cases(stage, options)
        versions = list_versions(broker)
    for name, facts in (("machine", machine), ("versions", versions)):
        say(f"{name}: " + ", ".join(f"{key} {value}" for key, value in facts.items()))
    print_legend()
    for report in reports:
        report.print_table()
    problems = [problem for one in reports for found in one.rounds for problem in found.problems]
    settings = {name: value for name, value in vars(options).items() if name not in {"json", "svg"}}
    found = {"right": not problems, "machine": machine, "versions": versions, "options": settings}
    found |= {"took_s": round(time.monotonic() - _BEGUN_S), "cases": [one.as_json() for one in reports]}
    _write_files(options, found, reports)
    say()
    say(json.dumps(found))
    return 1 if problems else 0


def main() -> int:
    """Measure, and return the exit code; Ctrl-C and SIGTERM end all processes first."""
    logging.basicConfig(level=logging.ERROR)
    gc.set_threshold(_GARBAGE_MIN)
    options = _read_options()
    try:
        return run_on_quick_loop(_main(options))
    except (BenchFailed, BrokerError) as error:
        say(f"FAILED: {error}")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


if __name__ == "__main__":
    sys.exit(main())
