"""What the venue's codes mean for a login and for a REST request, from the one table of codes in core.

Not here: what a code proves about a command.
"""

from enum import StrEnum
from typing import Final

from bridge.core.in_flight.ack_codes import ACCEPTED_CODES, KINDS, CodeKind


class KeyFault(StrEnum):
    """What is wrong with a key, by the code that refuses it."""

    SECRET = "secret"  # noqa: S105 - no password
    UNKNOWN = "unknown"
    FROZEN = "frozen"
    ADDRESS = "address"
    RIGHTS = "rights"
    OWNER = "owner"


_TRANSIENT: Final = frozenset({CodeKind.VENUE_TROUBLE, CodeKind.NOT_READY, CodeKind.TOO_OFTEN, CodeKind.LOGGED_OUT})

_PAIR: Final = "check that key and secret belong together and to this environment, and this machine's clock"
_UNKNOWN_KEY: Final = "the key is unknown or disabled: check that it was made for this environment and is enabled"
_ADVICE_BY_KIND: Final = {
    CodeKind.TOO_OFTEN: "too often: another program may be using the same key",
    CodeKind.CLOCK: "check this machine's clock (NTP): the venue allows 60 s",
    CodeKind.GENERAL: f"{_PAIR}; then the key's IP allow-list",
}
_ADVICE_BY_CODE: Final = {
    2000: _PAIR,
    2001: "add this machine's public address to the key's IP allow-list",
    2002: "check the key's permissions at the venue",
    2003: "the key's level or permissions do not allow this: use a portfolio's own key with Read and Trade",
    100_018: _UNKNOWN_KEY,
    100_041: "the key is frozen: ask the venue why",
    405_001: _UNKNOWN_KEY,
    601_007: _UNKNOWN_KEY,
    601_009: _PAIR,
}
"""What the codes about a key have in common is too little: each of these has an advice of its own."""

_KEY_FAULTS: Final = {
    **dict.fromkeys((2000, 601_009), KeyFault.SECRET),
    **dict.fromkeys((100_018, 405_001, 601_007), KeyFault.UNKNOWN),
    100_041: KeyFault.FROZEN,
    2001: KeyFault.ADDRESS,
    **dict.fromkeys((2002, 2003), KeyFault.RIGHTS),
}


def is_refusal(code: int) -> bool:
    """Return whether the venue documents a code, and not as a success."""
    return code in KINDS and code not in ACCEPTED_CODES


def refuses_login(code: int) -> bool:
    """Return whether a code refuses the login, in an answer without a request id that came before the login's answer.

    A code about an order does not: it answers another program's request.
    """
    return code not in ACCEPTED_CODES and code != 0 and KINDS.get(code) is not CodeKind.ORDER


def is_logged_out(code: int) -> bool:
    """Return whether the session is no longer logged in."""
    return KINDS.get(code) is CodeKind.LOGGED_OUT


def is_transient(code: int) -> bool:
    """Return whether the same request may succeed later."""
    return KINDS.get(code) in _TRANSIENT


def is_out_of_service(code: int) -> bool:
    """Return whether the venue itself is in trouble, so that another of its endpoints may work."""
    return KINDS.get(code) is CodeKind.VENUE_TROUBLE


def is_permanent_login_failure(code: int) -> bool:
    """Return whether a refusal is about the key, its owner or its rights, so that a repeated login changes nothing."""
    return KINDS.get(code) is CodeKind.KEY


def find_key_fault(code: int) -> KeyFault | None:
    """Return what is wrong with the key by a code; None if the code is not about the key."""
    return _KEY_FAULTS.get(code, KeyFault.OWNER) if KINDS.get(code) is CodeKind.KEY else None


def find_advice(code: int) -> str:
    """Return what a person should do about a code; empty if the venue's own text is enough."""
    return _ADVICE_BY_CODE.get(code) or _ADVICE_BY_KIND.get(KINDS.get(code, CodeKind.SUCCESS), "")
