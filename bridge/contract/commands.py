r"""Commands: the records that callers write to the `commands` topic. They mirror the venue's own action messages.

Numbers and booleans inside `args` are strings, as in the venue's messages (LTP docs, Place Order). Unknown fields
are errors. Patterns end in `$(?!\n)` because Python's `$` alone would accept a trailing line feed.

To add a command, touch:

- here: its arguments, its struct, the union `Command`, and the constant of its action;
- contract/export: messages.py, conditions.py, story.py; then write schemas/ again;
- tests/model, if it is claimed in another way: the protocol is changed there first;
- core/commands: command.py (`ACTIONS` and the sets beside it, `wire_args`), parse.py, lanes.py (`CLAIM_LANES`),
  command_table.py (its chain), intake.py, dispatch.py, unsent_commands.py, results.py, dedupe_index.py,
  inherited_commands.py, and rate_limits.py with config/limits.py; config/timing.py (its validity);
- core/in_flight: requests.py, unknown_commands.py, facts.py, query_memory.py, late_orders.py;
- flow/status_queries.py (how REST is asked about it), ltp/wire.py (the events of its acks);
- client/commands.py, client/client.py, and the venue of the sandbox.
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
        description="The caller's id of the command, never used twice: 1 to 128 printable ASCII characters. Make a "
        "fresh one for each command. For a used one the bridge repeats the first answer (`repeated`) and does "
        "nothing.",
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
        description="{EXCHANGE}_{BUSINESS}_{BASE}_{QUOTE} (LTP docs, Symbols). The venue decides which exchanges, "
        "businesses and coins there are; names of coins may be in any script.",
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
        description="The bridge does not send the command after this time: Unix ms, without a decimal point, at most "
        "30 min after the record's timestamp. The default is 10 s after it for place_order and replace_order, 60 s for "
        "cancels.",
    ),
]
Side = Annotated[Literal["BUY", "SELL"], Meta(title="Side", description="Buy or sell.")]
OrderType = Annotated[
    Literal["LIMIT", "MARKET"],
    Meta(title="OrderType", description="LIMIT has a price; MARKET takes the market's price."),
]
TimeInForce = Annotated[
    Literal["GTC", "IOC", "FOK", "GTX"],
    Meta(
        title="TimeInForce",
        description="For LIMIT only. GTC (the venue's default): until cancelled. IOC: fill what is possible at once "
        "and cancel the rest. FOK: fill all at once or nothing. GTX: maker only.",
    ),
]
Flag = Literal["true", "false"]
PositionSide = Annotated[
    Literal["NONE", "LONG", "SHORT"],
    Meta(
        title="PositionSide",
        description="NONE (the venue's default) if positions are netted; LONG or SHORT in hedge mode.",
    ),
]
TriggerType = Annotated[
    Literal["LAST_PRICE", "MARK_PRICE"], Meta(title="TriggerType", description="The price that the trigger compares.")
]
Scope = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z0-9]{1,20}$(?!\n)",
        description="The name of an exchange in capitals, such as BINANCE, OKX or EDX, or ALL for every exchange. The "
        "field is required. The venue decides which exchanges there are. Where no order is open, nothing is "
        "cancelled. Only orders of this account are cancelled, unless `limits.cancel_orders` makes the bridge use the "
        "venue's own message, which may cancel orders of every portfolio of the user (LTP docs, Cancel All).",
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
                description="Quantity in the base coin, on OKX in contracts. A MARKET BUY of SPOT with it is denied: "
                "use quoteOrderQty."
            ),
        ]
        | UnsetType
    ) = UNSET
    limit_price: Annotated[Positive, Meta(description="Price of a LIMIT order.")] | UnsetType = UNSET
    quote_order_qty: (
        Annotated[
            Positive,
            Meta(description="Amount in the quote coin instead of orderQty, only for a MARKET BUY of SPOT or MARGIN."),
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
    tp_price: (
        Annotated[NotNegative, Meta(description="Price of the take-profit; 0 means the market's price.")] | UnsetType
    ) = UNSET
    sl_trigger_price: Annotated[Positive, Meta(description="Price that triggers the stop-loss.")] | UnsetType = UNSET
    sl_trigger_type: TriggerType | UnsetType = UNSET
    sl_price: (
        Annotated[NotNegative, Meta(description="Price of the stop-loss; 0 means the market's price.")] | UnsetType
    ) = UNSET


class ReplaceOrderArgs(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Arguments of `replace_order` (LTP docs, Replace Order): an id of the order, and what to change."""

    order_id: OrderId | UnsetType = UNSET
    client_order_id: ClientOrderId | UnsetType = UNSET
    replace_qty: Annotated[Positive, Meta(description="The new total quantity, not a difference.")] | UnsetType = UNSET
    replace_price: Annotated[Positive, Meta(description="The new price.")] | UnsetType = UNSET


class CancelOrderArgs(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Arguments of `cancel_order` (LTP docs, Cancel Order): an id of the order."""

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
    """Change the quantity or the price of a live order."""

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
"""The meaning of each pattern, for the text of an error."""


def derive_client_order_id(command_id: str) -> str:
    """Return a commandId as a clientOrderId: in lower case without dashes if that is valid, else a hash of it."""
    plain = command_id.replace("-", "").lower()
    return plain if _ORDER_NAME.fullmatch(plain) else hashlib.sha256(command_id.encode()).hexdigest()[:32]


def action_of(command: Command) -> str:
    """Return the action of a command, for example `place_order`."""
    return str(command.__struct_config__.tag)


def body_digest(action: str, args: dict[str, str]) -> str:
    """Return a digest of action and arguments. Commands of one commandId are the same if their digests are equal."""
    return hashlib.sha256(_SORTED.encode([action, args]).encode()).hexdigest()


def describe_patterns(message: str) -> str:
    """Return a message of the decoder with the meaning of each pattern in place of the pattern."""
    for pattern, meaning in PATTERN_MEANINGS.items():
        first = meaning.partition(". ")[0].rstrip(".")
        words = first[0].lower() + first[1:]
        message = message.replace(f"`str` matching regex {pattern!r}", words)
    return message
