"""The bench in short, on the run's broker: what it measures is right, and no time is judged."""

from typing import Any

from tests.witness.harness import run_harness

_PUSHES = 2000
_PLACES = 20
_QUEUED = 200


async def test_the_bench_measures_daemon_and_floor(bootstrap: str) -> None:
    """Every push is on both topics once and in order, every command is answered once, and every figure is there."""
    scenarios = ("flood", "paced", "place", "cancel", "queued")
    sizes = {"pushes": _PUSHES, "rates": 200, "seconds": 1, "places": _PLACES, "cancels": _PLACES, "queued": _QUEUED}
    options = [
        part for name, value in {**sizes, "queued-cancels": _PLACES}.items() for part in (f"--{name}", str(value))
    ]
    code, told = await run_harness("tests.bench", *scenarios, "--rounds", "1", *options, bootstrap=bootstrap)
    cases = {case["name"]: case for case in told["cases"]}
    assert [] == [problem for case in cases.values() for problem in _problems(case)]
    flood, paced, place, cancel, queued = (case["summary"] for case in cases.values())
    for side in ("bridge", "floor"):
        assert _PUSHES == flood[side]["pushes durable"]["median"]
        assert {"pushes per s", "cpu us per push", "peak memory MiB"} <= flood[side].keys()
        assert {"cpu us per push", "written to read p50 ms", "written to read p99.9 ms"} <= paced[side].keys()
        assert all({"append to result p99 ms", "cpu us per command"} <= one[side].keys() for one in (place, cancel))
    for one in (place["bridge"], cancel["bridge"], queued["bridge"]):
        assert {"append to frame at the venue p50 ms", "venue's answer to result p50 ms"} <= one.keys()
    assert "append to result p50 ms, less venue's round trip" in place["ratios"]
    assert _QUEUED == queued["bridge"]["places that wait"]["median"]
    assert {"python", "aiokafka", "aiohttp", "msgspec", "uvloop", "kafka"} == told["versions"].keys()
    assert told["machine"]["cores"] >= 1
    assert told["right"]
    assert code == 0


def _problems(case: dict[str, Any]) -> list[str]:
    sides = [one[side] for one in case["rounds"] for side in ("measured", "beside") if one[side] is not None]
    return [problem for side in sides for problem in side["problems"]]
