"""What became of a cancel when the answer to one of its requests was lost, as far as its order tells.

A cancel is repeated, and what the venue says of a repeat says nothing about the request before it: that one may have
ended the order, of which the repeat is then told that it is over.
"""

from msgspec import Struct

from bridge.contract.results import Outcome
from bridge.core import facts
from bridge.core.command import Pending
from bridge.core.life import Event
from bridge.core.now import Now
from bridge.core.orders import Order, Orders


class CancelFate(Struct, frozen=True):
    """The last word about a cancel, and what proves it."""

    outcome: Outcome
    proof: Event
    message: str
    code: int | None = None


class CancelledOrder(Struct, frozen=True):
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


def fate_of_cancel(cancel: Pending, known: CancelledOrder, orders: Orders, now: Now) -> CancelFate | None:
    """Return the last word about a cancel in doubt; None while nothing proves it, or proves it for good."""
    order = known.order
    if order is None or not order.over:
        # While it is valid, the next repeat says more.
        return _fate_of_live(cancel, known) if known.asked and now.mono >= cancel.deadline else None
    if facts.shows_cancel(order, cancel, known.since_ms):
        told = known.asked or order.action == "CANCEL_COMPLETE"
        return _taken(order) if told and not orders.may_come_back(order, known.told_until_ms) else None
    if not orders.is_final(order, known.told_until_ms):
        return None
    if cancel.refusal is not None:
        return _refused(cancel.refusal)
    text = f"the order had ended as {order.state}"
    return CancelFate(Outcome.NOT_FOUND, Event.GIVEN_UP, text) if known.asked else None


def _fate_of_live(cancel: Pending, known: CancelledOrder) -> CancelFate | None:
    if known.order is not None and facts.shows_cancel_failed(known.order, cancel, known.since_ms):
        return _taken(known.order)
    if cancel.refusal is not None and cancel.is_refused and not known.may_be_made:
        return _refused(cancel.refusal)
    return None


def _taken(order: Order) -> CancelFate:
    return CancelFate(Outcome.ACCEPTED, Event.SHOWN, f"its answer was lost; {order.state}")


def _refused(refusal: tuple[int, str]) -> CancelFate:
    code, words = refusal
    return CancelFate(Outcome.REJECTED, Event.ACKED, words, code)
