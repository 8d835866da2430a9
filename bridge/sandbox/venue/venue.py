"""The sandbox venue: backend, WebSocket and REST servers, for the length of a context."""

import asyncio
import contextlib
import ssl
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web

from bridge.sandbox.venue.backend import VenueBackend
from bridge.sandbox.venue.clock import Clock, SystemClock
from bridge.sandbox.venue.connection import ClientConnection
from bridge.sandbox.venue.faults import FaultScript
from bridge.sandbox.venue.injection import Injection
from bridge.sandbox.venue.keys import ApiKey, KeyRing
from bridge.sandbox.venue.ledger import Ledger
from bridge.sandbox.venue.limits import RequestLimits
from bridge.sandbox.venue.market import Quotation
from bridge.sandbox.venue.order_gateway import OrderGateway
from bridge.sandbox.venue.portfolio import Portfolio
from bridge.sandbox.venue.rest import RestServer
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.websocket import PATH, WebSocketServer

_FIRST_PORTFOLIO = 1_000_000_000_000_001
_SHUTDOWN_S = 1.0


class Tier(msgspec.Struct, frozen=True):
    """One pair of listeners, like LTP's AZ4 and HA."""

    name: str
    ws_url: str
    rest_url: str


class Venue:
    """A venue: `async with Venue(settings) as venue:` runs it, on 127.0.0.1 by default; `venue.ledger` records it.

    With `tls` it speaks TLS; its URLs on this machine then have `localhost`, which the certificate names.
    """

    def __init__(
        self, settings: VenueSettings | None = None, clock: Clock | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.settings = settings if settings is not None else VenueSettings()
        self.clock = clock if clock is not None else SystemClock()
        self._tls = tls
        self._backend = VenueBackend(self.settings, self.clock)
        self.inject = Injection(self._backend)
        self.tiers: dict[str, Tier] = {}
        self._open_tiers: dict[str, contextlib.AsyncExitStack] = {}
        self._step_task: asyncio.Task[None] | None = None
        for index, account in enumerate(self.settings.accounts):
            self._open_account(account, str(_FIRST_PORTFOLIO + index))

    def _open_account(self, account: AccountSettings, portfolio_id: str) -> None:
        derived = self.settings.derived
        self.keys.add(
            ApiKey(
                name=account.name,
                api_key=account.api_key or "ak-" + derived("key", account.name)[:24],
                api_secret=account.api_secret or "sk-" + derived("secret", account.name)[:40],
                portfolio_id=portfolio_id,
            )
        )
        self._backend.add_portfolio(
            Portfolio(
                account,
                portfolio_id,
                taker_fee_rate=self.settings.taker_fee_rate,
                now_ms=self.clock.wall_ms(),
            )
        )

    @property
    def ledger(self) -> Ledger:
        """The record of everything that the venue received and did."""
        return self._backend.ledger

    @property
    def faults(self) -> FaultScript:
        """The scripted faults."""
        return self._backend.faults

    @property
    def limits(self) -> RequestLimits:
        """The rate limits, which may be changed while the venue runs."""
        return self._backend.limits

    @property
    def keys(self) -> KeyRing:
        """The API keys by account name: `venue.keys["main"].api_secret`."""
        return self._backend.keys

    @property
    def gateway(self) -> OrderGateway:
        """The order gateway with its market and portfolios."""
        return self._backend.gateway

    @property
    def ws_url(self) -> str:
        """The first tier's WebSocket URL, path included."""
        return next(iter(self.tiers.values())).ws_url

    @property
    def rest_url(self) -> str:
        """The first tier's REST base URL."""
        return next(iter(self.tiers.values())).rest_url

    @property
    def connections(self) -> list[ClientConnection]:
        """The sockets that are open now, oldest first."""
        return list(self._backend.connections.values())

    def portfolio(self, account: str = "main") -> Portfolio:
        """Return an account's portfolio."""
        return self._backend.portfolio(self.keys[account])

    def quotation(self, sym: str) -> Quotation:
        """Return a symbol's market; after `move` call `settle_prices`."""
        return self.gateway.market[sym]

    def step(self, times: int = 1) -> None:
        """Move the market and send the pushes that result."""
        for _ in range(times):
            self._backend.step()

    def settle_prices(self) -> None:
        """Let prices that were set by hand take effect."""
        self._backend.settle_prices()

    def cut_connections(self, account: str = "", tier: str = "") -> int:
        """Abort every socket, or those of an account or tier; return their number."""
        cut = [
            connection
            for connection in self.connections
            if account in {"", connection.target().account} and tier in {"", connection.tier}
        ]
        for connection in cut:
            connection.abort("cut")
        return len(cut)

    async def close_tier(self, name: str) -> None:
        """Close a tier: its sockets are aborted, its ports refuse connections."""
        self.cut_connections(tier=name)
        await self._open_tiers.pop(name).aclose()

    async def open_tier(self, name: str) -> None:
        """Open a tier, at the ports it had before."""
        before = self.tiers.get(name)
        first = name == self.settings.tiers[0]
        ws_port = _port_of(before.ws_url) if before else self.settings.ws_port * first
        rest_port = _port_of(before.rest_url) if before else self.settings.rest_port * first
        sockets, rest = web.Application(), web.Application(client_max_size=self.settings.frame_bytes_max)
        sockets.router.add_get(PATH, WebSocketServer(self._backend, name).serve)
        rest.router.add_route("*", "/{path:.*}", RestServer(self._backend, name).serve)
        async with contextlib.AsyncExitStack() as opening:
            ws_port = await _start_listener(opening, sockets, (self.settings.host, ws_port), self._tls)
            rest_port = await _start_listener(opening, rest, (self.settings.host, rest_port), self._tls)
            self._open_tiers[name] = opening.pop_all()
        secure, host = "" if self._tls is None else "s", _name_in_urls(self.settings.host, secure=self._tls is not None)
        self.tiers[name] = Tier(name, f"ws{secure}://{host}:{ws_port}{PATH}", f"http{secure}://{host}:{rest_port}")

    async def _step_forever(self) -> None:
        while True:
            await asyncio.sleep(self.settings.step_period_s)
            self._backend.step()

    async def __aenter__(self) -> Self:
        try:
            for name in self.settings.tiers:
                await self.open_tier(name)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        if self.settings.step_period_s > 0:
            self._step_task = asyncio.create_task(self._step_forever(), name="sandbox market")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        step_task, self._step_task = self._step_task, None
        if step_task is not None:
            step_task.cancel()
            # Any other error of the market task is raised here.
            with contextlib.suppress(asyncio.CancelledError):
                await step_task
        self.faults.close()
        for name in list(self._open_tiers):
            await self.close_tier(name)


def _name_in_urls(host: str, *, secure: bool) -> str:
    """Return the host name by which this machine reaches the venue: loopback if it listens on every address."""
    if host in {"", "0.0.0.0", "::", "127.0.0.1"}:  # noqa: S104 - the user chose it
        return "localhost" if secure else "127.0.0.1"
    return f"[{host}]" if ":" in host else host


async def _start_listener(
    stack: contextlib.AsyncExitStack, application: web.Application, at: tuple[str, int], tls: ssl.SSLContext | None
) -> int:
    """Serve an application at a host and port, and return the port."""
    runner = web.AppRunner(application, handle_signals=False, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, *at, ssl_context=tls).start()
    return int(runner.addresses[0][1])


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])
