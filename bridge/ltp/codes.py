"""What the venue's codes mean for a login and for a question (LTP docs, Error Codes).

Not here: what they prove about a command, which core decides.
"""

from typing import Final

SUCCESS: Final = frozenset({200, 200_000})
"""REST and actions. A login succeeds with 0 and nothing else."""
ORDER_NOT_FOUND: Final = 401_018
LOGIN_INVALID: Final = 4000
"""The session is no longer logged in."""

_OUT_OF_SERVICE: Final = frozenset({40_000, 50_001, 400_010, 400_011, 400_012, 400_013})
_PASSING: Final = _OUT_OF_SERVICE | {429, 4000, 100_429, 400_008, 401_031, 404_006, 406_013, 601_010}
_LOGIN_HOPELESS: Final = frozenset(
    {
        *(501, 1000, 1001, 2000, 2001, 2002, 2003, 60_009),
        *(100_001, 100_002, 100_003, 100_018, 100_041, 100_400, 400_000, 400_009, 401_010, 401_022, 405_001),
        *(601_001, 601_007, 601_008, 601_009, 601_011, 601_014, 601_017, 601_018),
    }
)

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


def may_pass(code: int) -> bool:
    """Whether the same question, asked again later, may be answered."""
    return code in _PASSING


def is_out_of_service(code: int) -> bool:
    """Whether a refusal is the venue's own trouble, so that another of its endpoints may answer better."""
    return code in _OUT_OF_SERVICE


def login_is_hopeless(code: int) -> bool:
    """Whether logging in again cannot mend this refusal; unknown codes are taken as passing."""
    return code in _LOGIN_HOPELESS


def advice(code: int) -> str:
    """Say what a person should do about a code; empty where its own text says enough."""
    return _ADVICE.get(code, "")
