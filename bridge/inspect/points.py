"""Points in time on the command line: `10m` (ago), an RFC 3339 time, `now` or `all` (from the first record on)."""

import re
import time
from datetime import datetime
from typing import Final

import click

from bridge.contract.headers import format_rfc3339

TIME_MS_MAX: Final = 253_402_300_799_999
"""The end of the year 9999, the last that RFC 3339 can write."""
_AGO: Final = re.compile(r"(?P<number>[0-9]{1,9}(\.[0-9]{1,3})?)(?P<unit>ms|s|m|h|d|w)", re.ASCII)
_UNITS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_FORMS: Final = "such as 10m (ms, s, m, h, d and w count back from now), 2026-11-20T08:42:36Z, now or all"


def parse_point_ms(text: str, now_ms: int) -> int:
    """Return a point in time, Unix ms; 0 for `all`, and for everything before 1970. Raises ValueError."""
    if text == "all":
        return 0
    if text == "now":
        return now_ms
    if ago := _AGO.fullmatch(text):
        return max(0, now_ms - round(float(ago["number"]) * _UNITS_MS[ago["unit"]]))
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"it must be a point in time, {_FORMS}") from None
    if when.tzinfo is None:
        raise ValueError("it must name its zone: a time such as 2026-11-20T08:42:36Z or …+02:00")
    point_ms = max(0, round(when.timestamp() * 1000))
    if point_ms > now_ms:
        raise ValueError("it lies in the future; it must be a time that has passed")
    return point_ms


def format_point(unix_ms: int) -> str:
    """Return a record's time in UTC; a number where nobody can have meant it as a time."""
    return format_rfc3339(unix_ms).decode() if 0 <= unix_ms <= TIME_MS_MAX else f"{unix_ms} ms"


def read_point_option(_: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    """Return the value of an option, Unix ms; None where it is not given. Raises click's BadParameter."""
    try:
        return None if text is None else parse_point_ms(text, time.time_ns() // 1_000_000)
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from None
