"""The status page under the demo's load, in a real Chromium: `python -m tests.page`.

It tries how the page shows itself (screenshots, axe-core, console, requests, keyboard, hostile texts, silence), and
measures what ten open tabs cost the daemon. Node's packages are installed into a temporary folder, the pictures are in
build/page. The README shows `status.png`: desktop.png of a run, with 256 colours.
"""

import asyncio
import os
import re
import shutil
import signal
import statistics
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Final

from tests.witness.child_process import ROOT, end, start_module
from tests.witness.console import say

_HERE: Final = Path(__file__).parent
_SHOTS: Final = ROOT / "build" / "page"
_NODE_MIN: Final = 20
_NEEDS: Final = {"node": f"Node {_NODE_MIN} or newer", "npm": "npm, which comes with Node"}
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_DEMO_S: Final = "1200"
"""Longer than all of it takes on a busy machine; the demo is ended after it."""
_CUTS: Final = "7"
"""One every 150 s: the page is looked at until it has shown one."""
_READY_DEADLINE_S: Final = 120.0
_LOOK_DEADLINE_S: Final = 360.0
_END_DEADLINE_S: Final = 60.0
_OPEN_DEADLINE_S: Final = 120.0
_TABS: Final = 10
_ROUNDS: Final = 8
_WINDOW_S: Final = 10.0
_COST_MAX_PERCENT: Final = 1.0
_STARTED: Final = re.compile(r"daemon started \(pid (\d+)\)")
_READY: Final = re.compile(r"status page at (\S+)")


class Failed(Exception):
    """The page is not as it must be, or cannot be tried; the text says why."""


async def main() -> int:
    """Try the page; 0 when everything is as it must be."""
    browser = _find_browser()
    await _check_node()
    with tempfile.TemporaryDirectory(prefix="ltp-bridge-page-") as made:
        folder = Path(made)
        await _install(folder)
        demo = await start_module("bridge", "demo", "--seconds", _DEMO_S, "--cuts", _CUTS, "--json", stderr=DEVNULL)
        try:
            pid, address = await _wait_until_ready(demo)
            reading = asyncio.create_task(_drain(demo))
            await _look(folder, address, browser)
            cost = await _measure_tabs(folder, address, browser, pid)
        finally:
            await end(demo, signal.SIGINT, _END_DEADLINE_S)
        await reading
    if cost > _COST_MAX_PERCENT:
        raise Failed(f"{_TABS} tabs cost the daemon {cost:.2f} % of a core; {_COST_MAX_PERCENT:g} % are allowed")
    return 0


def _find_browser() -> str:
    for tool, what in _NEEDS.items():
        if shutil.which(tool) is None:
            raise Failed(f"{tool} is needed, and is not on PATH: install {what}")
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        raise Failed("Chromium is needed, and is not on PATH: install it (Debian and Ubuntu: apt install chromium)")
    return found


async def _check_node() -> None:
    process = await asyncio.create_subprocess_exec("node", "--version", stdout=PIPE)
    told, _ = await process.communicate()
    found = re.match(rb"v(\d+)\.", told)
    if found is None or int(found[1]) < _NODE_MIN:
        raise Failed(f"Node {_NODE_MIN} or newer is needed; this is {told.decode().strip()}")


async def _install(folder: Path) -> None:
    for name in ("package.json", "package-lock.json", "browse.mjs", "scenes.mjs"):
        shutil.copy(_HERE / name, folder)
    call = ("npm", "ci", "--cache", str(folder / "cache"), "--no-progress", "--loglevel", "error")
    process = await asyncio.create_subprocess_exec(*call, cwd=folder)
    if await process.wait():
        raise Failed("npm could not install the packages of tests/page")


async def _wait_until_ready(demo: Process) -> tuple[int, str]:
    """Return the process id of the demo's daemon, and where its page is."""
    assert demo.stdout is not None
    pid = 0
    async with asyncio.timeout(_READY_DEADLINE_S):
        async for line in demo.stdout:
            if started := _STARTED.search(line.decode()):
                pid = int(started[1])
            if ready := _READY.search(line.decode()):
                return pid, ready[1]
    raise Failed("the demo ended before it was ready")


async def _drain(demo: Process) -> None:
    """Read what the demo prints, or it would wait for a reader."""
    assert demo.stdout is not None
    async for _ in demo.stdout:
        pass


async def _look(folder: Path, address: str, browser: str) -> None:
    _SHOTS.mkdir(parents=True, exist_ok=True)
    process = await _browse(folder, "look", address, browser, str(_SHOTS))
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_LOOK_DEADLINE_S):
            async for line in process.stdout:
                say(line.decode().rstrip())
            await process.wait()
    except TimeoutError:
        raise Failed(f"the page was not looked at within {_LOOK_DEADLINE_S:g} s: is the machine too busy?") from None
    finally:
        await end(process, signal.SIGTERM, _END_DEADLINE_S)
    say(f"screenshots: {', '.join(sorted(path.name for path in _SHOTS.glob('*.png')))} in {_SHOTS.relative_to(ROOT)}")
    if process.returncode:
        raise Failed("the page is not as it must be")


async def _measure_tabs(folder: Path, address: str, browser: str, pid: int) -> float:
    """Return what the tabs cost the daemon, in percent of a core.

    The load varies by more than that, so windows with and without tabs alternate.
    """
    without, with_tabs = [], []
    for _ in range(_ROUNDS):
        without.append(await _measure_cpu(pid))
        process = await _browse(folder, "tabs", address, browser, str(_TABS))
        try:
            assert process.stdout is not None
            async with asyncio.timeout(_OPEN_DEADLINE_S):
                await process.stdout.readuntil(b"open\n")
            with_tabs.append(await _measure_cpu(pid))
        except TimeoutError:
            raise Failed(f"the tabs were not open within {_OPEN_DEADLINE_S:g} s: is the machine too busy?") from None
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await end(process, signal.SIGCONT, _END_DEADLINE_S)
    told = [", ".join(f"{value:.2f}" for value in values) for values in (without, with_tabs)]
    cost = statistics.median(with_tabs) - statistics.median(without)
    say(f"CPU of the daemon in % of a core, {_ROUNDS} times {_WINDOW_S:g} s each, one after the other:")
    say(f"without tabs {told[0]}; with {_TABS} tabs {told[1]}; medians differ by {cost:.2f} %")
    return cost


async def _measure_cpu(pid: int) -> float:
    """Return the CPU that a process takes for a while, in percent of a core."""
    loop = asyncio.get_running_loop()
    begun_s, begun_ns = loop.time(), _read_cpu_ns(pid)
    await asyncio.sleep(_WINDOW_S)
    return (_read_cpu_ns(pid) - begun_ns) / 1e7 / (loop.time() - begun_s)


def _read_cpu_ns(pid: int) -> int:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


async def _browse(folder: Path, mode: str, address: str, browser: str, *words: str) -> Process:
    call = ("node", str(folder / "browse.mjs"), mode, address, browser, *words)
    return await asyncio.create_subprocess_exec(*call, stdin=PIPE, stdout=PIPE, env={**os.environ, "TZ": "UTC"})


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except Failed as failure:
        sys.exit(f"make page: {failure}")
