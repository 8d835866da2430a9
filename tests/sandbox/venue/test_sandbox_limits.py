"""Rate limits: sliding counts per key and action, at the documented figures."""

from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.venue.limits import RequestLimits
from bridge.sandbox.venue.settings import DOCUMENTED_LIMITS, AccountSettings, RequestLimit, VenueSettings
from bridge.sandbox.venue.venue import Venue

if TYPE_CHECKING:
    from tests.support.trader import Exchange, Trader


def test_count_slides() -> None:
    """A slot is free again exactly one window after it was taken; a refused request takes none."""
    limits = RequestLimits({"place_order": RequestLimit(2, 60.0)})
    verdicts = [limits.count_request("place_order", "k", now).is_within for now in (0, 30, 59.9, 60, 60.1, 89.9, 90)]
    assert verdicts == [True, True, False, True, False, False, True]


def test_count_has_its_requests_and_limit() -> None:
    """A count has the requests in the window, including this one, and the limit."""
    limits = RequestLimits({"place_order": RequestLimit(1, 60.0)})
    assert [(c.in_window, c.limit) for c in (limits.count_request("place_order", "k", 0.0) for _ in "ab")] == [
        (1, 1),
        (2, 1),
    ]


@pytest.mark.parametrize(
    ("action", "limit"),
    [
        ("login", RequestLimit(1, 1.0)),
        ("place_order", RequestLimit(1200, 60.0)),
        ("replace_order", RequestLimit(300, 60.0)),
        ("cancel_order", RequestLimit(1200, 60.0)),
        ("cancel_orders", RequestLimit(1200, 60.0)),
        ("rest_executions", RequestLimit(5, 10.0)),
        ("rest_assets", RequestLimit(20, 1.0)),
    ],
)
def test_documented_figures(action: str, limit: RequestLimit) -> None:
    """The default limits are the documented ones."""
    assert limit == DOCUMENTED_LIMITS[action]


async def test_place_beyond_the_limit_is_refused(exchange: "Exchange", venue: Venue, trader: "Trader") -> None:
    """The place after the last slot gets 100429 in the action's own shape, and a minute later it is taken."""
    venue.limits.set_limit("place_order", RequestLimit(3, 60.0))
    codes = [(await trader.place())["code"] for _ in range(4)]
    assert codes == [200000] * 3 + [100429]
    exchange.clock.advance(60)
    assert (await trader.place())["code"] == 200000
    assert venue.ledger.busiest_window("place_order", trader.key.portfolio_id) == 4


async def test_actions_have_limits_of_their_own(venue: Venue, trader: "Trader") -> None:
    """Used-up places do not affect cancels."""
    venue.limits.set_limit("place_order", RequestLimit(1, 60.0))
    await trader.place(clientOrderId="c1")
    assert (await trader.place())["code"] == 100429
    assert (await trader.ask("cancel_order", clientOrderId="c1"))["code"] == 200000


async def test_refused_orders_count(venue: Venue, trader: "Trader") -> None:
    """A place that is refused as invalid has taken a slot."""
    venue.limits.set_limit("place_order", RequestLimit(1, 60.0))
    assert (await trader.place(side="HOLD"))["code"] == 401002
    assert (await trader.place())["code"] == 100429


async def test_keys_have_limits_of_their_own(exchange: "Exchange") -> None:
    """One key's places take no slot of another's."""
    accounts = (AccountSettings(name="one"), AccountSettings(name="two"))
    venue = await exchange.open(
        VenueSettings(accounts=accounts, limits={**DOCUMENTED_LIMITS, "place_order": RequestLimit(1, 60)})
    )
    for name in ("one", "two"):
        assert (await (await exchange.trader(venue, name)).place())["code"] == 200000


async def test_rest_and_websocket_share_a_budget(venue: Venue, trader: "Trader") -> None:
    """A place over REST takes a slot of the same count; over the limit it is HTTP 429."""
    venue.limits.set_limit("place_order", RequestLimit(1, 60.0))
    await trader.place(clientOrderId="c1")
    reply = await trader.rest("POST", "/api/v1/trading/order", {"sym": "BINANCE_PERP_BTC_USDT"})
    assert (reply.status, reply.code) == (429, 100429)
