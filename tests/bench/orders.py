"""A process of the bench that is told what to do by lines of JSON on its input, and answers each with one."""

import asyncio
import importlib
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

Answer = Callable[[dict[str, Any]], Awaitable[Any]]


def run_on_quick_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop where it can be imported, else on asyncio's own loop."""
    try:
        new_loop = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        new_loop = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a process that takes orders; it leaves Ctrl-C to the meter, with which it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_on_quick_loop(main)


async def answer_orders(answer: Answer) -> None:
    """Answer every order in turn, with its number; return at the end of the input, so when the meter has ended."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    while line := await reader.readline():
        order = json.loads(line)
        sys.stdout.write(json.dumps([order["number"], await answer(order)]) + "\n")
        sys.stdout.flush()
