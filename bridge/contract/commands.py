r"""Commands: what callers write to the `commands` topic. They mirror the venue's own action messages.

Numbers and booleans inside `args` are strings, as on the venue's wire (LTP docs, Place Order). Unknown fields
are errors. Patterns end in `$(?!\n)` because Python's `$` alone would let a trailing line feed through.
"""

import hashlib
import json
import re
from typing import Annotated, Final, Literal, get_args

from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.contract.units import INT64

_SORTED: Final = json.JSONEncoder(sort_keys=True)
_ORDER_NAME: Final = re.compile(r"[a-z0-9]{1,32}")

CommandId = Annotated[
    str,
    Meta(
        pattern=r"^[!-~]{1,128}$(?!\n)",
        description="The caller's name for the command, unique for ever: 1 to 128 printable ASCII characters. Make a "
        "fresh one for each; one that was used brings its answer again (`repeated`), and nothing is done.",
    ),
]
ClientOrderId = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]{1,32}$(?!\n)",
        description="1 to 32 lower-case letters and digits (LTP docs, Place Order; error 401051).",
    ),
]
OrderId = Annotated[
    str,
    Meta(pattern=r"^[0-9]{16}$(?!\n)", description="The venue's order id, 16 digits (LTP docs, error 401007)."),
]
Symbol = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z0-9]{1,20}_[A-Z0-9]{1,20}_[^\x00-\x20\x7f-\xa0]{1,41}$(?!\n)",
        description="{EXCHANGE}_{BUSINESS}_{BASE}_{QUOTE} (LTP docs, Symbols). Which exchanges, businesses and coins "
        "there are, the venue decides; coins may be named in any script.",
    ),
]
Positive = Annotated[
    str,
    Meta(
        pattern=r"^(?=.*[1-9])[0-9]{1,18}(\.[0-9]{1,18})?$(?!\n)",
        description="A decimal number above zero, as a string.",
    ),
]
NotNegative = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,18}(\.[0-9]{1,18})?$(?!\n)",
        description="A decimal number of zero or more, as a string.",
    ),
]
ValidUntil = Annotated[
    int,
    Meta(
        ge=0,
        le=253_402_300_799_999,
        extra_json_schema=INT64,
        description="Unix ms, without a decimal point, after which the command must not be sent; at most 30 min after "
        "the record's timestamp. Without it: 10 s after that for place_order and replace_order, 60 s for cancels.",
    ),
]
Side = Annotated[Literal["BUY", "SELL"], Meta(title="Side", description="Buy or sell.")]
OrderType = Annotated[
    Literal["LIMIT", "MARKET"], Meta(title="OrderType", description="With a price of its own, or at the market's.")
]
TimeInForce = Annotated[
    Literal["GTC", "IOC", "FOK", "GTX"],
    Meta(
        title="TimeInForce",
        description="LIMIT only: until cancelled (the venue's default), what fills at once, all at once or nothing, "
        "or maker only.",
    ),
]
Flag = Literal["true", "false"]
PositionSide = Annotated[
    Literal["NONE", "LONG", "SHORT"],
    Meta(
        title="PositionSide",
        description="NONE (the venue's default) where positions are netted; LONG or SHORT in hedge mode.",
    ),
]
TriggerType = Annotated[
    Literal["LAST_PRICE", "MARK_PRICE"], Meta(title="TriggerType", description="Which price the trigger looks at.")
]
Scope = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z0-9]{1,20}$(?!\n)",
        description="The name of an exchange in capitals, such as BINANCE, OKX or EDX, or ALL for every one; it must "
        "be said. Which exchanges there are, the venue decides: of one where nothing is open, nothing is cancelled. "
        "The orders of this account alone, unless the bridge is set to use the venue's own message "
        "(`limits.cancel_orders`), which may reach every portfolio of the user (LTP docs, Cancel All).",
    ),
]


