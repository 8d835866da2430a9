"""Pushes and orders that a test injects: margin calls, liquidations, foreign orders, earlier orders, invalid frames."""

from bisect import insort
from collections.abc import Mapping, Sequence
from decimal import Decimal

from bridge.sandbox.venue.backend import VenueBackend
from bridge.sandbox.venue.decimals import ZERO, rounded
from bridge.sandbox.venue.ledger import VenuePush
from bridge.sandbox.venue.market import Side
from bridge.sandbox.venue.orders import OrderState, VenueOrder, VenueTrade
from bridge.sandbox.venue.outcomes import ActionOutcome
from bridge.sandbox.venue.portfolio import Portfolio, Risk
from bridge.sandbox.venue.pushes import make_push, risk_row


class Injection:
    """Makes the venue push what a test asks for; each such push is in the ledger like any other."""

    def __init__(self, backend: VenueBackend) -> None:
        self._backend = backend

    def margin_call(
        self, account: str, exchange: str = "BINANCE", status: str = "MARGIN_CALL", **fields: object
    ) -> VenuePush:
        """Push a margin call with the account's figures, some of them replaced by `fields`."""
        portfolio = self._portfolio_of(account)
        now = self._backend.clock.wall_ms()
        risk = Risk(portfolio, exchange, self._backend.gateway.market)
        row = {**risk_row(portfolio, risk, status, self._backend.settings.dialect), "updateAt": str(now), **fields}
        return self._record_and_send(
            make_push(portfolio.portfolio_id, "MarginCall", row, key=exchange, identity=f"{exchange}:{now}")
        )

    def liquidation_position(
        self, account: str, sym: str, channel: str = "LiquidationPosition", **fields: object
    ) -> VenuePush:
        """Push an archived liquidation order; its times are JSON integers (LTP docs, WebSocket Liquidation)."""
        portfolio = self._portfolio_of(account)
        now = self._backend.clock.wall_ms()
        ids = self._backend.gateway.ids
        row: dict[str, object] = {
            "portfolioId": portfolio.portfolio_id,
            "exchangeType": sym.split("_", maxsplit=1)[0],
            "orderId": ids.order_id(),
            "liquidationEventId": ids.long_id(),
            "positionId": ids.long_id(),
            "sym": sym,
            "positionSide": "NONE",
            "reduceQty": "0.25",
            "closedPnl": "-40.1",
            "liqFee": "1.2",
            "totalTradingFee": None,
            "createAt": now,
            "updateAt": now,
            **fields,
        }
        key = str(row["liquidationEventId"])
        return self._record_and_send(
            make_push(portfolio.portfolio_id, channel, row, key=key, identity=f"{key}:{row['orderId']}")
        )

    def liquidation_event(self, account: str, exchange: str = "BINANCE", **fields: object) -> VenuePush:
        """Push one step of a liquidation; its field table is not public, so the push has the certain fields only."""
        portfolio = self._portfolio_of(account)
        now = self._backend.clock.wall_ms()
        row: dict[str, object] = {
            "portfolioId": portfolio.portfolio_id,
            "exchangeType": exchange,
            "liquidationEventId": self._backend.gateway.ids.long_id(),
            "accountStatus": "LIQUIDATING",
            "createAt": now,
            "updateAt": now,
            **fields,
        }
        key = str(row["liquidationEventId"])
        return self._record_and_send(
            make_push(portfolio.portfolio_id, "LiquidationEvent", row, key=key, identity=f"{key}:{now}")
        )

    def foreign_action(self, account: str, action: str, args: Mapping[str, str], origin: str = "DMA") -> ActionOutcome:
        """Perform an action on the portfolio that is not the key's: of the web page, or with `origin` of the venue."""
        backend = self._backend
        outcome = backend.gateway.act(
            self._portfolio_of(account), action, dict(args), backend.clock.wall_ms(), origin=origin
        )
        backend.send_pushes(backend.record_pushes(outcome.events))
        return outcome

    def past_order(
        self,
        account: str,
        created_at_ms: int,
        *,
        fills_at_ms: Sequence[int] = (),
        sym: str = "BINANCE_PERP_BTC_USDT",
        side: Side = "BUY",
        fill_qty: Decimal = Decimal("0.01"),
        client_order_id: str = "",
    ) -> VenueOrder:
        """Add an order that has ended, with a trade at each time of `fills_at_ms`; nothing is pushed.

        The order is cancelled if it has no fill, else filled. Balances and positions do not change, and REST returns
        the order from now on, even a lagging read.
        """
        portfolio, ids = self._portfolio_of(account), self._backend.gateway.ids
        quotation = self._backend.gateway.market[sym]
        order_id = ids.order_id()
        order = VenueOrder(
            order_id=order_id,
            client_order_id=client_order_id or order_id,
            portfolio_id=portfolio.portfolio_id,
            instrument=quotation.instrument,
            side=side,
            order_type="LIMIT",
            time_in_force="GTC",
            qty=fill_qty * max(1, len(fills_at_ms)),
            limit_price=quotation.price,
            created_at_ms=created_at_ms,
            updated_at_ms=max([created_at_ms, *fills_at_ms]),
            state=OrderState.FILLED if fills_at_ms else OrderState.CANCELLED,
        )
        portfolio.add_order(order)
        portfolio.close_order(order)
        for at_ms in sorted(fills_at_ms):
            trade = self._make_past_trade(order, quotation.price, fill_qty, at_ms)
            insort(portfolio.trades, trade, key=lambda one: one.created_at_ms)
        return order

    def _make_past_trade(self, order: VenueOrder, price: Decimal, qty: Decimal, at_ms: int) -> VenueTrade:
        amount = order.instrument.notional(qty, price)
        fee = rounded(amount * self._backend.settings.taker_fee_rate)
        order.executed_qty += qty
        order.executed_amount += amount
        order.last_qty, order.last_price, order.last_amount = qty, price, amount
        order.fee += fee
        return VenueTrade(
            transaction_id=self._backend.gateway.ids.long_id(),
            order=order,
            qty=qty,
            price=price,
            fee=fee,
            rpnl=ZERO,
            created_at_ms=at_ms,
            exec_type="TAKER",
        )

    def push(self, account: str, channel: str, row: object, key: str = "") -> VenuePush:
        """Push any row on any channel."""
        portfolio_id = self._portfolio_of(account).portfolio_id
        return self._record_and_send(make_push(portfolio_id, channel, row, key=key, identity=""))

    def frame(self, account: str, frame: bytes) -> VenuePush:
        """Push bytes as they are, for example an invalid frame."""
        portfolio_id = self._portfolio_of(account).portfolio_id
        return self._record_and_send(
            VenuePush(portfolio_id=portfolio_id, channel="", key="", identity="", payload=frame, frame=frame)
        )

    def _portfolio_of(self, account: str) -> Portfolio:
        return self._backend.portfolio(self._backend.keys[account])

    def _record_and_send(self, event: VenuePush) -> VenuePush:
        self._backend.send_pushes(self._backend.record_pushes([event]))
        return event
