"""A real Prometheus with the chart's rules, each wait in them shortened, so that a run takes minutes."""

import asyncio
import contextlib
import json
import re
import shutil
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import aiohttp

from bridge.sandbox.broker.cluster import find_free_ports
from tests.witness.waiting import DEADLINE_S

SHORTENED: Final = 20
"""By so much are the waits of the rules divided."""
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600}
_FOR: Final = re.compile(r"(?<=^        for: )(\d+)([smh])$", re.MULTILINE)
_RANGE: Final = re.compile(r"(?<=\[)(\d+)([smh])(?=[\]:])")
_STEP: Final = re.compile(r"(?<=:)\w+(?=\])")
_INTERVAL: Final = re.compile(r"(?<=^    interval: )\w+$", re.MULTILINE)
_YOUNG: Final = re.compile(r"(?<=process_start_time_seconds < )(\d+)()")

_CONFIG = """\
global:
  scrape_interval: {period_s}s
  scrape_timeout: {period_s}s
  evaluation_interval: {period_s}s
rule_files: [alerts.yaml]
scrape_configs:
  - job_name: ltp-bridge
    static_configs:
      - targets: {targets}
"""


class PrometheusFailed(Exception):
    """Prometheus cannot be started, or it refuses what it is to load."""


def shorten_waits(rules: str) -> str:
    """Return the rules with every `for` and range divided by `SHORTENED`, evaluated each second; thresholds stay."""

    def divide(found: re.Match[str]) -> str:
        return f"{int(found[1]) * _UNIT_S[found[2]] * 1000 // SHORTENED}ms"

    rules = _RANGE.sub(divide, _FOR.sub(divide, _STEP.sub("1s", _INTERVAL.sub("1s", rules))))
    return _YOUNG.sub(lambda found: str(int(found[1]) // SHORTENED), rules)


def fill_variables(expression: str) -> str:
    """Return an expression of the dashboard as Grafana sends it where everything is chosen."""
    for name, value in (("__rate_interval", "5m"), ("environment", ".*"), ("account", ".*")):
        expression = expression.replace(f"${name}", value)
    return expression


async def check_expressions(expressions: list[str], folder: Path) -> None:
    """Have promtool parse expressions of the dashboard. Raises PrometheusFailed with its words."""
    rules = folder / "dashboard-rules.yaml"
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for number, expression in enumerate(expressions):
        filled = fill_variables(expression).replace("'", "''")
        lines += [f"      - record: panel_{number}", f"        expr: '{filled}'"]
    rules.write_text("\n".join(lines) + "\n")
    process = await asyncio.create_subprocess_exec(
        find_program("promtool"), "check", "rules", str(rules), stdout=DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    if process.returncode:
        raise PrometheusFailed(f"promtool refuses a query of the dashboard: {told.decode()}")


class Prometheus:
    """A running Prometheus, and what its alerts are now."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http

    async def list_firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        async with self._http.get(f"{self._url}/api/v1/alerts") as answer:
            told = await answer.json()
        return {one["labels"]["alertname"] for one in told["data"]["alerts"] if one["state"] == "firing"}

    async def find_series(self, expression: str) -> list[dict[str, str]]:
        """Return the labels of each series that an instant query finds."""
        async with self._http.get(f"{self._url}/api/v1/query", params={"query": expression}) as answer:
            told = await answer.json()
        return [one["metric"] for one in told["data"]["result"]]

    async def wait_until_ready(self) -> None:
        """Wait until it answers. Raises TimeoutError."""
        async with asyncio.timeout(DEADLINE_S):
            while not await self._is_ready():  # noqa: ASYNC110 - another process, which sets no event
                await asyncio.sleep(0.1)

    async def _is_ready(self) -> bool:
        try:
            async with self._http.get(f"{self._url}/-/ready") as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False

    async def wait_until_scraped(self) -> None:
        """Wait until it has metrics of the bridge. Raises TimeoutError."""
        async with asyncio.timeout(DEADLINE_S):
            while not await self.find_series("ltp_bridge_build_info"):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def run_prometheus(
    rules: str, target_ports: Sequence[int], folder: Path, *, period_s: int = 1
) -> AsyncIterator[Prometheus]:
    """Run Prometheus for the length of the block. Raises PrometheusFailed when it ends by itself at once."""
    addresses = [f"127.0.0.1:{port}" for port in target_ports]
    _write_files(rules, _CONFIG.format(targets=json.dumps(addresses), period_s=period_s), folder)
    (port,) = find_free_ports(1)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            find_program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
            stdout=DEVNULL,
            stderr=log,
        )
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            running = Prometheus(f"http://127.0.0.1:{port}", http)
            ended, ready = asyncio.ensure_future(process.wait()), asyncio.ensure_future(running.wait_until_ready())
            await asyncio.wait((ended, ready), return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                ready.cancel()
                raise PrometheusFailed(f"Prometheus ended by itself:\n{(folder / 'log').read_text()}")
            await ready
            yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _write_files(rules: str, config: str, folder: Path) -> None:
    folder.mkdir()
    (folder / "alerts.yaml").write_text(rules)
    (folder / "prometheus.yml").write_text(config)


def find_program(program: str) -> str:
    """Return the path of a program. Raises PrometheusFailed."""
    found = shutil.which(program)
    if found is None:
        raise PrometheusFailed(f"{program} is not on PATH: install Prometheus (Debian: apt install prometheus)")
    return found
