"""Replaces of orders that the bridge does not know, until the orders were looked up at the venue.

They wait outside of their lane, so that no other replace waits for them, and are counted as waiting in it.
"""

from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.states import CommandState


class OrderLookups:
    """The clientOrderIds of the orders to look up, the longest waiting first."""

    def __init__(self, table: CommandTable) -> None:
        self._table = table
        self._names: dict[str, None] = {}

    def await_lookup(self, replace: TrackedCommand) -> None:
        """Let a replace, the head of its lane, wait until its order was looked up."""
        self._table.lanes.set_aside(replace)
        replace.awaits_order_lookup = True
        self._names[replace.client_order_id or ""] = None

    def list_names(self) -> list[str]:
        """Return the clientOrderIds of replaces that still wait."""
        self._names = {name: None for name in self._names if self._list_waiting(name)}
        return list(self._names)

    def move_to_end(self, client_order_id: str) -> None:
        """Let the others be looked up first: the venue gave no answer about this one."""
        self._names.pop(client_order_id, None)
        self._names[client_order_id] = None

    def pop_waiting(self, client_order_id: str) -> list[TrackedCommand]:
        """Take out and return the replaces that wait for an order to be looked up."""
        self._names.pop(client_order_id, None)
        waiting = self._list_waiting(client_order_id)
        for replace in waiting:
            replace.awaits_order_lookup = False
        return waiting

    def _list_waiting(self, client_order_id: str) -> list[TrackedCommand]:
        waiting = self._table.list_unsent_replaces(client_order_id)
        return [one for one in waiting if one.awaits_order_lookup and one.state is CommandState.QUEUED]
