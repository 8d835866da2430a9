"""What a process and its accounts take in memory, and what a day of trading asks of the venue's REST."""

import gc
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.config.limits import Limits
from tests.day.figures import ACCOUNT_MIB, PROCESS_MIB
from tests.support.one_day import Hour, OneDay
from tests.support.virtual_time import VirtualTime, run_in_virtual_time

ROOT = Path(__file__).parents[2]
TURN_MAX_S = 0.1
"""Five times what one task may take: the loop has several, and the machine may be slow."""


def test_an_account_takes_no_more_than_is_stated() -> None:
    """With everything full that is remembered: trades, ended orders, answers, and what waits for Kafka."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.day.full"], check=True, timeout=120, env=env, capture_output=True
    )
    told = json.loads(done.stdout)
    assert told["process"] <= PROCESS_MIB
    assert told["with_buffer"] - told["process"] <= ACCOUNT_MIB
    # What is full takes something: else nothing was filled.
    sizes = [told["with_answers"] - told["with_tables"], told["with_buffer"] - told["with_answers"]]
    assert min(sizes) > 0.8 * min(Limits().memory_bytes_max, Limits().event_buffer_bytes_max) / 2**20


def test_readme_and_chart_state_the_same() -> None:
    """An account's share is what its settings say, and one number more."""
    rest = ACCOUNT_MIB - (Limits().memory_bytes_max + Limits().event_buffer_bytes_max) // 2**20
    told = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"A process needs {PROCESS_MIB} MiB, and {ACCOUNT_MIB} MiB more for each account" in told
    assert f"{PROCESS_MIB + ACCOUNT_MIB} MiB with one account, {PROCESS_MIB + 2 * ACCOUNT_MIB} MiB with two" in told
    assert f"and {rest} MiB for 5,000 open orders" in told
    template = (ROOT / "helm/ltp-kafka-bridge/templates/_names.tpl").read_text(encoding="utf-8")
    assert f"add {PROCESS_MIB} (mul (len .Values.accounts) (add {rest} (div" in template
    defaults = {int(number) for number in re.findall(r"_bytes_max \| default (\d+)", template)}
    assert defaults == {Limits().memory_bytes_max, Limits().event_buffer_bytes_max}


async def _live(day: OneDay, hours: int, hour_s: int) -> list[Hour]:
    return [hour async for hour in day.run(hours, hour_s)]


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Collect no garbage meanwhile: how long that takes is a matter of the whole process."""
    gc.disable()
    yield
    gc.enable()


def test_audits_ask_for_the_same_all_day_long() -> None:
    """Three hours in short: nothing is missed, and no more is asked a minute in the last than in the first."""
    loop = VirtualTime()
    day = OneDay(loop, open_orders=600, fills_per_hour=200)
    first, *_, last = run_in_virtual_time(_live(day, 3, hour_s=600), loop)
    assert first.fills == last.fills == 200
    assert 0 < last.asked_per_minute <= first.asked_per_minute
    assert [event["type"] for event in day.topics.session_events].count("gap.opened") == 1
    assert day.session.dropped == []


def test_the_loop_never_stands_still_for_a_list(no_collection: None) -> None:
    """However many orders are open: heartbeats and pings have their turn while they are judged."""
    loop = VirtualTime()
    day = OneDay(loop, open_orders=5000, fills_per_hour=100)
    (hour,) = run_in_virtual_time(_live(day, 1, hour_s=120), loop)
    assert hour.asked_most > 30
    assert hour.longest_turn_s < TURN_MAX_S
