"""Replaces that name an order nobody here knows, until the venue was asked for it.

They stand outside their lane, so that they hold up no other, and count among what waits in it.
"""

from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.states import CommandState


class OrderLookups:
    """The clientOrderIds to ask the venue for, and the replaces that wait for each."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[TrackedCommand]] = {}

    def add(self, replace: TrackedCommand) -> None:
        """Let a replace wait until the venue was asked."""
        self._waiting.setdefault(replace.client_order_id or "", []).append(replace)

    def names(self) -> list[str]:
        """Return the clientOrderIds of replaces that still wait, the longest waiting first."""
        for name, waiting in list(self._waiting.items()):
            if not any(replace.state is CommandState.QUEUED for replace in waiting):
                del self._waiting[name]
        return list(self._waiting)

    def put_last(self, client_order_id: str) -> None:
        """Let the others be asked for first: the venue gave no answer about this one."""
        self._waiting[client_order_id] = self._waiting.pop(client_order_id, [])

    def pop(self, client_order_id: str) -> list[TrackedCommand]:
        """Return the replaces that wait for a name, and wait for it no longer."""
        waiting = self._waiting.pop(client_order_id, [])
        return [replace for replace in waiting if replace.state is CommandState.QUEUED]
