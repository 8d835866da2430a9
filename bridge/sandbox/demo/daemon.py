"""The daemon as a process of its own, as an operator would run it: settings in a file, secrets in files, SIGTERM."""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from bridge.errors import BridgeError
from bridge.sandbox.broker.cluster import find_free_ports
from bridge.sandbox.venue.keys import ApiKey

_KEEPER: Final = Path(__file__).with_name("keeper.py")
_ENV_PREFIX: Final = "LTP_BRIDGE_"
_READY_DEADLINE_S = 60.0
_LOOK_S = 0.05
_STOP_DEADLINE_S = 25.0
"""More than the daemon's own `stop_deadline_s`, which the demo leaves at its default of 20 s."""
_LOG_TAIL_LINES = 12
_ANSWER_BYTES_MAX = 1 << 20

_CONFIG = """\
environment = "sandbox"

[[endpoints]]
name = "SANDBOX"
ws_url = "{ws_url}"
rest_url = "{rest_url}"

{accounts}
# The sandbox's REST does not lag as the venue's may, so a gap may close while one looks.
[timing]
rest_lag_s = 5

[kafka]
bootstrap_servers = "{bootstrap_servers}"
topic_prefix = "{topic_prefix}"
create_topics = true
replication_factor = 1
min_insync_replicas = 1

[management]
port = {management_port}

[log]
format = "json"
"""


_ACCOUNT = """\
[accounts.{name}]
api_key_file = "{folder}/{name}-api-key"
api_secret_file = "{folder}/{name}-api-secret"

"""


class DaemonFailed(BridgeError):
    """The daemon ended or did not become ready; the text has the end of its log."""


class DaemonPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo's daemon is told. Management port 0 is any free one."""

    ws_url: str
    rest_url: str
    keys: tuple[ApiKey, ...]
    bootstrap_servers: str
    topic_prefix: str
    management_port: int = 0


class Daemon:
    """A running daemon. `ended` is done when it ends by itself."""

    def __init__(self, keeper: Process, pid: int, management_port: int) -> None:
        self._keeper = keeper
        self.pid = pid
        self.exit_code: int | None = None
        """How it ended: 0 after a stop in good order, negative when a signal ended it."""
        self._log = ""
        self.ready_url = f"http://127.0.0.1:{management_port}/readyz"
        self._listening = asyncio.create_task(self._listen(), name="demo:daemon")

    async def _listen(self) -> None:
        """Note how the daemon ended; the keeper's first word on it counts."""
        assert self._keeper.stdout is not None  # noqa: S101 - a pipe was asked for
        line = await self._keeper.stdout.readline()
        if line:
            told = json.loads(line)
            self.exit_code, self._log = told["exit"], told["log"]

    async def raise_at_end(self) -> None:
        """Wait until the daemon has ended by itself and raise DaemonFailed."""
        await asyncio.shield(self._listening)
        raise DaemonFailed(f"the daemon ended by itself (exit {self.exit_code}); the end of its log:\n{self.log_tail}")

    @property
    def log_tail(self) -> str:
        """The end of its log; empty while it runs."""
        return "\n".join(f"    {line}" for line in self._log.splitlines()[-_LOG_TAIL_LINES:])

    async def wait_until_ready(self) -> None:
        """Wait until /readyz says so. Raises DaemonFailed when the daemon ends, or is not ready within 60 s."""
        last = "no answer from its management port"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http:
            try:
                async with asyncio.timeout(_READY_DEADLINE_S):
                    while not self._listening.done():
                        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                            async with http.get(self.ready_url) as answer:
                                if answer.status == 200:  # noqa: PLR2004 - HTTP's own number
                                    return
                                last = await answer.text()
                        await asyncio.sleep(_LOOK_S)
            except TimeoutError:
                raise DaemonFailed(f"the daemon was not ready within {_READY_DEADLINE_S:g} s: {last}") from None
        await self.raise_at_end()

    async def stop(self) -> None:
        """SIGTERM, SIGKILL after 25 s, and its folder is gone."""
        assert self._keeper.stdin is not None  # noqa: S101 - a pipe was asked for
        self._keeper.stdin.close()
        await self._keeper.wait()
        await self._listening


@contextlib.asynccontextmanager
async def run_daemon(plan: DaemonPlan) -> AsyncIterator[Daemon]:
    """Run the daemon for the length of the block; it is stopped in good order at the end.

    Raises DaemonFailed when it cannot be started.
    """
    environ = {name: value for name, value in os.environ.items() if not name.upper().startswith(_ENV_PREFIX)}
    # -I and -S: it needs the standard library alone, and is there in a few milliseconds.
    keeper = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(_KEEPER), str(os.getpid()), str(_STOP_DEADLINE_S)),
        stdin=PIPE,
        stdout=PIPE,
        env=environ,
        start_new_session=True,
        limit=_ANSWER_BYTES_MAX,
    )
    assert keeper.stdin is not None  # noqa: S101 - a pipe was asked for
    daemon: Daemon | None = None
    try:
        daemon = await _start(keeper, plan)
        yield daemon
    finally:
        if daemon is not None:
            await daemon.stop()
        else:
            keeper.stdin.close()
            await keeper.wait()


async def _start(keeper: Process, plan: DaemonPlan) -> Daemon:
    assert keeper.stdin is not None  # noqa: S101 - a pipe was asked for
    assert keeper.stdout is not None  # noqa: S101 - a pipe was asked for
    first = await keeper.stdout.readline()
    if not first:
        raise DaemonFailed("the process that keeps the daemon ended at once; is the disk full?")
    folder = Path(json.loads(first)["folder"])
    port = plan.management_port or find_free_ports(1)[0]
    config = _write_files(folder, plan, port)
    command = [sys.executable, "-m", "bridge", "run", "--config", str(config)]
    keeper.stdin.write(json.dumps(command).encode() + b"\n")
    await keeper.stdin.drain()
    started = json.loads(await keeper.stdout.readline() or b"{}")
    if "pid" not in started:
        raise DaemonFailed("the process that keeps the daemon ended before it had started it")
    return Daemon(keeper, started["pid"], port)


def _write_files(folder: Path, plan: DaemonPlan, management_port: int) -> Path:
    """Write settings and secrets, readable by this user alone; return the settings' path."""
    config = _CONFIG.format(
        ws_url=plan.ws_url,
        rest_url=plan.rest_url,
        accounts="".join(_ACCOUNT.format(name=key.name, folder=folder) for key in plan.keys),
        bootstrap_servers=plan.bootstrap_servers,
        topic_prefix=plan.topic_prefix,
        management_port=management_port,
    )
    files = {"bridge.toml": config}
    for key in plan.keys:
        files |= {f"{key.name}-api-key": key.api_key, f"{key.name}-api-secret": key.api_secret}
    for name, content in files.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")
    return folder / "bridge.toml"
