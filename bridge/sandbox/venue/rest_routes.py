"""The REST paths: reads, and the actions that the order gateway performs as for the WebSocket."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bridge.sandbox.venue.backend import VenueBackend
from bridge.sandbox.venue.codes import Refusal
from bridge.sandbox.venue.orders import VenueOrder, VenueTrade
from bridge.sandbox.venue.portfolio import Portfolio, Risk, Wallet
from bridge.sandbox.venue.pushes import asset_row
from bridge.sandbox.venue.rows import (
    PAGE_SIZE_MAX,
    Pager,
    Row,
    RowFilter,
    read_row_limit,
    rest_account,
    rest_execution,
    rest_history_order,
    rest_order,
    rest_position,
    rest_symbol,
)
from bridge.sandbox.venue.validation import read_exchange, read_order_id

BASE = "/api/v1/trading"
_DAY_MS = 24 * 3600 * 1000
HISTORY_MS = 7 * _DAY_MS
ARCHIVE_MS = 90 * _DAY_MS

Parameters = Mapping[str, str]
ReadFunction = Callable[[Portfolio, Parameters], Any]


class ReadRoute(NamedTuple):
    """A path that reads: its rate limit and its function.

    With `row`, `read` returns objects, newest first, and the answer is a page of their rows.
    """

    limit: str
    read: ReadFunction
    row: Callable[[Portfolio, Any], Row] | None = None


class ActionRoute(NamedTuple):
    """A path that performs a WebSocket action: the action, its rate limit and its HTTP status."""

    action: str
    limit: str
    status: int = 200


# LTP docs: Place Order, Replace Order, Cancel Order, Cancel All (which answers 202).
ACTION_ROUTES: dict[tuple[str, str], ActionRoute] = {
    ("POST", f"{BASE}/order"): ActionRoute("place_order", "place_order"),
    ("PUT", f"{BASE}/order"): ActionRoute("replace_order", "replace_order"),
    ("DELETE", f"{BASE}/order"): ActionRoute("cancel_order", "cancel_order"),
    ("DELETE", f"{BASE}/cancelAll"): ActionRoute("cancel_orders", "rest_cancel_all", 202),
}


class ReadRoutes:
    """The paths that read, over one backend."""

    def __init__(self, backend: VenueBackend) -> None:
        self._backend = backend
        self._dialect = backend.settings.dialect
        self._pager = Pager(backend.settings.seed)
        self.routes: dict[str, ReadRoute] = {
            f"{BASE}/account": ReadRoute("rest_account", self._read_account),
            f"{BASE}/portfolio/assets": ReadRoute("rest_assets", self._read_assets, self._asset_row),
            f"{BASE}/orders": ReadRoute("rest_open_orders", self._read_open_orders, self._order_row),
            f"{BASE}/order": ReadRoute("rest_order", self._read_order),
            f"{BASE}/history/orders": ReadRoute("rest_history_orders", self._read_history, self._history_row),
            f"{BASE}/archive/history/orders": ReadRoute(
                "rest_archive_orders", self._read_archived_orders, self._history_row
            ),
            f"{BASE}/executions": ReadRoute("rest_executions", self._read_executions),
            f"{BASE}/executions/pageable": ReadRoute("rest_executions", self._read_recent_trades, self._execution_row),
            # Whether the archive counts with the other executions is undocumented: the stricter reading is used.
            f"{BASE}/archive/executions/pageable": ReadRoute(
                "rest_executions", self._read_archived_trades, self._execution_row
            ),
            f"{BASE}/position": ReadRoute("rest_position", self._read_positions),
            f"{BASE}/sym/info": ReadRoute("rest_symbols", self._read_symbols),
        }

    def make_answer(
        self, route: ReadRoute, portfolio: Portfolio, parameters: Parameters, rows_max: int = PAGE_SIZE_MAX
    ) -> Any:  # noqa: ANN401 - JSON
        """Return the data of an answer; a page has at most `rows_max` rows."""
        found = route.read(portfolio, parameters)
        if route.row is None:
            return found
        page, answer = self._pager.cut_page(found, parameters, rows_max)
        answer["list"] = [route.row(portfolio, one) for one in page]
        return answer

    def _read_account(self, portfolio: Portfolio, _: Parameters) -> list[Row]:
        gateway = self._backend.gateway
        risks = [Risk(portfolio, exchange, gateway.market) for exchange in portfolio.exchanges]
        return [rest_account(portfolio, risk, gateway.account_status(risk), self._dialect) for risk in risks]

    def _read_assets(self, portfolio: Portfolio, parameters: Parameters) -> list[Wallet]:
        exchange = read_exchange(parameters.get("exchangeType", ""))
        return [w for w in portfolio.wallets.values() if exchange in {"", w.exchange}]

    def _asset_row(self, portfolio: Portfolio, wallet: Wallet) -> Row:
        return asset_row(portfolio, wallet, self._backend.gateway.market)

    def _read_open_orders(self, portfolio: Portfolio, parameters: Parameters) -> list[VenueOrder]:
        row_filter = RowFilter(parameters)
        found = [o for o in portfolio.open_orders.values() if row_filter.matches(o.instrument, o.created_at_ms)]
        return found[::-1]

    def _order_row(self, _: Portfolio, order: VenueOrder) -> Row:
        return rest_order(order, self._dialect)

    def _read_history(self, portfolio: Portfolio, parameters: Parameters) -> list[VenueOrder]:
        return self._find_ended_orders(portfolio, parameters, self._is_recent)

    def _read_archived_orders(self, portfolio: Portfolio, parameters: Parameters) -> list[VenueOrder]:
        return self._find_ended_orders(portfolio, parameters, self._is_archived)

    def _find_ended_orders(
        self, portfolio: Portfolio, parameters: Parameters, is_of_age: Callable[[int], bool]
    ) -> list[VenueOrder]:
        row_filter = RowFilter(parameters)
        only_executed = parameters.get("filterExecuted") == "true"

        def belongs(order: VenueOrder) -> bool:
            return (
                order.is_terminal
                and is_of_age(order.created_at_ms)
                and row_filter.matches(order.instrument, order.created_at_ms)
                and (order.executed_qty > 0 or not only_executed)
            )

        found = [order for order in portfolio.orders.values() if belongs(order)]
        return sorted(found, key=_age_key, reverse=True)

    def _history_row(self, _: Portfolio, order: VenueOrder) -> Row:
        return rest_history_order(order, self._dialect)

    def _read_order(self, portfolio: Portfolio, parameters: Parameters) -> Any:  # noqa: ANN401 - JSON
        if parameters.get("orderId"):
            order = portfolio.orders.get(read_order_id(parameters["orderId"]))
        elif parameters.get("clientOrderId"):
            order = portfolio.orders_by_client_order_id.get(parameters["clientOrderId"])
        else:
            raise Refusal(401008)
        if order is None:
            raise Refusal(401018)
        return rest_order(order, self._dialect)

    def _read_recent_trades(self, portfolio: Portfolio, parameters: Parameters) -> list[VenueTrade]:
        return self._find_trades(portfolio, parameters, self._is_recent)

    def _read_archived_trades(self, portfolio: Portfolio, parameters: Parameters) -> list[VenueTrade]:
        return self._find_trades(portfolio, parameters, self._is_archived)

    def _find_trades(
        self, portfolio: Portfolio, parameters: Parameters, is_of_age: Callable[[int], bool]
    ) -> list[VenueTrade]:
        row_filter = RowFilter(parameters)
        order_id = read_order_id(parameters["orderId"]) if parameters.get("orderId") else ""
        return [
            trade
            for trade in reversed(portfolio.trades)
            if order_id in {"", trade.order.order_id}
            and is_of_age(trade.created_at_ms)
            and row_filter.matches(trade.order.instrument, trade.created_at_ms)
        ]

    def _execution_row(self, _: Portfolio, trade: VenueTrade) -> Row:
        return rest_execution(trade, self._dialect)

    def _read_executions(self, portfolio: Portfolio, parameters: Parameters) -> list[Row]:
        limit = read_row_limit(parameters)
        return [
            rest_execution(trade, self._dialect) for trade in self._read_recent_trades(portfolio, parameters)[:limit]
        ]

    def _read_positions(self, portfolio: Portfolio, parameters: Parameters) -> Any:  # noqa: ANN401 - JSON
        row_filter = RowFilter({name: parameters.get(name, "") for name in ("sym", "exchange")})
        return [
            rest_position(portfolio, position, self._backend.gateway.market, self._dialect)
            for position in portfolio.positions.values()
            if position.qty and row_filter.matches(position.instrument, position.updated_at_ms)
        ]

    def _read_symbols(self, _: Portfolio, parameters: Parameters) -> Any:  # noqa: ANN401 - JSON
        quotations = self._backend.gateway.market.quotations
        sym = parameters.get("sym", "")
        if sym and sym not in quotations:
            raise Refusal(401011)
        return {name: rest_symbol(q.instrument) for name, q in quotations.items() if sym in {"", name}}

    def _is_recent(self, at_ms: int) -> bool:
        """Return whether a row is in the history, which reaches seven days back."""
        return at_ms >= self._backend.clock.wall_ms() - HISTORY_MS

    def _is_archived(self, at_ms: int) -> bool:
        """Return whether a row is in the archive: older than the history, and at most ninety days old."""
        return not self._is_recent(at_ms) and at_ms >= self._backend.clock.wall_ms() - ARCHIVE_MS


def _age_key(order: VenueOrder) -> tuple[int, str]:
    return order.created_at_ms, order.order_id
