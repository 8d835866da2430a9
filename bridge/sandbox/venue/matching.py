"""Matching of orders against a synthetic price, without I/O; the same calls give the same fills."""

import heapq
from collections.abc import Iterator
from decimal import Decimal

from bridge.sandbox.venue.decimals import ZERO, floor_to, rounded
from bridge.sandbox.venue.market import Market, Quotation, Side
from bridge.sandbox.venue.orders import ExecType, IdSequence, OrderAction, OrderState, VenueOrder, VenueTrade
from bridge.sandbox.venue.portfolio import Portfolio
from bridge.sandbox.venue.pushes import PushQueue

_QueuedOrder = tuple[Decimal, int, VenueOrder]


class OrderBook:
    """The resting orders of one symbol, best price first, then oldest; outdated entries are skipped."""

    def __init__(self) -> None:
        self._sides: dict[Side, list[_QueuedOrder]] = {"BUY": [], "SELL": []}
        self._queued_count = 0

    def add_order(self, order: VenueOrder) -> None:
        """Queue an order behind those of its price; an earlier entry of the same order no longer counts."""
        assert order.limit_price is not None  # noqa: S101 - only limit orders rest, which the type cannot say
        self._queued_count += 1
        order.queue_number = self._queued_count
        rank = -order.limit_price if order.side == "BUY" else order.limit_price
        heapq.heappush(self._sides[order.side], (rank, order.queue_number, order))

    def reached_orders(self, side: Side, quotation: Quotation) -> Iterator[VenueOrder]:
        """Yield each order that the price has reached; the caller fills or ends it before it takes the next."""
        queue = self._sides[side]
        while queue:
            _, queue_number, order = queue[0]
            if order.is_terminal or order.queue_number != queue_number:
                heapq.heappop(queue)
                continue
            if order.limit_price is None or not quotation.crosses(side, order.limit_price):
                return
            yield order


