"""The outcome of a cancel of which the ack of a request was lost, as far as its order proves it.

A cancel is repeated, and the ack of a repeat proves nothing about the request before it: that one may have ended the
order, and then the venue refuses the repeat because the order is over.
"""

from msgspec import Struct

from bridge.contract.results import Outcome
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.states import CommandEvent
from bridge.core.in_flight import facts
from bridge.core.in_flight.ack_codes import ORDER_NOT_FOUND
from bridge.core.now import Now
from bridge.core.orders import Order, Orders


class CancelConclusion(Struct, frozen=True):
    """The outcome of a cancel, the event that ends it, and the message of its result."""

    outcome: Outcome
    by: CommandEvent
    message: str
    code: int | None = None


class CancelEvidence(Struct, frozen=True):
    """What is known of the order of a cancel.

    `is_queried`: the venue was just asked for it by both of its names. `may_be_created`: its place, or a replace of it,
    has no result. What happened at the venue before `since_ms` was not caused by the cancel, and everything that
    happened before `known_until_ms` is known.
    """

    order: Order | None
    since_ms: int
    known_until_ms: int
    is_queried: bool
    may_be_created: bool


def conclude_cancel(
    cancel: TrackedCommand, evidence: CancelEvidence, orders: Orders, now: Now
) -> CancelConclusion | None:
    """Return the outcome of an unknown cancel; None while nothing proves it for good."""
    order = evidence.order
    if order is None or not order.ended:
        return _conclude_open(cancel, evidence, now) if evidence.is_queried else None
    if facts.shows_cancel(order, cancel, evidence.since_ms):
        is_reported = evidence.is_queried or order.action == "CANCEL_COMPLETE"
        return (
            _accepted(cancel, order)
            if is_reported and not orders.may_be_replaced(order, evidence.known_until_ms)
            else None
        )
    if not orders.is_final(order, evidence.known_until_ms):
        return None
    if cancel.last_refusal is not None:
        return _rejected(cancel.last_refusal)
    text = f"the order had ended as {order.state}"
    return CancelConclusion(Outcome.NOT_FOUND, CommandEvent.NOT_FOUND, text) if evidence.is_queried else None


def _conclude_open(cancel: TrackedCommand, evidence: CancelEvidence, now: Now) -> CancelConclusion | None:
    """Return the outcome of a cancel whose order is open or not known; while it is valid, it is repeated instead."""
    is_valid, order, refusal = now.boot_s < cancel.deadline_boot_s, evidence.order, cancel.last_refusal
    if not is_valid and order is not None and facts.shows_cancel_failed(order, cancel, evidence.since_ms):
        return _accepted(cancel, order)
    if refusal is None or evidence.may_be_created:
        return None
    # The venue does not know the order: an earlier owner's request found none either.
    is_nowhere = order is None and refusal[0] == ORDER_NOT_FOUND and cancel.refused_count == cancel.attempts
    return _rejected(refusal) if is_nowhere or (cancel.is_certainly_refused and not is_valid) else None


def _accepted(cancel: TrackedCommand, order: Order) -> CancelConclusion:
    cause = "its answer was lost" if cancel.general_failure is None else f"the venue said: {cancel.general_failure[1]}"
    return CancelConclusion(Outcome.ACCEPTED, CommandEvent.SEEN_AT_VENUE, f"{cause}; {order.state}")


def _rejected(refusal: tuple[int, str]) -> CancelConclusion:
    code, text = refusal
    return CancelConclusion(Outcome.REJECTED, CommandEvent.ACKED, text, code)
