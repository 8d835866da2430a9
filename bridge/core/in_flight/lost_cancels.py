"""What became of a cancel when the answer to one of its requests was lost, as far as its order tells.

A cancel is repeated, and what the venue says of a repeat says nothing about the request before it: that one may have
ended the order, of which the repeat is then told that it is over.
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
    """The last word about a cancel, and what proves it."""

    outcome: Outcome
    proof: CommandEvent
    message: str
    code: int | None = None


class CancelEvidence(Struct, frozen=True):
    """What is known of the order that a cancel is about.

    `asked`: the venue was just asked for it by both of its names. `may_be_made`: its place, or a replace of it, has no
    last word. Nothing that the venue says happened before `since_ms` is the cancel's doing, and everything from before
    `told_until_ms` is known.
    """

    order: Order | None
    since_ms: int
    told_until_ms: int
    asked: bool
    may_be_made: bool


def conclude_cancel(cancel: TrackedCommand, known: CancelEvidence, orders: Orders, now: Now) -> CancelConclusion | None:
    """Return the last word about a cancel in doubt; None while nothing proves it, or proves it for good."""
    order = known.order
    if order is None or not order.ended:
        return _fate_of_live(cancel, known, now) if known.asked else None
    if facts.shows_cancel(order, cancel, known.since_ms):
        told = known.asked or order.action == "CANCEL_COMPLETE"
        return _taken(cancel, order) if told and not orders.may_be_replaced(order, known.told_until_ms) else None
    if not orders.is_final(order, known.told_until_ms):
        return None
    if cancel.last_refusal is not None:
        return _refused(cancel.last_refusal)
    text = f"the order had ended as {order.state}"
    return CancelConclusion(Outcome.NOT_FOUND, CommandEvent.NOT_FOUND, text) if known.asked else None


def _fate_of_live(cancel: TrackedCommand, known: CancelEvidence, now: Now) -> CancelConclusion | None:
    """Return what is said of a cancel whose order is not over, or not known. While it is valid, a repeat says more."""
    valid, order, refusal = now.boot_s < cancel.deadline_boot_s, known.order, cancel.last_refusal
    if not valid and order is not None and facts.shows_cancel_failed(order, cancel, known.since_ms):
        return _taken(cancel, order)
    if refusal is None or known.may_be_made:
        return None
    # No trace of the order: whoever else may have written the cancel found none either.
    nowhere = order is None and refusal[0] == ORDER_NOT_FOUND and cancel.refused_count == cancel.attempts
    return _refused(refusal) if nowhere or (cancel.is_certainly_refused and not valid) else None


def _taken(cancel: TrackedCommand, order: Order) -> CancelConclusion:
    said = "its answer was lost" if cancel.general_failure is None else f"the venue said: {cancel.general_failure[1]}"
    return CancelConclusion(Outcome.ACCEPTED, CommandEvent.SEEN_AT_VENUE, f"{said}; {order.state}")


def _refused(refusal: tuple[int, str]) -> CancelConclusion:
    code, words = refusal
    return CancelConclusion(Outcome.REJECTED, CommandEvent.ACKED, words, code)
