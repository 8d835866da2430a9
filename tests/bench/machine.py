"""On what a run was measured: versions, cores, memory."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any, Final

from bridge.sandbox.broker.cluster import KAFKA_VERSION
from bridge.sandbox.broker.launcher import Broker

_PACKAGES: Final = ("aiokafka", "aiohttp", "msgspec", "uvloop")


def list_versions(broker: Broker) -> dict[str, str]:
    """Return the versions of Python, of the libraries that both sides stand on, and of Kafka."""
    kafka = KAFKA_VERSION if broker.kind != "given" else "as given"
    return {
        "python": platform.python_version(),
        **{name: _find_version(name) for name in _PACKAGES},
        "kafka": f"{kafka} ({broker.kind})",
    }


def describe_machine() -> dict[str, Any]:
    """Return cores, memory and the load before the run."""
    memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "processor": models[0] if models else platform.machine(),
        "memory_gib": round(int(memory["MemTotal"].split()[0]) / 2**20, 1),
        "system": platform.platform(),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def _find_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
