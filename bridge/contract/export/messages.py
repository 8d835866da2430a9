"""The messages of the contract: on which topic each travels, its type, its name and what its key is."""

from typing import Any, Final

from msgspec import Struct

from bridge.contract import commands, results, session
from bridge.contract.export import headers, pushes
from bridge.contract.headers import EVENT_TYPES, TAKEOVER_TYPE
from bridge.contract.topics import Stream


class Message(Struct, frozen=True):
    """One message. `kind` None: the value is bytes of somebody else's; `event_type` None: not the bridge's to write."""

    name: str
    stream: Stream
    kind: Any
    headers: type[Struct]
    key: str
    summary: str
    event_type: bytes | None


def _event(
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


def _command(name: str, kind: type[Struct], summary: str) -> Message:
    key = "What the caller likes, the commandId or a name of the order, or nothing."
    return Message(name, Stream.COMMANDS, kind, headers.CommandHeaders, key, summary, None)


MESSAGES: Final = (
    _event("order", Stream.ORDERS, pushes.Order, "orderId", "A state of an order"),
    _event("trade", Stream.TRADES, pushes.Trade, "orderId", "An execution"),
    _event("asset", Stream.ASSETS, pushes.Asset, "exchangeType:coin", "A balance"),
    _event("position", Stream.POSITIONS, pushes.Position, "sym:positionSide", "A position"),
    _event("margin-call", Stream.MARGIN_CALLS, pushes.MarginCall, "exchangeType", "The risk of an exchange account"),
    _event("liquidation", Stream.LIQUIDATIONS, pushes.Liquidation, "liquidationEventId", "A step of a liquidation"),
    _event("session", Stream.SESSION, session.SessionEvent, "The account", "What the bridge tells about itself"),
    _event(
        "unrecognized",
        Stream.UNRECOGNIZED,
        None,
        "The venue's channel; UNKNOWN where none could be read",
        "A whole frame of the venue that nobody documented, or that could not be read",
    ),
    _command("place-order", commands.PlaceOrder, "Place an order"),
    _command("replace-order", commands.ReplaceOrder, "Change quantity or price of an order"),
    _command("cancel-order", commands.CancelOrder, "Cancel an order"),
    _command("cancel-orders", commands.CancelOrders, "Cancel every order of a scope"),
    _event("result", Stream.RESULTS, results.Result, "commandId", "An answer to a command", head=headers.ResultHeaders),
    _event(
        "takeover",
        Stream.RESULTS,
        results.Takeover,
        "The account",
        "An owner begins its term",
        event_type=TAKEOVER_TYPE,
    ),
    _event(
        "dead-letter",
        Stream.DEAD_LETTERS,
        None,
        "The command record's key; empty where it had none, or was too large",
        "The bytes of a record that is no command with an id of its own; the headers say why",
        head=headers.DeadLetterHeaders,
    ),
)
"""Every message but the tombstone, which is a record of a state without a value."""
