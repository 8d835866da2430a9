"""A record as one line of JSON that no terminal obeys: its value is the record's own JSON, or base64."""

import base64
from typing import Any, Final

import msgspec
from msgspec import Raw

from bridge.core.odd_fields import UNREADABLE
from bridge.inspect.seen_record import SeenRecord

_encode: Final = msgspec.json.Encoder().encode
_require_json: Final = msgspec.json.Decoder(Raw).decode


def format_json_line(record: SeenRecord, **more: object) -> str:
    """Return a record as a JSON object on one line, with `more` fields at its end.

    Numbers and repeated names in the value stay as they were written; what a terminal would not show is a JSON escape.
    """
    fields: dict[str, Any] = {
        "topic": record.topic,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
        "key": None if record.key is None else _as_text(record.key),
        "headers": {name: None if content is None else _as_text(content) for name, content in record.headers},
        "void": record.is_void,
        "recovered": record.is_recovered,
        "repeated": record.is_repeated,
    }
    if record.unreadable is not None:
        fields["unreadable"] = record.unreadable
    elif (value := _as_json(record.value)) is not None:
        fields["value"] = value
    else:
        fields["base64"] = base64.b64encode(record.value or b"").decode()
    return format_object(fields | more)


def format_object(fields: dict[str, Any]) -> str:
    """Return an object as JSON on one line that no terminal obeys."""
    text = _encode(fields).decode()
    return text if text.isprintable() else "".join(one if one.isprintable() else _escape(one) for one in text)


def _as_text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")


def _as_json(value: bytes | None) -> Raw | None:
    """Return a value as it stands in JSON; None where it is no JSON in UTF-8."""
    if value is None:
        return Raw(b"null")
    try:
        is_plain = value.decode().isprintable()
        raw = _require_json(value)
        # Without white space between its parts, what is left to be escaped is inside of strings.
        return raw if is_plain else Raw(msgspec.json.format(value, indent=-1))
    except (*UNREADABLE, ValueError):
        return None


def _escape(one: str) -> str:
    """Return a character as JSON escapes it: in one or two parts of 16 bits."""
    parts = one.encode("utf-16-be")
    return "".join(f"\\u{int.from_bytes(parts[at : at + 2], 'big'):04x}" for at in range(0, len(parts), 2))
