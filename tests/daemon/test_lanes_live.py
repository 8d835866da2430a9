"""Lanes on a live daemon: however much waits, expires or is in doubt, a cancel is answered at once."""

import asyncio
import json
import sys
import time
from typing import Any

import pytest

from bridge.config import Limits, Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind
from tests.support.rig import PLACE, Rig, Topic, command
from tests.witness.waiting import until

QUEUED = 5_000
CANCELS = 50
LANE = Limits().lane_commands_max
OPEN_ORDERS = "GET /api/v1/trading/orders"
VALID_S = 25 * 60.0
ANSWERED_WITHIN_MS = 5_000
"""For the worst of them, on a machine that does other work too; a place at the end of the queue waits four minutes."""


def _latencies_ms(appended_ms: dict[str, int], results: Topic) -> list[int]:
    return sorted(results.answered_ms[name] - at for name, at in appended_ms.items())


def _tell(what: str, latencies: list[int]) -> None:
    half, most = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    sys.stdout.write(f"{what}: {len(latencies)} cancels, p50 {half} ms, p99 {most} ms, max {latencies[-1]} ms\n")


def _written_ms(rig: Rig) -> dict[str, int]:
    """Return when the venue received the cancel of each order, by orderId."""
    frames = ((entry.wall_ms, json.loads(entry.facts["text"])) for entry in rig.venue.ledger.entries(EntryKind.RECV))
    return {one["args"]["orderId"]: at for at, one in frames if one["action"] == "cancel_order"}


async def _appended(rig: Rig, *commands: dict[str, Any]) -> dict[str, int]:
    """Append commands and return when: Unix ms by commandId."""
    now_ms = time.time_ns() // 1_000_000
    await rig.send(*commands)
    return {one["commandId"]: now_ms for one in commands}


async def _live_orders(rig: Rig, results: Topic, count: int) -> list[str]:
    """Return the orderIds of orders that rest at the venue."""
    places = [command("place_order", PLACE) for _ in range(count)]
    await rig.send(*places)
    return [(await results.result(one))["orderId"] for one in places]


async def test_cancels_are_answered_ahead_of_five_thousand_places(rig: Rig) -> None:
    """Cancels of queued places remove them unsent, cancels of live orders go out; neither waits for the queue."""
    async with rig.daemon_process(unread=True):
        results = await rig.topic(Stream.RESULTS)
        live = await _live_orders(rig, results, CANCELS)
        places = [command("place_order", PLACE, valid_s=VALID_S) for _ in range(QUEUED)]
        await rig.send(*places)
        removed = places[-CANCELS:]
        of_queued = [command("cancel_order", {"clientOrderId": p["commandId"].replace("-", "")}) for p in removed]
        of_live = [command("cancel_order", {"orderId": order_id}) for order_id in live]
        appended_ms = await _appended(rig, *(one for pair in zip(of_queued, of_live, strict=True) for one in pair))
        await results.until(lambda _: appended_ms.keys() <= results.answered_ms.keys())
    outcomes = {v["commandId"]: v["outcome"] for v in results.values if "commandId" in v}
    assert {outcomes[one["commandId"]] for one in of_live} == {"accepted"}
    assert {outcomes[one["commandId"]] for one in (*of_queued, *removed)} == {"superseded"}
    budget = Limits().place_per_window * Limits().budget_percent // 100
    received = len(rig.venue.ledger.requests_received("place_order", rig.venue.keys["main"].portfolio_id))
    assert received <= budget
    latencies = _latencies_ms(appended_ms, results)
    _tell(f"from append to answer behind {QUEUED} places", latencies)
    assert latencies[-1] < ANSWERED_WITHIN_MS


