"""The crash test in short: a sample of its matrix, on the run's broker."""

import asyncio
import json
import os
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_SCENARIOS = 16


async def test_a_daemon_may_die_at_any_step(bootstrap: str, tmp_path: Path) -> None:
    """SIGKILL over and over, at every kind of step: nothing is sent twice, every command gets one true answer."""
    run = (
        sys.executable,
        "-m",
        "tests.crash.run",
        "--scenarios",
        str(_SCENARIOS),
        "--seed",
        "1",
        "--keep",
        str(tmp_path),
    )
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": bootstrap}
    process = await asyncio.create_subprocess_exec(*run, stdout=asyncio.subprocess.PIPE, cwd=_ROOT, env=environment)
    output, _ = await process.communicate()
    told = json.loads(output.splitlines()[-1])
    assert (told["unreached"], told["surprises"], told["witnesses"]) == ([], [], [])
    assert told["kills"] >= _SCENARIOS
    assert process.returncode == 0
