"""`ltp-bridge check`: tries everything the daemon needs, in the order in which it needs it, and sends no order."""

import asyncio
from collections.abc import Callable
from typing import Final

from rich.console import Console
from rich.table import Table

from bridge.config import Account, Settings
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.skew import Skew
from bridge.core.traffic import Received
from bridge.errors import BridgeError, VenueUnreachable
from bridge.kafka.cluster import assert_fast
from bridge.kafka.preflight import broker_facts, check_topics
from bridge.ltp.rest import AccountRisk, RestClient
from bridge.ltp.session import Session

_LOGIN_DEADLINE_S: Final = 15.0
_WIDTH: Final = 200
"""Columns, however narrow the terminal: a figure or an address that is cut off is worse than a line that wraps."""


class _FirstLogin:
    """Listens until the first login is accepted or the first attempt has failed."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def logged_in(self, endpoint: str, now: Now) -> None:
        """Note success."""
        del now
        if not self.outcome.done():
            self.outcome.set_result(endpoint)

    def received(self, event: Received, now: Now) -> None:
        """Pass over what the venue pushes: nothing is published here."""

    def lost(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Pass over the end of the session that was only tried."""

    def skew_measured(self, skew: Skew, now: Now) -> None:
        """Pass over it: the session is not kept for long enough."""

    def attempt_failed(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Note failure."""
        del now
        if not self.outcome.done():
            self.outcome.set_exception(VenueUnreachable(f"{endpoint}: {cause.value}: {detail}"))


async def _log_in(settings: Settings, account: Account, clock: Callable[[], Now]) -> str:
    listener = _FirstLogin()
    session = Session(
        endpoints=settings.endpoints[:1],
        account=account,
        timing=settings.timing,
        login_attempts_max=1,
        listener=listener,
        clock=clock,
        random=lambda: 0.0,
    )
    running = asyncio.create_task(session.run(), name="check:login")
    try:
        async with asyncio.timeout(_LOGIN_DEADLINE_S):
            return await listener.outcome
    except TimeoutError:
        raise VenueUnreachable(f"no answer to the login within {_LOGIN_DEADLINE_S:g} s") from None
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _risk_table(rows: list[AccountRisk]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("exchange", "status", "equity", "available margin", "uniMMR", "position mode", "portfolio"):
        table.add_column(heading)
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
        table.add_row(*("" if value is None else str(value) for value in values))
    return table


async def _brokers(settings: Settings) -> str:
    """Say what of the cluster matters to the claim: how quick a commit is, and what the group may be like."""
    facts = await broker_facts(settings.kafka)
    shown = {
        "group.coordinator.append.linger.ms": facts.commit_linger_ms,
        "offset.metadata.max.bytes": facts.commit_metadata_bytes_max,
        "group.min.session.timeout.ms": facts.session_timeout_ms_min,
    }
    known = ", ".join(f"{name} {value}" for name, value in shown.items() if value is not None)
    slow = facts.commit_linger_ms not in {None, "-1", "0"}
    advice = "; set the first to 0, or take Kafka 4.3: each claim waits for it" if slow else ""
    return f"brokers: {facts.brokers}" + (f", {known}{advice}" if known else "")


async def run(settings: Settings, clock: Callable[[], Now]) -> bool:
    """Try everything; print what was found; True when the daemon could start."""
    console = Console(highlight=False, soft_wrap=True, width=_WIDTH)
    problems = 0

    def good(text: str) -> None:
        console.print(f"[green]ok[/]    {text}")

    def bad(text: str) -> None:
        nonlocal problems
        problems += 1
        console.print("[red]wrong[/] ", end="")
        console.print(text, markup=False)

    good(f"configuration: environment {settings.environment}, {len(settings.accounts)} account(s)")
    endpoint = settings.endpoints[0]
    for name, account in settings.accounts.items():
        try:
            async with RestClient((endpoint,), account, clock) as rest:
                rows = await rest.account()
            good(f"account {name}: REST {endpoint.rest_url}")
            console.print(_risk_table(rows))
            good(f"account {name}: login at {await _log_in(settings, account, clock)}")
        except BridgeError as error:
            bad(f"account {name}: {error}")
    try:
        assert_fast()
        found = await check_topics(settings.kafka, settings.timing, settings.accounts)
        for problem in found:
            bad(problem)
        if not found:
            good(f"topics: every topic of {', '.join(settings.accounts)} is fit")
        good(await _brokers(settings))
    except BridgeError as error:
        bad(str(error))
    return problems == 0
