"""The life of a command, as one table.

Not in here: which event happens (dispatch.py, results.py, and in core/in_flight requests.py, unknown_commands.py,
lost_cancels.py, late_orders.py), and what is published (results.py).

    QUEUED ─▶ CLAIMING ─▶ CLAIMED ─▶ SENT ─▶ ANSWERED ─▶ RECORDED
       ▲─────────┴───────────┘         └▶ UNKNOWN ─▲

What happens out of order has rows of its own: an order that is pushed before its ack, or without one; an ack of a
command that is unknown already; an order that is seen after `not_found`.

An event that the table does not hold for a state is a mistake of the bridge, and raises.
"""

from enum import StrEnum
from typing import Final


class CommandState(StrEnum):
    """How far a command is."""

    QUEUED = "queued"
    """It waits in its lane, and no commit claims it."""
    CLAIMING = "claiming"
    """A commit that claims it is under way."""
    CLAIMED = "claimed"
    """The commit that claims it is acknowledged; it has not been written."""
    SENT = "sent"
    """It is written, and its ack is awaited."""
    UNKNOWN = "unknown"
    """It is written, or may be, and its outcome is not known."""
    ANSWERED = "answered"
    """Its terminal result is published, and not durable yet."""
    RECORDED = "recorded"
    """Its terminal result is durable."""


class CommandEvent(StrEnum):
    """What can happen to a command."""

    CLAIM_REQUESTED = "claim_requested"
    """A commit that claims it is handed over."""
    CLAIM_STORED = "claim_stored"
    """The commit that claims it is acknowledged."""
    CLAIM_DROPPED = "claim_dropped"
    """Its commit failed, or the gate refused the write."""
    WRITTEN = "written"
    """A request of it goes to the socket."""
    INHERITED = "inherited"
    """An earlier owner claimed it and left no result."""
    DECIDED = "decided"
    """The bridge answers it without the venue: denied, expired or superseded."""
    ACKED = "acked"
    """The venue has accepted or rejected the request for certain."""
    RATE_REFUSED = "rate_refused"
    """The venue refused the request for its rate, before any effect; it may be written again."""
    SEEN_AT_VENUE = "seen_at_venue"
    """A push or a row from REST proves that it was carried out, by its order, the values, a fill or the end of that."""
    NOT_FOUND = "not_found"
    """It can no longer land, and the venue, which was asked, does not know it."""
    SEEN_LATE = "seen_late"
    """Its order is seen after it was answered `not_found`."""
    BECAME_UNKNOWN = "became_unknown"
    """Its ack is overdue or proves nothing, or the link was lost."""
    RESULT_DURABLE = "result_durable"
    """The brokers have acknowledged its terminal result."""


_S, _E = CommandState, CommandEvent

TABLE: Final[dict[tuple[CommandState, CommandEvent], CommandState]] = {
    (_S.QUEUED, _E.CLAIM_REQUESTED): _S.CLAIMING,
    (_S.QUEUED, _E.WRITTEN): _S.SENT,  # cancel_order needs no claim
    (_S.QUEUED, _E.INHERITED): _S.UNKNOWN,
    (_S.QUEUED, _E.DECIDED): _S.ANSWERED,
    (_S.CLAIMING, _E.CLAIM_STORED): _S.CLAIMED,
    (_S.CLAIMING, _E.CLAIM_DROPPED): _S.QUEUED,
    (_S.CLAIMING, _E.DECIDED): _S.ANSWERED,  # a cancel met it while the commit was under way
    (_S.CLAIMED, _E.CLAIM_DROPPED): _S.QUEUED,  # refused by the gate after its claim
    (_S.CLAIMED, _E.DECIDED): _S.ANSWERED,
    (_S.CLAIMED, _E.WRITTEN): _S.SENT,
    (_S.SENT, _E.ACKED): _S.ANSWERED,
    (_S.SENT, _E.RATE_REFUSED): _S.QUEUED,
    (_S.SENT, _E.SEEN_AT_VENUE): _S.SENT,  # push or fill before the ack, which is still to come
    (_S.SENT, _E.BECAME_UNKNOWN): _S.UNKNOWN,
    (_S.UNKNOWN, _E.BECAME_UNKNOWN): _S.UNKNOWN,
    (_S.UNKNOWN, _E.WRITTEN): _S.UNKNOWN,  # a cancel, safe to repeat
    (_S.UNKNOWN, _E.RATE_REFUSED): _S.UNKNOWN,  # proves nothing about the request before it
    (_S.UNKNOWN, _E.ACKED): _S.ANSWERED,  # the ack comes after all
    (_S.UNKNOWN, _E.SEEN_AT_VENUE): _S.ANSWERED,  # push without ack, or a row from REST
    (_S.UNKNOWN, _E.NOT_FOUND): _S.ANSWERED,
    (_S.ANSWERED, _E.CLAIM_STORED): _S.ANSWERED,  # decided while its commit was under way
    (_S.ANSWERED, _E.CLAIM_DROPPED): _S.ANSWERED,
    (_S.ANSWERED, _E.ACKED): _S.ANSWERED,  # an ack after the push that settled it, or a second ack
    (_S.ANSWERED, _E.SEEN_AT_VENUE): _S.ANSWERED,  # later pushes of its order
    (_S.ANSWERED, _E.BECAME_UNKNOWN): _S.ANSWERED,
    (_S.ANSWERED, _E.SEEN_LATE): _S.ANSWERED,  # an alarm is raised; the result stands
    (_S.ANSWERED, _E.RESULT_DURABLE): _S.RECORDED,
    (_S.RECORDED, _E.CLAIM_STORED): _S.RECORDED,
    (_S.RECORDED, _E.CLAIM_DROPPED): _S.RECORDED,
    (_S.RECORDED, _E.ACKED): _S.RECORDED,
    (_S.RECORDED, _E.SEEN_AT_VENUE): _S.RECORDED,
    (_S.RECORDED, _E.BECAME_UNKNOWN): _S.RECORDED,
    (_S.RECORDED, _E.SEEN_LATE): _S.RECORDED,
}

UNSENT: Final = frozenset({CommandState.QUEUED, CommandState.CLAIMING, CommandState.CLAIMED})
"""States in which this owner has certainly not written a command."""
IN_FLIGHT: Final = frozenset({CommandState.SENT, CommandState.UNKNOWN})
"""States in which it may have been written and has no terminal result."""
FINISHED: Final = frozenset({CommandState.ANSWERED, CommandState.RECORDED})
"""States in which its terminal result is published."""


class IllegalTransition(Exception):
    """An event that cannot happen in this state: a mistake in the bridge."""


def step(state: CommandState, event: CommandEvent) -> CommandState:
    """Return the state after an event. Raises IllegalTransition for a pair outside the table."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise IllegalTransition(f"a command that is {state} cannot be {event}") from None
