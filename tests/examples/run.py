"""The examples against the live demo and over the planted log: `python -m tests.examples.run [python] [java] [go]`."""

import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import signal
import sys
import uuid
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from typing import Final, NamedTuple

from tests.examples.planted import FIGURES, figures, planted
from tests.witness.child_process import ROOT, end, start_module
from tests.witness.console import say

_BUILD_DEADLINE_S = 900.0
_READY_DEADLINE_S = 300.0
_RUN_DEADLINE_S = 180.0
_END_DEADLINE_S = 120.0
_DEMO_S = "3600"
"""Longer than the demo is needed: it is asked to end."""
_BROKER = re.compile(r"answers at (\S+)")
_READY = re.compile(r"ready: topics (\S+)\.main\.\*")


class Example(NamedTuple):
    """How one example is built and run in its folder; `needs` names commands, and what to install for each."""

    needs: dict[str, str]
    build: tuple[str, ...]
    run: tuple[str, ...]


EXAMPLES: Final = {
    "python": Example({}, (), (sys.executable, "desk.py")),
    "java": Example(
        {"java": "a JDK, 17 or later", "mvn": "Apache Maven, 3.6.3 or later"},
        ("mvn", "--batch-mode", "--quiet", "package"),
        ("java", "-jar", "target/desk.jar"),
    ),
    "go": Example({"go": "Go, 1.26 or later"}, ("go", "build", "-o", "build/desk", "."), ("./build/desk",)),
}


class Failed(Exception):
    """An example or the demo is not as it must be; the text says why."""


async def main(wanted: list[str]) -> int:
    """Build, run and compare; 0 when everything went as it should."""
    failed: dict[str, str] = {}
    for name in wanted:
        with _noting(failed, name):
            await _build(name)
    if built := [name for name in wanted if name not in failed]:
        with _noting(failed, "demo"):
            async with _demo() as (bootstrap, prefix):
                for name in built:
                    with _noting(failed, name):
                        await _trade(name, bootstrap, prefix)
                        await _compare(name, bootstrap)
    for name, why in failed.items():
        say(f"\n{name} FAILED: {why}")
    return 1 if failed else 0


@contextlib.contextmanager
def _noting(failed: dict[str, str], name: str) -> Iterator[None]:
    try:
        yield
    except Failed as why:
        failed[name] = str(why)


async def _build(name: str) -> None:
    example = EXAMPLES[name]
    for command, what in example.needs.items():
        if shutil.which(command) is None:
            raise Failed(f"`{command}` is not on PATH; install {what}")
    if example.build:
        say(f"{name}: {' '.join(example.build)}")
        code, told = await _output(name, example.build, _BUILD_DEADLINE_S)
        if code:
            raise Failed(f"it cannot be built (exit {code})\n{told}")


async def _trade(name: str, bootstrap: str, prefix: str) -> None:
    """Let an example trade against the demo."""
    say(f"\n{name}: {' '.join(EXAMPLES[name].run)}")
    code, told = await _output(name, EXAMPLES[name].run, _RUN_DEADLINE_S, bootstrap=bootstrap, prefix=prefix)
    say(told)
    if code:
        raise Failed(f"exit {code} against the demo")


async def _compare(name: str, bootstrap: str) -> None:
    """Hold what an example makes of the planted log against what every one must."""
    prefix = f"planted-{uuid.uuid4().hex[:12]}"
    async with planted(bootstrap, prefix):
        run = EXAMPLES[name].run
        code, told = await _output(name, run, _RUN_DEADLINE_S, bootstrap=bootstrap, prefix=prefix, seconds="2")
    if (code, figures(told, prefix)) != (1, FIGURES):
        raise Failed(f"exit {code} (expected 1) over the planted log; it told\n{told}\nand not\n{FIGURES}")
    say(f"{name} finds in the planted log what is in it")


async def _output(
    name: str, command: tuple[str, ...], deadline_s: float, *, bootstrap: str = "", prefix: str = "", seconds: str = ""
) -> tuple[int | None, str]:
    """Run a command in the folder of an example; return its exit code and what it printed."""
    given = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "LTP_PREFIX": prefix, "LTP_SECONDS": seconds}
    environment = {**os.environ, **{variable: value for variable, value in given.items() if value}}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT / "examples" / name, env=environment, stdout=PIPE, stderr=STDOUT
    )
    try:
        async with asyncio.timeout(deadline_s):
            told, _ = await process.communicate()
    except TimeoutError:
        raise Failed(f"`{' '.join(command)}` did not end within {deadline_s:g} s") from None
    finally:
        await end(process, signal.SIGKILL, _END_DEADLINE_S)
    return process.returncode, told.decode(errors="replace").rstrip()


@contextlib.asynccontextmanager
async def _demo() -> AsyncIterator[tuple[str, str]]:
    """Run the demo for the length of the block, and hold it to its own verdict; yield its broker and its prefix."""
    say("\ndemo: starting")
    process = await start_module("bridge", "demo", "--json", "--seconds", _DEMO_S)
    lines: list[str] = []
    reading = asyncio.create_task(_read(process, lines))
    try:
        yield await _ready(lines, reading)
        await end(process, signal.SIGINT, _END_DEADLINE_S)
        await reading
        verdict = json.loads(lines[-1]) if process.returncode in {0, 1} else {"wrong": lines[-5:]}
        if process.returncode:
            raise Failed(f"exit {process.returncode}: {verdict['wrong']}")
        kept = {what: verdict[what] for what in ("commands", "lost", "duplicated", "sequence_breaks", "wrong")}
        say(f"\ndemo: {json.dumps(kept)}")
    finally:
        await end(process, signal.SIGINT, _END_DEADLINE_S)
        await reading


async def _read(process: Process, lines: list[str]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        lines.append(line.decode(errors="replace").rstrip())  # noqa: PERF401 - read while it grows


async def _ready(lines: list[str], reading: asyncio.Task[None]) -> tuple[str, str]:
    """Wait until the demo trades; return its broker's address and the prefix of its topics."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_READY_DEADLINE_S):
            while not reading.done():
                found = [pattern.search("\n".join(lines)) for pattern in (_BROKER, _READY)]
                if found[0] and found[1]:
                    return found[0][1], found[1][1]
                await asyncio.sleep(0.1)
    raise Failed("it was not ready in time; its last words:\n" + "\n".join(lines[-5:]))


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(EXAMPLES)
    if unknown:
        sys.exit(f"no example in {', '.join(sorted(unknown))}; there is {', '.join(EXAMPLES)}")
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # that a new topic has no leader yet is no news here
    sys.exit(asyncio.run(main(sys.argv[1:] or list(EXAMPLES))))
