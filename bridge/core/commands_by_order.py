"""Commands that were written, found by either name of their order."""

from bridge.core.command import Pending
from bridge.core.orders import Order


class CommandsByOrder:
    """Commands by the orderId and the clientOrderId that they had when they were added."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[int, Pending]] = {}
        self._names: dict[int, tuple[str, ...]] = {}

    def add(self, pending: Pending) -> None:
        """Add a command, or add to the names of one."""
        names = {pending.order_id, pending.client_order_id, *self._names.get(pending.offset, ())}
        self._names[pending.offset] = tuple(name for name in names if name)
        for name in self._names[pending.offset]:
            self._by_name.setdefault(name, {})[pending.offset] = pending

    def remove(self, pending: Pending) -> None:
        """Remove a command, under every name that it ever had."""
        for name in self._names.pop(pending.offset, ()):
            of_name = self._by_name[name]
            del of_name[pending.offset]
            if not of_name:
                del self._by_name[name]

    def named(self, *names: str | None) -> list[Pending]:
        """Return the commands that have one of these names, each once."""
        found = {offset: pending for name in names if name for offset, pending in self._by_name.get(name, {}).items()}
        return list(found.values())

    def of(self, order: Order) -> list[Pending]:
        """Return the commands of an order, each once; those that named it by orderId alone learn its clientOrderId."""
        found = self.named(order.order_id, order.client_order_id)
        for pending in found:
            if pending.client_order_id is None and order.client_order_id is not None:
                pending.client_order_id = order.client_order_id
                self.add(pending)
        return found

    def all(self) -> list[Pending]:
        """Return every command, each once."""
        return self.named(*self._by_name)
