"""Logins at every endpoint, unless a login could end the session of a daemon that owns the account."""

import asyncio
import re
from collections.abc import Callable
from math import inf
from typing import Final

from bridge.config import AccountConfig, Endpoint, Settings
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import Received
from bridge.core.skew import ClockReading
from bridge.doctor.findings import Findings
from bridge.doctor.venue import Endpoints
from bridge.ltp import codes
from bridge.ltp.failover import EndpointSelector
from bridge.ltp.network import load_network_settings
from bridge.ltp.session import Session, SessionSettings

_LOGIN_DEADLINE_S: Final = 15.0
_REMEDY_BY_CAUSE: Final = {
    Cause.TLS_FAILED: "see what is said of TLS above",
    Cause.NAME_NOT_RESOLVED: "correct the address in endpoints, or this machine's name servers",
    Cause.PROTOCOL_ERROR: "check the path of ws_url in endpoints: the private stream is /v1/private",
}
_REMEDY: Final = "check ws_url in endpoints, and that a proxy or firewall lets a WebSocket through; then try again"


class _FirstLogin:
    """A listener that waits for the first login to succeed or the first attempt to fail."""

    def __init__(self) -> None:
        self.failure: asyncio.Future[tuple[Cause, str] | None] = asyncio.get_running_loop().create_future()
        """Why the attempt failed; None when the login succeeded."""

    def logged_in(self, endpoint: str, now: Now) -> None:
        """Note that the login succeeded."""
        del endpoint, now
        if not self.failure.done():
            self.failure.set_result(None)

    def received(self, event: Received, now: Now) -> None:
        """Ignore what the venue pushes: nothing is published here."""

    async def wait_for_room(self) -> bool:
        """Return that further frames may be read."""
        return False

    def lost(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Ignore the end of the session, which was opened as a test only."""

    def clock_read(self, reading: ClockReading, now: Now) -> None:
        """Ignore the reading: the session is too short for one."""

    def attempt_failed(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Note why the attempt failed."""
        del endpoint, now
        if not self.failure.done():
            self.failure.set_result((cause, detail))


async def check_logins(
    findings: Findings,
    settings: Settings,
    endpoints: Endpoints,
    name: str,
    *,
    owners: dict[str, str] | None,
    clock: Callable[[], Now],
) -> None:
    """Log in at every endpoint of an account that has no owner, no sooner after each other than the venue allows."""
    subject = f"account {name}"
    if owners is None:
        found = "no login was tried: only Kafka knows whether a daemon owns the account"
        findings.add_note("venue.login", subject, found, "repair what is wrong with Kafka first")
        return
    if name in owners:
        found = f"no login was tried: a daemon at {owners[name]} has its session"
        findings.add_note("venue.login", subject, found, "see the daemon's /readyz, which says how its session is")
        return
    last_login_boot_s = -inf
    for endpoint in settings.endpoints:
        if not endpoints.require_route("venue.login", name, endpoint, endpoint.ws_url):
            continue
        failure = await _log_in(settings, endpoint, settings.accounts[name], clock, last_login_boot_s)
        if failure is not None and codes.is_transient(_read_code(failure[1])):
            # Another program, or a run before this one, has just logged in with the key.
            failure = await _log_in(settings, endpoint, settings.accounts[name], clock, clock().boot_s)
        last_login_boot_s = clock().boot_s
        where = f"{subject} at {endpoint.name}"
        if failure is None:
            findings.add_ok("venue.login", where, f"{endpoint.ws_url} accepts the login")
        else:
            cause, detail = failure
            found, remedy = _find_remedy(cause, detail)
            findings.add_wrong("venue.login", where, f"{endpoint.ws_url}: {cause.value}: {found}", remedy)


async def _log_in(
    settings: Settings, endpoint: Endpoint, account: AccountConfig, clock: Callable[[], Now], last_login_boot_s: float
) -> tuple[Cause, str] | None:
    """Log in once and leave. Return why it failed, None when it did not."""
    listener = _FirstLogin()
    session_settings = SessionSettings(
        account=account,
        timing=settings.timing,
        network=load_network_settings(settings.venue),
        login_attempts_max=1,
        other_login_boot_s=last_login_boot_s,
    )
    selector = EndpointSelector((endpoint,), settings.timing)
    session = Session(session_settings, selector, listener, clock=clock, random=lambda: 0.0)
    running = asyncio.create_task(session.run(), name="doctor:login")
    try:
        async with asyncio.timeout(_LOGIN_DEADLINE_S + settings.timing.login_spacing_s):
            return await listener.failure
    except TimeoutError:
        return Cause.LINK_FAILED, f"no answer to the login within {_LOGIN_DEADLINE_S:g} s"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _read_code(detail: str) -> int:
    """Return the venue's code in the text of a refused login; 0 where it holds none."""
    refused = re.match(r"the venue answered ([0-9]{1,9}):", detail)
    return int(refused[1]) if refused is not None else 0


def _find_remedy(cause: Cause, detail: str) -> tuple[str, str]:
    """Return what was found and what to do, which the text of a refusal has together."""
    advice = codes.find_advice(_read_code(detail))
    return detail.removesuffix(f"; {advice}"), advice or _REMEDY_BY_CAUSE.get(cause, _REMEDY)
