"""The rows of REST answers, which differ from the pushes (LTP docs, Query Order, Executions, Positions, Account)."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from bridge.sandbox.venue.codes import Refusal
from bridge.sandbox.venue.decimals import format_18_places, format_decimal, parse_decimal
from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.instruments import BUSINESSES, EXCHANGES, Instrument
from bridge.sandbox.venue.market import Market
from bridge.sandbox.venue.orders import VenueOrder, VenueTrade
from bridge.sandbox.venue.portfolio import Portfolio, Risk, VenuePosition
from bridge.sandbox.venue.pushes import order_row, position_row, risk_row, split_fee, trade_row, trading_fee

Row = dict[str, Any]
T = TypeVar("T")

PAGE_SIZE_MAX = 1000
_PAGE_MAX = 1_000_000
# GET /trading/account writes sums with eighteen places (LTP docs, Get Started).
_LONG_FIELDS = frozenset({"equity", "marginValue", "validMargin", "availableMargin"})


def rest_order(order: VenueOrder, dialect: Dialect) -> Row:
    """Return an order in REST's types: leverage is a number, and the portfolio's name is null."""
    row: Row = order_row(order, dialect)
    row.update(leverage=order.leverage, portfolioName=None, algoOrderId=None)
    return row


def rest_history_order(order: VenueOrder, dialect: Dialect) -> Row:
    """Return an ended order: without action, and with an empty quote quantity where there was none."""
    row = rest_order(order, dialect)
    del row["action"], row["actionMsg"]
    row["algoOrderId"] = ""
    if order.quote_qty == 0:
        row["quoteOrderQty"] = ""
    return row


def rest_execution(trade: VenueTrade, dialect: Dialect) -> Row:
    """Return an execution with separate fee and rebate, and the signed fee as long as the dialect sends it."""
    row: Row = trade_row(trade, dialect)
    row.update(split_fee(trade, dialect.rebate), algoOrderId="0", tradeSource="")
    if dialect.trading_fee != "sent":
        for name in trading_fee(trade):
            row.pop(name, None)
    return row


def rest_position(portfolio: Portfolio, position: VenuePosition, market: Market, dialect: Dialect) -> Row:
    """Return a position; REST omits its exchange, which is part of the symbol."""
    row: Row = position_row(portfolio, position, market, dialect)
    del row["exchangeType"]
    row["tpslOrder"] = []
    return row


def rest_account(portfolio: Portfolio, risk: Risk, status: str, dialect: Dialect) -> Row:
    """Return the risk of one exchange's account."""
    row: Row = risk_row(portfolio, risk, status, dialect)
    for name in _LONG_FIELDS:
        value = parse_decimal(row[name])
        # A negative sum is left unchanged; the documents show none.
        row[name] = format_18_places(value) if value is not None else row[name]
    return row


def rest_symbol(item: Instrument) -> Row:
    """Return a symbol's rules; only a perpetual has contractSize and liquidationFee."""
    row: Row = {
        "sym": item.sym,
        "originalSymbol": item.original_symbol,
        "state": "live",
        "pricePrecision": str(item.price_precision),
        "qtyPrecision": str(item.qty_precision),
        "lotSize": format_decimal(item.lot_size),
        "tickSize": format_decimal(item.tick_size),
        "minNotional": format_decimal(item.min_notional),
        "minSize": format_decimal(item.min_size),
        "maxLimitSize": format_decimal(item.max_limit_size),
        "maxMarketSize": format_decimal(item.max_market_size),
        "maxNumOrders": str(item.open_orders_max),
        "defaultLeverage": str(item.default_leverage if item.is_perp else 1),
        "safeLeverage": str(item.safe_leverage if item.is_perp else 1),
    }
    if item.is_perp:
        row.update(contractSize=format_decimal(item.contract_size), liquidationFee="0.012500")
    return row


class RowFilter:
    """The filters of orders and executions: symbol, exchange, business type, begin and end in Unix ms."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._sym = parameters.get("sym", "")
        self._exchange = _check_known(parameters.get("exchange", ""), EXCHANGES, 401023)
        self._business = _check_known(parameters.get("businessType", ""), BUSINESSES, 401069)
        self._begin = _read_ms(parameters.get("begin", ""), 401039)
        self._end = _read_ms(parameters.get("end", ""), 401040)
        if self._begin is not None and self._end is not None and self._begin >= self._end:
            raise Refusal(400004)

    def matches(self, instrument: Instrument, at_ms: int) -> bool:
        """Return whether the answer includes a row."""
        return (
            self._sym in {"", instrument.sym}
            and self._exchange in {"", instrument.exchange}
            and self._business in {"", instrument.business}
            and (self._begin is None or at_ms >= self._begin)
            and (self._end is None or at_ms <= self._end)
        )


class Pager:
    """Cuts rows into pages; `pageNum` is the number of pages, and at random 0 or 1 when there are no rows."""

    def __init__(self, seed: int) -> None:
        # Replayable, not cryptography.
        self._random = random.Random(seed)  # noqa: S311

    def cut_page(self, found: Sequence[T], parameters: Mapping[str, str], rows_max: int) -> tuple[Sequence[T], Row]:
        """Return the rows of the requested page, and the answer, whose `list` the caller fills."""
        size = _read_count(parameters, "pageSize", PAGE_SIZE_MAX, PAGE_SIZE_MAX, 400002)
        size, page = min(rows_max, size), _read_count(parameters, "page", 1, _PAGE_MAX, 400003)
        pages = -(-len(found) // size) if found else self._random.randint(0, 1)
        head = {"page": page, "pageSize": size, "pageNum": pages, "totalSize": len(found)}
        return found[(page - 1) * size : page * size], head


def read_row_limit(parameters: Mapping[str, str]) -> int:
    """Return the `limit` parameter of executions."""
    return _read_count(parameters, "limit", PAGE_SIZE_MAX, PAGE_SIZE_MAX, 400007)


def _check_known(text: str, known: tuple[str, ...], code: int) -> str:
    if text and text not in known:
        raise Refusal(code)
    return text


def _read_ms(text: str, code: int) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Refusal(code)
    return int(text)


def _read_count(parameters: Mapping[str, str], name: str, default: int, most: int, code: int) -> int:
    text = parameters.get(name, "") or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise Refusal(code, f"{name} must be a whole number from 1 to {most}")
    return int(text)
