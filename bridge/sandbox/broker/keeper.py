"""Keeps a broker for its owner, and leaves nothing of it behind once the owner is gone.

A script of its own, started by the launcher and importing nothing of this package. Its standard input is a
pipe from the owner: when that closes, or the owner is no longer its parent, the broker ends. That holds
however the owner ended, SIGKILL included. It runs in a session of its own, so a Ctrl-C meant for the owner
does not reach it or the broker.

    keeper.py java OWNER_PID              a Java process and its folder, by orders in JSON lines
    keeper.py container OWNER_PID LABEL   the containers that carry LABEL
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
from pathlib import Path
from typing import Any

FOLDER_PREFIX = "ltp-bridge-broker-"
_LOOK_AT_OWNER_S = 0.5
_PR_SET_PDEATHSIG = 1
_LATE_CONTAINER_S = 20.0


def _orders(owner_pid: int) -> Iterator[str]:
    """Yield the owner's lines until it closes the pipe or is gone.

    A forked child of the owner may hold the pipe open after the owner's death: hence the look at the parent.
    """
    pending = b""
    while os.getppid() == owner_pid:
        readable, _, _ = select.select([0], [], [], _LOOK_AT_OWNER_S)
        if not readable:
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield line.decode()


def _answer(**fields: Any) -> None:  # noqa: ANN401 - whatever JSON can carry
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


class _Java:
    """One Java process at a time, writing its log into the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def _end_with_keeper(self) -> None:
        if self._libc is not None:
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        if "start" in order:
            with (self._folder / "broker.log").open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - the owner's own command line
                    order["start"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    preexec_fn=self._end_with_keeper,  # noqa: PLW1509 - this process has one thread
                )
            return {"pid": self._process.pid}
        if self._process is None:
            return {"exit": -1}
        code = self._process.poll()
        if "signal" in order and code is None:
            self._process.send_signal(order["signal"])
        return {"exit": code}

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _keep_java(owner_pid: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    java = _Java(folder)
    try:
        _answer(folder=str(folder))
        for line in _orders(owner_pid):
            try:
                _answer(**java.obey(json.loads(line)))
            except OSError as error:
                _answer(error=str(error))
    except BrokenPipeError:
        pass  # the owner went away while it was being answered
    finally:
        java.end()
        shutil.rmtree(folder, ignore_errors=True)


def _keep_container(owner_pid: int, label: str) -> None:
    settled = False
    for line in _orders(owner_pid):
        settled = line == "settled"
    # The owner may have died while the engine was still creating the container: look again for a while.
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
    """Keep what the arguments name until the owner is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Not SIG_IGN, which Java would inherit: it could then not be shut down in order.
        signal.signal(number, lambda _number, _frame: None)
    kind, owner_pid, *rest = arguments
    if kind == "java":
        _keep_java(int(owner_pid))
    else:
        _keep_container(int(owner_pid), *rest)


if __name__ == "__main__":
    main(sys.argv[1:])
