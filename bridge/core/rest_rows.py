"""Rows of the venue's REST, in the shape of the push about the same fact."""

from collections.abc import Hashable

from msgspec import Struct

from bridge.contract.pushes import OrderPush, TradePush
from bridge.core.odd_fields import parse_time_ms


class OrderRow(Struct, frozen=True):
    """An order of REST; `raw` is the `Orders` push of it."""

    order: OrderPush
    raw: bytes

    @property
    def key(self) -> Hashable:
        """The order's name; an order that was refused may have none (LTP docs, Query Order)."""
        return str(self.order.order_id) or self.order.client_order_id or self.raw

    @property
    def updated_at_ms(self) -> int:
        """When the order last changed, in Unix ms; 0 if the row does not say."""
        return parse_time_ms(self.order.update_at)


class TradeRow(Struct, frozen=True):
    """An execution of REST; `raw` is the `Trades` push of it."""

    trade: TradePush
    raw: bytes

    @property
    def key(self) -> Hashable:
        """The venue's identity of the execution, and the fields in which two of one identity may differ."""
        trade = self.trade
        of_order = trade.exchange_type, trade.sym, str(trade.order_id), str(trade.transaction_id)
        return *of_order, str(trade.create_at), str(trade.quantity), str(trade.price), trade.side

    @property
    def updated_at_ms(self) -> int:
        """When it happened, in Unix ms: an execution never changes."""
        return parse_time_ms(self.trade.create_at)
