"""A harness run in short: its last line on stdout is one JSON object."""

import json
import os
from typing import Any

from tests.witness.child_process import ROOT, start_module


async def run_harness(module: str, *options: str, bootstrap: str) -> tuple[int | None, dict[str, Any]]:
    """Run a harness on a broker; return its exit code and what its last line tells."""
    # Whatever folder its processes run in, they load the bridge of this tree.
    env = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": bootstrap, "PYTHONPATH": str(ROOT)}
    process = await start_module(module, *options, env=env)
    output, _ = await process.communicate()
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    return process.returncode, told
