"""The measurements of the commands: one at a time, a burst, and cancels while places wait."""

import math
from collections.abc import Sequence
from typing import Final

from tests.bench.desk import Desk, Noted, Sent, take_noted
from tests.bench.figures import RESULT, ROUND_TRIP, name_percentiles
from tests.bench.processes import Helper
from tests.bench.pushes import name_order
from tests.bench.stage import Contestant, Measured, Stage
from tests.support.rig import PLACE

_LONG_S: Final = 29 * 60.0
"""A minute less than the longest validity."""
_QUEUE_MINUTES: Final = 25
_LANE_MAX: Final = 100_000


def limit_queue(queued: int, cancels: int) -> dict[str, int]:
    """Return limits by which the orders to cancel are placed at once, and the places behind them wait for a minute.

    All of those must be due within their validity, or the bridge denies them.
    """
    places = max(2 * cancels, queued // _QUEUE_MINUTES)
    return {
        "place_per_window": math.ceil(places / 0.95),
        "cancel_per_window": 4 * cancels + 100,
        "lane_commands_max": _LANE_MAX,
    }


def _time_commands(commands: Sequence[Sent], noted: Noted) -> dict[str, float]:
    """Return how long commands took, whole and, where the venue has noted them, in parts."""
    pairs = [(one, frame) for one in commands if (frame := noted.get((one.action, one.client_order_id))) is not None]
    to_frame = [frame.arrived_monotonic_ns - one.handed_monotonic_ns for one, frame in pairs]
    to_result = [one.read_monotonic_ns - frame.answered_monotonic_ns for one, frame in pairs]
    return {
        **name_percentiles(RESULT, [one.took_ns for one in commands]),
        **name_percentiles("append to frame at the venue", to_frame),
        **name_percentiles("venue's answer to result", to_result),
    }


async def measure_one_by_one(stage: Stage, contestant: Contestant, count: int, *, cancels: bool) -> Measured:
    """Send one command at a time: places, or cancels of orders that were placed before."""
    process = contestant.process
    async with Desk(contestant) as desk:
        await desk.place_one_by_one(1)  # connections and code are there from now on
        names = [name_order(number) for number in range(count)]
        if cancels and contestant.is_daemon:
            placed = await desk.place_all(count)
            await desk.wait_for_answers(placed)
            names = [one.client_order_id for one in placed]
        await take_noted(stage.venue, stage.folder)
        cpu_s = process.cpu_s()
        commands = await (desk.cancel_one_by_one(names) if cancels else desk.place_one_by_one(count))
        cpu_s = process.cpu_s() - cpu_s
        noted = await take_noted(stage.venue, stage.folder)
        problems = desk.find_problems(commands)
    memory_mib, peak_mib = process.memory_mib()
    figures = {
        **_time_commands(commands, noted),
        "cpu us per command": cpu_s / count * 1e6,
        "memory MiB": memory_mib,
        "peak memory MiB": peak_mib,
    }
    if isinstance(process, Helper):
        figures |= name_percentiles(ROUND_TRIP, await process.ask("round_trips", times=count, args=PLACE))
        await take_noted(stage.venue, stage.folder)
    return Measured(figures, problems, process.loop_name())


async def measure_burst(stage: Stage, contestant: Contestant, count: int) -> Measured:
    """Hand over many places at once."""
    process = contestant.process
    async with Desk(contestant) as desk:
        await desk.cancel_one_by_one([name_order(0)])  # a place would take one of the slots that the burst needs
        await take_noted(stage.venue, stage.folder)
        cpu_s = process.cpu_s()
        commands = await desk.place_all(count)
        await desk.wait_for_answers(commands)
        cpu_s = process.cpu_s() - cpu_s
        noted = await take_noted(stage.venue, stage.folder)
        problems = desk.find_problems(commands)
    took_ns = max(one.read_monotonic_ns for one in commands) - commands[0].handed_monotonic_ns
    memory_mib, peak_mib = process.memory_mib()
    figures = {
        "commands per s": count / took_ns * 1e9,
        **_time_commands(commands, noted),
        "cpu us per command": cpu_s / count * 1e6,
        "memory MiB": memory_mib,
        "peak memory MiB": peak_mib,
    }
    return Measured(figures, problems, process.loop_name())


async def measure_queued(stage: Stage, contestant: Contestant, queued: int, cancels: int) -> Measured:
    """Cancel one at a time, first on a quiet bridge, then while many places wait for the venue's limit."""
    process = contestant.process
    async with Desk(contestant) as desk:
        placed = await desk.place_all(2 * cancels)
        await desk.wait_for_answers(placed)
        names = [one.client_order_id for one in placed]
        quiet = await desk.cancel_one_by_one(names[:cancels])
        waiting = await desk.place_all(queued, _LONG_S)
        await desk.read_up_to_here()
        cpu_s = process.cpu_s()
        loaded = await desk.cancel_one_by_one(names[cancels:])
        cpu_s = process.cpu_s() - cpu_s
        left = sum(not one.outcome for one in waiting)
        refused = {one.outcome for one in waiting} - {"", "accepted"}
        problems = desk.find_problems([*placed, *quiet, *loaded])
        problems += [f"places that must wait have other results: {sorted(refused)}"] * bool(refused)
        noted = await take_noted(stage.venue, stage.folder)
    memory_mib, peak_mib = process.memory_mib()
    figures = {
        "places that wait": float(left),
        **_time_commands(loaded, noted),
        **name_percentiles("append to result on a quiet bridge", [one.took_ns for one in quiet]),
        "cpu us per cancel": cpu_s / cancels * 1e6,
        "memory MiB": memory_mib,
        "peak memory MiB": peak_mib,
    }
    for label in ("p50", "p99"):
        quiet_ms = figures[f"append to result on a quiet bridge {label} ms"]
        figures[f"{label}: times that of a quiet bridge"] = figures[f"append to result {label} ms"] / quiet_ms
    return Measured(figures, problems, process.loop_name())
