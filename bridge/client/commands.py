"""Build commands of the contract from Python values, and check them before anything is sent.

A built command is complete: it has its commandId, the name of its order, and the time until which it may be sent. So
the same command never becomes a second order when this process or another submits it again: for an hour (the bridge's
`horizon_s`) it gets its first outcome, and after that hour it has expired.
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

ExactNumber = Decimal | str | int
"""An exact quantity or price. The record holds it as a decimal string; a float is refused."""

_PLACE_VALID_S: Final = 10.0
_CANCEL_VALID_S: Final = 60.0
_CommandType = TypeVar("_CommandType", bound=Command)


class BadCommand(ClientError, ValueError):
    """The command is not one of the contract, and nothing was sent. The text names the field."""


class CommandOptions(TypedDict, total=False):
    """Options of every command. None means the default.

    `command_id` is a fresh UUID by default; `valid_for_s` counts from now on this machine's clock.
    """

    command_id: str | None
    valid_for_s: float | None


class PlaceOptions(CommandOptions, total=False):
    """Options of `place_order`: the fields of LTP's Place Order. By default the command is valid for 10 s."""

    sym: Required[str]
    side: Required[Side]
    order_type: Required[Literal["LIMIT", "MARKET"]]
    order_qty: ExactNumber | None
    limit_price: ExactNumber | None
    quote_order_qty: ExactNumber | None
    time_in_force: Literal["GTC", "IOC", "FOK", "GTX"] | None
    client_order_id: str | None
    reduce_only: bool | None
    position_side: PositionSide | None
    tp_trigger_price: ExactNumber | None
    tp_trigger_type: TriggerType | None
    tp_price: ExactNumber | None
    sl_trigger_price: ExactNumber | None
    sl_trigger_type: TriggerType | None
    sl_price: ExactNumber | None


class ReplaceOptions(CommandOptions, total=False):
    """Options of `replace_order`: one id of the order, and its new total quantity or price. Valid for 10 s."""

    order_id: str | None
    client_order_id: str | None
    replace_qty: ExactNumber | None
    replace_price: ExactNumber | None


class CancelOptions(CommandOptions, total=False):
    """Options of `cancel_order`: one id of the order. Valid for 60 s."""

    order_id: str | None
    client_order_id: str | None


def place_order(**options: Unpack[PlaceOptions]) -> PlaceOrder:
    """Build a place. Without `client_order_id` the order gets one from the commandId. Raises BadCommand."""
    return _build_command(PlaceOrder, _PLACE_VALID_S, options)


def replace_order(**options: Unpack[ReplaceOptions]) -> ReplaceOrder:
    """Build a replace; `replace_qty` is the new total, not a difference. Raises BadCommand."""
    return _build_command(ReplaceOrder, _PLACE_VALID_S, options)


def cancel_order(**options: Unpack[CancelOptions]) -> CancelOrder:
    """Build a cancel. Raises BadCommand."""
    return _build_command(CancelOrder, _CANCEL_VALID_S, options)


def cancel_orders(exchange_type: Scope, **options: Unpack[CommandOptions]) -> CancelOrders:
    """Build a cancel of every order of an exchange, or of ALL. Raises BadCommand."""
    return _build_command(CancelOrders, _CANCEL_VALID_S, {"exchange_type": exchange_type, **options})


def _build_command(kind: type[_CommandType], valid_s: float, options: Mapping[str, object]) -> _CommandType:
    args = {name: value for name, value in options.items() if value is not None}
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
                "args": {_to_camel_case(name): _encode_value(name, value) for name, value in args.items()},
            },
            kind,
        )
    except msgspec.ValidationError as error:
        raise BadCommand(describe_patterns(str(error))) from None


def _valid_until_ms(valid_for_s: object) -> int:
    if not isinstance(valid_for_s, int | float) or not math.isfinite(valid_for_s):
        raise BadCommand(f"valid_for_s: {valid_for_s!r} is not a number of seconds")
    return int((time.time() + valid_for_s) * 1000)


def _encode_value(name: str, value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        raise BadCommand(f'{name}: {value!r} is a float, which is not exact; give Decimal("{value}") or "{value}"')
    return format(Decimal(value), "f") if isinstance(value, Decimal | int) else value


def _to_camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
