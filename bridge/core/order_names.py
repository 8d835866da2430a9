"""Which order a command is about: the name under which its commands meet, and the orderId that the venue is given."""

from bridge.contract.commands import CANCEL, PLACE, REPLACE
from bridge.core.command import Pending
from bridge.core.lanes import Lanes
from bridge.core.orders import Orders


def name_order(pending: Pending, orders: Orders, lanes: Lanes) -> None:
    """Find the one name under which all commands of an order meet, and what else is known of it."""
    if pending.action == PLACE:
        pending.order = pending.client_order_id
    if pending.action not in {REPLACE, CANCEL}:
        return
    order = orders.find(pending.order_id, pending.client_order_id)
    if order is not None:
        pending.order_id = pending.order_id or order.order_id
        pending.client_order_id = pending.client_order_id or order.client_order_id
        pending.exchange = order.exchange
    if pending.exchange is None and pending.client_order_id is not None:
        pending.exchange = lanes.exchange_of(pending.client_order_id)
    known = order.client_order_id if order is not None else None
    pending.order = known or pending.client_order_id or pending.order_id


def has_order_id(pending: Pending, orders: Orders) -> bool:
    """Give a replace the orderId that the venue wants (LTP docs, Replace Order); False when it is not known.

    To be called right before it is claimed: the replace before it may have given the order another id.
    """
    if pending.action != REPLACE or "orderId" in pending.args:
        return True
    order = orders.find(None, pending.client_order_id)
    pending.order_id = order.order_id if order is not None else pending.order_id
    return pending.order_id is not None


def follow_order(pending: Pending, orders: Orders) -> None:
    """Let a command go to what replaces have made of its order."""
    order_id = pending.order_id if "orderId" in pending.args else None
    order = orders.find_present(order_id, pending.client_order_id)
    if order is not None:
        pending.order_id = order.order_id
        pending.is_redirected = orders.is_successor(order.order_id) and not order.over
