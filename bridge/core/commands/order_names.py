"""The names of the order of a replace or a cancel: the key of its chain, and the orderId that the venue is given.

A place needs none of this: it has its clientOrderId, which is the key of its chain, from the parser.
"""

from bridge.core.commands.command import NAMES_AN_ORDER, TrackedCommand
from bridge.core.commands.command_table import CommandTable
from bridge.core.orders import Orders


def resolve_order_names(command: TrackedCommand, orders: Orders, table: CommandTable) -> None:
    """Set the order key of a command, which is the same for all commands of an order, and the names that are known."""
    if command.action not in NAMES_AN_ORDER:
        return
    order = orders.find(command.order_id, command.client_order_id)
    if order is not None:
        command.order_id = command.order_id or order.order_id
        command.client_order_id = command.client_order_id or order.client_order_id
        command.exchange = order.exchange
    if command.exchange is None and command.client_order_id is not None:
        command.exchange = table.find_exchange(command.client_order_id)
    known_name = order.client_order_id if order is not None else None
    command.order_key = known_name or command.client_order_id or command.order_id


def resolve_order_id(replace: TrackedCommand, orders: Orders) -> bool:
    """Set the orderId of a replace, which the venue requires (LTP docs, Replace Order); False when it is not known.

    Call it right before the claim: the replace before may have given the order another orderId.
    """
    if "orderId" in replace.args:
        return True
    order = orders.find(None, replace.client_order_id)
    replace.order_id = order.order_id if order is not None else replace.order_id
    return replace.order_id is not None


def follow_replaces(command: TrackedCommand, orders: Orders) -> None:
    """Set the orderId of a command to the latest that replaces have given its order."""
    order_id = command.order_id if "orderId" in command.args else None
    order = orders.find_latest(order_id, command.client_order_id)
    if order is not None:
        command.order_id = order.order_id
        command.is_redirected = orders.replacements.is_successor(order.order_id) and not order.ended
