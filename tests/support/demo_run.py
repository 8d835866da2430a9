"""The demo, or another command, as a process of a test."""

import asyncio
import contextlib
import json
import os
import sys
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

_DEADLINE_S = 60.0


class DemoRun:
    """One demo process. Every process that it starts has a mark in its environment and its folders in `tmp`."""

    def __init__(self, process: Process, mark: str, tmp: Path) -> None:
        self.process = process
        self.tmp = tmp
        self.lines: list[str] = []
        """The output that has been read."""
        self._mark = mark.encode()

    async def result(self) -> tuple[int, dict[str, Any]]:
        """Wait for the end of the process; return the exit code and the JSON of the last line."""
        async with asyncio.timeout(_DEADLINE_S):
            out, _ = await self.process.communicate()
        assert self.process.returncode is not None
        self.lines += out.decode().splitlines()
        return self.process.returncode, json.loads(self.lines[-1])

    async def read_lines(self, last: str) -> list[str]:
        """Read the output up to the first line with these words; return all that has been read."""
        assert self.process.stdout is not None
        async with asyncio.timeout(_DEADLINE_S):
            while not self.lines or last not in self.lines[-1]:
                line = await self.process.stdout.readline()
                assert line, self.lines
                self.lines.append(line.decode().rstrip())
        return self.lines

    def commands(self) -> list[str]:
        """Return the command lines of the running processes of the demo."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self._mark in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    def remains(self) -> list[str]:
        """Return the command lines and paths that the demo has left."""
        return [*self.commands(), *map(str, self.tmp.iterdir())]

    def runs(self, words: str) -> bool:
        """Return whether a process runs whose command line has these words."""
        return any(words in line for line in self.commands())


@contextlib.asynccontextmanager
async def start_run(tmp: Path, *options: str, bootstrap: str = "", name: str = "demo") -> AsyncIterator[DemoRun]:
    """Start the demo, or another command; kill it at the end of the block if it still runs."""
    mark = f"DEMO_TEST={uuid.uuid4()}"
    marked, _, value = mark.partition("=")
    environ = {**os.environ, marked: value, "TMPDIR": str(tmp), "KAFKA_BOOTSTRAP_SERVERS": bootstrap}
    command = (sys.executable, "-m", "bridge", name, *options)
    process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=PIPE, stderr=DEVNULL)
    try:
        yield DemoRun(process, mark, tmp)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
