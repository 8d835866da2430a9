"""Commands that were written, found by either name of their order."""

from bridge.contract.commands import CANCEL, PLACE, REPLACE
from bridge.core.command import Pending, in_scope
from bridge.core.life import IN_FLIGHT
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


class WrittenCommands:
    """Commands that may have been written and have no last word, found by their orders."""

    def __init__(self) -> None:
        self._places: dict[str, Pending] = {}
        self._replaces = CommandsByOrder()
        self._cancels = CommandsByOrder()

    def add(self, pending: Pending) -> None:
        """Add a command: its order may show itself before the answer, or instead of it."""
        if pending.action == PLACE and pending.client_order_id is not None:
            self._places[pending.client_order_id] = pending
        elif pending.action == REPLACE:
            self._replaces.add(pending)
        elif pending.action == CANCEL:
            self._cancels.add(pending)

    def remove(self, pending: Pending) -> None:
        """Remove a command that has its last word."""
        self._replaces.remove(pending)
        self._cancels.remove(pending)
        if pending.action == PLACE:
            self._places.pop(pending.client_order_id or "", None)

    def place_named(self, client_order_id: str | None) -> Pending | None:
        """Return the place of an order."""
        return self._places.get(client_order_id or "")

    def replaces_of(self, order: Order) -> list[Pending]:
        """Return the replaces of an order."""
        return self._replaces.of(order)

    def cancels_of(self, order: Order) -> list[Pending]:
        """Return the cancels of an order."""
        return self._cancels.of(order)

    def may_make_order_of(self, cancel: Pending) -> bool:
        """Whether the order of a cancel may be made just now: its place or a replace of it has no last word."""
        place = self.place_named(cancel.client_order_id)
        placed = place is not None and place.state in IN_FLIGHT
        return placed or bool(self._replaces.named(cancel.order_id, cancel.client_order_id))

    def may_make_order_below(self, cancel_all: Pending) -> bool:
        """Whether an order may yet be made by a place or replace in flight that came before a cancel_orders."""
        return any(
            pending.state in IN_FLIGHT
            and pending.offset < cancel_all.offset
            and (pending.exchange is None or in_scope(cancel_all.exchange, pending.exchange))
            for pending in (*self._places.values(), *self._replaces.all())
        )
