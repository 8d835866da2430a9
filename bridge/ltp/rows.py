"""REST rows, turned into what the venue pushes about the same fact.

LTP docs, Query Order, Order History, Executions, Position, Assets and Account, against User Data Overview and the pages
of the channels. Every value keeps the venue's own text, and a field that nobody here knows stays: only what REST has
and the push has not is dropped, and what the two write differently is written as the push writes it.
"""

from collections.abc import Hashable, Iterable
from typing import Final, Protocol, Self

import msgspec
from msgspec import Raw, Struct

from bridge.contract.pushes import AssetPush, MarginCallPush, OrderPush, PositionPush, TradePush
from bridge.core.odd_fields import decode_fields, decode_push
from bridge.core.orders import milliseconds

_Fields = dict[str, Raw]

_NULL: Final = Raw(b"null")
_EMPTY: Final = Raw(b'""')
_ZERO: Final = Raw(b'"0"')
_ORDER_ONLY_REST: Final = ("portfolioName", "algoOrderId")
_ORDER_NOT_IN_HISTORY: Final = ("action", "actionMsg")
_ORDER_TEXTS: Final = (
    *("clientOrderId", "limitPrice", "orderQty", "timeInForce", "feeCoin", "rebateCoin", "borrowAsset", "reason"),
    *("tpTriggerPrice", "tpTriggerType", "tpPrice", "slTriggerPrice", "slTriggerType", "slPrice"),
    *("action", "actionMsg", "cancelType", "amendType"),
)
"""Null in REST where the push has an empty text."""
_ORDER_AMOUNTS: Final = (
    *("quoteOrderQty", "executedQty", "executedAmount", "executedAvgPrice"),
    *("lastExecutedQty", "lastExecutedPrice", "lastExecutedAmount", "fee", "rebate", "borrowAmount"),
)
"""Null or empty in REST where the push has 0."""
_FEE_SPLIT: Final = ("fee", "feeCoin", "rebate", "rebateCoin")
_TRADE_ONLY_REST: Final = ("algoOrderId", "tradeSource")
_TRADE_TEXTS: Final = ("clientOrderId", "tradingFeeCoin")


def _text(fields: _Fields, name: str) -> str:
    """Return a value's text, without quotes; empty where the field is missing, null or no single value."""
    token = bytes(fields.get(name, _NULL))
    if token.startswith(b'"'):
        return msgspec.json.decode(token.decode(errors="replace"), type=str)
    return "" if token == b"null" or token[:1] in b"[{" else token.decode()


def _quoted(text: str) -> Raw:
    return Raw(msgspec.json.encode(text))


def _drop(fields: _Fields, names: Iterable[str]) -> None:
    for name in names:
        fields.pop(name, None)


def _fill(fields: _Fields, names: Iterable[str], value: Raw, blanks: tuple[Raw, ...] = (_NULL,)) -> None:
    for name in names:
        if fields.get(name) in blanks:
            fields[name] = value


def _number_to_text(fields: _Fields, names: Iterable[str]) -> None:
    for name in names:
        if bytes(fields.get(name, _NULL))[:1] in b"-0123456789":
            fields[name] = _quoted(_text(fields, name))


def order_as_pushed(row: bytes) -> bytes:
    """Turn an order of `/order`, `/orders` or the histories into the `Orders` push of it."""
    fields = decode_fields(row)
    _drop(fields, _ORDER_ONLY_REST)
    for name in _ORDER_NOT_IN_HISTORY:
        fields.setdefault(name, _EMPTY)
    _fill(fields, _ORDER_TEXTS, _EMPTY)
    _fill(fields, _ORDER_AMOUNTS, _ZERO, (_NULL, _EMPTY))
    _number_to_text(fields, ("leverage",))
    return msgspec.json.encode(fields)


