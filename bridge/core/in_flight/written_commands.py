"""Commands that were written, found by either name of their order."""

from bridge.contract.commands import CANCEL, PLACE, REPLACE
from bridge.core.commands.command import TrackedCommand, in_scope
from bridge.core.commands.states import IN_FLIGHT
from bridge.core.orders import Order


class CommandsByOrder:
    """Commands by the orderId and the clientOrderId that they had when they were added."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[int, TrackedCommand]] = {}
        self._names: dict[int, tuple[str, ...]] = {}

    def add(self, command: TrackedCommand) -> None:
        """Add a command, or add to the names of one."""
        names = {command.order_id, command.client_order_id, *self._names.get(command.offset, ())}
        self._names[command.offset] = tuple(name for name in names if name)
        for name in self._names[command.offset]:
            self._by_name.setdefault(name, {})[command.offset] = command

    def remove(self, command: TrackedCommand) -> None:
        """Remove a command, under every name that it ever had."""
        for name in self._names.pop(command.offset, ()):
            of_name = self._by_name[name]
            del of_name[command.offset]
            if not of_name:
                del self._by_name[name]

    def named(self, *names: str | None) -> list[TrackedCommand]:
        """Return the commands that have one of these names, each once."""
        found = {offset: command for name in names if name for offset, command in self._by_name.get(name, {}).items()}
        return list(found.values())

    def of(self, order: Order) -> list[TrackedCommand]:
        """Return the commands of an order, each once; those that named it by orderId alone learn its clientOrderId."""
        found = self.named(order.order_id, order.client_order_id)
        for command in found:
            if command.client_order_id is None and order.client_order_id is not None:
                command.client_order_id = order.client_order_id
                self.add(command)
        return found

    def all(self) -> list[TrackedCommand]:
        """Return every command, each once."""
        return self.named(*self._by_name)


class WrittenCommands:
    """Commands that may have been written and have no last word, found by their orders."""

    def __init__(self) -> None:
        self._places: dict[str, TrackedCommand] = {}
        self._replaces = CommandsByOrder()
        self._cancels = CommandsByOrder()

    def add(self, command: TrackedCommand) -> None:
        """Add a command: its order may show itself before the answer, or instead of it."""
        if command.action == PLACE and command.client_order_id is not None:
            self._places[command.client_order_id] = command
        elif command.action == REPLACE:
            self._replaces.add(command)
        elif command.action == CANCEL:
            self._cancels.add(command)

    def remove(self, command: TrackedCommand) -> None:
        """Remove a command that has its last word."""
        self._replaces.remove(command)
        self._cancels.remove(command)
        if command.action == PLACE:
            self._places.pop(command.client_order_id or "", None)

    def place_named(self, client_order_id: str | None) -> TrackedCommand | None:
        """Return the place of an order."""
        return self._places.get(client_order_id or "")

    def replaces_of(self, order: Order) -> list[TrackedCommand]:
        """Return the replaces of an order."""
        return self._replaces.of(order)

    def cancels_of(self, order: Order) -> list[TrackedCommand]:
        """Return the cancels of an order."""
        return self._cancels.of(order)

    def may_make_order_of(self, cancel: TrackedCommand) -> bool:
        """Whether the order of a cancel may be made just now: its place or a replace of it has no last word."""
        place = self.place_named(cancel.client_order_id)
        placed = place is not None and place.state in IN_FLIGHT
        return placed or bool(self._replaces.named(cancel.order_id, cancel.client_order_id))

    def may_make_order_below(self, cancel_all: TrackedCommand) -> bool:
        """Whether an order may yet be made by a place or replace in flight that came before a cancel_orders."""
        return any(
            command.state in IN_FLIGHT
            and command.offset < cancel_all.offset
            and (command.exchange is None or in_scope(cancel_all.exchange, command.exchange))
            for command in (*self._places.values(), *self._replaces.all())
        )
