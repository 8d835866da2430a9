"""The life of a command, as one table.

Not in here: who decides (intake.py, settling.py), what is published (replies.py), when a claim is asked for
(sending.py).

    QUEUED ─▶ CLAIMING ─▶ CLAIMED ─▶ SENT ─▶ ANSWERED ─▶ RECORDED
       ▲─────────┴───────────┘         └▶ UNKNOWN ─▲

What the real world does out of turn has rows of its own: the order that shows itself before the ack, or instead of it;
the ack that comes when the command was given up as unknown; the order that lands after `not_found`.

An event that the table does not hold for a state is a mistake of ours and raises.
"""

from enum import StrEnum
from typing import Final


class CommandState(StrEnum):
    """Where a command stands."""

    QUEUED = "queued"
    """In its lane; nothing of it is known outside."""
    CLAIMING = "claiming"
    """In a commit that is under way."""
    CLAIMED = "claimed"
    """Its claim is stored; it has not been written."""
    SENT = "sent"
    """Written; its answer is awaited."""
    UNKNOWN = "unknown"
    """Written, or perhaps written; its fate is not known."""
    ANSWERED = "answered"
    """Its last word is said, not yet durably."""
    RECORDED = "recorded"
    """Its last word is durable."""


class CommandEvent(StrEnum):
    """What can happen to a command."""

    CLAIM_REQUESTED = "claim_requested"
    CLAIM_STORED = "claim_stored"
    CLAIM_DROPPED = "claim_dropped"
    """The commit came to nothing, or the gate refused the write."""
    WRITTEN = "written"
    INHERITED = "inherited"
    """An earlier owner claimed it and left no result."""
    DECIDED = "decided"
    """The bridge itself answers: denied, expired or superseded."""
    ACKED = "acked"
    """The venue's definitive answer to the request: accepted or rejected."""
    RATE_REFUSED = "rate_refused"
    """The venue refused the request for its rate, before any effect; it is written again."""
    SEEN_AT_VENUE = "seen_at_venue"
    """An order row proves what became of it, on the stream or from REST: the order, its values, its fill or its end."""
    NOT_FOUND = "not_found"
    """The venue was asked for as long as it could still land, and knows nothing of it."""
    SEEN_LATE = "seen_late"
    """It shows itself after it was given up."""
    BECAME_UNKNOWN = "became_unknown"
    """No answer in time, link lost, or an answer that proves nothing."""
    RESULT_DURABLE = "result_durable"


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
    (_S.SENT, _E.SEEN_AT_VENUE): _S.SENT,  # push before ack, fill before ack: the ack is still to come and says more
    (_S.SENT, _E.BECAME_UNKNOWN): _S.UNKNOWN,
    (_S.UNKNOWN, _E.BECAME_UNKNOWN): _S.UNKNOWN,
    (_S.UNKNOWN, _E.WRITTEN): _S.UNKNOWN,  # a cancel, safe to repeat
    (_S.UNKNOWN, _E.RATE_REFUSED): _S.UNKNOWN,  # says nothing of the request before it
    (_S.UNKNOWN, _E.ACKED): _S.ANSWERED,  # the ack after all
    (_S.UNKNOWN, _E.SEEN_AT_VENUE): _S.ANSWERED,  # push without ack, or a REST row
    (_S.UNKNOWN, _E.NOT_FOUND): _S.ANSWERED,
    (_S.ANSWERED, _E.CLAIM_STORED): _S.ANSWERED,  # decided while its commit was under way
    (_S.ANSWERED, _E.CLAIM_DROPPED): _S.ANSWERED,
    (_S.ANSWERED, _E.ACKED): _S.ANSWERED,  # an ack after the push that settled it, or a second ack
    (_S.ANSWERED, _E.SEEN_AT_VENUE): _S.ANSWERED,  # its order lives on
    (_S.ANSWERED, _E.BECAME_UNKNOWN): _S.ANSWERED,
    (_S.ANSWERED, _E.SEEN_LATE): _S.ANSWERED,  # told by an alarm; the last word stands
    (_S.ANSWERED, _E.RESULT_DURABLE): _S.RECORDED,
    (_S.RECORDED, _E.CLAIM_STORED): _S.RECORDED,
    (_S.RECORDED, _E.CLAIM_DROPPED): _S.RECORDED,
    (_S.RECORDED, _E.ACKED): _S.RECORDED,
    (_S.RECORDED, _E.SEEN_AT_VENUE): _S.RECORDED,
    (_S.RECORDED, _E.BECAME_UNKNOWN): _S.RECORDED,
    (_S.RECORDED, _E.SEEN_LATE): _S.RECORDED,
}

UNSENT: Final = frozenset({CommandState.QUEUED, CommandState.CLAIMING, CommandState.CLAIMED})
"""Certainly not written by this owner."""
IN_FLIGHT: Final = frozenset({CommandState.SENT, CommandState.UNKNOWN})
FINISHED: Final = frozenset({CommandState.ANSWERED, CommandState.RECORDED})


class IllegalTransition(Exception):
    """An event that cannot happen in this state: a mistake in the bridge."""


def step(state: CommandState, event: CommandEvent) -> CommandState:
    """Return the state after an event. Raises IllegalTransition for a pair outside the table."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise IllegalTransition(f"a command that is {state} cannot be {event}") from None
