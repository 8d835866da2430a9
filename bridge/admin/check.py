"""`ltp-bridge check`: try everything that the daemon needs, in the order in which it needs it, and send no order."""

import asyncio
import contextlib
from collections.abc import Callable
from math import inf
from typing import Final

from rich.table import Table
from rich.text import Text

from bridge.config import AccountConfig, Endpoint, Settings
from bridge.config.warnings import find_warnings
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import Received
from bridge.core.skew import ClockReading
from bridge.errors import BridgeError, VenueUnreachable
from bridge.kafka.cluster import require_c_extension
from bridge.kafka.owners import find_owners
from bridge.kafka.preflight import broker_facts, check_topics
from bridge.ltp.failover import EndpointSelector
from bridge.ltp.network import load_network_settings
from bridge.ltp.rest import AccountRisk, RestClient
from bridge.ltp.session import Session, SessionSettings
from bridge.terminal import EscapingConsole, escape_text

_LOGIN_DEADLINE_S: Final = 15.0
_SHARED_TRIES: Final = 3
_SHARED_WAIT_S: Final = 1.0
_WIDTH: Final = 200
"""Columns, on a narrow terminal too: a figure or an address that is cut off is worse than a line that wraps."""


class _FirstLogin:
    """A listener that waits for the first login to succeed or the first attempt to fail."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def logged_in(self, endpoint: str, now: Now) -> None:
        """Set the outcome: the login succeeded."""
        del now
        if not self.outcome.done():
            self.outcome.set_result(endpoint)

    def received(self, event: Received, now: Now) -> None:
        """Ignore what the venue pushes: the check publishes nothing."""

    async def wait_for_room(self) -> bool:
        """Return that further frames may be read."""
        return False

    def lost(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Ignore the end of the session, which was opened as a test only."""

    def clock_read(self, reading: ClockReading, now: Now) -> None:
        """Ignore the reading: the session is too short for one."""

    def attempt_failed(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Set the outcome: the attempt failed."""
        del now
        if not self.outcome.done():
            self.outcome.set_exception(VenueUnreachable(f"{endpoint}: {cause.value}: {detail}"))


async def _log_in(
    settings: Settings, endpoint: Endpoint, account: AccountConfig, clock: Callable[[], Now], last_login_boot_s: float
) -> None:
    """Log in once, no sooner after the last login than the venue allows, and leave. Raises VenueError."""
    listener = _FirstLogin()
    session_settings = SessionSettings(
        account=account,
        timing=settings.timing,
        network=load_network_settings(settings.venue),
        login_attempts_max=1,
        other_login_boot_s=last_login_boot_s,
    )
    endpoints = EndpointSelector((endpoint,), settings.timing)
    session = Session(session_settings, endpoints, listener, clock=clock, random=lambda: 0.0)
    running = asyncio.create_task(session.run(), name="check:login")
    try:
        async with asyncio.timeout(_LOGIN_DEADLINE_S + settings.timing.login_spacing_s):
            await listener.outcome
    except TimeoutError:
        raise VenueUnreachable(f"no answer to the login within {_LOGIN_DEADLINE_S:g} s") from None
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _risk_table(rows: list[AccountRisk]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("exchange", "status", "equity", "available margin", "uniMMR", "position mode", "portfolio"):
        table.add_column(heading, no_wrap=True)  # a cell that wrapped could look like a line of the check
    for row in rows:
        values = (
            row.exchange_type,
            row.account_status,
            row.equity,
            row.available_margin,
            row.uni_mmr,
            row.position_mode,
            row.portfolio_id,
        )
        table.add_row(*("" if value is None else escape_text(str(value)) for value in values))
    return table


async def _describe_brokers(settings: Settings) -> str:
    """Return the facts of the cluster that matter to claims: how fast a commit is, and the limits of the group."""
    facts = await broker_facts(settings.kafka)
    shown = {
        "group.coordinator.append.linger.ms": facts.commit_linger_ms,
        "offset.metadata.max.bytes": facts.commit_metadata_bytes_max,
        "group.min.session.timeout.ms": facts.session_timeout_ms_min,
    }
    known = ", ".join(f"{name} {value}" for name, value in shown.items() if value is not None)
    slow = facts.commit_linger_ms not in {None, "-1", "0"}
    advice = "; set the first to 0, or use Kafka 4.3: each claim waits for it" if slow else ""
    return f"brokers: {facts.brokers}" + (f", {known}{advice}" if known else "")


class _Check:
    """One run of the check, with the number of problems so far."""

    def __init__(self, settings: Settings, clock: Callable[[], Now]) -> None:
        self.problems = 0
        self._settings = settings
        self._clock = clock
        self._console = EscapingConsole(soft_wrap=True, width=_WIDTH)

    def print_line(self, mark: str, style: str, text: str) -> None:
        """Print one line; line ends in the text are escaped."""
        self._console.print(Text.assemble((f"{mark:<6}", style), escape_text(text)))

    def print_ok(self, text: str) -> None:
        """Print what works."""
        self.print_line("ok", "green", text)

    def print_note(self, text: str) -> None:
        """Print what a person should know although the daemon can start."""
        self.print_line("note", "yellow", text)

    def print_wrong(self, text: str) -> None:
        """Print a problem, and count it."""
        self.problems += 1
        self.print_line("wrong", "red", text)

    async def try_rest(self, name: str, account: AccountConfig, *, has_owner: bool) -> None:
        """Read the account at every endpoint. Try again where its owner may have used up the venue's rate limit."""
        risks: list[AccountRisk] = []
        for endpoint in self._settings.endpoints:
            try:
                risks = await self._read_risks(endpoint, account, _SHARED_TRIES if has_owner else 1)
                self.print_ok(f"account {name}: REST at {endpoint.name}, {endpoint.rest_url}")
            except BridgeError as error:
                self.print_wrong(f"account {name}: REST at {endpoint.name}, {endpoint.rest_url}: {error}")
        if risks:
            self._console.print(_risk_table(risks))

    async def _read_risks(self, endpoint: Endpoint, account: AccountConfig, tries: int) -> list[AccountRisk]:
        async with RestClient((endpoint,), account, self._clock, load_network_settings(self._settings.venue)) as rest:
            for _ in range(tries - 1):
                with contextlib.suppress(VenueUnreachable):
                    return await rest.fetch_account_states()
                await asyncio.sleep(_SHARED_WAIT_S)
            return await rest.fetch_account_states()

    async def try_kafka(self) -> dict[str, str] | None:
        """Check the topics; return the owner of each account that has one, or None when Kafka cannot say."""
        settings, owners = self._settings, None
        try:
            require_c_extension()
            found = await check_topics(settings.kafka, settings.timing, settings.accounts)
            for problem in found:
                self.print_wrong(problem)
            if not found:
                self.print_ok(f"topics: every topic of {', '.join(settings.accounts)} is fit")
            owners = await find_owners(settings.kafka, settings.accounts)
            self.print_ok(await _describe_brokers(settings))
        except BridgeError as error:
            self.print_wrong(str(error))
        return owners

    async def try_logins(self, name: str, account: AccountConfig, owners: dict[str, str] | None) -> None:
        """Log in at every endpoint, unless the login could end the session of a daemon that owns the account."""
        if owners is None:
            self.print_note(f"account {name}: no login was tried: only Kafka knows whether a daemon owns the account")
            return
        if name in owners:
            self.print_note(
                f"account {name}: no login was tried: a daemon at {owners[name]} has its session; see its /readyz"
            )
            return
        last_login_boot_s = -inf
        for endpoint in self._settings.endpoints:
            try:
                await _log_in(self._settings, endpoint, account, self._clock, last_login_boot_s)
                self.print_ok(f"account {name}: login at {endpoint.name}, {endpoint.ws_url}")
            except BridgeError as error:
                self.print_wrong(f"account {name}: login at {endpoint.ws_url}: {error}")
            last_login_boot_s = self._clock().boot_s


async def run(settings: Settings, clock: Callable[[], Now]) -> bool:
    """Try everything and print what was found. Returns True when the daemon could start."""
    check = _Check(settings, clock)
    check.print_ok(f"configuration: environment {settings.environment}, {len(settings.accounts)} account(s)")
    for warning in find_warnings(settings):
        check.print_note(warning)
    owners = await check.try_kafka()
    for name, account in settings.accounts.items():
        await check.try_rest(name, account, has_owner=name in (owners or {}))
        await check.try_logins(name, account, owners)
    return check.problems == 0
