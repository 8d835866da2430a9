"""`/metrics` of a real daemon holds everything that the alert rules and the dashboard ask for."""

import re

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bridge.contract.topics import Stream
from bridge.sandbox.broker.cluster import find_free_ports
from bridge.sandbox.venue.faults import Fault, FaultKind
from tests.alerts.rules_file import find_metrics, read_dashboard, read_rules
from tests.support.rig import PLACE, Rig, command

_LABELS = re.compile(r"(ltp_bridge_[a-z_]+)\{(.*?)\}")


async def _scrape(port: int) -> dict[str, set[str]]:
    """Return the labels of every metric that has a sample."""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        text = await answer.text()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


async def test_a_daemon_exports_what_rules_and_dashboard_ask_for(rig: Rig) -> None:
    """With the labels that they ask by; after a command, pushes, a lost session, and an alarm that lasts."""
    (port,) = find_free_ports(1)
    async with rig.daemon(rig.settings(management={"port": port})):
        results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
        await session.until(lambda values: any(one["type"] == "recovery.complete" for one in values))
        placed = command("place_order", PLACE)
        await rig.send(placed)
        await results.result(placed)
        rig.venue.faults.add(Fault(kind=FaultKind.SHRINK_LIMIT, action="place_order", limit=0))
        refused = command("place_order", PLACE)
        await rig.send(refused)
        await results.result(refused)
        rig.venue.inject.foreign_action("main", "place_order", PLACE)
        rig.venue.cut_connections()
        await session.until(lambda values: sum(one["type"] == "recovery.complete" for one in values) > 1)
        found = await _scrape(port)
    asked = [rule.expression for rule in read_rules()] + [expression for _, expression in read_dashboard()]
    names = {name for expression in asked for name in find_metrics(expression)}
    # Those that only a gap's end tells, which takes half a minute; test_metrics.py of admin/ has them.
    assert names - set(found) <= {"ltp_bridge_gap_seconds_total", "ltp_bridge_gap_losses_total"}
    for expression in asked:
        for name, labels in _LABELS.findall(expression):
            wanted = set(re.findall(r"(\w+)[=!]", labels))
            assert wanted <= found.get(name, wanted), name
