"""The messages of the contract: the topic, the type, the name and the key of each."""

from typing import Any, Final

from msgspec import Struct

from bridge.contract import commands, results, session
from bridge.contract.export import headers, pushes
from bridge.contract.headers import EVENT_TYPES, TAKEOVER_TYPE
from bridge.contract.topics import Stream


class Message(Struct, frozen=True):
    """One message. `kind` None: the value is bytes of another party; `event_type` None: callers write the message."""

    name: str
    stream: Stream
    kind: Any
    headers: type[Struct]
    key: str
    summary: str
    event_type: bytes | None


def _event_message(
    name: str,
    stream: Stream,
    kind: Any,  # noqa: ANN401 - a type, or a union of types
    key: str,
    summary: str,
    *,
    head: type[Struct] = headers.EventHeaders,
    event_type: bytes | None = None,
) -> Message:
    return Message(name, stream, kind, head, key, summary, event_type or EVENT_TYPES[stream])


def _command_message(name: str, kind: type[Struct], summary: str) -> Message:
    key = "Free: the commandId, an id of the order, or nothing."
    return Message(name, Stream.COMMANDS, kind, headers.CommandHeaders, key, summary, None)


MESSAGES: Final = (
    _event_message("order", Stream.ORDERS, pushes.DocumentedOrder, "orderId", "A state of an order"),
    _event_message("trade", Stream.TRADES, pushes.DocumentedTrade, "orderId", "An execution"),
    _event_message("asset", Stream.ASSETS, pushes.DocumentedAsset, "exchangeType:coin", "A balance"),
    _event_message("position", Stream.POSITIONS, pushes.DocumentedPosition, "sym:positionSide", "A position"),
    _event_message(
        "margin-call",
        Stream.MARGIN_CALLS,
        pushes.DocumentedMarginCall,
        "exchangeType",
        "The risk of an exchange account",
    ),
    _event_message(
        "liquidation",
        Stream.LIQUIDATIONS,
        pushes.DocumentedLiquidation,
        "liquidationEventId",
        "A step of a liquidation",
    ),
    _event_message(
        "session", Stream.SESSION, session.SessionEvent, "The account", "What the bridge tells about itself"
    ),
    _event_message(
        "unrecognized",
        Stream.UNRECOGNIZED,
        None,
        "The venue's channel; UNKNOWN if none could be read",
        "A whole frame of the venue that nobody documented, or that could not be read",
    ),
    _command_message("place-order", commands.PlaceOrder, "Place an order"),
    _command_message("replace-order", commands.ReplaceOrder, "Change quantity or price of an order"),
    _command_message("cancel-order", commands.CancelOrder, "Cancel an order"),
    _command_message("cancel-orders", commands.CancelOrders, "Cancel every order of a scope"),
    _event_message(
        "result", Stream.RESULTS, results.Result, "commandId", "An answer to a command", head=headers.ResultHeaders
    ),
    _event_message(
        "takeover",
        Stream.RESULTS,
        results.Takeover,
        "The account",
        "An owner begins its term",
        event_type=TAKEOVER_TYPE,
    ),
    _event_message(
        "dead-letter",
        Stream.DEAD_LETTERS,
        None,
        "The command record's key; empty if it had none or was too large",
        "The bytes of a record that is no command with an id of its own; the headers say why",
        head=headers.DeadLetterHeaders,
    ),
)
"""Every message except the tombstone, which is a record without a value."""
