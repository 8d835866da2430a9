"""Reading the venue's fields: quantities, times, and values of types that the documents do not have.

The venue documents ids, decimals and times as text, and its own fixtures have numbers in their place. A push or row
stays readable as long as the fields that name its subject are there.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec
from msgspec import Raw, Struct

from bridge.contract.pushes import (
    Amount,
    AssetPush,
    LiquidationPush,
    MarginCallPush,
    OrderPush,
    PositionPush,
    Text,
    TradePush,
)

UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What decoding bytes as JSON may raise."""
_DIGITS_MAX: Final = 40
"""A longer number is no id, time or quantity, and stays as it was written."""
_QUANTITY_CHARS_MAX: Final = 200
_MAGNITUDE_MAX: Final = 64
"""Powers of ten."""
_TIME_DIGITS_MAX: Final = 15
_USUAL_TIME_DIGITS: Final = 13
"""The digits of a Unix time in ms, from the year 2001 to 2286."""
_TIME_MAX_MS: Final = 253_402_300_799_999
_NEEDED: Final[dict[type[Struct], tuple[str, ...]]] = {
    OrderPush: ("orderId", "orderState"),
    TradePush: ("orderId", "sym"),
    AssetPush: ("coin",),
    PositionPush: ("sym",),
    MarginCallPush: (),
    LiquidationPush: ("liquidationEventId",),
}
"""The fields that name the subject of a push: without them there is no key to publish it under."""
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


def mend_text(value: bytes, kind: type[Struct]) -> bytes:
    """Return the bytes of a push as UTF-8, which readers of a topic of JSON expect; other bytes become U+FFFD.

    Raises one of UNREADABLE where a field that names the subject of the push is not UTF-8.
    """
    try:
        value.decode()
    except UnicodeDecodeError:
        mended = value.decode(errors="replace").encode()
        fields = decode_fields(mended)
        if any(_REPLACED in bytes(fields.get(name, _NULL)) for name in _NEEDED[kind]):
            raise
        return mended
    return value


def mend_fields(value: bytes, kind: type[Struct]) -> bytes:
    """Return the bytes of a push with every field of the documented type, but for those that name its subject.

    A number or truth where text belongs becomes that text; an object or array in place of a single value is left out.
    Raises one of UNREADABLE where the bytes are no JSON object.
    """
    needed, fields = _NEEDED[kind], decode_fields(value)
    for known in msgspec.structs.fields(kind):
        name = known.encode_name
        if name not in fields and (name in needed or not known.required):
            continue
        try:
            msgspec.json.decode(fields.get(name, _NULL), type=known.type)
        except UNREADABLE:
            text = _quote_token(bytes(fields.get(name, _NULL)))
            if text is not None:
                fields[name] = Raw(msgspec.json.encode(text))
            elif name not in needed:
                fields[name] = _EMPTY if known.required else _NULL
    return msgspec.json.encode(fields)


def replace_lone_surrogates(text: bytes) -> bytes:
    """Return JSON with a byte that is no text for each lone surrogate: then only its own field is unreadable."""
    return _ESCAPE.sub(lambda escape: _NO_TEXT if escape[1] else escape[0], text)


def has_id(trade: TradePush) -> bool:
    """Whether an execution has an id of its own: some that the venue makes by itself have "" or "0"."""
    return bool(str(trade.transaction_id).strip().strip("0"))


def read_quantity(amount: Amount | None) -> Decimal | None:
    """Return a quantity or price exactly; None for text that is no number, or one too large to write out."""
    text = str(amount)
    try:
        value = Decimal(text) if len(text) <= _QUANTITY_CHARS_MAX else None
    except InvalidOperation:
        return None
    is_number = value is not None and value.is_finite() and abs(value.adjusted()) <= _MAGNITUDE_MAX
    return value if is_number else None


def same_number(one: str, other: str) -> bool:
    """Whether two decimal strings mean one number."""
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return one == other


def is_part(executed: Decimal, quantity: str) -> bool:
    """Whether something was executed, and less than a quantity."""
    try:
        return 0 < executed < Decimal(quantity)
    except InvalidOperation:
        return False


def parse_time_ms(text: Text | None) -> int:
    """Return one of the venue's times, Unix ms; 0 where it has none, or none before the year 10000."""
    if isinstance(text, str) and len(text) == _USUAL_TIME_DIGITS and text.isdecimal() and text.isascii():
        return int(text)
    digits = "" if text is None else str(text)
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _TIME_DIGITS_MAX):
        return 0
    number = int(digits)
    return number if number <= _TIME_MAX_MS else 0


def _quote_token(token: bytes) -> str | None:
    """Return a JSON number or truth as text; None for another token. A whole number gets no point and no exponent."""
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
