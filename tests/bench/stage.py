"""What a measurement runs on: broker and venue, which stay, and the daemon or a floor, new for each measurement."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from bridge.contract.headers import format_source
from bridge.contract.topics import Stream, group_name, topic_name
from tests.bench.processes import START_DEADLINE_S, Daemon, Helper, Process, deadline, run_daemon, run_helper
from tests.bench.topics import ACCOUNT, create_topics, delete_topics
from tests.witness.daemon_settings import account_section, as_toml, daemon_settings

_LOOK_S = 0.02
_REST_LAG_S = 2
"""As long as a daemon recovers it asks REST for every order that has ended; the default would be half a minute."""
_SOURCE = format_source("sandbox", ACCOUNT).decode()


class Measured(Struct):
    """What one measurement found: figures by name, what was wrong, and the event loop of the measured process."""

    figures: dict[str, float]
    problems: list[str]
    loop: str


class Contestant(NamedTuple):
    """What is measured: the daemon, or a floor in its place, on topics of its own."""

    process: Process
    bootstrap: str
    prefix: str

    def topic(self, stream: Stream, account: str = ACCOUNT) -> str:
        """Return the name of a topic."""
        return topic_name(self.prefix, account, stream)

    @property
    def is_daemon(self) -> bool:
        """Whether it is the daemon, which tells of its sessions and gaps."""
        return isinstance(self.process, Daemon)


class Stage:
    """Broker and venue, and the folder for files."""

    def __init__(self, bootstrap: str, venue: Helper, facts: dict[str, Any], folder: Path) -> None:
        self.bootstrap = bootstrap
        self.venue = venue
        self.folder = folder
        self._facts = facts

    @asynccontextmanager
    async def daemon(
        self, accounts: Sequence[str] = (ACCOUNT,), *, limits: dict[str, int] | None = None
    ) -> AsyncIterator[Contestant]:
        """Run the daemon at its default settings but for `limits`; yields once every account has recovered."""
        async with self._new_prefix() as prefix:
            config = self._write_config(prefix, accounts, limits)
            async with run_daemon(config) as daemon:
                await daemon.wait_until_logged("gaps.closed", len(accounts))
                yield Contestant(daemon, self.bootstrap, prefix)
            await self._wait_for_sessions(0)

    @asynccontextmanager
    async def owner_and_standby(self, accounts: Sequence[str]) -> AsyncIterator[tuple[Daemon, Contestant]]:
        """Run two daemons of the same accounts; yields once the first owns all of them and the second waits."""
        async with self._new_prefix() as prefix:
            config = self._write_config(prefix, accounts)
            async with run_daemon(config) as owner:
                await owner.wait_until_logged("gaps.closed", len(accounts))
                async with run_daemon(config) as standby:
                    await standby.wait_until_logged("account.standby", len(accounts))
                    yield owner, Contestant(standby, self.bootstrap, prefix)
            await self._wait_for_sessions(0)

    def _write_config(self, prefix: str, accounts: Sequence[str], limits: dict[str, int] | None = None) -> Path:
        settings = daemon_settings(
            ws_url=self._facts["ws_url"],
            rest_url=self._facts["rest_url"],
            bootstrap=self.bootstrap,
            prefix=prefix,
            accounts={name: account_section(self.folder, name, *self._facts["keys"][name]) for name in accounts},
        )
        settings["timing"] = {"rest_lag_s": _REST_LAG_S}
        config = self.folder / f"{prefix}.toml"
        config.write_text(as_toml({**settings, **({"limits": limits} if limits else {})}))
        return config

    @asynccontextmanager
    async def events_floor(self) -> AsyncIterator[Contestant]:
        """Run the floor of the events; yields once it has logged in."""
        async with self._new_prefix() as prefix:
            await create_topics(self.bootstrap, prefix, [Stream.ORDERS])
            facts = {**self._floor_facts(), "topic": topic_name(prefix, ACCOUNT, Stream.ORDERS)}
            async with run_helper("events_floor", facts) as floor:
                await self._wait_for_sessions(1, floor)
                yield Contestant(floor, self.bootstrap, prefix)
            await self._wait_for_sessions(0)

    @asynccontextmanager
    async def relay_floor(self, *, commit: bool) -> AsyncIterator[Contestant]:
        """Run the floor of the commands; yields once it has its partition."""
        async with self._new_prefix() as prefix:
            await create_topics(self.bootstrap, prefix, [Stream.COMMANDS, Stream.RESULTS])
            facts = {
                **self._floor_facts(),
                "commands": topic_name(prefix, ACCOUNT, Stream.COMMANDS),
                "results": topic_name(prefix, ACCOUNT, Stream.RESULTS),
                "group": group_name(prefix, ACCOUNT),
                "commit": commit,
            }
            async with run_helper("relay_floor", facts) as floor:
                await floor.ask("ready")
                yield Contestant(floor, self.bootstrap, prefix)

    def _floor_facts(self) -> dict[str, Any]:
        return {
            "bootstrap": self.bootstrap,
            "ws_url": self._facts["ws_url"],
            "api_key": self._facts["keys"][ACCOUNT][0],
            "source": _SOURCE,
        }

    @asynccontextmanager
    async def _new_prefix(self) -> AsyncIterator[str]:
        prefix = f"b{uuid.uuid4().hex[:12]}"
        try:
            yield prefix
        finally:
            await delete_topics(self.bootstrap, prefix)

    async def _wait_for_sessions(self, count: int, process: Process | None = None) -> None:
        """Wait until so many accounts have a session, and a process that is to open one has not ended."""
        async with deadline(START_DEADLINE_S, f"{count} sessions at the venue"):
            while len(await self.venue.ask("sessions")) != count:
                if process is not None:
                    process.cpu_s()
                await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def open_stage(bootstrap: str, folder: Path, accounts: int) -> AsyncIterator[Stage]:
    """Run the venue with so many accounts for the length of the block."""
    async with run_helper("venue", accounts) as venue:
        yield Stage(bootstrap, venue, await venue.hear(), folder)
