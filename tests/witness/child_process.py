"""Processes of this tree: how they are started and ended, and how one that answers in JSON is asked."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]

Output = IO[bytes] | int | None


async def start_module(
    module: str,
    *arguments: str,
    inside: tuple[str, ...] = (),
    stdin: Output = None,
    stdout: Output = PIPE,
    stderr: Output = None,
    env: dict[str, str] | None = None,
) -> Process:
    """Start a module of this tree; `inside` is a command that runs it, in a network of its own or the like."""
    command = (*inside, sys.executable, "-m", module, *arguments)
    return await asyncio.create_subprocess_exec(*command, stdin=stdin, stdout=stdout, stderr=stderr, cwd=ROOT, env=env)


def send_signal(process: Process, what: signal.Signals) -> None:
    """Send a signal to a process that may have ended right now.

    `Process.send_signal` looks first whether it lives, and would take its exit code away from the event loop.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, what)


async def end(process: Process, how: signal.Signals, deadline_s: float) -> None:
    """Have a process end, and wait for it; one that does not in time is killed."""
    send_signal(process, how)
    try:
        async with asyncio.timeout(deadline_s):
            await process.wait()
    except TimeoutError:
        send_signal(process, signal.SIGKILL)
        await process.wait()


class Conversation:
    """A process that is told what to do by lines of JSON, and answers each with one; its other lines are its log."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def ask(self, order: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Return the answer to an order. Raises RuntimeError where the process has ended."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        await self.process.stdin.drain()
        return await self.hear()

    async def hear(self) -> Any:  # noqa: ANN401 - any JSON
        """Return the next answer. Raises RuntimeError where the process has ended."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            with contextlib.suppress(ValueError):
                return json.loads(line)
        raise RuntimeError("the process ended before its time")

    async def close(self) -> None:
        """End its input, and wait until it has ended."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()
