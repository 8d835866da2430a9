"""Decoding and encoding of the venue's frames.

The documents, the vendor's own clients and production differ in small ways. All of these forms are decoded here, so
that no other module deals with them: numbers as strings, `msg` or `message`, errors under the action's name or under
`error`, pongs as JSON, as text or as a binary frame.
"""

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.pushes import AssetPush, OrderPush, PositionPush, TradePush
from bridge.core.odd_fields import replace_lone_surrogates
from bridge.core.records import Answer, InvalidFrame, Push, VenuePush
from bridge.ltp import codes


class LoginAnswer(Struct, frozen=True):
    """The answer to a login; only code 0 is a success (LTP docs, User Data Overview)."""

    code: int
    message: str


class Pong(Struct, frozen=True):
    """The answer to a ping; `as_text` if it is the bare word, as in some of the vendor's documents.

    `server_ms` is the venue's own time in Unix ms, if the answer has one (LTP docs, User Data Overview).
    """

    as_text: bool
    server_ms: int | None = None


Frame = LoginAnswer | Pong | Push | Answer | InvalidFrame


class _FrameFields(Struct, gc=False):
    channel: Any = None
    event: Any = None
    id: Any = None
    code: Any = None
    msg: Any = None
    message: Any = None
    pong: Any = UNSET
    data: Raw | UnsetType = UNSET


class _OrderIds(Struct, rename="camel"):
    order_id: Any = None
    client_order_id: Any = None


_CODE_DIGITS_MAX: Final = 18
_ID_CHARS_MAX: Final = 128
"""A longer text is no id: the venue's have 16 digits, those of callers 32 characters at most."""
_TEXT_CHARS_MAX: Final = 1000
_TIME_MS_MIN: Final = 10**12
"""The year 2001. A smaller number is no time in ms."""
_FLOAT_MAX: Final = 10**15
"""A larger float may differ from the whole number in the text."""
_REPAIRED_BYTES_MAX: Final = 2 * 1024 * 1024
"""Repairing a longer text takes too long."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_ANSWER_EVENTS: Final = frozenset({"login", "error", PLACE, REPLACE, CANCEL, CANCEL_ALL})
"""The events of answers, as the venue documents them (LTP docs, Place Order and the pages beside it)."""
NOT_UNDERSTOOD: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""The exceptions of `read_json` and `msgspec` for JSON that does not fit."""
_order_ids: Final = msgspec.json.Decoder(_OrderIds)
_DECODE_BY_CHANNEL: Final[dict[bytes, Callable[[bytes], VenuePush]]] = {
    b"Orders": msgspec.json.Decoder(OrderPush).decode,
    b"Trades": msgspec.json.Decoder(TradePush).decode,
    b"Assets": msgspec.json.Decoder(AssetPush).decode,
    b"Positions": msgspec.json.Decoder(PositionPush).decode,
}
_USUAL_BEGIN: Final = re.compile(
    rb'\{"channel":"(%b)"(?:,"instId":"[A-Z0-9_]*")?,"data":(?=\{)' % b"|".join(_DECODE_BY_CHANNEL)
).match
"""How a push of one of these channels begins (LTP docs, Orders, Trades, Assets, Positions)."""


T = TypeVar("T")


