"""The daemon as a child process, run as an operator runs it: settings in a file, secrets in files, SIGTERM."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from bridge.errors import BridgeError
from bridge.sandbox.broker.cluster import find_free_ports
from bridge.sandbox.child_process import ChildProcess
from bridge.sandbox.venue.keys import ApiKey

_FOLDER_PREFIX: Final = "ltp-bridge-demo-"
_ENV_PREFIX: Final = "LTP_BRIDGE_"
_READY_DEADLINE_S = 60.0
_READY_POLL_PERIOD_S = 0.05
_POLL_PERIOD_S = 0.2
_BUDGET_PERIOD_S = 1.0
_STOP_DEADLINE_S = 25.0
"""More than the daemon's own `stop_deadline_s`, which the demo leaves at its default of 20 s."""
_LOG_TAIL_LINES = 12

_CONFIG = """\
environment = "sandbox"

[[endpoints]]
name = "SANDBOX"
ws_url = "{ws_url}"
rest_url = "{rest_url}"

{accounts}
# The sandbox's REST does not lag as the venue's may, so gaps may close sooner.
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
    """The settings of the demo's daemon. Management port 0 means any free port."""

    ws_url: str
    rest_url: str
    keys: tuple[ApiKey, ...]
    bootstrap_servers: str
    topic_prefix: str
    management_port: int = 0


class UsedBudget(msgspec.Struct, frozen=True):
    """The use of one action's rate limit: the requests that count now, and how many may count at most."""

    action: str
    used: int
    limit: int


class Daemon:
    """A running daemon."""

    def __init__(self, child: ChildProcess, pid: int, management_port: int, config: Path) -> None:
        self._child = child
        self.pid = pid
        self.config = config
        """The settings that it runs with; they are there until it has ended."""
        self.exit_code: int | None = None
        """The exit code after the end: 0 after a stop in order, negative when a signal ended the daemon."""
        self._log = ""
        self.page_url = f"http://127.0.0.1:{management_port}/"
        """Where its status page is."""
        self.ready_url = f"{self.page_url}readyz"
        self._watching = asyncio.create_task(self._watch_process(), name="demo:daemon")

    async def _watch_process(self) -> None:
        """Wait until the daemon has ended by itself, and take its exit code and log."""
        self.exit_code = await self._child.wait(_POLL_PERIOD_S)
        self._log = self._child.read_log()

    async def raise_at_end(self) -> None:
        """Wait until the daemon has ended by itself. Raises DaemonFailed then."""
        await asyncio.shield(self._watching)
        raise DaemonFailed(f"the daemon ended by itself (exit {self.exit_code}); the end of its log:\n{self.log_tail}")

    @property
    def log_tail(self) -> str:
        """The end of the daemon's log; empty while it runs."""
        return "\n".join(f"    {line}" for line in self._log.splitlines()[-_LOG_TAIL_LINES:])

    async def wait_until_ready(self) -> None:
        """Wait until /readyz answers 200. Raises DaemonFailed when the daemon ends, or is not ready within 60 s."""
        last = "no answer from its management port"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http:
            try:
                async with asyncio.timeout(_READY_DEADLINE_S):
                    while not self._watching.done():
                        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                            async with http.get(self.ready_url) as answer:
                                if answer.status == 200:  # noqa: PLR2004 - HTTP's own number
                                    return
                                last = await answer.text()
                        await asyncio.sleep(_READY_POLL_PERIOD_S)
            except TimeoutError:
                raise DaemonFailed(f"the daemon was not ready within {_READY_DEADLINE_S:g} s: {last}") from None
        await self.raise_at_end()

    async def watch_budgets(self, account: str, report: Callable[[list[UsedBudget]], None]) -> None:
        """Report how far an account has used its rate limits, once a second until cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http:
            while True:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with http.get(f"{self.page_url}status.json") as answer:
                        report(_find_budgets(await answer.json(), account))
                await asyncio.sleep(_BUDGET_PERIOD_S)

    async def stop(self) -> None:
        """Stop the daemon by SIGTERM, or by SIGKILL after 25 s, and remove its folder."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        end = await self._child.close()
        self.exit_code, self._log = end.exit_code, end.log


@contextlib.asynccontextmanager
async def run_daemon(plan: DaemonPlan) -> AsyncIterator[Daemon]:
    """Run the daemon for the length of the block and stop it at the end.

    Raises DaemonFailed or ChildProcessFailed when it cannot be started.
    """
    environ = {name: value for name, value in os.environ.items() if not name.upper().startswith(_ENV_PREFIX)}
    child = await ChildProcess.open(_FOLDER_PREFIX, stop_deadline_s=_STOP_DEADLINE_S, environ=environ)
    try:
        port = plan.management_port or find_free_ports(1)[0]
        config = _write_files(child.folder, plan, port)
        pid = await child.start([sys.executable, "-m", "bridge", "run", "--config", str(config)])
    except BaseException:
        await child.close()
        raise
    daemon = Daemon(child, pid, port, config)
    try:
        yield daemon
    finally:
        await daemon.stop()


def _find_budgets(document: dict[str, Any], account: str) -> list[UsedBudget]:
    """Return the budgets in a status document; none while the daemon does not own the account."""
    owned = next((one["owned"] for one in document["accounts"] if one["name"] == account), None)
    return [
        UsedBudget(one["action"], one["usable"] - one["free"], one["usable"])
        for one in (owned or {}).get("budgets", ())
    ]


def _write_files(folder: Path, plan: DaemonPlan, management_port: int) -> Path:
    """Write settings and secrets, which only this user can read; return the path of the settings."""
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