async def _cancels_beside_expiring_commands(rig: Rig, expiring: int, for_s: float) -> list[int]:
    """Let commands of an order in doubt expire, evenly over a time, and cancel live orders meanwhile."""
    rig.venue.faults.add(Fault(kind=FaultKind.CLOSE_BEFORE, action="place_order"))
    limits, timing = Limits(replace_per_window=1_000_000), Timing(late_landing_s=300)
    async with rig.daemon_process(unread=True, limits=limits, timing=timing):
        results = await rig.topic(Stream.RESULTS)
        doubtful = command("place_order", PLACE)
        await rig.send(doubtful)
        await results.until(lambda values: any(v.get("outcome") == "unknown" for v in values))
        live = await _live_orders(rig, results, CANCELS)
        name = doubtful["commandId"].replace("-", "")
        waiting: list[dict[str, Any]] = []
        appended_ms: dict[str, int] = {}
        for order_id in live:
            again = {"clientOrderId": name, "replacePrice": "20100"}
            step_s = for_s / CANCELS
            replaces = [command("replace_order", again, valid_s=1 + 2 * step_s) for _ in range(expiring // CANCELS)]
            next_at = time.monotonic() + step_s
            await rig.send(*replaces)
            waiting += replaces
            appended_ms |= await _appended(rig, command("cancel_order", {"orderId": order_id}))
            await asyncio.sleep(next_at - time.monotonic())  # the pace of the load, not a wait for something
        names = appended_ms.keys() | {one["commandId"] for one in waiting}
        await results.until(lambda _: names <= results.answered_ms.keys(), 60)
    outcomes = {v["commandId"]: v["outcome"] for v in results.values if "commandId" in v}
    assert {outcomes[one["commandId"]] for one in waiting} == {"expired"}
    assert {outcomes[name] for name in appended_ms} == {"accepted"}
    assert outcomes[doubtful["commandId"]] == "unknown"
    return _latencies_ms(appended_ms, results)


async def test_a_place_in_doubt_and_commands_that_expire_hold_up_no_cancel(rig: Rig) -> None:
    """One place stays `unknown`, 2,000 commands behind it expire in 5 s: cancels of others are answered at once."""
    latencies = await _cancels_beside_expiring_commands(rig, 2_000, 5)
    _tell("from append to answer beside 2,000 that expire", latencies)
    assert latencies[-1] < ANSWERED_WITHIN_MS


async def test_ten_thousand_that_expire_in_one_moment_hold_up_no_cancel(rig: Rig) -> None:
    """Places wait because the sweep fails, and are over all at once: cancels go out and are answered meanwhile."""
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        live = await _live_orders(rig, results, CANCELS)
    rig.venue.faults.add(Fault(kind=FaultKind.REPLACE_ANSWER, action=OPEN_ORDERS, times=None))
    async with rig.daemon_process(unread=True, limits=Limits(place_per_window=1_000_000)):
        await results.until(lambda values: [v.get("epoch") for v in values].count(2) == 1)
        over_at = time.time() + 6
        places = [command("place_order", PLACE, valid_s=over_at - time.time()) for _ in range(LANE)]
        await rig.send(*places)
        await until(lambda: time.time() > over_at - 0.5)
        appended_ms: dict[str, int] = {}
        for order_id in live:
            appended_ms |= await _appended(rig, command("cancel_order", {"orderId": order_id}))
            await asyncio.sleep(0.05)  # the pace of the load, not a wait for something
        names = appended_ms.keys() | {one["commandId"] for one in places}
        await results.until(lambda _: names <= results.answered_ms.keys(), 60)
    outcomes = {v["commandId"]: v["outcome"] for v in results.values if "commandId" in v}
    assert {outcomes[one["commandId"]] for one in places} == {"expired"}
    assert {outcomes[name] for name in appended_ms} == {"accepted"}
    written_ms = _written_ms(rig)
    _tell(f"from append to answer beside {LANE} that expire at once", _latencies_ms(appended_ms, results))
    to_venue = sorted(written_ms[o] - at for o, at in zip(live, appended_ms.values(), strict=True))
    _tell("the same from append to the venue", to_venue)
    assert to_venue[-1] < ANSWERED_WITHIN_MS
    assert _latencies_ms(appended_ms, results)[-1] < ANSWERED_WITHIN_MS


@pytest.mark.pace
async def test_two_minutes_of_doubt_and_expiry_hold_up_no_cancel(rig: Rig) -> None:
    """The same with 20,000 commands over the two minutes that a place may be `unknown`."""
    latencies = await _cancels_beside_expiring_commands(rig, 20_000, 110)
    _tell("from append to answer beside 20,000 that expire in two minutes", latencies)
    assert latencies[-1] < ANSWERED_WITHIN_MS
