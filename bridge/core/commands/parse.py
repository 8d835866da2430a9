"""Parses a record of the commands topic: schema, values, validity and the names of the order."""

import hashlib
import re
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from bridge.config import Limits, Timing
from bridge.contract import commands as contract
from bridge.contract import headers as names
from bridge.contract.results import Reason
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.repeated_keys import describe_repeated_key, repeats_command_id
from bridge.core.now import Now
from bridge.core.odd_fields import UNREADABLE
from bridge.core.records import CommandRecord

_DECODER: Final = msgspec.json.Decoder(contract.Command)
_COMMAND_ID: Final = re.compile(r"[!-~]{1,128}")
_SPOT_OR_MARGIN: Final = re.compile(r"[A-Z]+_(SPOT|MARGIN)_")
_MESSAGE_CHARACTERS_MAX: Final = 300
_TRANSACTIONAL: Final = (
    "it was written in a Kafka transaction, which may be aborted after the bridge has read it; "
    "write commands without one, under a fresh commandId"
)


class InvalidCommand(Struct, frozen=True):
    """Why a record is no command. Without a `command_id` it becomes a dead letter, and has no result."""

    reason: Reason
    message: str
    command_id: str | None = None
    action: str | None = None
    digest: str | None = None


def shorten_text(text: str) -> str:
    """Return a message cut to 300 characters, with what UTF-8 cannot encode replaced."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _MESSAGE_CHARACTERS_MAX else text[:_MESSAGE_CHARACTERS_MAX] + "…"


class _Identity(Struct, rename="camel"):
    """The fields of an invalid command that its result needs."""

    command_id: Any = None
    action: Any = None


_IDENTITY_DECODER: Final = msgspec.json.Decoder(_Identity)
_ACTIONS: Final = frozenset({contract.PLACE, contract.REPLACE, contract.CANCEL, contract.CANCEL_ALL})


def command_id_of(value: bytes | None) -> str | None:
    """Return the commandId of a record's value; None when it has none that is a string."""
    try:
        command_id = _IDENTITY_DECODER.decode(value or b"").command_id
    except UNREADABLE:
        return None
    return command_id if isinstance(command_id, str) else None


def _describe_invalid(value: bytes, reason: Reason, message: str) -> InvalidCommand:
    """Return why a value is no command, with its commandId if one can be read."""
    try:
        identity = _IDENTITY_DECODER.decode(value)
    except UNREADABLE as error:
        if reason is Reason.TOO_LARGE:
            return InvalidCommand(reason, shorten_text(message))
        return InvalidCommand(Reason.NOT_JSON, shorten_text(str(error)))
    if repeats_command_id(value):
        text = message if reason is Reason.TOO_LARGE else "the key 'commandId' stands twice"
        return InvalidCommand(Reason.NO_COMMAND_ID if reason is Reason.BAD_SCHEMA else reason, shorten_text(text))
    command_id, action = identity.command_id, identity.action
    if not isinstance(command_id, str) or not _COMMAND_ID.fullmatch(command_id):
        return InvalidCommand(Reason.NO_COMMAND_ID if reason is Reason.BAD_SCHEMA else reason, shorten_text(message))
    known = isinstance(action, str) and action in _ACTIONS
    digest = hashlib.sha256(value).hexdigest()
    return InvalidCommand(reason, shorten_text(message), command_id, action if known else None, digest)


def _find_contradiction(command: contract.Command) -> str | None:
    """Return what is wrong with fields that are each well formed; None when nothing is."""
    match command:
        case contract.PlaceOrder(args=args):
            return _find_place_contradiction(args)
        case contract.ReplaceOrder(args=args):
            if args.order_id is UNSET and args.client_order_id is UNSET:
                return "args: orderId or clientOrderId is needed"
            if args.replace_qty is UNSET and args.replace_price is UNSET:
                return "args: replaceQty or replacePrice is needed"
        case contract.CancelOrder(args=args):
            if args.order_id is UNSET and args.client_order_id is UNSET:
                return "args: orderId or clientOrderId is needed"
        case _:
            return None
    return None


def _find_place_contradiction(args: contract.PlaceOrderArgs) -> str | None:
    by_quote = args.quote_order_qty is not UNSET
    market_buy = args.order_type == "MARKET" and args.side == "BUY"
    by_quantity = args.order_qty is not UNSET
    checks = (
        (
            by_quote and not (market_buy and _SPOT_OR_MARGIN.match(args.sym)),
            "args.quoteOrderQty: only for a MARKET BUY of SPOT or MARGIN",
        ),
        (
            by_quantity and not by_quote and market_buy and args.sym.split("_")[1] == "SPOT",
            "args.orderQty: a MARKET BUY of SPOT wants quoteOrderQty, the amount to spend, in its place",
        ),
        (by_quote and by_quantity, "args: give orderQty or quoteOrderQty, not both"),
        (not by_quote and not by_quantity, "args.orderQty: is needed"),
        (args.order_type == "LIMIT" and args.limit_price is UNSET, "args.limitPrice: a LIMIT order needs one"),
        (args.order_type == "MARKET" and args.limit_price is not UNSET, "args.limitPrice: a MARKET order has none"),
        (args.order_type == "MARKET" and args.time_in_force is not UNSET, "args.timeInForce: a MARKET order has none"),
    )
    return next((text for wrong, text in checks if wrong), None)


