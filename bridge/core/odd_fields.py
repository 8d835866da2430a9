"""Reading pushes and rows whose fields have undocumented types, as long as the fields that name the subject are there.

The venue documents ids, decimals and times as text, and its own fixtures have numbers in their place. A field that no
decision needs makes nothing unreadable.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from bridge.contract.pushes import AssetPush, LiquidationPush, MarginCallPush, OrderPush, PositionPush, TradePush

UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What reading bytes of the venue may raise."""
_DIGITS_MAX: Final = 40
"""A longer number is no id, time or quantity, and stays as it was written."""
_NEEDED: Final[dict[type[Struct], tuple[str, ...]]] = {
    OrderPush: ("orderId", "orderState"),
    TradePush: ("orderId", "sym"),
    AssetPush: ("coin",),
    PositionPush: ("sym",),
    MarginCallPush: (),
    LiquidationPush: ("liquidationEventId",),
}
"""What says who and what a push is about: without it there is nothing to publish it under."""
_REPLACED: Final = "\ufffd".encode()
_NO_TEXT: Final = b"\xff"
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""An escape in JSON; the group is half of a character that takes two."""
_NULL: Final = Raw(b"null")
_EMPTY: Final = Raw(b'""')

decode_fields: Final = msgspec.json.Decoder(dict[str, Raw]).decode
"""Read a JSON object and leave each value as it was written; it raises one of UNREADABLE."""
P = TypeVar("P", bound=Struct)


def decode_push(value: bytes, kind: type[P]) -> tuple[P, bytes]:
    """Return what a push or row says, and its bytes: its own, unless a field had to be written as documented.

    A number or truth where text belongs becomes that text; what is no single value is dropped; bytes that are no text
    become U+FFFD. Raises one of UNREADABLE where it does not tell what it is about, or is no JSON object.
    """
    if not value.isascii():
        value = _as_text_only(value, _NEEDED[kind])
    try:
        return msgspec.json.decode(value, type=kind), value
    except msgspec.ValidationError:
        mended = _as_documented(value, kind, _NEEDED[kind])
    return msgspec.json.decode(mended, type=kind), mended


def replace_lone_surrogates(text: bytes) -> bytes:
    """Write each escaped half of a character as a byte that is no text, which holds up only what reads it."""
    return _ESCAPE.sub(lambda escape: _NO_TEXT if escape[1] else escape[0], text)


def has_id(trade: TradePush) -> bool:
    """Whether an execution has an id of its own: some that the venue makes by itself have "" or "0"."""
    return bool(str(trade.transaction_id).strip().strip("0"))


def _as_text_only(value: bytes, needed: tuple[str, ...]) -> bytes:
    """Return bytes of JSON as UTF-8, which readers of a topic of JSON expect. Raises one of UNREADABLE."""
    try:
        value.decode()
    except UnicodeDecodeError:
        mended = value.decode(errors="replace").encode()
        fields = decode_fields(mended)
        if any(_REPLACED in bytes(fields.get(name, _NULL)) for name in needed):
            raise  # what it is about cannot be told
        return mended
    return value


def _as_documented(value: bytes, kind: type[Struct], needed: tuple[str, ...]) -> bytes:
    fields = decode_fields(value)
    for known in msgspec.structs.fields(kind):
        name = known.encode_name
        if name not in fields and (name in needed or not known.required):
            continue
        try:
            msgspec.json.decode(fields.get(name, _NULL), type=known.type)
        except UNREADABLE:
            text = _as_text(bytes(fields.get(name, _NULL)))
            if text is not None:
                fields[name] = Raw(msgspec.json.encode(text))
            elif name not in needed:
                fields[name] = _EMPTY if known.required else _NULL
    return msgspec.json.encode(fields)


def _as_text(token: bytes) -> str | None:
    """Write a JSON number or truth as text; None for what is neither. A whole number has no point and no exponent."""
    if token[:1] not in b"-0123456789tf":
        return None
    text = token.decode()
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if text.lstrip("-").isdigit() or abs(number.adjusted()) > _DIGITS_MAX or number != number.to_integral_value():
        return text
    return format(number.to_integral_value(), "f")
