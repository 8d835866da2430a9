"""What the venue's codes mean for a login and for a question, drawn from the one table of codes in core.

Not here: what they prove about a command.
"""

from typing import Final

from bridge.core.in_flight.ack_codes import ACCEPTED_CODES, KINDS, CodeKind

SUCCESS: Final = ACCEPTED_CODES
"""REST and actions. A login succeeds with 0 and nothing else."""
LOGIN_INVALID: Final = 4000
"""The session is no longer logged in."""

_PASSING: Final = frozenset({CodeKind.VENUE_TROUBLE, CodeKind.NOT_READY, CodeKind.TOO_OFTEN, CodeKind.LOGGED_OUT})

_CLOCK: Final = "check this machine's clock (NTP): the venue allows 60 s"
_PAIR: Final = "check that key and secret belong together and to this environment, and this machine's clock"
_UNKNOWN_KEY: Final = "the key is unknown or disabled: check that it was made for this environment and is enabled"
_TOO_OFTEN: Final = "too often: another program may be using the same key"
_ADVICE: Final = {
    429: _TOO_OFTEN,
    2000: _PAIR,
    2001: "add this machine's public address to the key's IP allow-list",
    2002: "check the key's permissions at the venue",
    2003: "the key's level or permissions do not allow this: use a portfolio's own key with Read and Trade",
    7000: _CLOCK,
    60_009: f"{_PAIR}; then the key's IP allow-list",
    100_018: _UNKNOWN_KEY,
    100_041: "the key is frozen: ask the venue why",
    100_429: _TOO_OFTEN,
    405_001: _UNKNOWN_KEY,
    601_007: _UNKNOWN_KEY,
    601_009: _PAIR,
    601_010: _TOO_OFTEN,
    601_016: _CLOCK,
}


def refuses(code: int) -> bool:
    """Whether the venue documents a code, and not as a success."""
    return code in KINDS and code not in SUCCESS


def refuses_login(code: int) -> bool:
    """Whether a code, in an answer to nobody's request before the login is answered, refuses the login.

    What a code says of an order was asked by somebody else.
    """
    return code not in SUCCESS and code != 0 and KINDS.get(code) is not CodeKind.ORDER


def may_pass(code: int) -> bool:
    """Whether the same question, asked again later, may be answered."""
    return KINDS.get(code) in _PASSING


def is_out_of_service(code: int) -> bool:
    """Whether a refusal is the venue's own trouble, so that another of its endpoints may answer better."""
    return KINDS.get(code) is CodeKind.VENUE_TROUBLE


def names_the_key(code: int) -> bool:
    """Whether a refusal is about the key, its owner or its rights, which asking again does not mend."""
    return KINDS.get(code) is CodeKind.KEY


def advice(code: int) -> str:
    """Say what a person should do about a code; empty where its own text says enough."""
    return _ADVICE.get(code, "")