def _given_args(args: Struct) -> dict[str, str]:
    return {name: value for name, value in msgspec.to_builtins(args).items() if value is not UNSET}


def _none_if_unset(value: str | UnsetType) -> str | None:
    return None if value is UNSET else value


def _find_valid_until_ms(
    command: contract.Command, record: CommandRecord, timing: Timing, *, is_claimed: bool
) -> int | str:
    """Return until when a command may be sent, Unix ms, or what is wrong with its validUntil."""
    if command.valid_until is UNSET:
        cancels = isinstance(command, contract.CancelOrder | contract.CancelOrders)
        default = timing.validity_default_cancel_s if cancels else timing.validity_default_place_s
        return record.timestamp_ms + int(default * 1000)
    if not is_claimed and command.valid_until > record.timestamp_ms + int(timing.validity_max_s * 1000):
        return (
            f"validUntil: more than {timing.validity_max_s:g} s after the record's timestamp {record.timestamp_ms}; "
            "give Unix milliseconds of a nearer time"
        )
    return command.valid_until


def parse_command(  # noqa: PLR0911 - one return for each reason
    record: CommandRecord, now: Now, limits: Limits, timing: Timing, *, is_claimed: bool = False
) -> TrackedCommand | InvalidCommand:
    """Return the command of a record, or why it is none. `now` is the time by the broker's clock.

    `is_claimed`: an earlier owner accepted it by its own settings, so no limit of this owner applies.
    """
    value = record.value
    if record.unreadable is not None:
        which = (
            f"offset {record.offset}"
            if record.next_offset == record.offset + 1
            else f"offsets {record.offset} to {record.next_offset - 1}"
        )
        return InvalidCommand(Reason.UNREADABLE, shorten_text(f"{which} cannot be read: {record.unreadable}"))
    if value is None:
        return InvalidCommand(Reason.TOMBSTONE, "the record has no value; a command is a JSON object")
    if not is_claimed and len(value) > limits.command_bytes_max:
        text = f"{len(value)} bytes; a command has at most {limits.command_bytes_max}"
        return _describe_invalid(value, Reason.TOO_LARGE, text)
    try:
        command = _DECODER.decode(value)
    except msgspec.ValidationError as error:
        is_object = value.lstrip().startswith(b"{")
        return _describe_invalid(
            value, Reason.BAD_SCHEMA if is_object else Reason.NOT_JSON, contract.describe_patterns(str(error))
        )
    except UNREADABLE as error:
        return InvalidCommand(Reason.NOT_JSON, shorten_text(str(error)))
    args = _given_args(command.args)
    strings = 5 + (command.valid_until is not UNSET) + 2 * len(args)
    # Without an escape, and with two quotation marks for each string, no key is repeated.
    if value.count(b'"') != 2 * strings or b"\\" in value:
        repeated = describe_repeated_key(value)
        if repeated is not None:
            return _describe_invalid(value, Reason.BAD_SCHEMA, repeated)
    return _build_command(command, args, record, now, timing, is_claimed=is_claimed)


def is_cancel(value: bytes) -> bool:
    """Return whether a value has the form of a cancel. The check is cheap for every value."""
    if b"cancel" not in value and b"\\u00" not in value:
        return False  # JSON can write a letter in no other way
    try:
        command = _DECODER.decode(value)
    except UNREADABLE:
        return False
    return isinstance(command, contract.CancelOrder | contract.CancelOrders)


def _build_command(
    command: contract.Command,
    args: dict[str, str],
    record: CommandRecord,
    now: Now,
    timing: Timing,
    *,
    is_claimed: bool,
) -> TrackedCommand | InvalidCommand:
    action = contract.action_of(command)
    digest = contract.body_digest(action, args)
    valid_until = _find_valid_until_ms(command, record, timing, is_claimed=is_claimed)
    wrong = valid_until if isinstance(valid_until, str) else _find_contradiction(command)
    if wrong is not None or isinstance(valid_until, str):
        return InvalidCommand(Reason.BAD_VALUE, str(wrong), command.command_id, action, digest=digest)
    if record.transactional and not is_claimed:
        return InvalidCommand(Reason.TRANSACTIONAL, _TRANSACTIONAL, command.command_id, action, digest=digest)
    tracked = TrackedCommand(
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        command_id=command.command_id,
        action=action,
        args=args,
        deadline_boot_s=now.boot_s_of(valid_until),
        digest=digest,
        correlation_headers=names.select_correlation_headers(record.headers),
        read_boot_s=now.boot_s,
    )
    if isinstance(command, contract.CancelOrders):
        tracked.exchange = command.args.exchange_type
        return tracked
    tracked.client_order_id = _none_if_unset(command.args.client_order_id)
    if isinstance(command, contract.PlaceOrder):
        tracked.client_order_id = tracked.client_order_id or contract.derive_client_order_id(command.command_id)
        tracked.args["clientOrderId"] = tracked.order_key = tracked.client_order_id
        tracked.exchange = command.args.sym.split("_", 1)[0]
    else:
        tracked.order_id = _none_if_unset(command.args.order_id)
    return tracked
