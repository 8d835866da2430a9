"""Undocumented shapes of what the venue sends: one alarm for each shape, with a sample.

A sample has the names of fields, numbers and short words of the venue; other text is left out, because it may quote
what the bridge sent. The whole frame is on `unrecognized`.
"""

import re
from collections import Counter
from hashlib import blake2b
from typing import Final

import msgspec

from bridge.contract.pushes import MarginCallPush
from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.now import Now
from bridge.core.odd_fields import UNREADABLE, decode_fields
from bridge.core.stream.venue_record import decode_push

ACCOUNT_STATUSES: Final = frozenset(
    {
        *("NORMAL", "MARGIN_CALL", "CANCEL_OPEN", "CANCEL_ALL"),
        *("LIQUIDATING", "LIQUIDATION", "LIQUIDATED", "TAKEOVER"),
    }
)
"""States of an exchange account (LTP docs, Query Account; the vendor's SDK)."""
MARGIN_CALL_FIELDS: Final = frozenset(
    {
        *("portfolioId", "exchangeType", "userId", "accountStatus", "positionMode", "createAt", "updateAt", "uniMMR"),
        *("equity", "maintainMargin", "positionValue", "marginValue", "frozenMargin", "perpMargin", "debtMargin"),
        *("openLossMargin", "validMargin", "availableMargin", "perpAvailableMargin", "margin", "upnl", "riskRatio"),
        *("netEquity", "netMarginValue", "netValidMargin", "netAvailableMargin", "loanValue", "totalLoanValue"),
    }
)
"""The fields of a margin call and of an account's risk (LTP docs, Query Account; the vendor's SDK)."""
SHAPES_MAX: Final = 50
SHAPES_OF_ONE_CHANNEL_MAX: Final = 5
"""The shapes that alarms are raised for: a venue that makes up names must not fill `session` or the memory."""
_FRAME_BYTES_MAX: Final = 65_536
_SAMPLE_CHARS_MAX: Final = 800
_DEPTH_MAX: Final = 4
_FIELDS_MAX: Final = 60
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z_. -]{0,31}")
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)
_NUMBER_CHARS_MAX: Final = 24
_SECRET: Final = re.compile(r"key|secret|sign|token|pass", re.IGNORECASE)
_SHAPE_WORDS: Final = frozenset({"channel", "event", "action"})
"""Fields whose values are part of a shape."""
_MARGIN_CALL: Final = "margin-calls"
_ELSEWHERE: Final = "the whole frame is on `unrecognized`"


class UndocumentedShapes:
    """The shapes of one term that alarms were raised for; the next owner raises them again when they come."""

    def __init__(self, alarms: ActiveAlarms) -> None:
        self._alarms = alarms
        self._raised: Counter[str] = Counter()

    def check_frame(self, channel: str, frame: bytes, now: Now) -> None:
        """Raise an alarm for a frame that goes to `unrecognized`, unless its shape had one before."""
        name = _known_word(channel)
        if not self._may_raise(name):
            return
        shape, sample = _describe_frame(frame)
        self._raise_alarm(name, shape, f"channel {name}: {_ELSEWHERE}; such as {sample}", now)

    def check_margin_call(self, value: bytes, now: Now) -> None:
        """Raise an alarm for a margin call with a new field or status, or without a status or an exchange."""
        if not self._may_raise(_MARGIN_CALL):
            return
        fields, (push, _) = decode_fields(value), decode_push(value, MarginCallPush)
        status = (push.account_status or "").strip().upper()
        odd = [f"a new field {_known_field(name)}" for name in sorted(fields.keys() - MARGIN_CALL_FIELDS)[:_FIELDS_MAX]]
        if not status:
            odd.append("no accountStatus")
        elif status not in ACCOUNT_STATUSES:
            odd.append(f"a new accountStatus {_known_word(status)}")
        if not push.exchange_type:
            odd.append("no exchangeType")
        if odd:
            shape = ", ".join(odd)[:_SAMPLE_CHARS_MAX]
            self._raise_alarm(
                _MARGIN_CALL, shape, f"a margin call has {shape}; such as {_describe_frame(value)[1]}", now
            )

    def _may_raise(self, name: str) -> bool:
        return self._raised[name] < SHAPES_OF_ONE_CHANNEL_MAX and self._raised.total() < SHAPES_MAX

    def _raise_alarm(self, name: str, shape: str, detail: str, now: Now) -> None:
        subject = f"{name} {blake2b(shape.encode(), digest_size=4).hexdigest()}"
        if self._alarms.raise_alarm(Alarm.UNDOCUMENTED, detail[: 2 * _SAMPLE_CHARS_MAX], now, subject):
            self._raised[name] += 1


def _describe_frame(frame: bytes) -> tuple[str, str]:
    """Return the shape of a frame and a sample of it."""
    if len(frame) > _FRAME_BYTES_MAX:
        return "long", f"a frame of {len(frame)} bytes"
    try:
        value = msgspec.json.decode(frame)
    except UNREADABLE:
        begin = frame[:3].decode("ascii", "replace")
        return f"no JSON {begin!r}", f"{len(frame)} bytes that are no JSON and begin with {begin!r}"
    return _describe_value(value, values=False), _describe_value(value, values=True)


def _describe_value(value: object, *, values: bool) -> str:
    """Return the fields of a value with their types, or, with `values`, with numbers and words of the venue."""
    return "".join(_describe_parts(value, values=values, depth=0))[:_SAMPLE_CHARS_MAX]


def _describe_parts(value: object, *, values: bool, depth: int, name: str = "") -> list[str]:
    if isinstance(value, dict) and depth < _DEPTH_MAX:
        parts = ["{"]
        for field, content in sorted(value.items())[:_FIELDS_MAX]:
            parts += [
                _known_field(field),
                ":",
                *_describe_parts(content, values=values, depth=depth + 1, name=field),
                ",",
            ]
        return [*parts, "}"]
    if isinstance(value, list) and depth < _DEPTH_MAX:
        return ["[", *(_describe_parts(value[0], values=values, depth=depth + 1) if value else ()), "]"]
    return [_describe_single(value, values=values and not _SECRET.search(name), shows_word=name in _SHAPE_WORDS)]


def _describe_single(value: object, *, values: bool, shows_word: bool) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        shown = _known_word(value) if shows_word else "…"
        return f'"{value if values and _NUMBER.fullmatch(value) else shown}"'
    if isinstance(value, dict | list) or not values:
        return type(value).__name__
    return str(value)[:_NUMBER_CHARS_MAX]


def _known_word(text: str) -> str:
    """Return a word of the venue; other text is left out."""
    return text if _WORD.fullmatch(text) else "…"


def _known_field(name: str) -> str:
    return name if _FIELD.fullmatch(name) else "…"
