"""The venue: the way to each endpoint, its REST with a signed request, its symbols, its clock, and the account."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Final

from yarl import URL

from bridge.config import AccountConfig, Endpoint, Settings
from bridge.core.now import Now
from bridge.doctor.clocks import judge_clock
from bridge.doctor.findings import Findings
from bridge.doctor.network import Server, inspect_routes
from bridge.errors import BridgeError, VenueRefused, VenueUnreachable
from bridge.ltp import codes
from bridge.ltp.network import load_network_settings
from bridge.ltp.rest import RestClient
from bridge.ltp.rest_figures import AccountRisk

_SHARED_TRIES: Final = 3
_SHARED_WAIT_S: Final = 1.0
_REST_DEADLINE_S: Final = 45.0
_WELL: Final = "NORMAL"


class Endpoints:
    """The endpoints of the settings, and the ways to them that are free."""

    def __init__(self, findings: Findings, settings: Settings, clock: Callable[[], Now]) -> None:
        self._findings = findings
        self._settings = settings
        self._clock = clock
        self._free: set[str] = set()
        self._compared: set[str] = set()
        """The endpoints whose clock and symbols have been looked at."""
        self._portfolios: dict[str, str] = {}

    async def check_routes(self) -> None:
        """Report the way to each endpoint's REST and WebSocket."""
        urls = {url: one for one in self._settings.endpoints for url in (one.rest_url, one.ws_url)}
        servers = [self._server(endpoint, URL(url)) for url, endpoint in urls.items()]
        routes = await inspect_routes(self._findings, servers, self._clock)
        for url, route in zip(urls, routes, strict=True):
            self._findings.add(*route.findings)
            if route.is_free:
                self._free.add(url)

    def _server(self, endpoint: Endpoint, url: URL) -> Server:
        access = self._settings.venue
        host, port = url.host or "", url.port or 0
        return Server(
            area="venue",
            subject=f"{endpoint.name} {host}:{port}",
            host=host,
            port=port,
            make_tls=(lambda: load_network_settings(access).tls) if url.scheme in {"https", "wss"} else None,
            ca_setting="venue.ca_file",
            renewer="the venue",
            address_setting="the address in endpoints",
            proxy_url=access.proxy_url,
        )

    def require_route(self, finding_id: str, name: str, endpoint: Endpoint, url: str) -> bool:
        """Return whether there is a way to an address; if not, note that what needs it was not tried."""
        if url in self._free:
            return True
        found = f"not tried at {endpoint.name}: there is no way to {url}"
        self._findings.add_note(
            finding_id, f"account {name}", found, "repair the way there first, which is named above"
        )
        return False

    async def check_account(self, name: str, account: AccountConfig, *, has_owner: bool) -> None:
        """Read the account at every endpoint. Try again where its owner may have used up the venue's rate limit."""
        risks: list[AccountRisk] | None = None
        for endpoint in self._settings.endpoints:
            if not self.require_route("venue.rest", name, endpoint, endpoint.rest_url):
                continue
            found = await self._findings.await_check(
                self._check_rest(name, account, endpoint, _SHARED_TRIES if has_owner else 1),
                "venue.rest",
                f"account {name} at {endpoint.name}",
                deadline_s=_REST_DEADLINE_S,
                remedy="try again; see whether other programs use the key",
            )
            risks = found if found is not None else risks
        if risks is not None:
            self._report_account(name, risks)

    async def _check_rest(
        self, name: str, account: AccountConfig, endpoint: Endpoint, tries: int
    ) -> list[AccountRisk] | None:
        """Send a signed request, and report what its answer says. Returns the account's state."""
        subject = f"account {name} at {endpoint.name}"
        network = load_network_settings(self._settings.venue)
        async with RestClient((endpoint,), account, self._clock, network) as rest:
            try:
                risks = await _read_risks(rest, tries)
            except VenueRefused as error:
                self._report_refusal(subject, error)
                risks = None
            except BridgeError as error:
                remedy = f"see whether {endpoint.rest_url} is the venue's REST, and the venue's announcements"
                self._findings.add_wrong("venue.rest", subject, str(error), remedy)
                risks = None
            else:
                self._findings.add_ok("venue.rest", subject, f"{endpoint.rest_url} accepts the key")
            if endpoint.name not in self._compared:
                self._compare_clock(endpoint, rest)
                if risks is not None:
                    await self._check_symbols(endpoint, rest)
                    self._compared.add(endpoint.name)
        return risks

    def _report_refusal(self, subject: str, error: VenueRefused) -> None:
        fault = codes.find_key_fault(error.code)
        finding_id = "venue.rest" if fault is None else f"venue.key.{fault}"
        found = f"the venue answered {error.code}: {error.reason or 'no text'}"
        remedy = codes.find_advice(error.code) or "look the code up in the venue's documents"
        self._findings.add_wrong(finding_id, subject, found, remedy)

    def _compare_clock(self, endpoint: Endpoint, rest: RestClient) -> None:
        if rest.clock_reading is None:
            found = "not compared: no answer told its time (the header Date)"
            self._findings.add_note("clock.venue", endpoint.name, found, "see that a proxy does not take it away")
            return
        bound_s = self._settings.timing.skew_bound_s
        now = self._clock()
        judge_clock(
            self._findings, "clock.venue", endpoint.name, rest.clock_reading, now, whose="the venue's", bound_s=bound_s
        )

    async def _check_symbols(self, endpoint: Endpoint, rest: RestClient) -> None:
        try:
            rules = await rest.fetch_symbol_rules()
        except BridgeError as error:
            remedy = "the daemon needs them not, callers do; see whether the venue has changed them, and try again"
            self._findings.add_note("venue.symbols", endpoint.name, str(error), remedy)
            return
        live = sum(one.state == "live" for one in rules.values())
        self._findings.add_ok("venue.symbols", endpoint.name, f"the rules of {len(rules)} symbols, {live} of them live")

    def _report_account(self, name: str, risks: Iterable[AccountRisk]) -> None:
        subject = f"account {name}"
        for risk in risks:
            found = _describe_risk(risk)
            if (risk.account_status or _WELL).strip().upper() == _WELL:
                self._findings.add_ok("venue.account", subject, found)
            else:
                remedy = "see at the venue why: it may refuse orders, or end some itself"
                self._findings.add_note("venue.account", subject, found, remedy)
        for portfolio in sorted({str(risk.portfolio_id) for risk in risks if risk.portfolio_id is not None}):
            other = self._portfolios.setdefault(portfolio, name)
            if other != name:
                found = f"its key selects the portfolio {portfolio}, as that of account {other}: both publish the same"
                self._findings.add_note("venue.portfolio", subject, found, "give each account a portfolio's own key")
        self._findings.add_note(
            "venue.key.rights",
            subject,
            "the key may read; the venue shows no other right, nor its IP allow-list, without an order",
            "see at the venue that it has Read and Trade, and neither Transfer nor Withdraw",
        )


async def _read_risks(rest: RestClient, tries: int) -> list[AccountRisk]:
    for _ in range(tries - 1):
        with contextlib.suppress(VenueUnreachable):
            return await rest.fetch_account_states()
        await asyncio.sleep(_SHARED_WAIT_S)
    return await rest.fetch_account_states()


def _describe_risk(risk: AccountRisk) -> str:
    figures = {
        "equity": risk.equity,
        "available margin": risk.available_margin,
        "uniMMR": risk.uni_mmr,
        "position mode": risk.position_mode,
        "portfolio": risk.portfolio_id,
    }
    known = [f"{name} {figure}" for name, figure in figures.items() if figure is not None]
    return ", ".join([f"{risk.exchange_type} is {risk.account_status or 'without a status'}", *known])
