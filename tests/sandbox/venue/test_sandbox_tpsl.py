"""Take-profit and stop-loss of an order: each error has its own code, and accepted fields are pushed."""

import json
from collections.abc import Mapping

import pytest

from bridge.sandbox.venue.clock import ManualClock
from bridge.sandbox.venue.dialects import DIALECTS, Dialect
from bridge.sandbox.venue.outcomes import ActionOutcome
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.venue import Venue

NOW_MS = 1_763_977_805_203
PERP = {"sym": "BINANCE_PERP_BTC_USDT", "orderType": "LIMIT", "orderQty": "0.01"}
BUY = {**PERP, "side": "BUY", "limitPrice": "60000"}
SELL = {**PERP, "side": "SELL", "limitPrice": "70000"}
BOTH = {
    "tpTriggerPrice": "70000",
    "tpTriggerType": "MARK_PRICE",
    "tpPrice": "70100.5",
    "slTriggerPrice": "60000",
    "slTriggerType": "LAST_PRICE",
    "slPrice": "0",
}


def place(args: Mapping[str, str], dialect: Dialect = DIALECTS["documented"], *, hedged: bool = False) -> ActionOutcome:
    """Place an order at a new venue, whose price is 65,000."""
    account = AccountSettings(position_mode="BOTH" if hedged else "NET")
    venue = Venue(VenueSettings(dialect=dialect, accounts=(account,)), ManualClock(NOW_MS))
    return venue.gateway.act(venue.portfolio(), "place_order", dict(args), NOW_MS)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"tpTriggerType": "MARK_PRICE"}, 401214),
        ({"slPrice": "0"}, 401214),
        ({"tpTriggerPrice": "high"}, 401215),
        ({"tpTriggerPrice": "0"}, 401215),
        ({"slTriggerPrice": "60000", "tpPrice": "0"}, 401215),
        ({"tpTriggerPrice": "70000", "tpTriggerType": "INDEX"}, 401216),
        ({"tpTriggerPrice": "70000", "tpTriggerType": "MARKET_PRICE"}, 401216),
        ({"tpTriggerPrice": "70000", "tpPrice": "-1"}, 401217),
        ({"slTriggerPrice": "low"}, 401218),
        ({"slTriggerPrice": "60000", "slTriggerType": "last_price"}, 401219),
        ({"slTriggerPrice": "60000", "slPrice": "x"}, 401220),
        ({"tpTriggerPrice": "70000.123"}, 401098),
        ({"slTriggerPrice": "60000", "slPrice": "59000.001"}, 401098),
        ({"slTriggerPrice": "0.05"}, 401100),
        ({"tpTriggerPrice": "70000.05"}, 401075),
        ({"tpTriggerPrice": "64000"}, 401246),
        ({"tpTriggerPrice": "65000"}, 401246),
        ({"slTriggerPrice": "66000"}, 401247),
        ({**BOTH, "slTriggerPrice": "65000.1"}, 401247),
    ],
    ids=str,
)
def test_each_error_has_its_code(args: dict[str, str], code: int) -> None:
    """Each error of a buy order has its code; the price is 65,000."""
    assert place({**BUY, **args}).code == code


def test_a_sell_has_the_opposite_sides() -> None:
    """For a sell order the profit is taken below the price, and the loss is stopped above it."""
    assert place({**SELL, "tpTriggerPrice": "66000"}).code == 401246
    assert place({**SELL, "slTriggerPrice": "64000"}).code == 401247
    assert place({**SELL, "tpTriggerPrice": "64000", "slTriggerPrice": "66000"}).code == 200000


def test_accepted_fields_are_pushed() -> None:
    """Accepted fields are pushed unchanged."""
    outcome = place({**BUY, **BOTH})
    assert outcome.code == 200000
    row = json.loads(outcome.events[0].payload)
    assert {name: row[name] for name in BOTH} == BOTH


def test_only_an_order_that_opens_a_perpetual_has_them() -> None:
    """A closing order, a spot order and a margin order are refused."""
    tp = {"tpTriggerPrice": "70000"}
    assert place({**BUY, **tp, "reduceOnly": "true"}).code == 401101
    assert place({**SELL, **tp, "positionSide": "LONG"}, hedged=True).code == 401101
    for sym in ("BINANCE_SPOT_BTC_USDT", "BINANCE_MARGIN_BTC_USDT"):
        assert place({**BUY, "sym": sym, **tp}).code == 401243


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("documented", {"LAST_PRICE", "MARK_PRICE"}),
        ("older", {"LAST_PRICE", "MARKET_PRICE"}),
        ("contest", {"LastPrice", "MarkPrice"}),
    ],
)
def test_trigger_types_of_a_dialect(name: str, known: set[str]) -> None:
    """Each dialect accepts its own trigger types only."""
    every = {"LAST_PRICE", "MARK_PRICE", "MARKET_PRICE", "LastPrice", "MarkPrice"}
    tp = {"tpTriggerPrice": "70000"}
    taken = {one for one in every if place({**BUY, **tp, "tpTriggerType": one}, DIALECTS[name]).is_success}
    assert taken == known
