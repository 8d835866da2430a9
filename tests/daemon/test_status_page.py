"""The status page of real daemons: an owner, its standby, and one that ends and starts again."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from bridge.contract.topics import Stream
from bridge.sandbox.broker.cluster import find_free_ports
from tests.support.rig import PLACE, Rig, command
from tests.witness.waiting import DEADLINE_S

_ASK_AGAIN_S = 0.2


async def _read_until(port: int, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Ask for events, as a browser does, until the document of one satisfies a condition; return the document."""
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as http:
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with http.get(f"http://127.0.0.1:{port}/events") as answer:
                    document: dict[str, Any] = json.loads((await answer.text()).split("\n")[1].removeprefix("data: "))
                    if holds(document):
                        return document
            await asyncio.sleep(_ASK_AGAIN_S)


def _is_recovered(document: dict[str, Any]) -> bool:
    owned = document["accounts"][0]["owned"]
    return owned is not None and owned["is_recovered"]


async def test_the_owner_shows_what_happens_and_the_standby_waits(rig: Rig) -> None:
    """The session, the result of a command, a used budget, a gap while the venue is away; the standby owns nothing."""
    port, standby_port = find_free_ports(2)
    async with rig.daemon(rig.settings(management={"port": port})):
        await _read_until(port, _is_recovered)
        async with rig.daemon(rig.settings(management={"port": standby_port})):
            standby = await _read_until(standby_port, lambda document: document["ready"])
            placed = command("place_order", PLACE)
            await rig.send(placed)
            shown = await _read_until(port, lambda document: document["accounts"][0]["results"])
            rig.venue.cut_connections()
            cut = await _read_until(port, lambda document: document["accounts"][0]["owned"]["gap_count"] > 1)
    (account,) = shown["accounts"]
    assert shown["ready"]
    assert account["owned"]["endpoint"] == "SANDBOX"
    assert [(one["command_id"], one["outcome"]) for one in account["results"]] == [(placed["commandId"], "accepted")]
    assert account["results"][0]["total_s"] > 0
    assert account["latencies"]["command_count"] == 1
    assert {"link_failed"} <= {gap["cause"] for gap in cut["accounts"][0]["owned"]["gaps"]}
    assert [(one["phase"], one["owned"], one["results"]) for one in standby["accounts"]] == [("standby", None, [])]
    told = json.dumps([shown, standby, cut])
    key = rig.venue.keys["main"]
    assert not [secret for secret in (key.api_key, key.api_secret) if secret in told]


async def test_a_daemon_that_starts_again_begins_anew(rig: Rig) -> None:
    """The same address shows the new process: another start, a higher epoch, and its own results only."""
    (port,) = find_free_ports(1)
    settings = rig.settings(management={"port": port})
    async with rig.daemon(settings):
        results = await rig.topic(Stream.RESULTS)
        await _read_until(port, _is_recovered)
        placed = command("place_order", PLACE)
        await rig.send(placed)
        await results.result(placed)
        before = await _read_until(port, lambda document: document["accounts"][0]["results"])
    async with rig.daemon(settings):
        after = await _read_until(port, _is_recovered)
    assert after["process"]["started_ms"] > before["process"]["started_ms"]
    assert after["accounts"][0]["owned"]["epoch"] > before["accounts"][0]["owned"]["epoch"]
    assert after["accounts"][0]["results"] == []
    assert after["accounts"][0]["owned"]["open_orders"] == 1
