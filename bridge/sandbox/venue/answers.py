"""The answers on the WebSocket: login, acks, refusals and pongs, in the chosen dialect."""

import msgspec

from bridge.sandbox.venue.codes import LOGIN_FAILED, LOGIN_SUCCESS, SUCCESS, TEXTS
from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.outcomes import ActionOutcome

_OLDER_TEXTS = {
    "place_order": "Place order failed.",
    "replace_order": "Replace order failed.",
    "cancel_order": "Cancel order failed.",
    "cancel_orders": "Cancel orders failed.",
}


def encode_login_success(dialect: Dialect) -> bytes:
    """Return the answer to a good login: code 0, not 200000 (LTP docs, User Data Overview)."""
    if dialect.login_success == "current":
        return _encode({"id": None, "event": "login", "code": LOGIN_SUCCESS, "msg": "", "data": None})
    code = "0" if dialect.login_success == "string_code" else LOGIN_SUCCESS
    return _encode({"event": "login", "code": code, "msg": ""})


def encode_login_failure(code: int, dialect: Dialect) -> bytes:
    """Return the answer to a bad login."""
    if dialect.login_failure == "older":
        return _encode({"event": "error", "code": str(LOGIN_FAILED), "msg": TEXTS[LOGIN_FAILED]})
    return _encode({"id": None, "event": "login", "code": code, "msg": TEXTS.get(code, TEXTS[LOGIN_FAILED])})


def encode_action_answer(request_id: str | None, action: str, outcome: ActionOutcome, dialect: Dialect) -> bytes:
    """Return an ack or a refusal. An ack means accepted by LTP, not executed (LTP docs, Place Order)."""
    if not outcome.is_success:
        return encode_action_refusal(request_id, action, outcome.code, outcome.message, dialect.action_failure)
    code: object = str(SUCCESS) if dialect.ack_code == "text" else SUCCESS
    answer: dict[str, object] = {"id": request_id, "event": action, "code": code, "msg": outcome.message}
    if outcome.data is not None:
        answer["data"] = outcome.data
    return _encode(answer)


def encode_action_refusal(request_id: str | None, action: str, code: int, message: str, shape: str) -> bytes:
    """Return a refusal in the current shape (the action's own event, a number) or the older (error, "60009")."""
    if shape == "older":
        text = _OLDER_TEXTS.get(action, TEXTS[601011])
        return _encode({"id": request_id, "event": "error", "code": str(LOGIN_FAILED), "msg": text})
    return _encode({"id": request_id, "event": action, "code": code, "msg": message, "data": None})


def encode_frame_refusal(request_id: str | None, code: int) -> bytes:
    """Return the answer to a frame that names no known action."""
    return _encode({"id": request_id, "event": "error", "code": code, "msg": TEXTS[code]})


def encode_pong(now_ms: int) -> bytes:
    """Return the JSON pong: the venue's own time, not an echo (LTP docs, User Data Overview)."""
    return _encode({"pong": now_ms})


def _encode(value: dict[str, object]) -> bytes:
    return msgspec.json.encode(value)
