"""Building commands: the contract's own types from Python values, checked before anything is sent.

A command is complete when it is built, with its commandId, the name of its order and until when it may be sent. So
the same command submitted again, by this process or the next, never becomes a second order: as long as the bridge
remembers it (its `horizon_s`, an hour) it is answered with its first outcome, and by then it has long expired.
"""

import math
import time
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal, Required, TypedDict, TypeVar, Unpack

import msgspec

from bridge.client.command_handle import ClientError
from bridge.contract.commands import (
    CancelOrder,
    CancelOrders,
    Command,
    PlaceOrder,
    PositionSide,
    ReplaceOrder,
    Scope,
    Side,
    TriggerType,
    derive_client_order_id,
    describe_patterns,
)

Number = Decimal | str | int
"""A quantity or price: what is exact. On the wire it is a decimal string; a float is refused."""

_PLACE_VALID_S: Final = 10.0
_CANCEL_VALID_S: Final = 60.0
_Kind = TypeVar("_Kind", bound=Command)


class BadCommand(ClientError, ValueError):
    """Not a command of the contract; nothing was sent. The text names the field."""


class CommandOptions(TypedDict, total=False):
    """What every command may be given. None is the same as not given.

    `command_id` is made up when it is not given; `valid_for_s` counts from now on this machine's clock.
    """

    command_id: str | None
    valid_for_s: float | None


class PlaceOptions(CommandOptions, total=False):
    """What `place_order` takes: the fields of LTP's Place Order. Valid for 10 s unless `valid_for_s` says otherwise."""

    sym: Required[str]
    side: Required[Side]
    order_type: Required[Literal["LIMIT", "MARKET"]]
    order_qty: Number | None
    limit_price: Number | None
    quote_order_qty: Number | None
    time_in_force: Literal["GTC", "IOC", "FOK", "GTX"] | None
    client_order_id: str | None
    reduce_only: bool | None
    position_side: PositionSide | None
    tp_trigger_price: Number | None
    tp_trigger_type: TriggerType | None
    tp_price: Number | None
    sl_trigger_price: Number | None
    sl_trigger_type: TriggerType | None
    sl_price: Number | None


class ReplaceOptions(CommandOptions, total=False):
    """What `replace_order` takes: one name of the order, and its new total quantity or price. Valid for 10 s."""

    order_id: str | None
    client_order_id: str | None
    replace_qty: Number | None
    replace_price: Number | None


class CancelOptions(CommandOptions, total=False):
    """What `cancel_order` takes: one name of the order. Valid for 60 s."""

    order_id: str | None
    client_order_id: str | None


def place_order(**terms: Unpack[PlaceOptions]) -> PlaceOrder:
    """Build a place. Without a `client_order_id` the order is named after the commandId. Raises BadCommand."""
    return _build(PlaceOrder, _PLACE_VALID_S, terms)


def replace_order(**terms: Unpack[ReplaceOptions]) -> ReplaceOrder:
    """Build a replace; `replace_qty` is the new total, not a difference. Raises BadCommand."""
    return _build(ReplaceOrder, _PLACE_VALID_S, terms)


def cancel_order(**terms: Unpack[CancelOptions]) -> CancelOrder:
    """Build a cancel. Raises BadCommand."""
    return _build(CancelOrder, _CANCEL_VALID_S, terms)


def cancel_orders(exchange_type: Scope, **terms: Unpack[CommandOptions]) -> CancelOrders:
    """Build a cancel of every order of an exchange, or of ALL. Raises BadCommand."""
    return _build(CancelOrders, _CANCEL_VALID_S, {"exchange_type": exchange_type, **terms})


def _build(kind: type[_Kind], valid_s: float, terms: Mapping[str, object]) -> _Kind:
    args = {name: value for name, value in terms.items() if value is not None}
    command_id = args.pop("command_id", uuid.uuid4().hex)
    valid_for_s = args.pop("valid_for_s", valid_s)
    if kind is PlaceOrder and isinstance(command_id, str):
        args.setdefault("client_order_id", derive_client_order_id(command_id))
    try:
        return msgspec.convert(
            {
                "action": kind.__struct_config__.tag,
                "commandId": command_id,
                "validUntil": _valid_until_ms(valid_for_s),
                "args": {_camel(name): _on_the_wire(name, value) for name, value in args.items()},
            },
            kind,
        )
    except msgspec.ValidationError as error:
        raise BadCommand(describe_patterns(str(error))) from None


def _valid_until_ms(valid_for_s: object) -> int:
    if not isinstance(valid_for_s, int | float) or not math.isfinite(valid_for_s):
        raise BadCommand(f"valid_for_s: {valid_for_s!r} is no time in seconds")
    return int((time.time() + valid_for_s) * 1000)


def _on_the_wire(name: str, value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        raise BadCommand(f'{name}: {value!r} is a float, which is not exact; give Decimal("{value}") or "{value}"')
    return format(Decimal(value), "f") if isinstance(value, Decimal | int) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
