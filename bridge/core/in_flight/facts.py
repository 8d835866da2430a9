"""What a snapshot of an order proves about a command in doubt."""

from collections.abc import Iterable
from decimal import Decimal

from bridge.contract.pushes import TradePush
from bridge.core.commands.command import TrackedCommand
from bridge.core.odd_fields import parse_time_ms, same_number
from bridge.core.orders import Order


def is_order_of(order: Order, place: TrackedCommand, since_ms: int, replaces: Iterable[TrackedCommand] = ()) -> bool:
    """Whether an order of the right clientOrderId is what a place asked for, or what one of the `replaces` made of it.

    Its quantity may be another than asked for, rounded to the lot or amended by a person, if nobody else can have made
    an order of that name. What a push leaves out contradicts nothing, but its age has to be known of a name that others
    may use.
    """
    if not may_be_order_of(order, place, since_ms):
        return False
    if place.has_derived_client_order_id:
        return True
    return bool(order.created_ms) and _has_quantity(order, place, replaces)


def may_be_order_of(order: Order, place: TrackedCommand, since_ms: int) -> bool:
    """Whether an order of the right clientOrderId has the symbol and side that a place asked for.

    One that was known before the write, or that is older than `since_ms`, is somebody else's.
    """
    args, before = place.args, place.order_before_write
    return (
        order.sym in {None, args["sym"]}
        and order.side in {None, args["side"]}
        and (before is None or order.order_id != before.order_id)
        and (not order.created_ms or order.created_ms >= since_ms)
    )


def other_quantity(order: Order, place: TrackedCommand) -> str | None:
    """Return the quantity of an order, where a place asked for another."""
    if order.order_qty is None or _has_quantity(order, place):
        return None
    return order.order_qty


def _has_quantity(order: Order, place: TrackedCommand, replaces: Iterable[TrackedCommand] = ()) -> bool:
    asked = place.args.get("orderQty")
    if asked is None or order.order_qty is None:
        return True
    quantities = [asked, *(replace.args.get("replaceQty", asked) for replace in replaces)]
    return any(same_number(order.order_qty, quantity) for quantity in quantities)


def is_trade_of(trade: TradePush, command: TrackedCommand, since_ms: int) -> bool:
    """Whether an execution of the right clientOrderId is of what a place asked for, and not older than `since_ms`."""
    args = command.args
    return (trade.sym, trade.side.upper()) == (args["sym"], args["side"]) and parse_time_ms(trade.create_at) >= since_ms


def shows_replace(order: Order, replace: TrackedCommand, since_ms: int) -> bool:
    """Whether an order shows that the venue took this replace: its values, or that it failed at the exchange.

    Only a change after `since_ms` counts, and only one against what was known before the write: values that stood
    there already prove nothing, nor does the failure of a replace that was under way already.
    """
    before = replace.order_before_write
    known = before is not None and before.order_id == order.order_id and order.updated_ms <= before.updated_ms
    if known or order.updated_ms < since_ms:
        return False
    if _has_values(order, replace) and not (before is not None and _has_values(before, replace)):
        return True
    under_way = before is not None and before.action in {"AMEND_PENDING", "AMEND_FAILED"}
    return order.action == "AMEND_FAILED" and not under_way


def shows_cancel(order: Order, cancel: TrackedCommand, since_ms: int) -> bool:
    """Whether an order shows that it was cancelled after this cancel was written."""
    return order.cancelled and _changed_since(order, cancel, since_ms)


def shows_cancel_failed(order: Order, cancel: TrackedCommand, since_ms: int) -> bool:
    """Whether an order that lives shows that the venue took this cancel and the exchange did not."""
    before = _find_snapshot_before(cancel, order)
    under_way = before is not None and before.action in {"CANCEL_PENDING", "CANCEL_FAILED"}
    return order.action == "CANCEL_FAILED" and not under_way and _changed_since(order, cancel, since_ms)


def _changed_since(order: Order, cancel: TrackedCommand, since_ms: int) -> bool:
    before = _find_snapshot_before(cancel, order)
    return order.updated_ms >= since_ms and not (before is not None and before.ended)


def _find_snapshot_before(cancel: TrackedCommand, order: Order) -> Order | None:
    """Return what was known of this very order before a cancel: a replace may have made it of another one since."""
    before = cancel.order_before_write
    return before if before is not None and before.order_id == order.order_id else None


def _has_values(order: Order, replace: TrackedCommand) -> bool:
    """Whether an order has the price and quantity of a replace; a successor may have only what was left of that."""
    price, quantity, before = (
        replace.args.get("replacePrice"),
        replace.args.get("replaceQty"),
        replace.order_before_write,
    )
    if price is not None and not (order.limit_price is not None and same_number(order.limit_price, price)):
        return False
    if quantity is None:
        return True
    if order.order_qty is None:
        return False
    if same_number(order.order_qty, quantity):
        return True
    if before is None or before.order_id == order.order_id:
        return False
    return same_number(order.order_qty, str(Decimal(quantity) - before.progress.executed))