def read_json(text: bytes, kind: type[T]) -> T:
    """Return a JSON text of the venue's as an object of this class. Raises NOT_UNDERSTOOD.

    Half a character in one row does not make the other rows unreadable.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError:
        if len(text) > _REPAIRED_BYTES_MAX:
            raise
        repaired = replace_lone_surrogates(text)
    return msgspec.json.decode(repaired, type=kind)


def parse_number(code: object) -> int | None:
    """Return a whole number that is written as a number or as a string; None when it is neither."""
    if isinstance(code, int) and not isinstance(code, bool):
        return code if abs(code) < 10**_CODE_DIGITS_MAX else None
    if isinstance(code, float):
        return int(code) if code.is_integer() and abs(code) < _FLOAT_MAX else None
    if isinstance(code, str) and len(code) <= _CODE_DIGITS_MAX and code.isascii() and code.strip().isdigit():
        return int(code)
    return None


def first_text(*candidates: object) -> str:
    """Return the first candidate that is not None, as text; empty if all are None. It is cut to 1,000 characters."""
    return next((str(candidate)[:_TEXT_CHARS_MAX] for candidate in candidates if candidate is not None), "")


def _parse_id(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and 0 < len(value) <= _ID_CHARS_MAX else None


def _build_answer(fields: _FrameFields, event: str, code: int, push: Push | None) -> Answer:
    ids = _OrderIds()
    if isinstance(fields.data, Raw):
        # it may be null, "" or a list: then the answer names no order
        with contextlib.suppress(*NOT_UNDERSTOOD):
            ids = _order_ids.decode(fields.data)
    return Answer(
        request_id=_parse_id(fields.id),
        event=event,
        code=code,
        message=first_text(fields.msg, fields.message),
        order_id=_parse_id(ids.order_id),
        client_order_id=_parse_id(ids.client_order_id),
        push=push,
    )


def decode_frame(raw: bytes) -> Frame:
    """Return what one frame is. Never raises: a frame that is not of the venue's protocol is an InvalidFrame.

    The `data` of a push are the venue's bytes; only half a character in them, which no reader could read, is replaced.
    """
    usual = _read_usual_push(raw)
    if usual is not None:
        return usual
    if not raw.startswith(b"{"):
        if raw.strip(b' \t\r\n"').lower() == b"pong":
            return Pong(as_text=True)
        return _read_frame(raw.removeprefix(_BYTE_ORDER_MARK), raw)
    return _read_frame(raw, raw)


def _read_usual_push(raw: bytes) -> Push | None:
    """Return a push that is written as the venue usually does, decoded in one pass; None for every other frame.

    Between this beginning and the last brace there is one JSON object exactly if the whole frame is valid JSON.
    """
    begin = _USUAL_BEGIN(raw)
    if begin is None or not raw.endswith(b"}}"):
        return None
    channel = begin[1]
    data = raw[begin.end() : -1]
    if not data.isascii():
        return None
    try:
        return Push(channel.decode(), data, raw, _DECODE_BY_CHANNEL[channel](data))
    except NOT_UNDERSTOOD:
        return None


def _read_frame(json_text: bytes, raw: bytes) -> Frame:
    try:
        fields = read_json(json_text, _FrameFields)
    except NOT_UNDERSTOOD as error:
        return InvalidFrame(raw, f"not a frame of the venue's protocol: {error}")
    if fields.code is None and isinstance(fields.channel, str) and isinstance(fields.data, Raw):
        return Push(fields.channel, bytes(fields.data), raw)
    return _read_coded_frame(fields, raw)


def _read_coded_frame(fields: _FrameFields, raw: bytes) -> Frame:
    """Return an answer, or a push that has a code or an event.

    A push names a channel, and no request. An answer has an event; if the event is not a documented one, the answer
    also names its request. Without an event a code proves nothing, even with a request id. A frame may name both a
    channel and a request: then it is an answer if the request is ours, else the push that it holds. The account knows
    which requests are ours.
    """
    code, event = parse_number(fields.code), first_text(fields.event)
    push = None
    if isinstance(fields.channel, str) and isinstance(fields.data, Raw):
        push = Push(fields.channel, bytes(fields.data), raw)
    if code is not None and event.lower() == "login":
        return LoginAnswer(code, first_text(fields.msg, fields.message))
    is_answer = event.lower() in _ANSWER_EVENTS or (event and _parse_id(fields.id) is not None)
    if code is not None and is_answer:
        holds_rows = push is not None and push.data[:1] in {b"{", b"["}
        return _build_answer(fields, event, code, push if holds_rows else None)
    if push is not None:
        return push
    if fields.pong is not UNSET:
        server_ms = parse_number(fields.pong)
        return Pong(as_text=False, server_ms=server_ms if server_ms is not None and server_ms >= _TIME_MS_MIN else None)
    if code is not None and event and codes.is_refusal(code):
        return _build_answer(fields, event, code, None)
    return InvalidFrame(raw, "neither a push nor an answer to a request nor a pong")


def encode_login(api_key: str, timestamp_s: int, sign: str) -> bytes:
    """Return the frame of a login; the venue pushes on the connection after it (`onlyTrade` false)."""
    args = {"apiKey": api_key, "timestamp": str(timestamp_s), "sign": sign, "onlyTrade": False}
    return msgspec.json.encode({"action": "login", "args": args})


def encode_action(request_id: str, action: str, args: Mapping[str, str]) -> bytes:
    """Return the frame of an action. The venue echoes `request_id` in its answer; every argument is a string."""
    return msgspec.json.encode({"id": request_id, "action": action, "args": dict(args)})


def encode_ping(unix_ms: int) -> bytes:
    """Return the frame of a ping in JSON (LTP docs, User Data Overview)."""
    return msgspec.json.encode({"ping": unix_ms})


TEXT_PING: Final = b"ping"
"""A ping as the bare word."""
