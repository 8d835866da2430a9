"""Every documented refusal of an order action."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from bridge.sandbox.venue.clock import ManualClock
from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.instruments import CATALOGUE
from bridge.sandbox.venue.outcomes import ActionOutcome
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.venue import Venue

NOW_MS = 1_763_977_805_203
PLACE = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "LIMIT", "orderQty": "0.01", "limitPrice": "60000"}
SPOT = "BINANCE_SPOT_BTC_USDT"


class SocketlessVenue:
    """One account of a venue, without sockets."""

    def __init__(self, settings: VenueSettings | None = None) -> None:
        self.venue = Venue(settings, ManualClock(NOW_MS))

    def act(self, action: str, **args: Any) -> ActionOutcome:  # noqa: ANN401 - whatever a client sends
        """Perform an action."""
        return self.venue.gateway.act(self.venue.portfolio(), action, args, NOW_MS)

    def place(self, **changes: Any) -> ActionOutcome:  # noqa: ANN401 - whatever a client sends
        """Place a resting order, with some arguments changed."""
        return self.act("place_order", **{**PLACE, **changes})

    def placed(self, **changes: Any) -> str:  # noqa: ANN401 - whatever a client sends
        """Place an order and return its id."""
        outcome = self.place(**changes)
        assert outcome.data is not None, outcome
        return str(outcome.data["orderId"])


@pytest.fixture
def case() -> SocketlessVenue:
    """Return a venue with the default settings."""
    return SocketlessVenue()


def hedged() -> SocketlessVenue:
    """Return a venue whose account is in position mode BOTH."""
    return SocketlessVenue(VenueSettings(accounts=(AccountSettings(position_mode="BOTH"),)))


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"side": "buy"}, 401002),
    ({"side": ""}, 401002),
    ({"orderType": "STOP"}, 401003),
    ({"timeInForce": "DAY"}, 401004),
    ({"orderQty": ""}, 401005),
    ({"orderQty": "-1"}, 401005),
    ({"orderQty": "1e-2"}, 401005),
    ({"orderQty": "NaN"}, 401005),
    ({"orderQty": "0"}, 401005),
    ({"orderQty": "\uff10.01"}, 401005),
    ({"orderQty": "0.01\n"}, 401005),
    ({"orderQty": 0.01}, 1000),
    ({"sym": ""}, 1001),
    ({"sym": "BTCUSDT"}, 401011),
    ({"limitPrice": ""}, 401006),
    ({"limitPrice": "0"}, 401012),
    ({"limitPrice": "-5"}, 401012),
    ({"orderQty": "0.01234"}, 401013),
    ({"orderQty": "0.0005"}, 401014),
    ({"limitPrice": "60000.123"}, 401015),
    ({"limitPrice": "0.05"}, 401016),
    ({"orderQty": "0.001", "limitPrice": "40000"}, 401017),
    ({"orderQty": "0.0015"}, 401071),
    ({"limitPrice": "60000.15"}, 401075),
    ({"orderQty": "1001"}, 401025),
    ({"orderType": "MARKET", "orderQty": "121"}, 401027),
    ({"orderType": "MARKET", "timeInForce": "GTX"}, 401042),
    ({"timeInForce": "GTX", "limitPrice": "66000"}, 401052),
    ({"reduceOnly": True}, 401049),
    ({"reduceOnly": "yes"}, 401049),
    ({"reduceOnly": "true"}, 401048),
    ({"reduceOnly": "True"}, 401048),
    ({"reduceOnly": "TRUE"}, 401048),
    ({"positionSide": "LONG"}, 401096),
    ({"positionSide": "BOTH"}, 401096),
    ({"clientOrderId": "with-dash"}, 401051),
    ({"clientOrderId": "ünicode"}, 401051),
    ({"clientOrderId": "x" * 33}, 401001),
    ({"clientOrderId": "Upper1"}, 401051),
    ({"quoteOrderQty": "100"}, 401021),
    ({"sym": SPOT, "orderType": "MARKET", "side": "SELL", "quoteOrderQty": "100"}, 401021),
    ({"sym": SPOT, "orderType": "MARKET", "limitPrice": "", "timeInForce": ""}, 401021),
    ({"sym": SPOT, "orderType": "MARKET", "quoteOrderQty": "100.123"}, 401122),
    ({"orderQty": "900"}, 401055),
    ({"sym": SPOT, "orderQty": "17"}, 401055),
    ({"sym": SPOT, "side": "SELL", "orderQty": "10.001"}, 401055),
    ({"sym": SPOT, "reduceOnly": "true"}, 401049),
]


@pytest.mark.parametrize(("changes", "code"), REFUSED, ids=lambda value: str(value)[:60])
def test_place_is_refused(case: SocketlessVenue, changes: dict[str, Any], code: int) -> None:
    """Each error of a place has its documented code, and leaves no order."""
    outcome = case.place(**changes)
    assert (code, []) == (outcome.code, outcome.events)
    assert case.venue.portfolio().orders == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"clientOrderId": "x" * 32},
        {"clientOrderId": ""},
        {"timeInForce": "GTX"},
        {"orderQty": "0.0010", "limitPrice": "50000.10"},
        {"sym": "OKX_PERP_ETH_USDT", "orderQty": "0.5", "limitPrice": "2000"},
        {"sym": "EDX_PERP_ETH_USDT", "orderQty": "0.5", "limitPrice": "2000"},
        {"sym": SPOT, "orderType": "MARKET", "orderQty": "", "quoteOrderQty": "100.5"},
        {"orderType": "MARKET", "limitPrice": "", "timeInForce": ""},
        {"reduceOnly": "False"},
        {"sym": "BINANCE_MARGIN_BTC_USDT"},
        {"sym": "BINANCE_MARGIN_BTC_USDT", "orderType": "MARKET", "limitPrice": ""},
        {"sym": "OKX_SPOT_BTC_USDT", "side": "SELL", "limitPrice": "70000"},
        {"tpTriggerPrice": "70000", "tpTriggerType": "MARK_PRICE", "tpPrice": "0"},
    ],
)
def test_place_is_accepted(case: SocketlessVenue, changes: dict[str, str]) -> None:
    """A place that the documents allow is accepted."""
    assert case.place(**changes).code == 200000


def test_args_must_be_an_object(case: SocketlessVenue) -> None:
    """Arguments that are not an object are refused as missing."""
    outcome = case.venue.gateway.act(case.venue.portfolio(), "place_order", ["x"], NOW_MS)
    assert outcome.code == 1001


def test_client_order_id_is_unique_forever(case: SocketlessVenue) -> None:
    """A clientOrderId is refused again even when its order has ended."""
    case.placed(clientOrderId="c1")
    case.act("cancel_order", clientOrderId="c1")
    assert case.place(clientOrderId="c1").code == 401009


def test_client_order_id_may_be_unique_among_open_orders_only() -> None:
    """By a switch of the dialect a clientOrderId must be unique among open orders only."""
    case = SocketlessVenue(VenueSettings(dialect=Dialect(client_order_id_unique="while_open")))
    case.placed(clientOrderId="c1")
    assert case.place(clientOrderId="c1").code == 401009
    case.act("cancel_order", clientOrderId="c1")
    assert case.place(clientOrderId="c1").code == 200000


def test_missing_client_order_id_is_the_order_id(case: SocketlessVenue) -> None:
    """An order without a clientOrderId has its orderId as clientOrderId."""
    outcome = case.place()
    assert outcome.data is not None
    assert outcome.data["orderId"] == outcome.data["clientOrderId"]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({}, 401008),
        ({"orderId": "123"}, 401007),
        ({"orderId": "1703213979730000"}, 401018),
        ({"clientOrderId": "unknown"}, 401018),
    ],
)
def test_cancel_is_refused(case: SocketlessVenue, args: dict[str, str], code: int) -> None:
    """A cancel of an unknown order is refused."""
    assert code == case.act("cancel_order", **args).code


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({}, 401073),
        ({"replaceQty": "0.01", "replacePrice": "60000.0"}, 401073),
        ({"replaceQty": "x"}, 401005),
        ({"replaceQty": "0.0105"}, 401071),
        ({"replacePrice": "60000.15"}, 401075),
        ({"replacePrice": "100"}, 401017),
        ({"replaceQty": "900"}, 401078),
    ],
)
def test_replace_is_refused(case: SocketlessVenue, args: dict[str, str], code: int) -> None:
    """Each error of a replace has its documented code."""
    assert code == case.act("replace_order", orderId=case.placed(), **args).code


def test_replace_by_client_order_id(case: SocketlessVenue) -> None:
    """A replace by clientOrderId is accepted; an unknown one is not found, and one of the two ids is required."""
    order_id = case.placed(clientOrderId="c1")
    outcome = case.act("replace_order", clientOrderId="c1", replaceQty="0.02")
    assert (outcome.code, outcome.data) == (200000, {"orderId": order_id, "orderState": "OPEN"})
    assert case.act("replace_order", clientOrderId="c2", replaceQty="0.02").code == 401018
    assert case.act("replace_order", replaceQty="0.02").code == 401008


def test_spot_replace_needs_its_balance(case: SocketlessVenue) -> None:
    """A spot replace beyond the balance is refused with its own code."""
    order_id = case.placed(sym=SPOT)
    assert case.act("replace_order", orderId=order_id, replaceQty="20").code == 401076


def test_post_only_replace_must_not_cross(case: SocketlessVenue) -> None:
    """A replace of a post-only order to a crossing price is refused."""
    order_id = case.placed(timeInForce="GTX")
    assert case.act("replace_order", orderId=order_id, replacePrice="66000").code == 401052


@pytest.mark.parametrize("action", ["cancel_order", "replace_order"])
def test_ended_order_is_terminal(case: SocketlessVenue, action: str) -> None:
    """A cancel or replace of an ended order is refused."""
    order_id = case.placed(orderType="MARKET")
    assert case.act(action, orderId=order_id, replaceQty="0.02").code == 401117


def test_order_under_amendment_is_not_replaced_again() -> None:
    """During a pending replace another one is refused."""
    case = SocketlessVenue(VenueSettings(amend_steps=1))
    order_id = case.placed()
    assert case.act("replace_order", orderId=order_id, replaceQty="0.02").code == 200000
    assert case.act("replace_order", orderId=order_id, replaceQty="0.03").code == 401072


def test_batch_cancel_of_an_unknown_exchange(case: SocketlessVenue) -> None:
    """A batch cancel of an unknown exchange is refused."""
    assert case.act("cancel_orders", exchangeType="KRAKEN").code == 401023


def test_hedged_account_needs_a_position_side() -> None:
    """In position mode BOTH an order of a perpetual needs LONG or SHORT, and closes only an open position."""
    case = hedged()
    assert case.place().code == 401091
    assert case.place(positionSide="LONG", side="SELL").code == 401093
    assert case.place(positionSide="LONG").code == 200000
    assert case.place(sym=SPOT).code == 200000


def test_reduce_only_must_be_against_the_position(case: SocketlessVenue) -> None:
    """A reduce-only order on the side of the position is refused."""
    case.placed(orderType="MARKET")
    assert case.place(reduceOnly="true").code == 401047
    assert case.place(reduceOnly="true", side="SELL", limitPrice="70000").code == 200000


def test_open_orders_are_limited() -> None:
    """Beyond the limit of open orders of a symbol a place is refused."""
    instruments = tuple(msgspec.structs.replace(item, open_orders_max=1) for item in CATALOGUE)
    case = SocketlessVenue(VenueSettings(instruments=instruments))
    order_id = case.placed()
    assert case.place().code == 401044
    case.act("cancel_order", orderId=order_id)
    assert case.place().code == 200000


def test_price_band() -> None:
    """With a band set, a price far from the market is refused."""
    case = SocketlessVenue(VenueSettings(price_band_share=Decimal("0.05")))
    assert case.place().code == 401128
    assert case.place(limitPrice="64000").code == 200000
