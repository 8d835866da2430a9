"""Keeps the demo's daemon and its folder, and leaves neither behind once the demo is gone.

A script of its own, started by the demo and importing nothing of this package. It makes a folder and names it
on standard output, starts the command line that it reads as one JSON line from standard input, and tells how
the daemon ended. When its standard input closes, or the demo is no longer its parent, the daemon ends: in
good order, and by force after a deadline. That holds however the demo ended, SIGKILL included. It runs in a
session of its own, so a Ctrl-C meant for the demo does not reach the daemon.

    keeper.py OWNER_PID STOP_DEADLINE_S
"""

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER_PREFIX = "ltp-bridge-demo-"
LOG = "daemon.log"
_LOOK_S = 0.2
_PR_SET_PDEATHSIG = 1
_LOG_TAIL_BYTES = 4000


def _answer(**fields: Any) -> None:  # noqa: ANN401 - whatever JSON can carry
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _is_wanted(owner_pid: int) -> bool:
    """Look at the owner; nothing but the end of the pipe is to be read once the daemon has started."""
    if os.getppid() != owner_pid:
        return False
    readable, _, _ = select.select([0], [], [], _LOOK_S)
    return not readable or bool(os.read(0, 1))


def _order(owner_pid: int) -> bytes:
    """Return the owner's first line; empty when it went away before."""
    line = b""
    while not line.endswith(b"\n") and os.getppid() == owner_pid:
        readable, _, _ = select.select([0], [], [], _LOOK_S)
        if readable:
            chunk = os.read(0, 65536)
            if not chunk:
                return b""
            line += chunk
    return line


def _start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def end_with_keeper() -> None:
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    with (folder / LOG).open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - the owner's own command line
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            preexec_fn=end_with_keeper,  # noqa: PLW1509 - this process has one thread
        )


def _log_tail(folder: Path) -> str:
    return (folder / LOG).read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")


def _keep(owner_pid: int, stop_deadline_s: float, folder: Path) -> None:
    _answer(folder=str(folder))
    order = _order(owner_pid)
    if not order.endswith(b"\n"):
        return
    daemon = _start(json.loads(order), folder)
    try:
        _answer(pid=daemon.pid)
        ended_early = False
        while _is_wanted(owner_pid):
            if not ended_early and daemon.poll() is not None:
                ended_early = True
                _answer(exit=daemon.returncode, log=_log_tail(folder))
        daemon.terminate()
        try:
            daemon.wait(stop_deadline_s)
        except subprocess.TimeoutExpired:
            daemon.kill()
        _answer(exit=daemon.wait(), log=_log_tail(folder))
    finally:
        daemon.kill()
        daemon.wait()


def main(arguments: list[str]) -> None:
    """Keep a daemon until the owner is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Not SIG_IGN, which the daemon would inherit: it could then not be stopped in order.
        signal.signal(number, lambda _number, _frame: None)
    owner_pid, stop_deadline_s = arguments
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    try:
        _keep(int(owner_pid), float(stop_deadline_s), folder)
    except BrokenPipeError:
        pass  # the owner went away while it was being answered
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
