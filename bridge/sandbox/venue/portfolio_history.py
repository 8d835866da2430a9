"""The earlier state of a portfolio, for REST reads that lag: later changes are undone on a copy."""

import copy
from bisect import bisect_right
from typing import Any, Final, NamedTuple

from bridge.sandbox.venue.ledger import VenuePush
from bridge.sandbox.venue.portfolio import Portfolio

# The attribute of the portfolio that a channel's push describes; the parts of the push's key are the key in it.
_BOOKS: Final = {"Orders": "orders", "Assets": "wallets", "Positions": "positions"}

BookKey = tuple[str, Any]


class _Change(NamedTuple):
    at_ms: int
    book_key: BookKey
    # The value before the change; None if there was none.
    before: Any


class LaggedView(NamedTuple):
    """A portfolio as it was, and the number of later changes that it does not show."""

    portfolio: Portfolio
    hidden_changes: int


class PortfolioHistory:
    """The changes of one portfolio: every push is the full state of its key, and means that the key has changed.

    Prices are not kept: positions and accounts are valued at the prices of now.
    """

    def __init__(self, portfolio: Portfolio) -> None:
        self._portfolio = portfolio
        self._changes: list[_Change] = []
        self._last: dict[BookKey, Any] = {("wallets", key): copy.copy(it) for key, it in portfolio.wallets.items()}

    def record_change(self, push: VenuePush, at_ms: int) -> None:
        """Record the change that a push describes."""
        book = _BOOKS.get(push.channel)
        if book is None:
            return
        key = push.key if book == "orders" else tuple(push.key.split(":"))
        live = getattr(self._portfolio, book).get(key)
        if live is None:
            # An injected push, which REST does not return.
            return
        book_key = (book, key)
        self._changes.append(_Change(at_ms, book_key, self._last.get(book_key)))
        self._last[book_key] = copy.copy(live)

    def portfolio_at(self, at_ms: int) -> LaggedView:
        """Return the portfolio as it was at a time; the cost grows with the later changes and the portfolio's size."""
        undone: dict[BookKey, Any] = {}
        hidden = 0
        for change in reversed(self._changes):
            if change.at_ms <= at_ms:
                break
            undone[change.book_key] = change.before
            hidden += 1
        then = copy.copy(self._portfolio)
        then.orders, then.wallets, then.positions = dict(then.orders), dict(then.wallets), dict(then.positions)
        for (book, key), before in undone.items():
            if before is None:
                del getattr(then, book)[key]
            else:
                getattr(then, book)[key] = before
        then.orders_by_client_order_id = {order.client_order_id: order for order in then.orders.values()}
        then.open_orders = {order.order_id: order for order in then.orders.values() if not order.is_terminal}
        then.trades = then.trades[: bisect_right(then.trades, at_ms, key=lambda trade: trade.created_at_ms)]
        return LaggedView(then, hidden)
