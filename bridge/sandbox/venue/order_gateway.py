"""The order gateway: accepts or refuses the four order actions, and hands accepted ones to the matching."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial

from bridge.sandbox.venue.batch_cancel import orders_in_scope
from bridge.sandbox.venue.codes import Refusal
from bridge.sandbox.venue.decimals import ZERO
from bridge.sandbox.venue.ledger import VenuePush
from bridge.sandbox.venue.market import Market
from bridge.sandbox.venue.matching import Matching
from bridge.sandbox.venue.orders import REPLACEABLE, IdSequence, OrderAction, VenueOrder
from bridge.sandbox.venue.outcomes import ActionOutcome, ExchangeFailure
from bridge.sandbox.venue.portfolio import Portfolio, Risk
from bridge.sandbox.venue.pushes import PushQueue
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.validation import (
    PlaceRequest,
    ReplaceRequest,
    read_order_id,
    read_place_request,
    read_replace_request,
    read_strings,
)

_ActionMethod = Callable[[Portfolio, Mapping[str, str], int, ExchangeFailure | None], dict[str, object] | None]


class OrderGateway:
    """The four order actions over all portfolios and one market."""

    def __init__(self, settings: VenueSettings, start_ms: int) -> None:
        self._settings = settings
        self.market = Market(settings.instruments, settings.seed, settings.passing_lots_max)
        self.pushes = PushQueue(self.market, settings.dialect)
        self.ids = IdSequence(start_ms)
        self.matching = Matching(
            self.market,
            self.ids,
            self.pushes,
            taker_fee_rate=settings.taker_fee_rate,
            maker_fee_rate=settings.maker_fee_rate,
        )
        self.portfolios: dict[str, Portfolio] = {}
        self._steps = 0
        # Calls that take effect some steps after their ack: (step, call).
        self._delayed: list[tuple[int, Callable[[int], None]]] = []

    def add_portfolio(self, portfolio: Portfolio) -> None:
        """Add a portfolio."""
        self.portfolios[portfolio.portfolio_id] = portfolio
        self.matching.add_portfolio(portfolio)

    def act(
        self,
        portfolio: Portfolio,
        action: str,
        args: object,
        now_ms: int,
        *,
        failure: ExchangeFailure | None = None,
        origin: str = "DMA",
        over_rest: bool = False,
    ) -> ActionOutcome:
        """Perform an action, by its WebSocket name; `origin` becomes the orderType of a placed order."""
        actions: dict[str, _ActionMethod] = {
            "place_order": partial(self._place_order, origin=origin),
            "replace_order": self._replace_order,
            "cancel_order": self._cancel_order,
            "cancel_orders": partial(self._cancel_orders, over_rest=over_rest),
        }
        try:
            answer = actions[action](portfolio, read_strings({} if args is None else args), now_ms, failure)
        except Refusal as refusal:
            return ActionOutcome(code=refusal.code, message=refusal.text)
        return ActionOutcome(data=answer, events=self.pushes.drain())

    def step(self, now_ms: int) -> list[VenuePush]:
        """Move prices once, let them take effect, and return the pushes."""
        self._steps += 1
        self.market.step()
        return self.settle_prices(now_ms)

    def settle_prices(self, now_ms: int) -> list[VenuePush]:
        """Fill reached orders, finish delayed cancels and replaces, check risk, and return the pushes."""
        self.matching.fill_reached_orders(now_ms)
        due = [do for step, do in self._delayed if step <= self._steps]
        self._delayed = [(step, do) for step, do in self._delayed if step > self._steps]
        for do in due:
            do(now_ms)
        for portfolio in self.portfolios.values():
            for exchange in portfolio.exchanges:
                self._check_risk(portfolio, exchange, now_ms)
        return self.pushes.drain()

    def account_status(self, risk: Risk) -> str:
        """Return the account status for a risk ratio."""
        if risk.ratio >= self._settings.liquidation_ratio:
            return "LIQUIDATING"
        return "MARGIN_CALL" if risk.ratio >= self._settings.margin_call_ratio else "NORMAL"

    def _check_risk(self, portfolio: Portfolio, exchange: str, now_ms: int) -> None:
        if not portfolio.positions:
            return
        risk = Risk(portfolio, exchange, self.market)
        status = self.account_status(risk)
        if status != portfolio.account_statuses.get(exchange, "NORMAL") and status != "NORMAL":
            self.pushes.add_margin_call(portfolio, risk, status, now_ms)
        portfolio.account_statuses[exchange] = status

    def _run_after_steps(self, steps: int, now_ms: int, do: Callable[[int], None]) -> None:
        if steps:
            self._delayed.append((self._steps + steps, do))
        else:
            do(now_ms)

    def _place_order(
        self,
        portfolio: Portfolio,
        args: Mapping[str, str],
        now_ms: int,
        failure: ExchangeFailure | None,
        *,
        origin: str,
    ) -> dict[str, object]:
        request = read_place_request(
            args,
            self.market,
            self._settings.dialect,
            position_mode=portfolio.position_mode,
            price_band_share=self._settings.price_band_share,
        )
        self._check_unique(portfolio, request.client_order_id)
        self._check_account(portfolio, request)
        order_id = self.ids.order_id()
        order = VenueOrder(
            order_id=order_id,
            client_order_id=request.client_order_id or order_id,
            portfolio_id=portfolio.portfolio_id,
            instrument=request.instrument,
            side=request.side,
            order_type=request.order_type,
            time_in_force=request.time_in_force,
            qty=request.qty,
            limit_price=request.limit_price,
            quote_qty=request.quote_qty,
            reduce_only=request.reduce_only,
            position_side=request.position_side,
            leverage=portfolio.leverage if request.instrument.is_perp else 1,
            origin=origin,
            tpsl=request.tpsl,
            created_at_ms=now_ms,
        )
        self._check_market(portfolio, order)
        if failure is ExchangeFailure.REJECT_ORDER:
            self.matching.reject_order(order, "refused by the exchange", now_ms)
        else:
            self.matching.enter_order(order, now_ms)
        return {"orderId": order.order_id, "clientOrderId": order.client_order_id}

    def _check_unique(self, portfolio: Portfolio, client_order_id: str) -> None:
        earlier = portfolio.orders_by_client_order_id.get(client_order_id)
        forever = self._settings.dialect.client_order_id_unique == "forever"
        if earlier is not None and (forever or not earlier.is_terminal):
            raise Refusal(self._settings.dialect.duplicate_code)

    def _check_account(self, portfolio: Portfolio, request: PlaceRequest) -> None:
        if portfolio.account_statuses.get(request.instrument.exchange) == "LIQUIDATING" and not request.reduce_only:
            raise Refusal(401118)
        if portfolio.open_count.get(request.instrument.sym, 0) >= request.instrument.open_orders_max:
            raise Refusal(401044)

    def _check_market(self, portfolio: Portfolio, order: VenueOrder) -> None:
        quotation = self.market[order.instrument.sym]
        if order.only_reduces:
            if order.instrument.is_perp is False:
                raise Refusal(401049)
            if portfolio.closable_qty(order) == 0:
                position = portfolio.positions.get((order.instrument.sym, order.position_side))
                if order.position_side != "NONE":
                    raise Refusal(401093)
                raise Refusal(401047 if position is not None and position.qty else 401048)
        if order.limit_price is not None:
            if order.time_in_force == "GTX" and quotation.crosses(order.side, order.limit_price):
                raise Refusal(401052)
            needed = portfolio.required_amount(order, order.remaining, order.limit_price)
        else:
            needed = self._market_cost(order)
        if needed > portfolio.available(order.instrument.exchange, portfolio.reserved_coin(order)):
            raise Refusal(401055)

    def _market_cost(self, order: VenueOrder) -> Decimal:
        if order.only_reduces:
            return ZERO
        if order.side == "SELL" and not order.instrument.is_perp:
            return order.remaining
        amount = order.quote_qty or self.market[order.instrument.sym].market_cost(order.side, order.remaining)
        return amount / order.leverage + amount * self._settings.taker_fee_rate

    def _find_live_order(self, portfolio: Portfolio, args: Mapping[str, str], *, by_client_id: bool) -> VenueOrder:
        if args.get("orderId"):
            order = portfolio.orders.get(read_order_id(args["orderId"]))
        elif args.get("clientOrderId"):
            if not by_client_id:
                raise Refusal(401082)
            order = portfolio.orders_by_client_order_id.get(args["clientOrderId"])
        else:
            raise Refusal(401008)
        if order is None:
            raise Refusal(401018)
        if order.is_terminal:
            raise Refusal(401117)
        if order.action is OrderAction.CANCEL_PENDING:
            raise Refusal(401116)
        return order

    def _replace_order(
        self, portfolio: Portfolio, args: Mapping[str, str], now_ms: int, failure: ExchangeFailure | None
    ) -> dict[str, object]:
        order = self._find_live_order(portfolio, args, by_client_id=self._settings.dialect.replace_by_client_order_id)
        if order.state not in REPLACEABLE or order.action is OrderAction.AMEND_PENDING:
            raise Refusal(401072)
        quotation = self.market[order.instrument.sym]
        request = read_replace_request(args, order, quotation, self._settings.price_band_share)
        more = portfolio.required_amount(order, request.qty - order.executed_qty, request.limit_price) - order.reserved
        if more > portfolio.available(order.instrument.exchange, portfolio.reserved_coin(order)):
            raise Refusal(401078 if order.instrument.is_perp else 401076)
        order.action, order.action_message = OrderAction.AMEND_PENDING, ""
        self.pushes.add_order(order, now_ms)
        self._run_after_steps(
            self._settings.amend_steps, now_ms, partial(self._finish_replace, order, request, failure)
        )
        return {"orderId": order.order_id, "orderState": "OPEN"}

    def _finish_replace(
        self, order: VenueOrder, request: ReplaceRequest, failure: ExchangeFailure | None, now_ms: int
    ) -> None:
        if order.is_terminal or order.action is not OrderAction.AMEND_PENDING:
            return
        if failure is ExchangeFailure.KILL_ON_AMEND:
            order.action, order.action_message = OrderAction.AMEND_FAILED, "refused by the exchange, order is gone"
            self.matching.cancel_by_system(order, "amend failed", now_ms)
        elif failure is ExchangeFailure.FAIL_AMEND or request.qty < order.executed_qty:
            order.action, order.action_message = OrderAction.AMEND_FAILED, "refused by the exchange"
            self.pushes.add_order(order, now_ms)
        elif failure is ExchangeFailure.REPLACE_BY_NEW_ORDER and request.qty > order.executed_qty:
            self.matching.replace_order(order, self.ids.order_id(), request.qty, request.limit_price, now_ms)
        else:
            self.matching.amend_order(order, request.qty, request.limit_price, now_ms)

    def _cancel_order(
        self, portfolio: Portfolio, args: Mapping[str, str], now_ms: int, failure: ExchangeFailure | None
    ) -> dict[str, object]:
        order = self._find_live_order(portfolio, args, by_client_id=True)
        self._begin_cancel(order, now_ms)
        answer: dict[str, object] = {
            "orderId": order.order_id,
            "clientOrderId": order.client_order_id,
            "orderState": str(order.state),
            "action": str(order.action),
            "actionMsg": "",
        }
        self._run_after_steps(self._settings.cancel_steps, now_ms, partial(self._finish_cancel, order, failure))
        return answer

    def _begin_cancel(self, order: VenueOrder, now_ms: int) -> None:
        order.action, order.action_message = OrderAction.CANCEL_PENDING, ""
        self.pushes.add_order(order, now_ms)

    def _finish_cancel(self, order: VenueOrder, failure: ExchangeFailure | None, now_ms: int) -> None:
        if order.is_terminal:
            return
        if failure is ExchangeFailure.FAIL_CANCEL:
            order.action, order.action_message = OrderAction.CANCEL_FAILED, "refused by the exchange"
            self.pushes.add_order(order, now_ms)
        else:
            self.matching.cancel_order(order, now_ms)

    def _cancel_orders(
        self,
        portfolio: Portfolio,
        args: Mapping[str, str],
        now_ms: int,
        failure: ExchangeFailure | None,
        *,
        over_rest: bool,
    ) -> None:
        dialect = self._settings.dialect
        for order in orders_in_scope(self.portfolios, portfolio, args, dialect, over_rest=over_rest):
            self._begin_cancel(order, now_ms)
            self._run_after_steps(self._settings.cancel_steps, now_ms, partial(self._finish_cancel, order, failure))
