"""The matching core: orders against a synthetic price, pure and sync; the same calls give the same fills."""

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
    """The resting orders of one symbol, best price first and then oldest; ended or amended ones are passed over."""

    def __init__(self) -> None:
        self._sides: dict[Side, list[_QueuedOrder]] = {"BUY": [], "SELL": []}
        self._turns = 0

    def add_order(self, order: VenueOrder) -> None:
        """Queue an order behind its price; an earlier turn of the same order no longer counts."""
        assert order.limit_price is not None  # noqa: S101 - only limit orders rest, which the type cannot say
        self._turns += 1
        order.queue_number = self._turns
        rank = -order.limit_price if order.side == "BUY" else order.limit_price
        heapq.heappush(self._sides[order.side], (rank, order.queue_number, order))

    def reached_orders(self, side: Side, quotation: Quotation) -> Iterator[VenueOrder]:
        """Yield each order that the price has reached; the caller fills it or ends it before asking for the next."""
        queue = self._sides[side]
        while queue:
            _, turn, order = queue[0]
            if order.is_terminal or order.queue_number != turn:
                heapq.heappop(queue)
                continue
            if order.limit_price is None or not quotation.crosses(side, order.limit_price):
                return
            yield order


class Matching:
    """Takes orders in, fills them, and keeps portfolios true."""

    def __init__(
        self,
        market: Market,
        numbers: IdSequence,
        pushes: PushQueue,
        *,
        taker_fee_rate: Decimal,
        maker_fee_rate: Decimal,
    ) -> None:
        self._market = market
        self._numbers = numbers
        self._pushes = pushes
        self._fee_rates: dict[str, Decimal] = {"TAKER": taker_fee_rate, "MAKER": maker_fee_rate}
        self._books = {sym: OrderBook() for sym in market.quotations}
        self._portfolios: dict[str, Portfolio] = {}

    def add_portfolio(self, portfolio: Portfolio) -> None:
        """Make a portfolio known, so that its resting orders can fill."""
        self._portfolios[portfolio.portfolio_id] = portfolio

    def enter_order(self, order: VenueOrder, now_ms: int) -> None:
        """Take a new order through to where it rests or ends."""
        portfolio = self._portfolios[order.portfolio_id]
        portfolio.add_order(order)
        self._pushes.add_order(order, now_ms)
        if order.order_type == "LIMIT" and order.time_in_force in {"GTC", "GTX"}:
            order.state = OrderState.OPEN
            self._pushes.add_order(order, now_ms)
            self._hold_back(order, portfolio, now_ms)
            self._trade_or_rest(order, portfolio, now_ms)
            return
        if self._fits(order):
            self._cross(order, portfolio, now_ms)
        if not order.is_terminal:
            self._end(order, portfolio, now_ms, reason=f"{order.time_in_force} remainder", by="SYSTEM")

    def _fits(self, order: VenueOrder) -> bool:
        """Tell whether a fill-or-kill order can be filled whole; any other order may be tried."""
        if order.time_in_force != "FOK" or order.limit_price is None:
            return True
        quotation = self._market[order.instrument.sym]
        return quotation.available_qty(order.side, order.limit_price) >= order.remaining

    def reject_order(self, order: VenueOrder, reason: str, now_ms: int) -> None:
        """Let the exchange refuse an order that the venue had accepted."""
        portfolio = self._portfolios[order.portfolio_id]
        portfolio.add_order(order)
        self._pushes.add_order(order, now_ms)
        self._end(order, portfolio, now_ms, reason=reason, by="SYSTEM", state=OrderState.REJECT)

    def cancel_order(self, order: VenueOrder, now_ms: int) -> None:
        """Complete a cancel."""
        order.action = OrderAction.CANCEL_COMPLETE
        self._end(order, self._portfolios[order.portfolio_id], now_ms, reason="", by="")

    def cancel_by_system(self, order: VenueOrder, reason: str, now_ms: int) -> None:
        """End an order on the system's own account."""
        self._end(order, self._portfolios[order.portfolio_id], now_ms, reason=reason, by="SYSTEM")

    def amend_order(self, order: VenueOrder, qty: Decimal, limit_price: Decimal, now_ms: int) -> None:
        """Complete a replace: new total quantity and price, and a new place in the queue."""
        portfolio = self._portfolios[order.portfolio_id]
        order.qty, order.limit_price = qty, limit_price
        order.action = OrderAction.AMEND_COMPLETED
        if order.remaining == 0:
            order.state = OrderState.FILLED
            portfolio.close_order(order)
        self._pushes.add_order(order, now_ms)
        self._hold_back(order, portfolio, now_ms)
        if not order.is_terminal:
            self._trade_or_rest(order, portfolio, now_ms)

    def replace_order(self, order: VenueOrder, order_id: str, qty: Decimal, limit_price: Decimal, now_ms: int) -> None:
        """Complete a replace by ending the order and opening another, of what is left, under its clientOrderId."""
        successor = order.make_successor(order_id, qty - order.executed_qty, limit_price, now_ms)
        order.action = OrderAction.AMEND_COMPLETED
        self._end(order, self._portfolios[order.portfolio_id], now_ms, reason="replaced", by="SYSTEM")
        self.enter_order(successor, now_ms)

    def fill_reached_orders(self, now_ms: int) -> None:
        """Fill the resting orders that prices have reached, as far as this step's quantity goes."""
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
                self._end(order, portfolio, now_ms, reason="nothing left to reduce", by="SYSTEM")
                return ZERO
        assert order.limit_price is not None  # noqa: S101 - only limit orders rest, which the type cannot say
        self._fill(order, order.limit_price, qty, "MAKER", now_ms)
        return qty

    def _trade_or_rest(self, order: VenueOrder, portfolio: Portfolio, now_ms: int) -> None:
        self._cross(order, portfolio, now_ms)
        if not order.is_terminal:
            self._books[order.instrument.sym].add_order(order)

    def _cross(self, order: VenueOrder, portfolio: Portfolio, now_ms: int) -> None:
        quotation = self._market[order.instrument.sym]
        for level, price, offered in list(quotation.levels(order.side, order.limit_price)):
            qty = min(offered, self._wanted(order, price))
            if qty == 0:
                break
            if order.only_reduces:
                qty = min(qty, portfolio.closable_qty(order))
                if qty == 0:
                    self._end(order, portfolio, now_ms, reason="nothing left to reduce", by="SYSTEM")
                    return
            quotation.take_level(order.side, level, qty)
            self._fill(order, price, qty, "TAKER", now_ms)
            if order.is_terminal:
                return
        else:
            return
        # Only an order by quote amount comes here: what is left of it buys no further lot.
        if order.executed_qty:
            self._end(order, portfolio, now_ms, reason="", by="", state=OrderState.FILLED)

    @staticmethod
    def _wanted(order: VenueOrder, price: Decimal) -> Decimal:
        if order.qty is not None:
            return order.remaining
        left = order.quote_qty - order.executed_amount
        return floor_to(left / (price * order.instrument.contract_size), order.instrument.lot_size)

    def _fill(self, order: VenueOrder, price: Decimal, qty: Decimal, exec_type: ExecType, now_ms: int) -> None:
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
        rpnl = self._settle(order, portfolio, fee, now_ms)
        trade = VenueTrade(
            transaction_id=self._numbers.long_id(),
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
        self._tell_settled(order, portfolio, now_ms)

    def _settle(self, order: VenueOrder, portfolio: Portfolio, fee: Decimal, now_ms: int) -> Decimal:
        """Book the order's last fill and return the profit it realises."""
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
        position = portfolio.position(order, self._numbers, now_ms)
        rpnl = position.add_fill(signed, order.last_price)
        position.fee += fee
        position.mark_updated(now_ms)
        quote.balance += rpnl - fee
        return rpnl

    def _tell_settled(self, order: VenueOrder, portfolio: Portfolio, now_ms: int) -> None:
        instrument = order.instrument
        self._pushes.add_asset(portfolio, portfolio.wallet(instrument.exchange, instrument.quote, now_ms))
        if instrument.is_perp:
            self._pushes.add_position(portfolio, portfolio.position(order, self._numbers, now_ms))
        else:
            self._pushes.add_asset(portfolio, portfolio.wallet(instrument.exchange, instrument.base, now_ms))

    def _hold_back(self, order: VenueOrder, portfolio: Portfolio, now_ms: int) -> None:
        if portfolio.update_reserve(order, now_ms):
            exchange, coin = order.instrument.exchange, portfolio.reserved_coin(order)
            self._pushes.add_asset(portfolio, portfolio.wallet(exchange, coin, now_ms))

    def _end(
        self,
        order: VenueOrder,
        portfolio: Portfolio,
        now_ms: int,
        *,
        reason: str,
        by: str,
        state: OrderState = OrderState.CANCELLED,
    ) -> None:
        order.state, order.reason, order.cancel_type = state, reason, by
        portfolio.close_order(order)
        self._pushes.add_order(order, now_ms)
        self._hold_back(order, portfolio, now_ms)
