"""Payloads of pushes: the fields that the bridge reads to route them and that readers may rely on.

Values are published byte for byte, so every other field of the venue is there too (LTP docs, User Data Overview);
`export/pushes.py` describes those. The venue sends ids and times as strings; numbers are accepted because the
liquidation channels send them.
"""

from typing import Annotated

from msgspec import Meta, Struct

Text = str | int
"""An id of the venue or a time in ms: documented as a string, but numbers occur."""
Amount = str | int | float
"""A decimal string; some fixtures of the venue have plain numbers. The bridge never calculates with it."""

VenueOrderId = Annotated[Text, Meta(description="The venue's order id, 16 digits (LTP docs, error 401007).")]
ClientName = Annotated[
    str | None, Meta(description="The order's clientOrderId; the venue makes one when the caller gave none.")
]
Sym = Annotated[str, Meta(description="{EXCHANGE}_{BUSINESS}_{BASE}_{QUOTE} (LTP docs, Symbols).")]
Exchange = Annotated[str | None, Meta(description="BINANCE, OKX or EDX.", examples=["BINANCE"])]
Quantity = Annotated[Amount | None, Meta(description="Total quantity in the base coin, on OKX in contracts.")]
CreatedAt = Annotated[Text | None, Meta(description="When the venue created it, Unix ms.")]
ChangedAt = Annotated[
    Text | None, Meta(description="When the venue last changed it, Unix ms; it gives the order of the states of a key.")
]
BuyOrSell = Annotated[str, Meta(description="BUY or SELL.", examples=["BUY", "SELL"])]


class OrderPush(Struct, frozen=True, rename="camel", gc=False):
    """`Orders`: a full snapshot of one order at every change."""

    order_id: VenueOrderId
    order_state: Annotated[
        str,
        Meta(
            description="NEW, OPEN or PARTIALLY_FILLED; FILLED, CANCELLED, REJECT and FAIL are final (LTP docs, Enum "
            "Definitions). CANCELED, REJECTED and EXPIRED occur and are final too; ignore case when you compare.",
            examples=["OPEN", "FILLED"],
        ),
    ]
    client_order_id: ClientName = None
    sym: Sym | None = None
    side: BuyOrSell | None = None
    order_qty: Quantity = None
    limit_price: Annotated[Amount | None, Meta(description="Price; empty for a MARKET order.")] = None
    executed_qty: Annotated[Amount | None, Meta(description="Quantity executed so far.")] = None
    create_at: CreatedAt = None
    update_at: ChangedAt = None
    action: Annotated[
        str | None,
        Meta(
            description="The request in progress on the order: empty, CANCEL_PENDING, CANCEL_COMPLETE, CANCEL_FAILED, "
            "AMEND_PENDING, AMEND_COMPLETED or AMEND_FAILED.",
            examples=["", "CANCEL_PENDING"],
        ),
    ] = None


class TradePush(Struct, frozen=True, rename="camel", gc=False):
    """`Trades`: one execution."""

    transaction_id: Annotated[Text, Meta(description="The venue's id of the execution.")]
    order_id: VenueOrderId
    sym: Sym
    quantity: Annotated[Amount, Meta(description="Executed quantity in the base coin, on OKX in contracts.")]
    price: Annotated[Amount, Meta(description="Executed price.")]
    side: BuyOrSell
    exchange_type: Exchange = None
    client_order_id: ClientName = None
    create_at: Annotated[Text | None, Meta(description="When it was executed, Unix ms.")] = None


class AssetPush(Struct, frozen=True, rename="camel", gc=False):
    """`Assets`: one coin's balance on one exchange."""

    coin: Annotated[str, Meta(description="The coin.", examples=["USDT"])]
    exchange_type: Exchange = None
    balance: Annotated[Amount | None, Meta(description="Balance, in the coin.")] = None
    frozen: Annotated[Amount | None, Meta(description="The part of the balance that orders hold.")] = None
    update_at: ChangedAt = None


class PositionPush(Struct, frozen=True, rename="camel", gc=False):
    """`Positions`: one position."""

    sym: Sym
    position_side: Annotated[
        str | None,
        Meta(description="NONE if positions are netted (NET means the same), LONG or SHORT.", examples=["NONE"]),
    ] = None
    position_qty: Annotated[
        Amount | None, Meta(description="Quantity, with a sign if positions are netted; 0 when closed.")
    ] = None
    avg_price: Annotated[Amount | None, Meta(description="Average price of entry.")] = None
    update_at: ChangedAt = None


class MarginCallPush(Struct, frozen=True, rename="camel", gc=False):
    """`MarginCall`: the risk state of one exchange account. The venue documents no field as always present."""

    exchange_type: Exchange = None
    account_status: Annotated[
        str | None, Meta(description="NORMAL, MARGIN_CALL, LIQUIDATING and others.", examples=["MARGIN_CALL"])
    ] = None
    update_at: ChangedAt = None
    create_at: CreatedAt = None


class LiquidationPush(Struct, frozen=True, rename="camel", gc=False):
    """A push of the liquidation channels."""

    liquidation_event_id: Annotated[Text, Meta(description="The venue's id of the liquidation.")]
    create_at: CreatedAt = None
    update_at: ChangedAt = None
