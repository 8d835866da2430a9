"""Every command of one account that has no durable result, and every way in which one is found.

A command is added once when it is read, and finished once: its terminal result is published, whatever it was waiting
for. It stays in the table until that result is durable.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from bridge.contract.commands import PLACE
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.lanes import Lanes
from bridge.core.commands.states import FINISHED, IN_FLIGHT
from bridge.core.commands.timers import Timers
from bridge.core.orders import Order


class Request(Struct, frozen=True):
    """A request that may still be acknowledged, and the slot of its rate limit."""

    command: TrackedCommand
    slot_key: object


class CommandTable:
    """Commands by offset, commandId, clientOrderId, names of their order, and request; their lanes and timers."""

    def __init__(self) -> None:
        self._by_offset: dict[int, TrackedCommand] = {}
        self._by_command_id: dict[str, TrackedCommand] = {}
        self._places: dict[str, TrackedCommand] = {}
        self._by_order_name: dict[str, dict[int, TrackedCommand]] = {}
        self._requests: dict[str, Request] = {}
        self.lanes = Lanes()
        self.timers = Timers()

    def __len__(self) -> int:
        return len(self._by_command_id)

    def add(self, command: TrackedCommand) -> None:
        """Add a command that was read. No other command of its commandId is without a terminal result."""
        self._by_offset[command.offset] = command
        self._by_command_id[command.command_id] = command

    def hold_client_order_id(self, place: TrackedCommand) -> None:
        """Let a place hold its clientOrderId: until its result, or, if it was never sent, until that is durable."""
        if place.client_order_id is not None:
            self._places[place.client_order_id] = place

    def find_by_offset(self, offset: int) -> TrackedCommand | None:
        """Return the command at an offset."""
        return self._by_offset.get(offset)

    def find_by_command_id(self, command_id: str) -> TrackedCommand | None:
        """Return the command of this id that has no terminal result."""
        return self._by_command_id.get(command_id)

    def find_holder(self, client_order_id: str) -> TrackedCommand | None:
        """Return the place that holds a clientOrderId."""
        return self._places.get(client_order_id)

    def find_queried(self, offset: int) -> TrackedCommand | None:
        """Return the command at an offset if the venue is asked what became of it."""
        command = self._by_offset.get(offset)
        return command if command is not None and command.is_queried else None

    def list_queried(self) -> list[TrackedCommand]:
        """Return every command that the venue is asked about, in the order of their offsets."""
        found = (command for command in self._by_offset.values() if command.is_queried)
        return sorted(found, key=lambda command: command.offset)

    # -- by the names of their order

    def add_order_names(self, command: TrackedCommand) -> None:
        """Let a replace or cancel that is written be found by its order's names, beside those that it had before."""
        names = dict.fromkeys((*command.order_names, command.order_id, command.client_order_id))
        command.order_names = tuple(name for name in names if name)
        for name in command.order_names:
            self._by_order_name.setdefault(name, {})[command.offset] = command

    def find_in_flight_place(self, client_order_id: str | None) -> TrackedCommand | None:
        """Return the place of a clientOrderId if it may have been written and has no result."""
        place = self._places.get(client_order_id or "")
        return place if place is not None and place.state in IN_FLIGHT else None

    def find_in_flight(self, order: Order, action: str) -> list[TrackedCommand]:
        """Return the replaces or cancels of an order; those that named it by orderId alone learn its clientOrderId."""
        found = list(self._named(action, order.order_id, order.client_order_id))
        for command in found:
            if command.client_order_id is None and order.client_order_id is not None:
                command.client_order_id = order.client_order_id
                self.add_order_names(command)
        return found

    def has_in_flight(self, action: str, *names: str | None) -> bool:
        """Whether a replace or cancel in flight has one of these names of an order."""
        return next(self._named(action, *names), None) is not None

    def iter_in_flight(self, offsets: Iterable[int]) -> Iterator[TrackedCommand]:
        """Yield those of the commands at some offsets that may have been written and have no result."""
        found = (self._by_offset.get(offset) for offset in offsets)
        return (command for command in found if command is not None and command.state in IN_FLIGHT)

    def _named(self, action: str, *names: str | None) -> Iterator[TrackedCommand]:
        found = {offset: one for name in names if name for offset, one in self._by_order_name.get(name, {}).items()}
        return (command for command in found.values() if command.action == action)

    # -- by request

    def await_ack(self, command: TrackedCommand, request_id: str, slot_key: object) -> None:
        """Expect the ack of a request that is written now."""
        self._requests[request_id] = Request(command, slot_key)
        command.awaits_ack = True

    def pop_request(self, request_id: str | None) -> Request | None:
        """Return the request of an id that an ack names, which is expected no longer; None for one of nobody here."""
        request = self._requests.pop(request_id or "", None)
        if request is not None and request.command.request_id == request_id:
            request.command.awaits_ack = False
        return request

    def forget_requests(self) -> list[TrackedCommand]:
        """Expect no ack any more; return the commands that awaited one, in the order of their writes."""
        self._requests.clear()
        awaiting = sorted(self._awaiting(), key=lambda command: command.written_boot_s)
        for command in awaiting:
            command.awaits_ack = False
        return awaiting

    def count_awaiting(self) -> int:
        """Count the commands without a result whose ack is still expected in time."""
        return sum(command.state not in FINISHED for command in self._awaiting())

    def _awaiting(self) -> Iterable[TrackedCommand]:
        return (command for command in self._by_offset.values() if command.awaits_ack)

    # -- the end

    def finish(self, command: TrackedCommand) -> None:
        """Take a command out of everything that leads to a result: its terminal result is published."""
        if self._by_command_id.get(command.command_id) is command:
            del self._by_command_id[command.command_id]
        for name in command.order_names:
            of_name = self._by_order_name[name]
            del of_name[command.offset]
            if not of_name:
                del self._by_order_name[name]
        command.order_names = ()
        if command.outcome is not None and not command.outcome.unsent:
            self._free_client_order_id(command)
        self.lanes.release_chain(command)

    def forget(self, offset: int) -> TrackedCommand | None:
        """Take out and return the command at an offset, whose terminal result is durable."""
        command = self._by_offset.pop(offset, None)
        if command is not None:
            # Not before: were the answer lost, the next owner would find two commands of one name waiting.
            self._free_client_order_id(command)
        return command

    def _free_client_order_id(self, command: TrackedCommand) -> None:
        if command.action == PLACE and self._places.get(command.client_order_id or "") is command:
            del self._places[command.client_order_id or ""]
