"""What the venue's answers to actions prove (LTP docs, Error Codes).

An answer is definitive only if its code is listed here: then the venue has taken the request or has certainly not.
Everything else leaves the command in doubt, because a refusal that was none would be a lie with money in it.
"""

from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """What an answer proves about its request."""

    TAKEN = "taken"
    REFUSED = "refused"
    IN_DOUBT = "in_doubt"


ACCEPTED_CODES: Final = frozenset({200, 200000})
RATE_CODES: Final = frozenset({429, 100429, 601010})
"""Too many requests: refused before any effect."""

_REFUSED_REQUEST: Final = frozenset(
    {501, 1000, 1001, 2000, 2001, 2002, 2003, 4000, 7000}
    | {100001, 100002, 100003, 100018, 100041, 100400, 400000, 400009, 405001}
    | set(range(601001, 601010))
    | {601011, 601014, 601015, 601016, 601017, 601018}
)
"""Malformed, or not allowed for this key."""

_REFUSED_ORDER: Final = frozenset(
    {401000, 401001, 401002, 401003, 401004, 401005, 401006, 401007, 401008, 401009, 401010, 401011, 401012}
    | {401013, 401014, 401015, 401016, 401017, 401018, 401019, 401020, 401021, 401022, 401023, 401024}
    | {401025, 401026, 401027, 401028, 401029, 401030, 401033, 401034, 401035, 401037, 401041, 401042}
    | {401044, 401045, 401046, 401047, 401048, 401049, 401051, 401052, 401053, 401054, 401055, 401056, 401057}
    | {401058, 401059, 401060, 401061, 401062, 401063, 401064, 401066, 401067, 401069, 401070, 401071, 401072}
    | {401073, 401074, 401075, 401076, 401077, 401078, 401079, 401080, 401081, 401082, 401083, 401084, 401114}
    | {401085, 401086, 401087, 401091, 401092, 401093, 401095, 401096, 401097, 401098, 401100, 401101, 401104}
    | {401116, 401117, 401118, 401119, 401120, 401121, 401122, 401126, 401128, 401129, 401239}
)
"""Refused for what the order, the account or the symbol is. 401009 (the clientOrderId exists) is here because the
bridge writes a place once: the answer to it is about this request, never about an order of ours."""

DEFINITIVE: Final = _REFUSED_REQUEST | _REFUSED_ORDER | RATE_CODES


def verdict(code: int) -> Verdict:
    """Say what an answer with this code proves."""
    if code in ACCEPTED_CODES:
        return Verdict.TAKEN
    return Verdict.REFUSED if code in DEFINITIVE else Verdict.IN_DOUBT
