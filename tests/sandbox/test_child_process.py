"""A child process in a folder of its own: orders, output, and that nothing of it stays behind."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.sandbox.child_process import ChildProcess, ChildProcessFailed, ProcessEnd

_POLL_S = 0.02
_DEADLINE_S = 30.0
_SLEEP = (sys.executable, "-c", "import signal; print('ready', flush=True); signal.pause()")
_STUBBORN = """
import signal
signal.signal(signal.SIGTERM, lambda *_: print('asked to stop', flush=True))
print('ready', flush=True)
while True:
    signal.pause()
"""


@pytest_asyncio.fixture
async def child() -> AsyncIterator[ChildProcess]:
    """Return a child process that gets SIGTERM at its end, and SIGKILL half a second later."""
    opened = await ChildProcess.open("child-process-test-", stop_deadline_s=0.5)
    try:
        yield opened
    finally:
        await opened.close()


async def _start_until_ready(child: ChildProcess, command: tuple[str, ...]) -> int:
    pid = await child.start(command)
    async with asyncio.timeout(_DEADLINE_S):
        while "ready" not in child.read_log():  # noqa: ASYNC110 - another process, which sets no event
            await asyncio.sleep(_POLL_S)
    return pid


async def test_exit_code_and_output_of_a_process_that_ends(child: ChildProcess) -> None:
    """A process that ends by itself has its exit code and its output."""
    await child.start((sys.executable, "-c", "print('done'); raise SystemExit(3)"))
    async with asyncio.timeout(_DEADLINE_S):
        assert await child.wait(_POLL_S) == 3
    assert child.read_log() == "done\n"
    assert await child.close() == ProcessEnd(3, "done\n")


async def test_a_signal_reaches_the_process(child: ChildProcess) -> None:
    """A process runs until it gets a signal; its exit code is the negative number then."""
    await _start_until_ready(child, _SLEEP)
    assert await child.poll() is None
    await child.send_signal(signal.SIGKILL)
    async with asyncio.timeout(_DEADLINE_S):
        assert await child.wait(_POLL_S) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("command", "end"),
    [
        (_SLEEP, ProcessEnd(-signal.SIGTERM, "ready\n")),
        ((sys.executable, "-c", _STUBBORN), ProcessEnd(-signal.SIGKILL, "ready\nasked to stop\n")),
    ],
)
async def test_close_ends_the_process_and_removes_the_folder(
    child: ChildProcess, command: tuple[str, ...], end: ProcessEnd
) -> None:
    """A running process gets SIGTERM, and SIGKILL after the deadline; its folder is removed."""
    pid = await _start_until_ready(child, command)
    assert await child.close() == end
    assert [path for path in (child.folder, Path("/proc") / str(pid)) if path.exists()] == []


async def test_a_command_that_cannot_be_started_is_an_error(child: ChildProcess) -> None:
    """The error has the system's reason, and the next command can be started."""
    with pytest.raises(ChildProcessFailed, match="No such file"):
        await child.start(("/nowhere/at/all",))
    await child.start((sys.executable, "-c", ""))
    async with asyncio.timeout(_DEADLINE_S):
        assert await child.wait(_POLL_S) == 0


async def test_a_cancelled_order_leaves_no_answer_to_the_next(child: ChildProcess) -> None:
    """Each order gets its own answer, also after the caller of another was cancelled."""
    order = asyncio.create_task(child.start(_SLEEP))
    await asyncio.sleep(0)
    order.cancel()
    assert await child.poll() is None


async def test_an_order_after_the_end_is_an_error(child: ChildProcess) -> None:
    """After the reaper has ended, an order raises instead of waiting."""
    await child.close()
    with pytest.raises(ChildProcessFailed, match="has ended"):
        await child.poll()
