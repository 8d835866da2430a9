"""What a real daemon serves at `/metrics`: held against promtool, METRICS.md and the dashboard, and counted."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bridge.sandbox.broker.cluster import find_free_ports
from bridge.sandbox.broker.embedded import EmbeddedBroker
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.alerts.metrics_page import list_metrics
from tests.alerts.prometheus import Prometheus, fill_variables, find_program
from tests.alerts.rules_file import read_dashboard
from tests.support.replica import replica
from tests.support.rig import Rig

_ACCOUNTS_DEADLINE_S: Final = 180.0
_WHOLE_RUN: Final = "1h"


async def fetch_metrics(port: int) -> str:
    """Return what a daemon serves now."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
        http.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        return await answer.text()


async def find_problems(text: str) -> list[str]:
    """Return what promtool has against it, and where name, type, labels or help are not those of METRICS.md."""
    process = await asyncio.create_subprocess_exec(
        find_program("promtool"), "check", "metrics", stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    told, _ = await process.communicate(text.encode())
    problems = [f"promtool: {line}" for line in told.decode().splitlines()]
    if process.returncode and not problems:
        problems.append(f"promtool: exit code {process.returncode}")
    described = {one.name: one for one in list_metrics()}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        known = described.pop(name, None)
        if known is None or (family.type, family.documentation) != (known.kind, known.meaning):
            problems.append(f"METRICS.md does not have {name}, {family.type}: {family.documentation}")
            continue
        labels = {frozenset(set(sample.labels) - {"le"}) for sample in family.samples}
        if labels - {frozenset(known.labels)}:
            problems.append(f"METRICS.md says {name} has {known.labels}, and not {labels}")
    return problems + [f"METRICS.md has {name}, which is not served" for name in described]


def count_series(text: str) -> tuple[int, int]:
    """Return how many series there are of the process, and of accounts."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    of_accounts = sum("account" in sample.labels for sample in samples)
    return len(samples) - of_accounts, of_accounts


async def find_empty_panels(prometheus: Prometheus) -> list[str]:
    """Return the queries of the dashboard that find no series at any time of the run."""
    empty = []
    for title, expression in read_dashboard():
        filled = fill_variables(expression)
        if not await prometheus.find_series(f"last_over_time(({filled})[{_WHOLE_RUN}:5s])"):
            empty.append(f"{title}: {filled}")
    return empty


async def serve_accounts(broker: EmbeddedBroker, folder: Path, count: int) -> str:
    """Return what a daemon of so many accounts serves when each of them has recovered."""
    (port,) = find_free_ports(1)
    names = [f"a{number}" for number in range(count)]
    accounts = tuple(AccountSettings(name=name) for name in names)
    async with (
        Venue(VenueSettings(accounts=accounts)) as venue,
        Rig(broker.bootstrap_servers, venue, folder) as rig,
        replica(rig, accounts=names, management={"port": port}) as daemon,
    ):
        await daemon.until("recovery.complete", count, _ACCOUNTS_DEADLINE_S)
        return await fetch_metrics(port)