class PlaceOrderArgs(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Arguments of `place_order` (LTP docs, Place Order)."""

    sym: Symbol
    side: Side
    order_type: OrderType
    order_qty: (
        Annotated[
            Positive,
            Meta(
                description="Quantity in the base coin, on OKX in contracts. A MARKET BUY of SPOT is denied with it: "
                "that goes by quoteOrderQty."
            ),
        ]
        | UnsetType
    ) = UNSET
    limit_price: Annotated[Positive, Meta(description="Price of a LIMIT order.")] | UnsetType = UNSET
    quote_order_qty: (
        Annotated[
            Positive,
            Meta(
                description="Amount in the quote coin, in place of orderQty, for a MARKET BUY of SPOT or MARGIN alone."
            ),
        ]
        | UnsetType
    ) = UNSET
    time_in_force: TimeInForce | UnsetType = UNSET
    client_order_id: ClientOrderId | UnsetType = UNSET
    reduce_only: (
        Annotated[Flag, Meta(title="Flag", description="Whether the order may only make a position smaller.")]
        | UnsetType
    ) = UNSET
    position_side: PositionSide | UnsetType = UNSET
    tp_trigger_price: Annotated[Positive, Meta(description="Price that triggers the take-profit.")] | UnsetType = UNSET
    tp_trigger_type: TriggerType | UnsetType = UNSET
    tp_price: Annotated[NotNegative, Meta(description="Price of the take-profit; 0 is the market's.")] | UnsetType = (
        UNSET
    )
    sl_trigger_price: Annotated[Positive, Meta(description="Price that triggers the stop-loss.")] | UnsetType = UNSET
    sl_trigger_type: TriggerType | UnsetType = UNSET
    sl_price: Annotated[NotNegative, Meta(description="Price of the stop-loss; 0 is the market's.")] | UnsetType = UNSET


class ReplaceOrderArgs(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Arguments of `replace_order` (LTP docs, Replace Order): a name of the order, and what is to change."""

    order_id: OrderId | UnsetType = UNSET
    client_order_id: ClientOrderId | UnsetType = UNSET
    replace_qty: Annotated[Positive, Meta(description="The new total quantity, not a difference.")] | UnsetType = UNSET
    replace_price: Annotated[Positive, Meta(description="The new price.")] | UnsetType = UNSET


class CancelOrderArgs(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Arguments of `cancel_order` (LTP docs, Cancel Order): a name of the order."""

    order_id: OrderId | UnsetType = UNSET
    client_order_id: ClientOrderId | UnsetType = UNSET


class CancelOrdersArgs(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Arguments of `cancel_orders` (LTP docs, Cancel Orders)."""

    exchange_type: Scope


class PlaceOrder(
    Struct, frozen=True, forbid_unknown_fields=True, rename="camel", tag_field="action", tag="place_order"
):
    """Place one order."""

    command_id: CommandId
    args: PlaceOrderArgs
    valid_until: ValidUntil | UnsetType = UNSET


class ReplaceOrder(
    Struct, frozen=True, forbid_unknown_fields=True, rename="camel", tag_field="action", tag="replace_order"
):
    """Change quantity or price of a live order."""

    command_id: CommandId
    args: ReplaceOrderArgs
    valid_until: ValidUntil | UnsetType = UNSET


class CancelOrder(
    Struct, frozen=True, forbid_unknown_fields=True, rename="camel", tag_field="action", tag="cancel_order"
):
    """Cancel one order."""

    command_id: CommandId
    args: CancelOrderArgs
    valid_until: ValidUntil | UnsetType = UNSET


class CancelOrders(
    Struct, frozen=True, forbid_unknown_fields=True, rename="camel", tag_field="action", tag="cancel_orders"
):
    """Cancel every open order of a scope that is older than this command."""

    command_id: CommandId
    args: CancelOrdersArgs
    valid_until: ValidUntil | UnsetType = UNSET


Command = PlaceOrder | ReplaceOrder | CancelOrder | CancelOrders

PLACE: Final = "place_order"
REPLACE: Final = "replace_order"
CANCEL: Final = "cancel_order"
CANCEL_ALL: Final = "cancel_orders"

_FORMATS = (CommandId, ClientOrderId, OrderId, Symbol, Positive, NotNegative, Scope)
PATTERN_MEANINGS: Final[dict[str, str]] = {
    str(meta.pattern): str(meta.description) for kind in _FORMATS for meta in get_args(kind)[1:]
}
"""What each pattern means, for the text of a refusal."""


def derive_client_order_id(command_id: str) -> str:
    """Name an order after its command: without dashes in lower case when that is allowed, else a hash of it."""
    plain = command_id.replace("-", "").lower()
    return plain if _ORDER_NAME.fullmatch(plain) else hashlib.sha256(command_id.encode()).hexdigest()[:32]


def action_of(command: Command) -> str:
    """Name what a command asks for."""
    return str(command.__struct_config__.tag)


def body_digest(action: str, args: dict[str, str]) -> str:
    """Name action and arguments, as given: what makes two commands of one commandId the same."""
    return hashlib.sha256(_SORTED.encode([action, args]).encode()).hexdigest()


def describe_patterns(message: str) -> str:
    """Say what a pattern means instead of showing it, in what the decoder says of a command."""
    for pattern, meaning in PATTERN_MEANINGS.items():
        first = meaning.partition(". ")[0].rstrip(".")
        words = first[0].lower() + first[1:]
        message = message.replace(f"`str` matching regex {pattern!r}", words)
    return message
