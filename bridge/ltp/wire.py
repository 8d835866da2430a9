"""The venue's frames: what bytes mean, and how to say something.

Documents, the vendor's own clients and production differ in small ways. What all of them send is understood here, so
that nobody above needs to know of it: numbers as strings, `msg` or `message`, errors under the action's name or under
`error`, pongs as JSON, as text or as a binary frame.
"""

import contextlib
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.core.odd_fields import without_half_characters
from bridge.core.records import Answer, InvalidFrame, Push
from bridge.ltp import codes


class LoginAnswer(Struct, frozen=True):
    """The answer to a login; only code 0 is a success (LTP docs, User Data Overview)."""

    code: int
    message: str


class Pong(Struct, frozen=True):
    """The answer to a ping; `as_text` when it is the bare word, as some of the vendor's documents have it.

    `server_ms` is the venue's own time, Unix ms, where it says one (LTP docs, User Data Overview).
    """

    as_text: bool
    server_ms: int | None = None


Frame = LoginAnswer | Pong | Push | Answer | InvalidFrame


class _Envelope(Struct, gc=False):
    channel: Any = None
    event: Any = None
    id: Any = None
    code: Any = None
    msg: Any = None
    message: Any = None
    pong: Any = UNSET
    data: Raw | UnsetType = UNSET


class _OrderNames(Struct, rename="camel"):
    order_id: Any = None
    client_order_id: Any = None


_CODE_DIGITS_MAX: Final = 18
_NAME_CHARS_MAX: Final = 128
"""What is longer is no id: the venue's have 16 digits, those of callers 32 characters at most."""
_TEXT_CHARS_MAX: Final = 1000
_TIME_MS_MIN: Final = 10**12
"""The year 2001. What is less is no time in ms."""
_FLOAT_MAX: Final = 10**15
"""A larger float may not be the whole number that was written."""
_MENDED_BYTES_MAX: Final = 2 * 1024 * 1024
"""What is longer takes too long to mend."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_ANSWERED: Final = frozenset({"login", "error", PLACE, REPLACE, CANCEL, CANCEL_ALL})
"""The events of answers that the venue documents (LTP docs, Place Order and the pages beside it)."""
NOT_UNDERSTOOD: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What reading the venue's JSON may raise."""
_order_names: Final = msgspec.json.Decoder(_OrderNames)


T = TypeVar("T")


def read_json(text: bytes, kind: type[T]) -> T:
    """Read what the venue sent; half of a character in one of its rows holds up no other. Raises NOT_UNDERSTOOD."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError:
        if len(text) > _MENDED_BYTES_MAX:
            raise
        mended = without_half_characters(text)
    return msgspec.json.decode(mended, type=kind)


def number(code: object) -> int | None:
    """Read a code that may be a number or a numeric string; None when it is neither."""
    if isinstance(code, int) and not isinstance(code, bool):
        return code if abs(code) < 10**_CODE_DIGITS_MAX else None
    if isinstance(code, float):
        return int(code) if code.is_integer() and abs(code) < _FLOAT_MAX else None
    if isinstance(code, str) and len(code) <= _CODE_DIGITS_MAX and code.isascii() and code.strip().isdigit():
        return int(code)
    return None


def text(*candidates: object) -> str:
    """Return the first text that is there, as much of it as anybody reads: it goes into logs, alarms and results."""
    return next((str(candidate)[:_TEXT_CHARS_MAX] for candidate in candidates if candidate is not None), "")


def _name(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and 0 < len(value) <= _NAME_CHARS_MAX else None


def _answer(envelope: _Envelope, event: str, code: int, push: Push | None) -> Answer:
    names = _OrderNames()
    if isinstance(envelope.data, Raw):
        # null, "" or a list: an answer that names no order
        with contextlib.suppress(*NOT_UNDERSTOOD):
            names = _order_names.decode(envelope.data)
    return Answer(
        request_id=_name(envelope.id),
        event=event,
        code=code,
        message=text(envelope.msg, envelope.message),
        order_id=_name(names.order_id),
        client_order_id=_name(names.client_order_id),
        push=push,
    )


def decode(raw: bytes) -> Frame:
    """Read one frame. Never raises: what is not of the venue's protocol is InvalidFrame.

    A push's `data` is the venue's bytes, neither parsed nor changed.
    """
    if not raw.startswith(b"{"):
        if raw.strip(b' \t\r\n"').lower() == b"pong":
            return Pong(as_text=True)
        return _read_frame(raw.removeprefix(_BYTE_ORDER_MARK), raw)
    return _read_frame(raw, raw)


def _read_frame(text_of_it: bytes, raw: bytes) -> Frame:
    try:
        envelope = read_json(text_of_it, _Envelope)
    except NOT_UNDERSTOOD as error:
        return InvalidFrame(raw, f"not a frame of the venue's protocol: {error}")
    if envelope.code is None and isinstance(envelope.channel, str) and isinstance(envelope.data, Raw):
        return Push(envelope.channel, bytes(envelope.data), raw)
    return _read_coded_frame(envelope, raw)


def _read_coded_frame(envelope: _Envelope, raw: bytes) -> Frame:
    """Tell a push that has a code or an event from an answer.

    A push names a channel, and no request; an answer has an event, and names its request where that is no documented
    one. Without an event a code proves nothing, whatever request is named with it. What does both is
    an answer if the request is ours, else the push that is in it; whose the request is, the account knows.
    """
    code, event = number(envelope.code), text(envelope.event)
    push = None
    if isinstance(envelope.channel, str) and isinstance(envelope.data, Raw):
        push = Push(envelope.channel, bytes(envelope.data), raw)
    if code is not None and event.lower() == "login":
        return LoginAnswer(code, text(envelope.msg, envelope.message))
    is_answer = event.lower() in _ANSWERED or (event and _name(envelope.id) is not None)
    if code is not None and is_answer:
        holds_rows = push is not None and push.data[:1] in {b"{", b"["}
        return _answer(envelope, event, code, push if holds_rows else None)
    if push is not None:
        return push
    if envelope.pong is not UNSET:
        said = number(envelope.pong)
        return Pong(as_text=False, server_ms=said if said is not None and said >= _TIME_MS_MIN else None)
    if code is not None and event and codes.refuses(code):
        return _answer(envelope, event, code, None)
    return InvalidFrame(raw, "neither a push nor an answer to a request nor a pong")


def encode_login(api_key: str, timestamp_s: int, sign: str) -> bytes:
    """Say who we are. Pushes come with it (`onlyTrade` false)."""
    args = {"apiKey": api_key, "timestamp": str(timestamp_s), "sign": sign, "onlyTrade": False}
    return msgspec.json.encode({"action": "login", "args": args})


def encode_action(request_id: str, action: str, args: Mapping[str, str]) -> bytes:
    """Ask for an action. The venue echoes `request_id` in its answer; every argument is a string."""
    return msgspec.json.encode({"id": request_id, "action": action, "args": dict(args)})


def encode_ping(unix_ms: int) -> bytes:
    """Ask for a pong, in JSON (LTP docs, User Data Overview)."""
    return msgspec.json.encode({"ping": unix_ms})


TEXT_PING: Final = b"ping"
"""The same question as the bare word."""
