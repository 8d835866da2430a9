"""The venue's backend: WebSocket and REST hand requests to it; it counts each, acts, records, and then sends pushes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.sandbox.venue.clock import Clock
from bridge.sandbox.venue.codes import TEXTS, TOO_MANY_REQUESTS
from bridge.sandbox.venue.faults import FaultKind, FaultScript, FaultTarget
from bridge.sandbox.venue.keys import ApiKey, KeyRing
from bridge.sandbox.venue.ledger import EntryKind, Ledger, LedgerEntry, VenuePush
from bridge.sandbox.venue.limits import RequestLimits
from bridge.sandbox.venue.order_gateway import OrderGateway
from bridge.sandbox.venue.outcomes import ActionOutcome
from bridge.sandbox.venue.portfolio import Portfolio
from bridge.sandbox.venue.portfolio_history import LaggedView, PortfolioHistory
from bridge.sandbox.venue.pushes import redate_push
from bridge.sandbox.venue.settings import VenueSettings

if TYPE_CHECKING:
    from bridge.sandbox.venue.connection import ClientConnection


@dataclass(frozen=True, slots=True)
class RecordedOutcome:
    """The outcome of an action, and the ledger entries of its pushes."""

    outcome: ActionOutcome
    pushes: list[LedgerEntry]


class VenueBackend:
    """The state that all listeners of a venue share."""

    def __init__(self, settings: VenueSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.ledger = Ledger(clock)
        self.faults = FaultScript(self.ledger, settings.seed)
        self.limits = RequestLimits(settings.limits)
        self.keys = KeyRing()
        self.gateway = OrderGateway(settings, clock.wall_ms())
        self.connections: dict[int, ClientConnection] = {}
        self._histories: dict[str, PortfolioHistory] = {}
        self._connections_opened = 0

    def add_portfolio(self, portfolio: Portfolio) -> None:
        """Add a portfolio."""
        self.gateway.add_portfolio(portfolio)
        self._histories[portfolio.portfolio_id] = PortfolioHistory(portfolio)

    def next_connection_number(self) -> int:
        """Return the number of the next connection."""
        self._connections_opened += 1
        return self._connections_opened

    def portfolio(self, key: ApiKey) -> Portfolio:
        """Return the portfolio of a key."""
        return self.gateway.portfolios[key.portfolio_id]

    def lagged_portfolio(self, key: ApiKey, ago_s: float) -> LaggedView:
        """Return the portfolio of a key as it was `ago_s` seconds ago."""
        return self._histories[key.portfolio_id].portfolio_at(self.clock.wall_ms() - round(ago_s * 1000))

    def count_request(self, action: str, key: ApiKey | None, target: FaultTarget, api_key: str = "") -> bool:
        """Count a request against its rate limit; return False when it is over the limit."""
        shrunk = self.faults.trigger(FaultKind.SHRINK_LIMIT, target)
        named = key.api_key if key else api_key
        count = self.limits.count_request(
            action, named, self.clock.monotonic_s(), shrunk.fault.limit if shrunk else None
        )
        self.ledger.write(
            EntryKind.COUNT if count.is_within else EntryKind.LIMITED,
            portfolio_id=key.portfolio_id if key else "",
            connection=target.connection,
            action=action,
            api_key=named,
            in_window=count.in_window,
            limit=count.limit,
        )
        return count.is_within

    def act(
        self,
        key: ApiKey,
        action: str,
        args: object,
        *,
        target: FaultTarget,
        request_id: str | None = None,
        limit: str = "",
        over_rest: bool = False,
    ) -> RecordedOutcome:
        """Count an action against its limit (by default the limit of its name), perform it, and record the outcome."""
        if not self.count_request(limit or action, key, target):
            outcome = ActionOutcome(code=TOO_MANY_REQUESTS, message=TEXTS[TOO_MANY_REQUESTS])
        else:
            outcome = self.gateway.act(
                self.portfolio(key),
                action,
                args,
                self.clock.wall_ms(),
                failure=self.faults.trigger_exchange_failure(target),
                over_rest=over_rest,
            )
        data = outcome.data or {}
        given = args if isinstance(args, dict) else {}
        self.ledger.write(
            EntryKind.VERDICT,
            portfolio_id=key.portfolio_id,
            connection=target.connection,
            action=action,
            request_id=request_id,
            code=outcome.code,
            order_id=data.get("orderId", given.get("orderId", "")),
            client_order_id=data.get("clientOrderId", given.get("clientOrderId", "")),
        )
        return RecordedOutcome(outcome, self.record_pushes(outcome.events))

    def record_pushes(self, events: list[VenuePush]) -> list[LedgerEntry]:
        """Write pushes to the ledger and return their entries, which `send_pushes` takes."""
        dated = [self._redate_push(push) for push in events]
        entries = [self.ledger.write_event(push) for push in dated]
        for entry, push in zip(entries, dated, strict=True):
            self._histories[push.portfolio_id].record_change(push, entry.wall_ms)
        return entries

    def _redate_push(self, push: VenuePush) -> VenuePush:
        """Return the push, with an earlier `updateAt` if a fault asks for it."""
        scripted = self.faults.trigger(FaultKind.REDATE_PUSH, FaultTarget(channel=push.channel))
        return push if scripted is None else redate_push(push, scripted.fault.delay_s)

    def send_pushes(self, pushes: list[LedgerEntry]) -> None:
        """Send pushes to every connection that is logged in to their portfolio."""
        if not pushes:
            return
        for connection in list(self.connections.values()):
            for entry in pushes:
                if entry.portfolio_id == connection.portfolio_id:
                    connection.send_push(entry)

    def step(self) -> None:
        """Move the market once and send the pushes that result."""
        self.send_pushes(self.record_pushes(self.gateway.step(self.clock.wall_ms())))

    def settle_prices(self) -> None:
        """Let prices that were set by hand take effect, and send the pushes that result."""
        self.send_pushes(self.record_pushes(self.gateway.settle_prices(self.clock.wall_ms())))
