"""The validation of order requests, each rule with its code (LTP docs, Place Order)."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import cast

import msgspec

from bridge.sandbox.venue.codes import Refusal
from bridge.sandbox.venue.decimals import ZERO, count_places, is_multiple, parse_decimal
from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.instruments import EXCHANGES, Instrument
from bridge.sandbox.venue.market import Market, Quotation, Side
from bridge.sandbox.venue.orders import OrderType, PositionSide, TimeInForce, VenueOrder, closes_hedge
from bridge.sandbox.venue.tpsl import read_tpsl

_ORDER_ID = re.compile(r"[0-9]{16}", re.ASCII)
# The characters and the largest length of a clientOrderId, by Dialect.client_order_ids.
_CLIENT_ORDER_IDS = {
    "place_page": (re.compile(r"[a-z0-9]+", re.ASCII), 32),
    "error_codes": (re.compile(r"[A-Za-z0-9]+", re.ASCII), 63),
    "contest": (re.compile(r"[A-Za-z0-9_-]+", re.ASCII), 40),
}


class PlaceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A valid place request."""

    client_order_id: str
    instrument: Instrument
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    qty: Decimal | None
    limit_price: Decimal | None
    quote_qty: Decimal
    reduce_only: bool
    position_side: PositionSide
    tpsl: dict[str, str]


class ReplaceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A valid replace request."""

    qty: Decimal
    limit_price: Decimal


def read_strings(args: object) -> dict[str, str]:
    """Return the arguments. Raises Refusal for a value that is not text."""
    if not isinstance(args, dict):
        raise Refusal(1001)
    for name, value in args.items():
        if not isinstance(value, str):
            raise Refusal(401049 if name == "reduceOnly" else 1000)
    return cast("dict[str, str]", args)


def read_place_request(
    args: Mapping[str, str], market: Market, dialect: Dialect, *, position_mode: str, price_band_share: Decimal
) -> PlaceRequest:
    """Return the place request. Raises Refusal for an invalid value; balances and other orders are not checked here."""
    client_order_id = _read_client_order_id(args.get("clientOrderId", ""), dialect)
    quotation = market.find(_require_field(args, "sym"))
    if quotation is None:
        raise Refusal(401011)
    instrument = quotation.instrument
    side = cast("Side", _check_one_of(args.get("side", ""), ("BUY", "SELL"), 401002))
    order_type = cast("OrderType", _check_one_of(args.get("orderType", ""), ("LIMIT", "MARKET"), 401003))
    time_in_force = _read_time_in_force(args.get("timeInForce", ""), order_type)
    limit_price = (
        _read_limit_price(args.get("limitPrice", ""), quotation, price_band_share) if order_type == "LIMIT" else None
    )
    quote_qty = _read_quote_qty(args.get("quoteOrderQty", ""), instrument, side, order_type)
    if not quote_qty and instrument.business == "SPOT" and (side, order_type) == ("BUY", "MARKET"):
        raise Refusal(401021)
    qty = None if quote_qty else read_qty(args.get("orderQty", ""), instrument, order_type)
    position_side = _read_position_side(args.get("positionSide", ""), instrument, position_mode)
    reduce_only = _read_reduce_only(args.get("reduceOnly", ""))
    request = PlaceRequest(
        client_order_id=client_order_id,
        instrument=instrument,
        side=side,
        order_type=order_type,
        time_in_force=time_in_force,
        qty=qty,
        limit_price=limit_price,
        quote_qty=quote_qty,
        reduce_only=reduce_only,
        position_side=position_side,
        tpsl=read_tpsl(args, quotation, side, dialect, closes=reduce_only or closes_hedge(side, position_side)),
    )
    notional = quote_qty if qty is None else instrument.notional(qty, limit_price or quotation.price)
    if notional < instrument.min_notional and not request.reduce_only:
        raise Refusal(401017)
    return request


def read_replace_request(
    args: Mapping[str, str], order: VenueOrder, quotation: Quotation, price_band_share: Decimal
) -> ReplaceRequest:
    """Return the replace request. Raises Refusal for a value that does not fit the order."""
    if order.qty is None or order.limit_price is None:
        raise Refusal(401072)
    qty_text, price_text = args.get("replaceQty", ""), args.get("replacePrice", "")
    qty = read_qty(qty_text, order.instrument, "LIMIT") if qty_text else order.qty
    price = _read_limit_price(price_text, quotation, price_band_share) if price_text else order.limit_price
    if qty == order.qty and price == order.limit_price:
        raise Refusal(401073)
    if qty < order.executed_qty:
        raise Refusal(401077)
    if order.instrument.notional(qty, price) < order.instrument.min_notional and not order.reduce_only:
        raise Refusal(401017)
    if order.time_in_force == "GTX" and quotation.crosses(order.side, price):
        raise Refusal(401052)
    return ReplaceRequest(qty=qty, limit_price=price)


def read_order_id(text: str) -> str:
    """Return an orderId. Raises Refusal unless it has exactly 16 digits."""
    if not _ORDER_ID.fullmatch(text):
        raise Refusal(401007)
    return text


def read_exchange(text: str) -> str:
    """Return an exchange filter; empty means all."""
    return _check_one_of(text, EXCHANGES, 401023) if text else ""


def read_qty(text: str, instrument: Instrument, order_type: OrderType) -> Decimal:
    """Return a quantity. Raises Refusal if the symbol does not allow it."""
    qty = parse_decimal(text)
    if qty is None or qty == 0:
        raise Refusal(401005)
    if count_places(qty) > instrument.qty_precision:
        raise Refusal(401013)
    if qty < instrument.min_size:
        raise Refusal(401014)
    if not is_multiple(qty, instrument.lot_size):
        raise Refusal(401071)
    if order_type == "LIMIT" and qty > instrument.max_limit_size:
        raise Refusal(401025)
    if order_type == "MARKET" and qty > instrument.max_market_size:
        raise Refusal(401027)
    return qty


def _require_field(args: Mapping[str, str], name: str) -> str:
    text = args.get(name, "")
    if not text:
        raise Refusal(1001)
    return text


def _check_one_of(text: str, known: tuple[str, ...], code: int) -> str:
    if text not in known:
        raise Refusal(code)
    return text


def _read_client_order_id(text: str, dialect: Dialect) -> str:
    if not text:
        return ""
    made_of, chars_max = _CLIENT_ORDER_IDS[dialect.client_order_ids]
    if not made_of.fullmatch(text):
        raise Refusal(401051)
    if len(text) > chars_max:
        raise Refusal(401001, f"clientOrderId is too long: {chars_max} characters at most")
    return text


def _read_time_in_force(text: str, order_type: OrderType) -> TimeInForce:
    if order_type == "MARKET":
        if text == "GTX":
            raise Refusal(401042)
        _check_one_of(text or "IOC", ("GTC", "IOC", "FOK"), 401004)
        return "IOC"
    return cast("TimeInForce", _check_one_of(text or "GTC", ("GTC", "IOC", "FOK", "GTX"), 401004))


def _read_limit_price(text: str, quotation: Quotation, band_share: Decimal) -> Decimal:
    instrument = quotation.instrument
    if not text:
        raise Refusal(401006)
    price = parse_decimal(text)
    if price is None or price == 0:
        raise Refusal(401012)
    if count_places(price) > instrument.price_precision:
        raise Refusal(401015)
    if price < instrument.tick_size:
        raise Refusal(401016)
    if not is_multiple(price, instrument.tick_size):
        raise Refusal(401075)
    if band_share and abs(price - quotation.price) > quotation.price * band_share:
        raise Refusal(401128)
    return price


def _read_quote_qty(text: str, instrument: Instrument, side: Side, order_type: OrderType) -> Decimal:
    if text in {"", "0"}:
        return ZERO
    quote_qty = parse_decimal(text)
    if quote_qty is None or instrument.is_perp or (side, order_type) != ("BUY", "MARKET"):
        raise Refusal(401021)
    if count_places(quote_qty) > instrument.price_precision:
        raise Refusal(401122)
    return quote_qty


def _read_reduce_only(text: str) -> bool:
    # Python's spelling of a boolean, with a capital letter, is accepted.
    return _check_one_of(text.lower() or "false", ("true", "false"), 401049) == "true"


def _read_position_side(text: str, instrument: Instrument, position_mode: str) -> PositionSide:
    side = cast("PositionSide", _check_one_of(text or "NONE", ("NONE", "LONG", "SHORT"), 401096))
    hedged = position_mode == "BOTH" and instrument.is_perp
    if hedged and side == "NONE":
        raise Refusal(401091)
    if not hedged and side != "NONE":
        raise Refusal(401096)
    return side
