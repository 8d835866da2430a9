"""What a snapshot of an order proves about a command in doubt."""

from collections.abc import Iterable

from bridge.contract.pushes import TradePush
from bridge.core.command import Pending
from bridge.core.orders import Order, milliseconds, same_number


def is_of(order: Order, pending: Pending, since_ms: int, replaces: Iterable[Pending] = ()) -> bool:
    """Whether an order of the right clientOrderId is what a place asked for, or what one of the `replaces` made of it.

    One that was known before the write, or that is older than `since_ms`, is somebody else's.
    """
    args, before = pending.args, pending.before
    if (
        order.sym != args["sym"]
        or (before is not None and order.order_id == before.order_id)
        or order.side != args["side"]
        or order.created_ms < since_ms
    ):
        return False
    if "orderQty" not in args or order.order_qty is None:
        return True
    asked = [args["orderQty"], *(replace.args.get("replaceQty", args["orderQty"]) for replace in replaces)]
    return any(same_number(order.order_qty, quantity) for quantity in asked)


def is_trade_of(trade: TradePush, pending: Pending, since_ms: int) -> bool:
    """Whether an execution of the right clientOrderId is of what a place asked for, and not older than `since_ms`."""
    args = pending.args
    return (trade.sym, trade.side) == (args["sym"], args["side"]) and milliseconds(trade.create_at) >= since_ms


def shows_replace(order: Order, pending: Pending, since_ms: int) -> bool:
    """Whether an order shows that the venue took this replace: its values, or that it failed at the exchange.

    Only a change after `since_ms` counts, and only one against what was known before the write: values that stood
    there already prove nothing.
    """
    before = pending.before
    if order.updated_ms < since_ms or (before is not None and order.updated_ms <= before.updated_ms):
        return False
    if _has_values(order, pending.args) and not (before is not None and _has_values(before, pending.args)):
        return True
    return order.action == "AMEND_FAILED" and (before is None or before.action != "AMEND_FAILED")


def shows_cancel(order: Order, pending: Pending, since_ms: int) -> bool:
    """Whether an order shows that the venue took this cancel: it ended as cancelled, or the cancel failed."""
    before = pending.before
    if order.updated_ms < since_ms or (before is not None and before.over):
        return False
    failed = order.action == "CANCEL_FAILED" and (before is None or before.action != "CANCEL_FAILED")
    return failed or order.cancelled


def _has_values(order: Order, args: dict[str, str]) -> bool:
    wanted = ((args.get("replaceQty"), order.order_qty), (args.get("replacePrice"), order.limit_price))
    return all(want is None or (shown is not None and same_number(shown, want)) for want, shown in wanted)
