"""What the matching core does not make: margin calls, liquidations, other people's orders, a past, garbage."""

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
    """Makes the venue push what a test wants; everything is in the ledger like any other push."""

    def __init__(self, floor: VenueBackend) -> None:
        self._floor = floor

    def margin_call(
        self, account: str, exchange: str = "BINANCE", status: str = "MARGIN_CALL", **fields: object
    ) -> VenuePush:
        """Push a margin call with the account's figures, some of them replaced by `fields`."""
        portfolio = self._portfolio(account)
        now = self._floor.clock.wall_ms()
        risk = Risk(portfolio, exchange, self._floor.gateway.market)
        row = {**risk_row(portfolio, risk, status, self._floor.settings.dialect), "updateAt": str(now), **fields}
        return self._tell(
            make_push(portfolio.portfolio_id, "MarginCall", row, key=exchange, identity=f"{exchange}:{now}")
        )

    def liquidation_position(
        self, account: str, sym: str, channel: str = "LiquidationPosition", **fields: object
    ) -> VenuePush:
        """Push an archived liquidation order; its times are JSON integers (LTP docs, WebSocket Liquidation)."""
        portfolio = self._portfolio(account)
        now = self._floor.clock.wall_ms()
        numbers = self._floor.gateway.ids
        row: dict[str, object] = {
            "portfolioId": portfolio.portfolio_id,
            "exchangeType": sym.split("_", maxsplit=1)[0],
            "orderId": numbers.order_id(),
            "liquidationEventId": numbers.long_id(),
            "positionId": numbers.long_id(),
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
        return self._tell(make_push(portfolio.portfolio_id, channel, row, key=key, identity=f"{key}:{row['orderId']}"))

    def liquidation_event(self, account: str, exchange: str = "BINANCE", **fields: object) -> VenuePush:
        """Push one step of a liquidation; its field table is not public, so only what must be there is."""
        portfolio = self._portfolio(account)
        now = self._floor.clock.wall_ms()
        row: dict[str, object] = {
            "portfolioId": portfolio.portfolio_id,
            "exchangeType": exchange,
            "liquidationEventId": self._floor.gateway.ids.long_id(),
            "accountStatus": "LIQUIDATING",
            "createAt": now,
            "updateAt": now,
            **fields,
        }
        key = str(row["liquidationEventId"])
        return self._tell(make_push(portfolio.portfolio_id, "LiquidationEvent", row, key=key, identity=f"{key}:{now}"))

    def foreign_action(self, account: str, action: str, args: Mapping[str, str], origin: str = "DMA") -> ActionOutcome:
        """Act on the portfolio as somebody else: the web page, another system, or with `origin` the venue itself."""
        floor = self._floor
        outcome = floor.gateway.act(self._portfolio(account), action, dict(args), floor.clock.wall_ms(), origin=origin)
        floor.send_pushes(floor.record_pushes(outcome.events))
        return outcome

    def past_order(
        self,
        account: str,
        created_ms: int,
        *,
        fills_ms: Sequence[int] = (),
        sym: str = "BINANCE_PERP_BTC_USDT",
        side: Side = "BUY",
        fill_qty: Decimal = Decimal("0.01"),
        client_order_id: str = "",
    ) -> VenueOrder:
        """Put an order that is over into the books, with a trade at each time of `fills_ms`; nothing is pushed.

        It was cancelled if it had no fill, else filled. Balances and positions are those after it already, and REST
        knows it from now on, however much it lags.
        """
        portfolio, numbers = self._portfolio(account), self._floor.gateway.ids
        quotation = self._floor.gateway.market[sym]
        order_id = numbers.order_id()
        order = VenueOrder(
            order_id=order_id,
            client_order_id=client_order_id or order_id,
            portfolio_id=portfolio.portfolio_id,
            instrument=quotation.instrument,
            side=side,
            order_type="LIMIT",
            time_in_force="GTC",
            qty=fill_qty * max(1, len(fills_ms)),
            limit_price=quotation.price,
            created_at_ms=created_ms,
            updated_at_ms=max([created_ms, *fills_ms]),
            state=OrderState.FILLED if fills_ms else OrderState.CANCELLED,
        )
        portfolio.add_order(order)
        portfolio.close_order(order)
        for at_ms in sorted(fills_ms):
            trade = self._past_trade(order, quotation.price, fill_qty, at_ms)
            insort(portfolio.trades, trade, key=lambda one: one.created_at_ms)
        return order

    def _past_trade(self, order: VenueOrder, price: Decimal, qty: Decimal, at_ms: int) -> VenueTrade:
        amount = order.instrument.notional(qty, price)
        fee = rounded(amount * self._floor.settings.taker_fee_rate)
        order.executed_qty += qty
        order.executed_amount += amount
        order.last_qty, order.last_price, order.last_amount = qty, price, amount
        order.fee += fee
        return VenueTrade(
            transaction_id=self._floor.gateway.ids.long_id(),
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
        portfolio_id = self._portfolio(account).portfolio_id
        return self._tell(make_push(portfolio_id, channel, row, key=key, identity=""))

    def frame(self, account: str, frame: bytes) -> VenuePush:
        """Push bytes as they are: a frame that does not parse, or that has an envelope of its own."""
        portfolio_id = self._portfolio(account).portfolio_id
        return self._tell(
            VenuePush(portfolio_id=portfolio_id, channel="", key="", identity="", payload=frame, frame=frame)
        )

    def _portfolio(self, account: str) -> Portfolio:
        return self._floor.portfolio(self._floor.keys[account])

    def _tell(self, event: VenuePush) -> VenuePush:
        self._floor.send_pushes(self._floor.record_pushes([event]))
        return event
