"""Ends a child process or a container when its owner ends, and removes its files.

This script imports nothing of the package; `child_process.py` and `broker/container.py` start it. Its standard input
is a pipe from the owner. When the pipe closes, or the owner is no longer its parent, it ends the child. So the child
ends however the owner ends, SIGKILL included. The script runs in its own session, so that a Ctrl-C for the owner
reaches neither the script nor the child.

    reaper.py process OWNER_PID FOLDER_PREFIX STOP_DEADLINE_S   one process in a new folder, by orders in JSON lines
    reaper.py container OWNER_PID LABEL                         the containers with this label

An order is answered by one line of JSON: {"start": [command]} by its {"pid"}, {"signal": number} and {"poll": true}
by {"exit"}, which is null while the process runs. The first line names the new {"folder"}, the last line has the
{"exit"} and the {"log"} of the process that was stopped.
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
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

LOG = "output.log"
_OWNER_CHECK_PERIOD_S = 0.2
_PR_SET_PDEATHSIG = 1
_LOG_TAIL_BYTES = 4000
_LATE_CONTAINER_S = 20.0


def _read_orders(owner_pid: int) -> Iterator[str]:
    """Yield the owner's lines until it closes the pipe or has ended.

    A forked child of the owner may hold the pipe open after the owner's end, so the parent is checked too.
    """
    pending = b""
    while os.getppid() == owner_pid:
        readable, _, _ = select.select([0], [], [], _OWNER_CHECK_PERIOD_S)
        if not readable:
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield line.decode()


def _write_answer(**fields: Any) -> None:  # noqa: ANN401 - any JSON value
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


class _Child:
    """One process at a time, which writes its output to the log in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def _end_with_parent(self) -> None:
        if self._libc is not None:
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out an order and return the answer. Raises OSError when a command cannot be started."""
        if "start" in order:
            with (self._folder / LOG).open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - the owner's own command line
                    order["start"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    preexec_fn=self._end_with_parent,  # noqa: PLW1509 - this process has one thread
                )
            return {"pid": self._process.pid}
        if self._process is None:
            return {"exit": -1}
        code = self._process.poll()
        if "signal" in order and code is None:
            self._process.send_signal(order["signal"])
        return {"exit": code}

    def stop(self, deadline_s: float) -> dict[str, Any]:
        """End the process, by SIGTERM and then by SIGKILL; return its exit code and the end of its log."""
        if self._process is None:
            return {"exit": None, "log": ""}
        if deadline_s:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(deadline_s)
        self.kill()
        log = (self._folder / LOG).read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        return {"exit": self._process.returncode, "log": log}

    def kill(self) -> None:
        """End the process by SIGKILL, if it still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _keep_process(owner_pid: int, folder_prefix: str, stop_deadline_s: float) -> None:
    """Run what the owner orders until the owner ends; remove the process and the folder then."""
    folder = Path(tempfile.mkdtemp(prefix=folder_prefix))
    child = _Child(folder)
    try:
        _write_answer(folder=str(folder))
        for line in _read_orders(owner_pid):
            try:
                _write_answer(**child.obey(json.loads(line)))
            except OSError as error:
                _write_answer(error=str(error))
        _write_answer(**child.stop(stop_deadline_s))
    except BrokenPipeError:
        child.stop(stop_deadline_s)  # the owner ended before it read an answer
    finally:
        child.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _keep_container(owner_pid: int, label: str) -> None:
    """Remove the containers with a label once the owner has ended."""
    settled = False
    for line in _read_orders(owner_pid):
        settled = line == "settled"
    # The owner may have ended while the engine was still creating the container: look again for a while.
    until = time.monotonic() + (0 if settled else _LATE_CONTAINER_S)
    from testcontainers.core.docker_client import DockerClient  # noqa: PLC0415 - slow, and needed only here

    engine = DockerClient().client
    while True:
        found = engine.containers.list(all=True, filters={"label": label})
        for container in found:
            container.remove(force=True, v=True)
        if found or time.monotonic() >= until:
            return
        time.sleep(0.5)


def main(arguments: list[str]) -> None:
    """Keep the process or container that the arguments name until the owner ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Not SIG_IGN, which the child would inherit: it could then not be stopped in order.
        signal.signal(number, lambda _number, _frame: None)
    kind, owner_pid, *rest = arguments
    if kind == "process":
        folder_prefix, stop_deadline_s = rest
        _keep_process(int(owner_pid), folder_prefix, float(stop_deadline_s))
    else:
        _keep_container(int(owner_pid), *rest)


if __name__ == "__main__":
    main(sys.argv[1:])
