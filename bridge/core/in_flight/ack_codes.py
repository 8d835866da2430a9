"""The venue's codes: one table, from which everything that the bridge concludes from a code is drawn.

The codes are the same on the WebSocket and on REST (LTP docs, Error Codes). An answer to an action is definitive only
if its code is listed here as an acceptance or a refusal, whichever of the venue's documents is read: then the venue has
taken the request or has certainly not. Any other code leaves the outcome unknown: to report a refusal that was none
would be wrong about money. So codes of other interfaces (pages, statements, transfers, loans, algo orders) are not
listed: as the answer to an action of ours they prove nothing.
"""

from enum import StrEnum, auto
from typing import Final


class AckClass(StrEnum):
    """What an ack proves about its request."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"


class CodeKind(StrEnum):
    """What a code is about."""

    SUCCESS = auto()
    TOO_OFTEN = auto()
    """Refused for its rate, before any effect."""
    KEY = auto()
    """The key, its owner or its rights are refused: only a person can correct that."""
    CLOCK = auto()
    """The time of the request is refused."""
    LOGGED_OUT = auto()
    """The session is no longer logged in, or never was: refused before any effect."""
    MALFORMED = auto()
    """The form of the request is refused."""
    ORDER = auto()
    """Refused for what the order, its symbol, the position or the account is, before anything came to be or changed."""
    VENUE_TROUBLE = auto()
    """The venue has a fault: the request may have had an effect."""
    NOT_READY = auto()
    """The venue lacks something that it will have later; whether a write had an effect is not said."""
    GENERAL = auto()
    """Something failed, and nothing is said about what (LTP docs, Place Order: `event: error`)."""


TABLE: Final[tuple[tuple[CodeKind, tuple[int | range, ...]], ...]] = (
    (CodeKind.SUCCESS, (200, 200000)),
    (CodeKind.TOO_OFTEN, (429, 100429, 601010)),
    (CodeKind.KEY, (2000, 2001, 2002, 2003, 100001, 100002, 100003, 100018, 100041, 405001, 601007, 601009)),
    (CodeKind.KEY, (401010, 401022)),
    (CodeKind.CLOCK, (7000, 601016)),
    (CodeKind.LOGGED_OUT, (4000,)),
    (CodeKind.MALFORMED, (501, 1000, 1001, 100400, 400000, 400001, 400009)),
    (CodeKind.MALFORMED, (range(601001, 601007), 601008, 601011, 601014, 601015, 601017, 601018)),
    (CodeKind.VENUE_TROUBLE, (40000, 50001, range(400010, 400014))),
    (CodeKind.NOT_READY, (400008, 401031, 404006, 406013)),
    (CodeKind.GENERAL, (60009,)),
    # What an order is: names, symbol, side, type, quantity, price, precision, bounds
    (CodeKind.ORDER, (range(401000, 401010), range(401011, 401022), range(401023, 401031))),
    (CodeKind.ORDER, (401033, 401034, 401035, 401037, 401041, 401042)),
    # The account, the position and the exchange's limits
    (CodeKind.ORDER, (range(401044, 401050), range(401051, 401065), 401066, 401067, 401069, 401070, 401071)),
    (CodeKind.ORDER, (range(401072, 401088), range(401091, 401094), range(401095, 401099), 401100, 401101, 401104)),
    (CodeKind.ORDER, (401032, 401112, 401113, 401114, range(401116, 401123), 401126, 401128, 401129)),
    # Take-profit and stop-loss of an order
    (CodeKind.ORDER, (range(401214, 401221), range(401232, 401240), 401243, 401246, 401247)),
)
"""401009 (the clientOrderId exists) refuses because the bridge writes a place once: the answer to it is about this
request, never about an order of ours. Not here: 401068 and 401111 tell of an order that there was and that was
cancelled, 401115 of one that failed half-way, and 406010 means two things."""

KINDS: Final[dict[int, CodeKind]] = {
    code: kind for kind, listed in TABLE for one in listed for code in ((one,) if isinstance(one, int) else one)
}
"""The kind of each code that is listed."""

_REFUSING: Final = frozenset(
    {
        *(CodeKind.TOO_OFTEN, CodeKind.KEY, CodeKind.CLOCK, CodeKind.LOGGED_OUT),
        *(CodeKind.MALFORMED, CodeKind.ORDER),
    }
)

ACCEPTED_CODES: Final = frozenset(code for code, kind in KINDS.items() if kind is CodeKind.SUCCESS)
RATE_CODES: Final = frozenset(code for code, kind in KINDS.items() if kind is CodeKind.TOO_OFTEN)
"""Too many requests: refused before any effect."""
ORDER_NOT_FOUND: Final = 401018
"""The venue knows no such order."""
ORDER_STATE_CODES: Final = frozenset({ORDER_NOT_FOUND, 401019, 401116, 401117})
"""The order is not found, cannot be cancelled, is being cancelled, is over: what an earlier request may have done."""


def classify_code(code: int) -> AckClass:
    """Return what an ack with this code proves."""
    kind = KINDS.get(code)
    if kind is CodeKind.SUCCESS:
        return AckClass.ACCEPTED
    return AckClass.REFUSED if kind in _REFUSING else AckClass.INCONCLUSIVE
