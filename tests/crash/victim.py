"""The daemon, told to die: it runs as always and kills itself at one step of one command.

Nothing of it is changed but this: a few methods of the real classes are wrapped (moments.py), each wrapper looks
whether this is the moment, and if so the process sends itself SIGKILL. Which moment is meant stands in the id of the
command (plan.py); that it has come is left as a file in the folder of marks, so a command kills once at each of its
steps.
"""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

from bridge import app
from bridge.admin import logs
from bridge.config import load
from tests.crash import moments
from tests.crash.death import Death


def _end_with_the_harness() -> None:
    """End when the harness is gone: it holds the other end of this process's standard input."""

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True, name="harness").start()


def main(config: Path, marks: Path) -> None:
    """Run the daemon until it dies or is stopped."""
    _end_with_the_harness()
    moments.watch(Death(marks))
    settings = load(config)
    logs.configure("info", "json")
    asyncio.run(app.run(settings))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
