"""`make alerts`: each alert is made to fire by its fault, and to clear after it, on a real Prometheus.

A real broker, the sandbox venue and a daemon, as `make demo` runs them, while a desk trades. Prometheus scrapes and
evaluates every second, and the waits of the rules are a twentieth of what they are. Prints a table; exit code 1 says
that an alert did not fire or did not clear.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from bridge.contract.session import Alarm
from tests.alerts.cases import CASES, ELSEWHERE, Case
from tests.alerts.prometheus import SHORTENED, Prometheus, check_expressions, run_prometheus, shorten_waits
from tests.alerts.rules_file import RULES, read_dashboard, read_rules
from tests.alerts.scene import AuthorizingBroker, Scene, start_authorizing_broker
from tests.alerts.served_metrics import count_series, fetch_metrics, find_empty_panels, find_problems, serve_accounts
from tests.witness.console import say

_FIRE_S: Final = 240.0
_CLEAR_S: Final = 120.0
"""How long an alert is waited for, at most."""
_MANY_ACCOUNTS: Final = 50
_CALM_S: Final = 120.0
_LOOK_S: Final = 0.25
_LINE_CHARS_MAX: Final = 300


class Seen(Struct):
    """What became of the alert of a fault: seconds to fire since the fault began, and to clear since it ended."""

    fired_s: float | None = None
    cleared_s: float | None = None


def main() -> int:
    """Run what the arguments ask for; 0 when every alert has fired and cleared."""
    parser = argparse.ArgumentParser(description="Make every alert fire and clear, on a real Prometheus.")
    parser.add_argument("names", nargs="*", help="only the faults whose alerts these are; all by default")
    parser.add_argument(
        "--metrics", action="store_true", help="then look at what is served, as a run of all faults does"
    )
    options = parser.parse_args()
    for noisy in ("aiokafka", "aiohttp.server"):  # brokers that are away and sockets that are cut are no news here
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    cases = [one for one in CASES if not options.names or set(options.names) & set(one.alerts)]
    with tempfile.TemporaryDirectory(prefix="alerts-") as scratch:
        return asyncio.run(_run(cases, Path(scratch), with_metrics=options.metrics))


async def _run(cases: list[Case], folder: Path, *, with_metrics: bool) -> int:
    began = time.monotonic()
    await check_expressions([expression for _, expression in read_dashboard()], folder)
    say(f"promtool parses all {len(read_dashboard())} queries of the dashboard")
    say(f"waits of the rules (for, ranges) are divided by {SHORTENED}, and all is scraped and evaluated every second;")
    say("the thresholds are those of the chart. Some settings of the daemon are short too (tests/alerts/scene.py)")
    failures = 0
    async with (
        start_authorizing_broker() as broker,
        Scene(broker, folder) as scene,
        run_prometheus(
            shorten_waits(RULES.read_text(encoding="utf-8")), [scene.port], folder / "prometheus"
        ) as prometheus,
    ):
        await prometheus.wait_until_scraped()
        say(f"{'fault':52}{'alert':32}{'fires':>8}{'clears':>8}  with it")
        for case in cases:
            await _wait_for_calm(scene, prometheus, case)
            failures += await _play(case, scene, prometheus)
        is_whole = len(cases) == len(CASES)
        if is_whole or with_metrics:
            failures += await _look_at_metrics(scene, prometheus, broker, folder, is_whole=is_whole)
    for name, why in ELSEWHERE.items():
        say(f"{'not done here: ' + why:52}{name:32}")
    say(f"{failures} of {sum(len(case.alerts) for case in cases)} failed; {time.monotonic() - began:.0f} s")
    return 1 if failures else 0


async def _look_at_metrics(
    scene: Scene, prometheus: Prometheus, broker: AuthorizingBroker, folder: Path, *, is_whole: bool
) -> int:
    """Check what the daemon serves after all of it, count series, and ask what the dashboard asks; count problems."""
    text = await fetch_metrics(scene.port)
    problems = await find_problems(text)
    say(f"promtool check metrics, and METRICS.md, find {len(problems)} problems in what the daemon serves")
    process, account = count_series(text)
    say(f"series of one account after all of this: {account}, and {process} of the process")
    empty = await find_empty_panels(prometheus)
    say(f"queries of the dashboard that find nothing in the whole run: {empty or 'none'}")
    for line in [*problems, *empty]:
        say(f"  {line}")
    for count in (1, _MANY_ACCOUNTS):
        process, each = count_series(await serve_accounts(broker, folder, count))
        say(f"series of a process with {count} accounts that have just begun: {process} + {each}")
    return len(problems) + (len(empty) if is_whole else 0)


async def _wait_for_calm(scene: Scene, prometheus: Prometheus, case: Case) -> None:
    """Wait until no alert fires, so that each fault is judged alone; go on with what is left in the end."""
    end = time.monotonic() + _CALM_S
    while firing := await prometheus.list_firing():
        if time.monotonic() > end:
            say(f"  before {case.title}: {sorted(firing)} still fire; /readyz: {await scene.read_readiness()}")
            return
        await asyncio.sleep(_LOOK_S)


async def _play(case: Case, scene: Scene, prometheus: Prometheus) -> int:
    """Do a fault and undo it, and tell what was seen; return how many of its alerts failed."""
    seen = {name: Seen() for name in case.alerts}
    others = set[str]()
    began = time.monotonic()
    async with case.block(scene):
        while any(one.fired_s is None for one in seen.values()) and time.monotonic() - began < _FIRE_S:
            firing = await prometheus.list_firing()
            others |= firing - set(seen)
            for name in firing & set(seen):
                if seen[name].fired_s is None:
                    seen[name].fired_s = time.monotonic() - began
            await asyncio.sleep(_LOOK_S)
        ended = time.monotonic()
    while any(one.cleared_s is None for one in seen.values()) and time.monotonic() - ended < _CLEAR_S:
        firing = await prometheus.list_firing()
        others |= firing - set(seen)
        for name, one in seen.items():
            if one.cleared_s is None and name not in firing:
                one.cleared_s = time.monotonic() - ended
        await asyncio.sleep(_LOOK_S)
    for name, one in seen.items():
        told = " ".join(sorted(other.removeprefix("LtpBridge") for other in others))
        say(f"{case.title:52}{name:32}{_show(one.fired_s)}{_show(one.cleared_s)}  {told}")
    failed = [name for name, one in seen.items() if one.fired_s is None or one.cleared_s is None]
    if failed:
        say(f"  FAILED: {failed}; /readyz: {await scene.read_readiness()}")
        for line in [one for one in scene.daemon.lines if one["level"] != "info"][-8:]:
            say(f"    {line}"[:_LINE_CHARS_MAX])
    return len(failed)


def _show(seconds: float | None) -> str:
    return f"{'never':>8}" if seconds is None else f"{seconds:6.1f} s"


def _check_complete() -> None:
    """Hold the cases against the rules. Raises AssertionError for an alert that has no fault and no reason."""
    named = {name for case in CASES for name in case.alerts} | set(ELSEWHERE)
    assert named == {rule.name for rule in read_rules() if rule.is_alert}
    assert len(Alarm) <= len(named)


if __name__ == "__main__":
    _check_complete()
    sys.exit(main())
