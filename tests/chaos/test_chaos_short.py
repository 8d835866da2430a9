"""The chaos test in short: one run with a few faults, on the run's broker."""

import asyncio
import json
import os
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


async def test_nothing_is_missed_in_silence(bootstrap: str, tmp_path: Path) -> None:
    """The link fails, pushes fall silent and come muddled, the daemon dies: every trade is there, the rest is a gap."""
    run = (sys.executable, "-m", "tests.chaos.run", "--runs", "1", "--length", "short", "--seed", "1")
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": bootstrap, "PYTHONPATH": str(_ROOT)}
    process = await asyncio.create_subprocess_exec(
        *run, "--keep", str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=_ROOT, env=environment
    )
    output, _ = await process.communicate()
    told = json.loads(output.splitlines()[-1])
    assert told["witnesses"] == []
    assert told["unbitten"] == []
    assert process.returncode == 0
