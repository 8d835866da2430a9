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


class Counter:
    """One account at the desk, without sockets."""

    def __init__(self, settings: VenueSettings | None = None) -> None:
        self.venue = Venue(settings, ManualClock(NOW_MS))

    def act(self, action: str, **args: Any) -> ActionOutcome:  # noqa: ANN401 - whatever a client sends
        """Do an action."""
        return self.venue.gateway.act(self.venue.portfolio(), action, args, NOW_MS)

    def place(self, **changes: Any) -> ActionOutcome:  # noqa: ANN401 - whatever a client sends
        """Place an order that rests, some of its terms changed."""
        return self.act("place_order", **{**PLACE, **changes})

    def placed(self, **changes: Any) -> str:  # noqa: ANN401 - whatever a client sends
        """Place an order and return its id."""
        outcome = self.place(**changes)
        assert outcome.data is not None, outcome
        return str(outcome.data["orderId"])


@pytest.fixture
def counter() -> Counter:
    """Return a desk with the defaults."""
    return Counter()


def hedged() -> Counter:
    """Return a desk whose account holds long and short apart."""
    return Counter(VenueSettings(accounts=(AccountSettings(position_mode="BOTH"),)))


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
def test_place_is_refused(counter: Counter, changes: dict[str, Any], code: int) -> None:
    """Each fault of a place has its documented code, and leaves nothing behind."""
    outcome = counter.place(**changes)
    assert (code, []) == (outcome.code, outcome.events)
    assert counter.venue.portfolio().orders == {}


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
def test_place_is_taken(counter: Counter, changes: dict[str, str]) -> None:
    """What the documents allow is taken."""
    assert counter.place(**changes).code == 200000


def test_args_must_be_an_object(counter: Counter) -> None:
    """Arguments that are no object are missing."""
    outcome = counter.venue.gateway.act(counter.venue.portfolio(), "place_order", ["x"], NOW_MS)
    assert outcome.code == 1001


def test_client_order_id_is_taken_for_ever(counter: Counter) -> None:
    """A clientOrderId is refused again even when its order has ended."""
    counter.placed(clientOrderId="c1")
    counter.act("cancel_order", clientOrderId="c1")
    assert counter.place(clientOrderId="c1").code == 401009


def test_client_order_id_may_be_unique_among_open_orders_only() -> None:
    """The window of the duplicate check is undocumented: a venue may look at open orders only."""
    counter = Counter(VenueSettings(dialect=Dialect(client_order_id_unique="while_open")))
    counter.placed(clientOrderId="c1")
    assert counter.place(clientOrderId="c1").code == 401009
    counter.act("cancel_order", clientOrderId="c1")
    assert counter.place(clientOrderId="c1").code == 200000


def test_missing_client_order_id_is_the_order_id(counter: Counter) -> None:
    """An order without a name of the client's is named by its orderId."""
    outcome = counter.place()
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
def test_cancel_is_refused(counter: Counter, args: dict[str, str], code: int) -> None:
    """A cancel must name an order that is known."""
    assert code == counter.act("cancel_order", **args).code


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
def test_replace_is_refused(counter: Counter, args: dict[str, str], code: int) -> None:
    """Each fault of a replace has its documented code."""
    assert code == counter.act("replace_order", orderId=counter.placed(), **args).code


def test_replace_by_client_order_id(counter: Counter) -> None:
    """It is taken; a name that is not there is not found, and one of the two must be given."""
    order_id = counter.placed(clientOrderId="c1")
    outcome = counter.act("replace_order", clientOrderId="c1", replaceQty="0.02")
    assert (outcome.code, outcome.data) == (200000, {"orderId": order_id, "orderState": "OPEN"})
    assert counter.act("replace_order", clientOrderId="c2", replaceQty="0.02").code == 401018
    assert counter.act("replace_order", replaceQty="0.02").code == 401008


def test_spot_replace_needs_its_balance(counter: Counter) -> None:
    """A spot replace beyond the balance has its own code."""
    order_id = counter.placed(sym=SPOT)
    assert counter.act("replace_order", orderId=order_id, replaceQty="20").code == 401076


def test_post_only_replace_must_not_cross(counter: Counter) -> None:
    """A post-only order stays one when it is replaced."""
    order_id = counter.placed(timeInForce="GTX")
    assert counter.act("replace_order", orderId=order_id, replacePrice="66000").code == 401052


@pytest.mark.parametrize("action", ["cancel_order", "replace_order"])
def test_ended_order_is_terminal(counter: Counter, action: str) -> None:
    """An order that has ended is neither cancelled nor replaced."""
    order_id = counter.placed(orderType="MARKET")
    assert counter.act(action, orderId=order_id, replaceQty="0.02").code == 401117


def test_order_under_amendment_is_not_replaced_again() -> None:
    """While a replace is pending another one is refused."""
    counter = Counter(VenueSettings(amend_steps=1))
    order_id = counter.placed()
    assert counter.act("replace_order", orderId=order_id, replaceQty="0.02").code == 200000
    assert counter.act("replace_order", orderId=order_id, replaceQty="0.03").code == 401072


def test_batch_cancel_of_an_unknown_exchange(counter: Counter) -> None:
    """A batch cancel knows three exchanges."""
    assert counter.act("cancel_orders", exchangeType="KRAKEN").code == 401023


def test_hedged_account_wants_a_side() -> None:
    """In position mode BOTH a perpetual's order says LONG or SHORT, and closes only what is held."""
    counter = hedged()
    assert counter.place().code == 401091
    assert counter.place(positionSide="LONG", side="SELL").code == 401093
    assert counter.place(positionSide="LONG").code == 200000
    assert counter.place(sym=SPOT).code == 200000


def test_reduce_only_must_be_against_the_position(counter: Counter) -> None:
    """A reduce-only order on the side of the position is refused."""
    counter.placed(orderType="MARKET")
    assert counter.place(reduceOnly="true").code == 401047
    assert counter.place(reduceOnly="true", side="SELL", limitPrice="70000").code == 200000


def test_open_orders_are_limited() -> None:
    """A symbol takes so many open orders and no more."""
    instruments = tuple(msgspec.structs.replace(item, open_orders_max=1) for item in CATALOGUE)
    counter = Counter(VenueSettings(instruments=instruments))
    order_id = counter.placed()
    assert counter.place().code == 401044
    counter.act("cancel_order", orderId=order_id)
    assert counter.place().code == 200000


def test_price_band() -> None:
    """With a band set, a price far from the market is refused."""
    counter = Counter(VenueSettings(price_band_share=Decimal("0.05")))
    assert counter.place().code == 401128
    assert counter.place(limitPrice="64000").code == 200000