def trade_as_pushed(row: bytes) -> bytes:
    """Turn an execution into the `Trades` push of it.

    The venue has announced that `tradingFee` will go. Without it the split stays as it is; where nothing is rebated, it
    is the fee. What part of a rebate an execution is paid, nobody has documented: then there is none.
    """
    fields = decode_fields(row)
    _drop(fields, _TRADE_ONLY_REST)
    if _text(fields, "tradingFee"):
        if not _text(fields, "tradingFeeCoin"):
            fields["tradingFeeCoin"] = _quoted(_text(fields, "feeCoin") or _text(fields, "rebateCoin"))
        _drop(fields, _FEE_SPLIT)
    elif _text(fields, "fee") and not _text(fields, "rebate").strip("0."):
        fields["tradingFee"], fields["tradingFeeCoin"] = fields["fee"], _quoted(_text(fields, "feeCoin"))
        _number_to_text(fields, ("tradingFee",))
    _fill(fields, _TRADE_TEXTS, _EMPTY)
    return msgspec.json.encode(fields)


def position_as_pushed(row: bytes) -> bytes:
    """Turn a position into the `Positions` push of it; REST leaves its exchange to the symbol."""
    fields = decode_fields(row)
    _drop(fields, ("tpslOrder",))
    if not _text(fields, "exchangeType"):
        fields["exchangeType"] = _quoted(_text(fields, "sym").split("_", 1)[0])
    return msgspec.json.encode(fields)


def risk_as_pushed(row: bytes) -> bytes:
    """Turn an exchange account's risk into a `MarginCall` push of it, whose ids and times are text."""
    fields = decode_fields(row)
    _number_to_text(fields, ("portfolioId", "userId", "createAt", "updateAt"))
    return msgspec.json.encode(fields)


class Row(Protocol):
    """One row of a list."""

    @property
    def key(self) -> Hashable:
        """What it is a row of: of two with one key, the newer counts."""

    @property
    def raw(self) -> bytes:
        """What the push of it would say."""

    @property
    def updated_ms(self) -> int:
        """When it was last changed; 0 where the row does not say."""

    @classmethod
    def read(cls, row: bytes) -> Self:
        """Read what REST says. Raises what msgspec raises for what is not understood."""


class OrderRow(Struct, frozen=True):
    """An order as REST tells it; `raw` is in the shape of the push."""

    order: OrderPush
    raw: bytes

    @property
    def key(self) -> Hashable:
        """The order's name; one that was refused may have none (LTP docs, Query Order)."""
        return str(self.order.order_id) or self.order.client_order_id or self.raw

    @property
    def updated_ms(self) -> int:
        """When the order was last changed."""
        return milliseconds(self.order.update_at)

    @classmethod
    def read(cls, row: bytes) -> Self:
        """Read an order."""
        return cls(*decode_push(order_as_pushed(row), OrderPush))


class TradeRow(Struct, frozen=True):
    """An execution as REST tells it; `raw` is in the shape of the push."""

    trade: TradePush
    raw: bytes

    @property
    def key(self) -> Hashable:
        """The venue's identity of the execution, and what tells two of one identity apart."""
        trade = self.trade
        of_order = trade.exchange_type, trade.sym, str(trade.order_id), str(trade.transaction_id)
        return *of_order, str(trade.create_at), str(trade.quantity), str(trade.price), trade.side

    @property
    def updated_ms(self) -> int:
        """When it happened: it never changes."""
        return milliseconds(self.trade.create_at)

    @classmethod
    def read(cls, row: bytes) -> Self:
        """Read an execution."""
        return cls(*decode_push(trade_as_pushed(row), TradePush))


class AssetRow(Struct, frozen=True):
    """A coin's balance as REST tells it, which is how it is pushed too."""

    asset: AssetPush
    raw: bytes

    @property
    def key(self) -> Hashable:
        """The coin, on its exchange."""
        return self.asset.exchange_type, self.asset.coin

    @property
    def updated_ms(self) -> int:
        """When the balance last changed."""
        return milliseconds(self.asset.update_at)

    @classmethod
    def read(cls, row: bytes) -> Self:
        """Read a balance."""
        return cls(*decode_push(row, AssetPush))


def read_position(row: bytes) -> bytes:
    """Return a position's push. Raises what msgspec raises for what is not understood."""
    return decode_push(position_as_pushed(row), PositionPush)[1]


def read_risk(row: bytes) -> bytes:
    """Return an exchange account's risk as its push. Raises what msgspec raises for what is not understood."""
    return decode_push(risk_as_pushed(row), MarginCallPush)[1]
