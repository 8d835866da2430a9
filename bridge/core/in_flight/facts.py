"""What a snapshot of an order proves about an unknown command.

Each line: what is seen -> of which command -> what it proves. REST has caught up with an event `rest_lag_s +
skew_bound_s` after it (35 s by default). lost_cancels.py concludes about cancels; unknown_commands.py ends the queries.

- An ack that accepts a request -> any -> accepted.
- An ack that refuses a request for its rate -> cancel, cancel_orders -> nothing; it goes on while it is valid.
- Acks that refuse every request that may have reached the venue -> any -> rejected.
- An ack that refuses one request, while another of the same command has no answer or an earlier owner may have written
  one -> cancel -> nothing yet; its order decides.
- An ack with 401018, 401019, 401116 or 401117, while a place or replace of its order is in flight -> cancel -> nothing
  yet; the cancel is repeated.
- An ack with 60009 (something failed, and the venue does not say what) -> place, replace -> nothing yet; a query is due
  at once. An order that shows itself proves accepted; of a place, one that was refused (REJECT, FAIL) proves rejected.
  If REST has caught up and shows no order, it proves not found. The result has the venue's words.
- An order of its clientOrderId, symbol and side, which was not known before the write and is no older than it (by the
  venue's clock as it was measured, less `skew_bound_s`) -> place with a clientOrderId from its commandId -> accepted;
  the result tells the quantity if it is another one.
- The same order, of known age, with the place's quantity or that of a replace -> place with a clientOrderId from the
  caller -> accepted. With another quantity it proves nothing, and an alarm is raised at the end, because another
  program may use that clientOrderId.
- An execution of its clientOrderId, symbol and side that is not older -> place -> accepted.
- Its values in a snapshot newer than what was known at the write, under its orderId or a successor's -> replace ->
  accepted.
- `AMEND_FAILED`, unless an amendment was under way at the write -> replace -> accepted: the venue took it, the exchange
  did not.
- The end of its order -> replace -> not found; if it was CANCELLED, only once REST has caught up, because it may
  come back under another orderId.
- CANCELLED after the write -> cancel -> accepted, once the venue was asked or the snapshot says CANCEL_COMPLETE;
  where a replace was under way, only once REST has caught up.
- CANCELLED, while another order lives under the clientOrderId -> cancel -> nothing; the cancel goes to that order.
- Another end, or an end before the write -> cancel -> rejected if a repeat was refused, else not found.
- `CANCEL_FAILED`, unless a cancel was under way at the write -> cancel that is no longer valid -> accepted: the venue
  took it, the exchange did not.
- FILLED with a part of the quantity -> replace, cancel -> nothing until REST has caught up: CANCELLED may follow,
  and the last state counts.
- A query that the venue refuses with 401018, or because of the name -> any -> the venue shows no such order now.

So a cancel whose answer was lost goes out again while it is valid, and the refusal of a repeat is not taken for its
end. An order from which a replace has made another one is followed (orders.py): by the ack of the replace, by the
values that it asked for, or by the clientOrderId where a replace was under way when the first order was cancelled.
Cancels and replaces of the first orderId go to the present one.
"""

from collections.abc import Iterable
from decimal import Decimal

from bridge.contract.pushes import TradePush
from bridge.core.commands.command import TrackedCommand
from bridge.core.odd_fields import parse_time_ms, same_number
from bridge.core.orders import Order


def is_order_of(order: Order, place: TrackedCommand, since_ms: int, replaces: Iterable[TrackedCommand] = ()) -> bool:
    """Whether an order of the right clientOrderId is the one that a place made, or that one of the `replaces` changed.

    If the name is derived from the commandId, no other program makes such an order, so its quantity may differ: it may
    be rounded to the lot, or amended by a person. With any other name its age must be known and its quantity must fit.
    A field that a push leaves out contradicts nothing.
    """
    if not may_be_order_of(order, place, since_ms):
        return False
    if place.has_derived_client_order_id:
        return True
    return bool(order.created_ms) and _has_quantity(order, place, replaces)


def may_be_order_of(order: Order, place: TrackedCommand, since_ms: int) -> bool:
    """Whether an order of the right clientOrderId has the symbol and side that a place asked for.

    An order that was known before the write, or that is older than `since_ms`, is another one.
    """
    args, before = place.args, place.order_before_write
    return (
        order.sym in {None, args["sym"]}
        and order.side in {None, args["side"]}
        and (before is None or order.order_id != before.order_id)
        and (not order.created_ms or order.created_ms >= since_ms)
    )


def find_other_quantity(order: Order, place: TrackedCommand) -> str | None:
    """Return the quantity of an order if the place asked for another; None if it is the same or not known."""
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
    """Whether an execution of the right clientOrderId belongs to a place, and is not older than `since_ms`."""
    args = command.args
    return (trade.sym, trade.side.upper()) == (args["sym"], args["side"]) and parse_time_ms(trade.create_at) >= since_ms


def shows_replace(order: Order, replace: TrackedCommand, since_ms: int) -> bool:
    """Whether an order shows that the venue accepted a replace: it has its values, or says that it failed later.

    Only a change since `since_ms` and since the write counts: values that the order had before prove nothing, nor does
    the failure of another replace that was under way.
    """
    before = replace.order_before_write
    is_known = before is not None and before.order_id == order.order_id and order.updated_ms <= before.updated_ms
    if is_known or order.updated_ms < since_ms:
        return False
    if _has_values(order, replace) and not (before is not None and _has_values(before, replace)):
        return True
    was_under_way = before is not None and before.action in {"AMEND_PENDING", "AMEND_FAILED"}
    return order.action == "AMEND_FAILED" and not was_under_way


def shows_cancel(order: Order, cancel: TrackedCommand, since_ms: int) -> bool:
    """Whether an order shows that it was cancelled after this cancel was written."""
    return order.cancelled and _changed_since(order, cancel, since_ms)


def shows_cancel_failed(order: Order, cancel: TrackedCommand, since_ms: int) -> bool:
    """Whether an open order shows that the venue accepted a cancel and the exchange refused it."""
    before = _find_snapshot_before(cancel, order)
    was_under_way = before is not None and before.action in {"CANCEL_PENDING", "CANCEL_FAILED"}
    return order.action == "CANCEL_FAILED" and not was_under_way and _changed_since(order, cancel, since_ms)


def _changed_since(order: Order, cancel: TrackedCommand, since_ms: int) -> bool:
    before = _find_snapshot_before(cancel, order)
    return order.updated_ms >= since_ms and not (before is not None and before.ended)


def _find_snapshot_before(cancel: TrackedCommand, order: Order) -> Order | None:
    """Return what was known of an order before a cancel; None if a replace has given it another orderId since."""
    before = cancel.order_before_write
    return before if before is not None and before.order_id == order.order_id else None


def _has_values(order: Order, replace: TrackedCommand) -> bool:
    """Whether an order has the price and quantity of a replace.

    An order with a new orderId may have the quantity less what was executed before.
    """
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
