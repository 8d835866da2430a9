"""Take-profit and stop-loss of an order: each error has its own code (LTP docs, Place Order and Error Codes)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from bridge.sandbox.venue.codes import Refusal
from bridge.sandbox.venue.decimals import count_places, is_multiple, parse_decimal
from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.instruments import Instrument
from bridge.sandbox.venue.market import Quotation, Side
from bridge.sandbox.venue.orders import TPSL_FIELDS

_NO_TRIGGER: Final = 401214
_TOO_FINE: Final = 401098
_TOO_LOW: Final = 401100
_NOT_A_TICK: Final = 401075
_CLOSES: Final = 401101
_NOT_THIS_BUSINESS: Final = 401243
_TRIGGER_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "place_page": frozenset({"LAST_PRICE", "MARK_PRICE"}),
    "sdk": frozenset({"LAST_PRICE", "MARKET_PRICE"}),
    "contest": frozenset({"LastPrice", "MarkPrice"}),
}


class _Leg(NamedTuple):
    """Take-profit or stop-loss, and the codes of its errors."""

    prefix: str
    bad_trigger: int
    bad_type: int
    bad_price: int
    wrong_side: int
    # Whether the trigger of a buy order lies above the price of now.
    above_for_buy: bool


_LEGS: Final = (
    _Leg("tp", 401215, 401216, 401217, 401246, above_for_buy=True),
    _Leg("sl", 401218, 401219, 401220, 401247, above_for_buy=False),
)


def read_tpsl(
    args: Mapping[str, str], quotation: Quotation, side: Side, dialect: Dialect, *, closes: bool
) -> dict[str, str]:
    """Return the take-profit and stop-loss fields, empty if there are none. Raises Refusal for the first error."""
    given = {name: args[name] for name in TPSL_FIELDS if args.get(name)}
    if not given:
        return {}
    if not quotation.instrument.is_perp:
        raise Refusal(_NOT_THIS_BUSINESS)
    if closes:
        raise Refusal(_CLOSES)
    if not any(f"{leg.prefix}TriggerPrice" in given for leg in _LEGS):
        raise Refusal(_NO_TRIGGER)
    for leg in _LEGS:
        if any(name.startswith(leg.prefix) for name in given):
            _check_leg(leg, given, quotation, side, _TRIGGER_TYPES[dialect.trigger_types])
    return given


def _check_leg(
    leg: _Leg, given: Mapping[str, str], quotation: Quotation, side: Side, trigger_types: frozenset[str]
) -> None:
    instrument = quotation.instrument
    trigger = _read_price(given.get(f"{leg.prefix}TriggerPrice", ""), leg.bad_trigger, instrument)
    trigger_type = given.get(f"{leg.prefix}TriggerType")
    if trigger_type is not None and trigger_type not in trigger_types:
        raise Refusal(leg.bad_type)
    price = given.get(f"{leg.prefix}Price")
    # 0 means a market order.
    if price is not None and parse_decimal(price) != 0:
        _read_price(price, leg.bad_price, instrument)
    above = leg.above_for_buy if side == "BUY" else not leg.above_for_buy
    if trigger <= quotation.price if above else trigger >= quotation.price:
        raise Refusal(leg.wrong_side)


def _read_price(text: str, code: int, instrument: Instrument) -> Decimal:
    price = parse_decimal(text)
    if price is None or price == 0:
        raise Refusal(code)
    if count_places(price) > instrument.price_precision:
        raise Refusal(_TOO_FINE)
    if price < instrument.tick_size:
        raise Refusal(_TOO_LOW)
    if not is_multiple(price, instrument.tick_size):
        raise Refusal(_NOT_A_TICK)
    return price
