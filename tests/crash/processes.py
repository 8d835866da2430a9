"""The processes of a batch: the venue, and daemons of which there is always one more than have died."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_STOP_S = 30.0
_SURPRISES_MAX = 5
"""When so many daemons have ended that nobody killed, no more are started."""
_KEPT = 2
"""One owns the account, one stands by."""

_CONFIG = """\
environment = "sandbox"

[[endpoints]]
name = "SANDBOX"
ws_url = "{ws}"
rest_url = "{rest}"

[accounts.main]
api_key_file = "{folder}/api-key"
api_secret_file = "{folder}/api-secret"

[kafka]
bootstrap_servers = "{bootstrap}"
topic_prefix = "{prefix}"
create_topics = true
replication_factor = 1
min_insync_replicas = 1

[management]
port = 0

[limits]
cancel_orders = "{policy}"

[timing]
{timing}
"""


class Exchange:
    """The venue's process. `ledger` is the file that it writes as things happen."""

    def __init__(self, process: Process, ledger: Path, facts: dict[str, str]) -> None:
        self._process = process
        self.ledger = ledger
        self.facts = facts

    async def fault(self, fault: Mapping[str, Any]) -> None:
        """Put a fault into the venue's script; returns when it is there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(fault).encode() + b"\n")
        await self._process.stdin.drain()
        if not await self._process.stdout.readline():
            raise RuntimeError("the venue has ended")


@contextlib.asynccontextmanager
async def exchange(folder: Path, seed: int) -> AsyncIterator[Exchange]:
    """Run a venue for the length of the block."""
    ledger = folder / "ledger.jsonl"
    command = (sys.executable, "-m", "tests.crash.exchange", str(ledger), str(seed))
    with (folder / "venue.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=log, cwd=_ROOT)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        facts = json.loads(await process.stdout.readline())
        yield Exchange(process, ledger, facts)
    finally:
        process.stdin.close()
        await process.wait()


class Daemons:
    """Keeps two daemons running: whenever one ends, another is started."""

    def __init__(self, folder: Path, marks: Path) -> None:
        self._folder = folder
        self._marks = marks
        self._running: list[Process] = []
        self._started = 0
        self.surprises: list[str] = []
        """How a daemon ended that was not killed."""
        self._stopping = False
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._keeping: list[asyncio.Task[None]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def kept(
        cls, folder: Path, *, venue: Exchange, bootstrap: str, prefix: str, policy: str, timing: Mapping[str, float]
    ) -> AsyncIterator["Daemons"]:
        """Keep daemons for the length of the block; they are killed at its end if they still run."""
        (folder / "api-key").write_text(venue.facts["key"])
        (folder / "api-secret").write_text(venue.facts["secret"])
        marks = folder / "marks"
        marks.mkdir()
        lines = "\n".join(f"{name} = {value}" for name, value in timing.items())
        (folder / "bridge.toml").write_text(
            _CONFIG.format(
                folder=folder, bootstrap=bootstrap, prefix=prefix, policy=policy, timing=lines, **venue.facts
            )
        )
        daemons = cls(folder, marks)
        daemons._keeping = [asyncio.create_task(daemons._keep()) for _ in range(_KEPT)]
        try:
            yield daemons
        finally:
            for task in daemons._keeping:
                task.cancel()
            await asyncio.gather(*daemons._keeping, return_exceptions=True)
            for process in daemons._running:
                _send(process, signal.SIGKILL)
                await process.wait()

    @property
    def are_stopping(self) -> bool:
        """Whether they were told to stop."""
        return self._stopping

    @property
    def are_lost(self) -> bool:
        """Whether so many ended by themselves that it makes no sense to go on."""
        return len(self.surprises) >= _SURPRISES_MAX

    def is_marked(self, mark: str) -> bool:
        """Tell whether a daemon has died at a step."""
        return (self._marks / mark).exists()

    def died_at_ms(self) -> list[float]:
        """Return when daemons died, oldest first, in Unix ms."""
        marks = [path for path in self._marks.iterdir() if not path.name.startswith("wanted.")]
        return sorted(path.stat().st_mtime * 1000 for path in marks)

    @contextlib.asynccontextmanager
    async def held_down(self) -> AsyncIterator[None]:
        """Kill every daemon, and start none for the length of the block."""
        self._may_run.clear()
        try:
            while self._running:
                for process in list(self._running):
                    _send(process, signal.SIGKILL)
                    await process.wait()
                await asyncio.sleep(0)  # the task that keeps it takes note
            yield
        finally:
            self._may_run.set()

    async def stop(self) -> None:
        """Stop the daemons in good order."""
        self._stopping = True
        for process in list(self._running):
            _send(process, signal.SIGTERM)
        async with asyncio.timeout(_STOP_S):
            await asyncio.gather(*self._keeping)

    async def _keep(self) -> None:
        while not self._stopping and len(self.surprises) < _SURPRISES_MAX:
            await self._may_run.wait()
            process = await self._start()
            self._running.append(process)
            code = await process.wait()
            self._running.remove(process)
            # One that was told to stop as it began had no way yet to do so in good order.
            as_told = (0, -signal.SIGTERM) if self.are_stopping else ()
            if code not in (-signal.SIGKILL, *as_told):
                self.surprises.append(f"daemon {process.pid} ended by itself with {code}")

    async def _start(self) -> Process:
        self._started += 1
        command = (sys.executable, "-m", "tests.crash.victim", str(self._folder / "bridge.toml"), str(self._marks))
        with (self._folder / f"daemon-{self._started:04}.log").open("wb") as log:
            return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=log, stderr=log, cwd=_ROOT)


def _send(process: Process, what: signal.Signals) -> None:
    """Send a signal to a daemon that may have killed itself right now.

    `Process.send_signal` looks first whether it lives, and would take its exit code away from the event loop.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, what)
