"""Finds keys that a JSON object repeats: it is not known which of the two values the caller means.

Callers can write any bytes, so the check must be cheap: records of many strings are not decoded.
"""

import json
import re
from collections import Counter
from typing import Any, Final

QUOTES_MAX: Final = 512
"""More quotation marks than a command without a repeated key can have: 38 strings, and those within two of them."""
_EXACT_BYTES_MAX: Final = 4096
_COMMAND_ID: Final = "commandId"
_WRITTEN: Final = "".join(
    rf"(?:{letter}|\\u00(?i:{ord(letter):02x}))"  # JSON may write each letter of a key by its number
    for letter in _COMMAND_ID
)
_COMMAND_ID_KEY: Final = re.compile(rf'(?<!\\)"{_WRITTEN}"[ \t\r\n]*:'.encode())


class _RepeatedKeyError(ValueError):
    """A JSON object names a key twice."""


def _require_unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        raise _RepeatedKeyError(_COMMAND_ID if _COMMAND_ID in repeated else repeated[0])
    return found


_EXACT: Final = json.JSONDecoder(object_pairs_hook=_require_unique, parse_int=str, parse_float=str)


def _find_repeated_key(value: bytes) -> str | None:
    try:
        # The command decoder skips unknown keys without checking that they are UTF-8.
        _EXACT.decode(value.decode(errors="replace"))
    except _RepeatedKeyError as error:
        return str(error)
    except (ValueError, RecursionError):
        return None  # the message of the command decoder is clearer
    return None


def repeats_command_id(value: bytes) -> bool:
    """Whether a JSON object names its commandId twice; a long one may also name it in two objects."""
    if value.count(b"commandId") <= 1 and b"\\u00" not in value:
        return False
    if len(value) <= _EXACT_BYTES_MAX:
        return _find_repeated_key(value) == _COMMAND_ID
    found = _COMMAND_ID_KEY.finditer(value)
    return next(found, None) is not None and next(found, None) is not None


def describe_repeated_key(value: bytes) -> str | None:
    """Return a message that names a repeated key of a decoded command; None when no key is repeated."""
    quotes = value.count(b'"')
    if quotes > QUOTES_MAX:
        return f"keys stand twice: it has {quotes} quotation marks, more than any command"
    repeated = _find_repeated_key(value)
    return None if repeated is None else f"the key '{repeated}' stands twice"
