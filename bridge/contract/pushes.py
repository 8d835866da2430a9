"""Push payloads: the fields of the venue's pushes that the bridge routes by and readers may rely on.

Values are published byte for byte, so every other field of the venue is there too (LTP docs, User Data Overview). Ids
and times are strings on the wire; numbers are tolerated because the liquidation channels send them.
"""

from msgspec import Struct

Text = str | int
"""A venue id or time in ms: documented as a string, seen as a number."""
Amount = str | int | float
"""A decimal string; some of the venue's fixtures have bare numbers in its place. Never to calculate with."""


class OrderPush(Struct, frozen=True, rename="camel"):
    """`Orders`: a full snapshot of one order at every change."""

    order_id: Text
    order_state: str
    client_order_id: str | None = None
    sym: str | None = None
    side: str | None = None
    order_qty: Amount | None = None
    limit_price: Amount | None = None
    executed_qty: Amount | None = None
    create_at: Text | None = None
    update_at: Text | None = None
    action: str | None = None


class TradePush(Struct, frozen=True, rename="camel"):
    """`Trades`: one execution."""

    transaction_id: Text
    order_id: Text
    sym: str
    quantity: Amount
    price: Amount
    side: str
    exchange_type: str | None = None
    client_order_id: str | None = None
    create_at: Text | None = None


class AssetPush(Struct, frozen=True, rename="camel"):
    """`Assets`: one coin's balance on one exchange."""

    coin: str
    exchange_type: str | None = None
    balance: Amount | None = None
    frozen: Amount | None = None
    update_at: Text | None = None


class PositionPush(Struct, frozen=True, rename="camel"):
    """`Positions`: one position. `positionSide` NET means NONE."""

    sym: str
    position_side: str | None = None
    position_qty: Amount | None = None
    avg_price: Amount | None = None
    update_at: Text | None = None


class MarginCallPush(Struct, frozen=True, rename="camel"):
    """`MarginCall`: the risk state of one exchange account. No field of it is documented as always there."""

    exchange_type: str | None = None
    account_status: str | None = None
    update_at: Text | None = None
    create_at: Text | None = None


class LiquidationPush(Struct, frozen=True, rename="camel"):
    """The liquidation channels."""

    liquidation_event_id: Text
    create_at: Text | None = None
    update_at: Text | None = None
