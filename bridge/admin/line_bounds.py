"""Bounds that keep each log line short: the venue, callers and libraries may write texts of any length into it."""

import json
import math
from collections.abc import Mapping
from typing import Final

import structlog

VALUE_CHARS_MAX: Final = 2000
LINE_CHARS_MAX: Final = 64 * 1024
"""A character may be twelve in JSON, so a line has room for two of the longest values and a traceback."""
_SHORT_CHARS: Final = 200
_ITEMS_MAX: Final = 100
_DEPTH_MAX: Final = 8
_INTEGER_BITS_MAX: Final = 64
_WHOLE: Final = frozenset({"exc_info", "stack_info", "_record", "_from_structlog"})
"""Keys whose values the next processors must get unchanged."""
_KEPT: Final = ("timestamp", "level", "event", "account")
_COLOURS_END: Final = "\x1b[0m"
_COLOUR_CHARS_MAX: Final = 8


def cut_text(text: str, chars_max: int = VALUE_CHARS_MAX) -> str:
    """Return a text that is not longer than `chars_max` and a note of how long it was."""
    return text if len(text) <= chars_max else f"{text[:chars_max]}… (cut: {len(text)} characters)"


def cut_ends(text: str, chars_max: int) -> str:
    """Return the first and the last part of a text that is too long, as of a traceback, whose end says what it was."""
    half = chars_max // 2
    return text if len(text) <= chars_max else f"{text[:half]}\n… (cut: {len(text)} characters)\n{text[-half:]}"


def bound_values(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Cut every value that is too long, and describe what JSON has no form for; a processor of structlog."""
    del logger, method
    return {name: value if name in _WHOLE else _bound_value(value, _DEPTH_MAX) for name, value in event.items()}


def _bound_value(value: object, depth: int) -> object:
    if depth and isinstance(value, Mapping):
        items = list(value.items())[:_ITEMS_MAX]
        return {cut_text(str(name), _SHORT_CHARS): _bound_value(one, depth - 1) for name, one in items}
    if depth and isinstance(value, list | tuple):
        return [_bound_value(one, depth - 1) for one in value[:_ITEMS_MAX]]
    return _bound_single(value)


def _bound_single(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        bits = value.bit_length()
        return value if bits <= _INTEGER_BITS_MAX else f"an integer of {bits} bits"
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bytes | bytearray):
        value = bytes(value[:VALUE_CHARS_MAX])
    return cut_text(str(value) if isinstance(value, str) else _describe_object(value))


def _describe_object(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a line must not fail for what it is about
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"


def render_json(logger: object, method: str, event: structlog.typing.EventDict) -> str:
    """Return a line as JSON in ASCII. Of one that is too long only what it is about is left."""
    del logger, method
    line = json.dumps(event)
    if len(line) <= LINE_CHARS_MAX:
        return line
    kept = {name: cut_text(str(event[name]), _SHORT_CHARS) for name in _KEPT if name in event}
    return json.dumps({**kept, "cut_chars": len(line)})


def bound_coloured(logger: object, method: str, line: str) -> str:
    """Cut a rendered line for a terminal, never within one of its own colour codes; a processor behind the renderer."""
    del logger, method
    if len(line) <= LINE_CHARS_MAX:
        return line
    kept = line[:LINE_CHARS_MAX]
    code = kept.rfind("\x1b", LINE_CHARS_MAX - _COLOUR_CHARS_MAX)
    return f"{kept[:code] if code >= 0 else kept}{_COLOURS_END}… (cut: {len(line)} characters)"