class Matching:
    """Fills orders and updates their portfolios."""

    def __init__(
        self,
        market: Market,
        ids: IdSequence,
        pushes: PushQueue,
        *,
        taker_fee_rate: Decimal,
        maker_fee_rate: Decimal,
    ) -> None:
        self._market = market
        self._ids = ids
        self._pushes = pushes
        self._fee_rates: dict[str, Decimal] = {"TAKER": taker_fee_rate, "MAKER": maker_fee_rate}
        self._books = {sym: OrderBook() for sym in market.quotations}
        self._portfolios: dict[str, Portfolio] = {}

    def add_portfolio(self, portfolio: Portfolio) -> None:
        """Add a portfolio, whose orders can then be entered."""
        self._portfolios[portfolio.portfolio_id] = portfolio

    def enter_order(self, order: VenueOrder, now_ms: int) -> None:
        """Enter a new order: it trades, then rests or ends."""
        portfolio = self._portfolios[order.portfolio_id]
        portfolio.add_order(order)
        self._pushes.add_order(order, now_ms)
        if order.order_type == "LIMIT" and order.time_in_force in {"GTC", "GTX"}:
            order.state = OrderState.OPEN
            self._pushes.add_order(order, now_ms)
            self._push_reserve(order, portfolio, now_ms)
            self._trade_or_rest(order, portfolio, now_ms)
            return
        if self._can_fill_whole(order):
            self._take_liquidity(order, portfolio, now_ms)
        if not order.is_terminal:
            self._end_order(order, portfolio, now_ms, reason=f"{order.time_in_force} remainder", cancel_type="SYSTEM")

    def _can_fill_whole(self, order: VenueOrder) -> bool:
        """Return whether an order may trade: a fill-or-kill order only if it can be filled whole."""
        if order.time_in_force != "FOK" or order.limit_price is None:
            return True
        quotation = self._market[order.instrument.sym]
        return quotation.available_qty(order.side, order.limit_price) >= order.remaining

    def reject_order(self, order: VenueOrder, reason: str, now_ms: int) -> None:
        """Reject an order that the venue had accepted, on behalf of the exchange."""
        portfolio = self._portfolios[order.portfolio_id]
        portfolio.add_order(order)
        self._pushes.add_order(order, now_ms)
        self._end_order(order, portfolio, now_ms, reason=reason, cancel_type="SYSTEM", state=OrderState.REJECT)

    def cancel_order(self, order: VenueOrder, now_ms: int) -> None:
        """Complete a cancel."""
        order.action = OrderAction.CANCEL_COMPLETE
        self._end_order(order, self._portfolios[order.portfolio_id], now_ms, reason="", cancel_type="")

    def cancel_by_system(self, order: VenueOrder, reason: str, now_ms: int) -> None:
        """Cancel an order on behalf of the system."""
        self._end_order(order, self._portfolios[order.portfolio_id], now_ms, reason=reason, cancel_type="SYSTEM")

    def amend_order(self, order: VenueOrder, qty: Decimal, limit_price: Decimal, now_ms: int) -> None:
        """Complete a replace: set total quantity and price, and queue the order again."""
        portfolio = self._portfolios[order.portfolio_id]
        order.qty, order.limit_price = qty, limit_price
        order.action = OrderAction.AMEND_COMPLETED
        if order.remaining == 0:
            order.state = OrderState.FILLED
            portfolio.close_order(order)
        self._pushes.add_order(order, now_ms)
        self._push_reserve(order, portfolio, now_ms)
        if not order.is_terminal:
            self._trade_or_rest(order, portfolio, now_ms)

    def replace_order(self, order: VenueOrder, order_id: str, qty: Decimal, limit_price: Decimal, now_ms: int) -> None:
        """Complete a replace: end the order and enter another under its clientOrderId, of the quantity that is left."""
        successor = order.make_successor(order_id, qty - order.executed_qty, limit_price, now_ms)
        order.action = OrderAction.AMEND_COMPLETED
        self._end_order(order, self._portfolios[order.portfolio_id], now_ms, reason="replaced", cancel_type="SYSTEM")
        self.enter_order(successor, now_ms)

    def fill_reached_orders(self, now_ms: int) -> None:
        """Fill the resting orders that prices have reached, up to the quantity of this step."""
        sides: tuple[Side, Side] = ("BUY", "SELL")
        for sym, book in self._books.items():
            quotation = self._market[sym]
            for side in sides:
                left = quotation.passing_qty
                for order in book.reached_orders(side, quotation):
                    if left <= 0:
                        break
                    left -= self._fill_resting(order, left, now_ms)

    def _fill_resting(self, order: VenueOrder, most: Decimal, now_ms: int) -> Decimal:
        portfolio = self._portfolios[order.portfolio_id]
        qty = min(order.remaining, most)
        if order.only_reduces:
            qty = min(qty, portfolio.closable_qty(order))
            if qty == 0:
                self._end_order(order, portfolio, now_ms, reason="nothing left to reduce", cancel_type="SYSTEM")
                return ZERO
        assert order.limit_price is not None  # noqa: S101 - only limit orders rest, which the type cannot say
        self._fill_order(order, order.limit_price, qty, "MAKER", now_ms)
        return qty

    def _trade_or_rest(self, order: VenueOrder, portfolio: Portfolio, now_ms: int) -> None:
        self._take_liquidity(order, portfolio, now_ms)
        if not order.is_terminal:
            self._books[order.instrument.sym].add_order(order)

    def _take_liquidity(self, order: VenueOrder, portfolio: Portfolio, now_ms: int) -> None:
        quotation = self._market[order.instrument.sym]
        for level, price, offered in list(quotation.levels(order.side, order.limit_price)):
            qty = min(offered, self._wanted_qty(order, price))
            if qty == 0:
                break
            if order.only_reduces:
                qty = min(qty, portfolio.closable_qty(order))
                if qty == 0:
                    self._end_order(order, portfolio, now_ms, reason="nothing left to reduce", cancel_type="SYSTEM")
                    return
            quotation.take_level(order.side, level, qty)
            self._fill_order(order, price, qty, "TAKER", now_ms)
            if order.is_terminal:
                return
        else:
            return
        # Only an order by quote amount comes here: the rest of its amount buys no further lot.
        if order.executed_qty:
            self._end_order(order, portfolio, now_ms, reason="", cancel_type="", state=OrderState.FILLED)

    @staticmethod
    def _wanted_qty(order: VenueOrder, price: Decimal) -> Decimal:
        if order.qty is not None:
            return order.remaining
        left = order.quote_qty - order.executed_amount
        return floor_to(left / (price * order.instrument.contract_size), order.instrument.lot_size)

    def _fill_order(self, order: VenueOrder, price: Decimal, qty: Decimal, exec_type: ExecType, now_ms: int) -> None:
        portfolio = self._portfolios[order.portfolio_id]
        amount = order.instrument.notional(qty, price)
        fee = rounded(amount * self._fee_rates[exec_type])
        order.executed_qty += qty
        order.executed_amount += amount
        order.last_qty, order.last_price, order.last_amount = qty, price, amount
        order.fee += max(fee, ZERO)
        order.rebate += max(-fee, ZERO)
        order.state = OrderState.FILLED if order.remaining == 0 and order.qty else OrderState.PARTIALLY_FILLED
        if order.is_terminal:
            portfolio.close_order(order)
        rpnl = self._book_fill(order, portfolio, fee, now_ms)
        trade = VenueTrade(
            transaction_id=self._ids.long_id(),
            order=order,
            qty=qty,
            price=price,
            fee=fee,
            rpnl=rpnl,
            created_at_ms=now_ms,
            exec_type=exec_type,
            order_rebate=order.rebate,
        )
        portfolio.trades.append(trade)
        self._pushes.add_order(order, now_ms)
        self._pushes.add_trade(trade)
        self._push_balances(order, portfolio, now_ms)

    def _book_fill(self, order: VenueOrder, portfolio: Portfolio, fee: Decimal, now_ms: int) -> Decimal:
        """Book the order's last fill in the portfolio and return the realised profit."""
        instrument, amount = order.instrument, order.last_amount
        signed = order.last_qty if order.side == "BUY" else -order.last_qty
        quote = portfolio.wallet(instrument.exchange, instrument.quote, now_ms)
        portfolio.update_reserve(order, now_ms)
        quote.mark_updated(now_ms)
        if not instrument.is_perp:
            base = portfolio.wallet(instrument.exchange, instrument.base, now_ms)
            base.balance += signed
            base.mark_updated(now_ms)
            quote.balance -= (amount if order.side == "BUY" else -amount) + fee
            return ZERO
        position = portfolio.position(order, self._ids, now_ms)
        rpnl = position.add_fill(signed, order.last_price)
        position.fee += fee
        position.mark_updated(now_ms)
        quote.balance += rpnl - fee
        return rpnl

    def _push_balances(self, order: VenueOrder, portfolio: Portfolio, now_ms: int) -> None:
        instrument = order.instrument
        self._pushes.add_asset(portfolio, portfolio.wallet(instrument.exchange, instrument.quote, now_ms))
        if instrument.is_perp:
            self._pushes.add_position(portfolio, portfolio.position(order, self._ids, now_ms))
        else:
            self._pushes.add_asset(portfolio, portfolio.wallet(instrument.exchange, instrument.base, now_ms))

    def _push_reserve(self, order: VenueOrder, portfolio: Portfolio, now_ms: int) -> None:
        if portfolio.update_reserve(order, now_ms):
            exchange, coin = order.instrument.exchange, portfolio.reserved_coin(order)
            self._pushes.add_asset(portfolio, portfolio.wallet(exchange, coin, now_ms))

    def _end_order(
        self,
        order: VenueOrder,
        portfolio: Portfolio,
        now_ms: int,
        *,
        reason: str,
        cancel_type: str,
        state: OrderState = OrderState.CANCELLED,
    ) -> None:
        order.state, order.reason, order.cancel_type = state, reason, cancel_type
        portfolio.close_order(order)
        self._pushes.add_order(order, now_ms)
        self._push_reserve(order, portfolio, now_ms)
