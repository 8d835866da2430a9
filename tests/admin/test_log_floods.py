"""Whatever the venue, callers or brokers do by the thousand, the log stays short, readable and on its lines."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bridge.admin.line_bounds import LINE_CHARS_MAX
from bridge.admin.repeats import LOUD_LINES_MAX, PERIOD_S, QUIET_LINES_MAX
from tests.support.flooding import CASES

ROOT = Path(__file__).parents[2]
COUNT = 20_000


def _flood(case: str, style: str) -> str:
    """Return what a flooded process prints."""
    command = [sys.executable, "-m", "tests.support.flooding", case, str(COUNT), style]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=120, check=False)  # noqa: S603 - what stands here
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert done.stderr == b""
    return done.stdout.decode()


def _read_lines(told: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.removesuffix("\n").split("\n")]


@pytest.mark.parametrize(
    ("case", "event", "lines_max"),
    [
        ("odd_frames", "answer.unmatched", LOUD_LINES_MAX),
        ("junk_commands", "command.denied", QUIET_LINES_MAX),
        ("refused_logins", "session.attempt_failed", LOUD_LINES_MAX),
        ("brokers_away", "aiokafka", LOUD_LINES_MAX),
    ],
)
def test_a_flood_is_bounded_and_what_is_left_out_is_told(case: str, event: str, lines_max: int) -> None:
    """Every line of the flood is there or counted, each is an object of JSON in ASCII, and none is long."""
    told = _flood(case, "json")
    lines = _read_lines(told)
    assert told.isascii()
    assert max(len(line) for line in told.split("\n")) <= LINE_CHARS_MAX
    events = Counter(str(line["event"]) for line in lines)
    assert "forged" not in events
    left_out = [line for line in lines if line["event"] == "log.left_out"]
    seconds = _read_span_s(lines)
    if case == "brokers_away":
        assert sum("Unable connect" in one or "is not available" in one for one in events.elements()) < 1000
        assert {line["of"].split(":")[0] for line in left_out} >= {"aiokafka", "others"}
    else:
        logged = sum(line["lines"] for line in left_out if line["of"] == event) + events[event]
        assert COUNT <= logged <= COUNT + 10
        assert events[event] <= lines_max * (seconds // PERIOD_S + 1)


def _read_span_s(lines: list[dict[str, Any]]) -> float:
    """Return how many seconds are between the first line and the last, within one hour."""
    first, last = (
        sum(float(part) * unit for part, unit in zip(one["timestamp"][14:-1].split(":"), (60, 1), strict=True))
        for one in (lines[0], lines[-1])
    )
    return (last - first) % 3600


@pytest.mark.parametrize("case", ["odd_frames", "refused_logins"])
def test_on_a_terminal_a_flood_commands_nothing(case: str) -> None:
    """Of control characters only the line ends are left, and those of the log's own colours."""
    told = _flood(case, "pretty")
    for number in range(110):
        told = told.replace(f"\x1b[{number}m", "")
    assert all(one.isprintable() for one in told.split("\n"))
    assert max(len(line) for line in told.split("\n")) <= LINE_CHARS_MAX
    assert not any(line.startswith('{"event":"forged"}') for line in told.split("\n"))


def test_every_case_is_tried() -> None:
    """The list above has all floods."""
    assert set(CASES) == {"odd_frames", "junk_commands", "refused_logins", "brokers_away"}
