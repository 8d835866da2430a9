"""The processes of a batch: the venue, and daemons of which there is always one more than have died."""

import asyncio
import contextlib
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from tests.witness.child_process import Conversation, send_signal, start_module
from tests.witness.daemon_settings import account_section, as_toml, daemon_settings

_STOP_S = 30.0
_SURPRISES_MAX = 5
"""When so many daemons have ended that nobody killed, no more are started."""
_KEPT = 2
"""One owns the account, one stands by."""


class Exchange:
    """The venue's process. `ledger` is the file that it writes as things happen."""

    def __init__(self, conversation: Conversation, ledger: Path, facts: dict[str, str]) -> None:
        self._conversation = conversation
        self.ledger = ledger
        self.facts = facts

    async def fault(self, fault: Mapping[str, Any]) -> None:
        """Put a fault into the venue's script; returns when it is there. Raises RuntimeError where it has ended."""
        await self._conversation.ask(dict(fault))


@contextlib.asynccontextmanager
async def exchange(folder: Path, seed: int) -> AsyncIterator[Exchange]:
    """Run a venue for the length of the block."""
    ledger = folder / "ledger.jsonl"
    with (folder / "venue.log").open("wb") as log:
        process = await start_module("tests.crash.exchange", str(ledger), str(seed), stdin=PIPE, stderr=log)
    conversation = Conversation(process)
    try:
        yield Exchange(conversation, ledger, await conversation.hear())
    finally:
        await conversation.close()


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
        facts = venue.facts
        settings = daemon_settings(
            ws_url=facts["ws"],
            rest_url=facts["rest"],
            bootstrap=bootstrap,
            prefix=prefix,
            accounts={"main": account_section(folder, "main", facts["key"], facts["secret"])},
        )
        settings |= {"limits": {"cancel_orders": policy}, "timing": dict(timing)}
        (folder / "bridge.toml").write_text(as_toml(settings))
        marks = folder / "marks"
        marks.mkdir()
        daemons = cls(folder, marks)
        daemons._keeping = [asyncio.create_task(daemons._keep()) for _ in range(_KEPT)]
        try:
            yield daemons
        finally:
            for task in daemons._keeping:
                task.cancel()
            await asyncio.gather(*daemons._keeping, return_exceptions=True)
            for process in daemons._running:
                send_signal(process, signal.SIGKILL)
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
                    send_signal(process, signal.SIGKILL)
                    await process.wait()
                await asyncio.sleep(0)  # the task that keeps it takes note
            yield
        finally:
            self._may_run.set()

    async def stop(self) -> None:
        """Stop the daemons in good order."""
        self._stopping = True
        for process in list(self._running):
            send_signal(process, signal.SIGTERM)
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
        arguments = (str(self._folder / "bridge.toml"), str(self._marks))
        with (self._folder / f"daemon-{self._started:04}.log").open("wb") as log:
            return await start_module("tests.crash.victim", *arguments, stdin=PIPE, stdout=log, stderr=log)
