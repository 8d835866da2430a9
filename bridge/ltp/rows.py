"""Conversion of REST rows into the pushes about the same facts.

LTP docs, Query Order, Order History, Executions, Position, Assets and Account, against User Data Overview and the pages
of the channels. Every value keeps the venue's own text, and unknown fields stay. A field that only REST has is dropped,
and a value that the two write differently is written as in the push.
"""

from collections.abc import Hashable, Iterable
from typing import Final, Protocol

import msgspec
from msgspec import Raw, Struct

from bridge.contract.pushes import AssetPush, MarginCallPush, OrderPush, PositionPush, TradePush
from bridge.core.odd_fields import decode_fields, parse_time_ms
from bridge.core.rest_rows import OrderRow, TradeRow
from bridge.core.stream.venue_record import decode_push

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
"""Fields that are null in REST and an empty text in the push."""
_ORDER_AMOUNTS: Final = (
    *("quoteOrderQty", "executedQty", "executedAmount", "executedAvgPrice"),
    *("lastExecutedQty", "lastExecutedPrice", "lastExecutedAmount", "fee", "rebate", "borrowAmount"),
)
"""Fields that are null or empty in REST and 0 in the push."""
_FEE_SPLIT: Final = ("fee", "feeCoin", "rebate", "rebateCoin")
_TRADE_ONLY_REST: Final = ("algoOrderId", "tradeSource")
_TRADE_TEXTS: Final = ("clientOrderId", "tradingFeeCoin")


def _text_of(fields: _Fields, name: str) -> str:
    """Return the text of a field, without quotes; empty if the field is missing, null or no single value."""
    token = bytes(fields.get(name, _NULL))
    if token.startswith(b'"'):
        return msgspec.json.decode(token.decode(errors="replace"), type=str)
    return "" if token == b"null" or token[:1] in b"[{" else token.decode()


def _quote(text: str) -> Raw:
    return Raw(msgspec.json.encode(text))


def _drop_fields(fields: _Fields, names: Iterable[str]) -> None:
    for name in names:
        fields.pop(name, None)


def _fill_blanks(fields: _Fields, names: Iterable[str], value: Raw, blanks: tuple[Raw, ...] = (_NULL,)) -> None:
    for name in names:
        if fields.get(name) in blanks:
            fields[name] = value


def _number_to_text_of(fields: _Fields, names: Iterable[str]) -> None:
    for name in names:
        if bytes(fields.get(name, _NULL))[:1] in b"-0123456789":
            fields[name] = _quote(_text_of(fields, name))


def order_as_pushed(row: bytes) -> bytes:
    """Return the `Orders` push of an order of `/order`, `/orders` or the histories."""
    fields = decode_fields(row)
    _drop_fields(fields, _ORDER_ONLY_REST)
    for name in _ORDER_NOT_IN_HISTORY:
        fields.setdefault(name, _EMPTY)
    _fill_blanks(fields, _ORDER_TEXTS, _EMPTY)
    _fill_blanks(fields, _ORDER_AMOUNTS, _ZERO, (_NULL, _EMPTY))
    _number_to_text_of(fields, ("leverage",))
    return msgspec.json.encode(fields)


def trade_as_pushed(row: bytes) -> bytes:
    """Return the `Trades` push of an execution.

    The venue has announced that it will remove `tradingFee`. Without it `fee` and `rebate` stay as they are. If there
    is no rebate, `tradingFee` is `fee`. With a rebate there is no `tradingFee`, because it is not documented which part
    of the rebate belongs to an execution.
    """
    fields = decode_fields(row)
    _drop_fields(fields, _TRADE_ONLY_REST)
    if _text_of(fields, "tradingFee"):
        if not _text_of(fields, "tradingFeeCoin"):
            fields["tradingFeeCoin"] = _quote(_text_of(fields, "feeCoin") or _text_of(fields, "rebateCoin"))
        _drop_fields(fields, _FEE_SPLIT)
    elif _text_of(fields, "fee") and not _text_of(fields, "rebate").strip("0."):
        fields["tradingFee"], fields["tradingFeeCoin"] = fields["fee"], _quote(_text_of(fields, "feeCoin"))
        _number_to_text_of(fields, ("tradingFee",))
    _fill_blanks(fields, _TRADE_TEXTS, _EMPTY)
    return msgspec.json.encode(fields)


def position_as_pushed(row: bytes) -> bytes:
    """Return the `Positions` push of a position; in REST only its symbol names the exchange."""
    fields = decode_fields(row)
    _drop_fields(fields, ("tpslOrder",))
    if not _text_of(fields, "exchangeType"):
        fields["exchangeType"] = _quote(_text_of(fields, "sym").split("_", 1)[0])
    return msgspec.json.encode(fields)


def risk_as_pushed(row: bytes) -> bytes:
    """Return the `MarginCall` push of an exchange account's risk; its ids and times are text."""
    fields = decode_fields(row)
    _number_to_text_of(fields, ("portfolioId", "userId", "createAt", "updateAt"))
    return msgspec.json.encode(fields)


class Row(Protocol):
    """One row of a list."""

    @property
    def key(self) -> Hashable:
        """What the row is about; of two rows with one key the newer counts."""

    @property
    def raw(self) -> bytes:
        """The push of the row."""

    @property
    def updated_at_ms(self) -> int:
        """When it last changed, in Unix ms; 0 if the row does not say."""


class AssetRow(Struct, frozen=True):
    """The balance of a coin; REST and the push have the same shape."""

    asset: AssetPush
    raw: bytes

    @property
    def key(self) -> Hashable:
        """The coin, on its exchange."""
        return self.asset.exchange_type, self.asset.coin

    @property
    def updated_at_ms(self) -> int:
        """When the balance last changed, in Unix ms."""
        return parse_time_ms(self.asset.update_at)


def read_order(row: bytes) -> OrderRow:
    """Return an order. Raises NOT_UNDERSTOOD, as the functions below do."""
    return OrderRow(*decode_push(order_as_pushed(row), OrderPush))


def read_trade(row: bytes) -> TradeRow:
    """Return an execution."""
    return TradeRow(*decode_push(trade_as_pushed(row), TradePush))


def read_asset(row: bytes) -> AssetRow:
    """Return the balance of a coin."""
    return AssetRow(*decode_push(row, AssetPush))


def read_position(row: bytes) -> bytes:
    """Return the push of a position."""
    return decode_push(position_as_pushed(row), PositionPush)[1]


def read_risk(row: bytes) -> bytes:
    """Return the push of an exchange account's risk."""
    return decode_push(risk_as_pushed(row), MarginCallPush)[1]
