"""The orders that a cancel_orders, or a cancel-all over REST, cancels (LTP docs, Cancel Orders and Cancel All)."""

from collections.abc import Mapping

from bridge.sandbox.venue.codes import Refusal
from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.orders import OrderAction, VenueOrder
from bridge.sandbox.venue.portfolio import Portfolio
from bridge.sandbox.venue.validation import read_exchange


def orders_in_scope(
    portfolios: Mapping[str, Portfolio], own: Portfolio, args: Mapping[str, str], dialect: Dialect, *, over_rest: bool
) -> list[VenueOrder]:
    """Return the open orders to cancel, oldest first in each portfolio. Raises Refusal for an invalid filter."""
    exchange = read_exchange(args.get("exchangeType", ""))
    # Over REST the symbol is documented; on the socket the contest's page alone has it.
    sym = args.get("sym", "") if over_rest or dialect.batch_cancel_honours_sym else ""
    return [
        order
        for portfolio in _portfolios_in_scope(portfolios, own, args, dialect, over_rest=over_rest)
        for order in portfolio.open_orders.values()
        if exchange in {"", order.instrument.exchange}
        and sym in {"", order.instrument.sym}
        and order.action is not OrderAction.CANCEL_PENDING
    ]


def _portfolios_in_scope(
    portfolios: Mapping[str, Portfolio], own: Portfolio, args: Mapping[str, str], dialect: Dialect, *, over_rest: bool
) -> list[Portfolio]:
    named = args.get("portfolioId", "") if over_rest else ""
    if named:
        if named not in portfolios:
            raise Refusal(401010)
        return [portfolios[named]]
    whole_user = dialect.cancel_all_scope == "user" or (over_rest and dialect.cancel_all_scope == "rest")
    return list(portfolios.values()) if whole_user else [own]
