"""Every command of one account that has no durable result, and every index by which one is found.

A command is added once, when it is read. It is finished once, when its terminal result is published. It is forgotten
when that result is durable.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from bridge.contract.commands import CANCEL_ALL, PLACE, REPLACE
from bridge.core.commands.command import ADDS_RISK, REDUCES_RISK, TrackedCommand, in_scope
from bridge.core.commands.lanes import Lanes
from bridge.core.commands.states import FINISHED, IN_FLIGHT, UNSENT, CommandState
from bridge.core.commands.timers import Timers
from bridge.core.orders import Order

_CANCEL_ALLS: Final = "*"
"""The chain of all cancel_orders; no order has this name, because it is no character of one."""


class Request(Struct, frozen=True):
    """A request whose ack may still come, and the key of its slot."""

    command: TrackedCommand
    slot_key: object


class CommandTable:
    """Commands by offset, commandId, clientOrderId, names of their order, and request; their lanes and timers.

    The commands of one order form a chain, in order of arrival: a place or replace waits for those before it.
    """

    def __init__(self) -> None:
        self._by_offset: dict[int, TrackedCommand] = {}
        self._by_command_id: dict[str, TrackedCommand] = {}
        self._places: dict[str, TrackedCommand] = {}
        self._by_order_name: dict[str, dict[int, TrackedCommand]] = {}
        self._requests: dict[str, Request] = {}
        self._chains: dict[str, deque[TrackedCommand]] = {_CANCEL_ALLS: deque()}
        self.lanes = Lanes()
        self.timers = Timers()

    def __len__(self) -> int:
        return len(self._by_command_id)

    def add(self, command: TrackedCommand) -> None:
        """Add a command that was read. No other command of its commandId may be without a terminal result."""
        self._by_offset[command.offset] = command
        self._by_command_id[command.command_id] = command

    def hold_client_order_id(self, place: TrackedCommand) -> None:
        """Let a place hold its clientOrderId until its result, or if it was never sent, until that is durable."""
        if place.client_order_id is not None:
            self._places[place.client_order_id] = place

    def find_by_offset(self, offset: int) -> TrackedCommand | None:
        """Return the command at an offset."""
        return self._by_offset.get(offset)

    def find_by_command_id(self, command_id: str) -> TrackedCommand | None:
        """Return the command of a commandId that has no terminal result."""
        return self._by_command_id.get(command_id)

    def find_holder(self, client_order_id: str) -> TrackedCommand | None:
        """Return the place that holds a clientOrderId."""
        return self._places.get(client_order_id)

    def find_queried(self, offset: int) -> TrackedCommand | None:
        """Return the command at an offset if the venue is asked about it."""
        command = self._by_offset.get(offset)
        return command if command is not None and command.is_queried else None

    def list_queried(self) -> list[TrackedCommand]:
        """Return every command that the venue is asked about, in the order of their offsets."""
        found = (command for command in self._by_offset.values() if command.is_queried)
        return sorted(found, key=lambda command: command.offset)

    # -- by names of the order

    def add_order_names(self, command: TrackedCommand) -> None:
        """Index a replace or cancel that is written by the names of its order, in addition to those that it had."""
        names = dict.fromkeys((*command.order_names, command.order_id, command.client_order_id))
        command.order_names = tuple(name for name in names if name)
        for name in command.order_names:
            self._by_order_name.setdefault(name, {})[command.offset] = command

    def find_in_flight_place(self, client_order_id: str | None) -> TrackedCommand | None:
        """Return the place of a clientOrderId if it may have been written and has no result."""
        place = self._places.get(client_order_id or "")
        return place if place is not None and place.state in IN_FLIGHT else None

    def find_in_flight(self, order: Order, action: str) -> list[TrackedCommand]:
        """Return the replaces or cancels of an order; those without its clientOrderId get it, and are indexed by it."""
        found = list(self._iter_named(action, order.order_id, order.client_order_id))
        for command in found:
            if command.client_order_id is None and order.client_order_id is not None:
                command.client_order_id = order.client_order_id
                self.add_order_names(command)
        return found

    def has_in_flight(self, action: str, *names: str | None) -> bool:
        """Whether a replace or cancel in flight is indexed by one of these names of an order."""
        return next(self._iter_named(action, *names), None) is not None

    def iter_in_flight(self, offsets: Iterable[int]) -> Iterator[TrackedCommand]:
        """Yield the commands at some offsets that may have been written and have no result."""
        found = (self._by_offset.get(offset) for offset in offsets)
        return (command for command in found if command is not None and command.state in IN_FLIGHT)

    def _iter_named(self, action: str, *names: str | None) -> Iterator[TrackedCommand]:
        found = {offset: one for name in names if name for offset, one in self._by_order_name.get(name, {}).items()}
        return (command for command in found.values() if command.action == action)

    # -- by chain

    def queue(self, command: TrackedCommand) -> None:
        """Let a command wait to be sent: in its lane, if it is a cancel or no earlier command of its order is there."""
        self.lanes.count_in(command)
        if self.join_chain(command) or command.action in REDUCES_RISK:
            self.lanes.append(command)

    def join_chain(self, command: TrackedCommand) -> bool:
        """Append a command to the chain of its order, and return whether it is the first there.

        The places and replaces of the order that come after it wait until it has its result.
        """
        chain = self._chains.setdefault(_chain_key(command), deque())
        chain.append(command)
        return chain[0] is command

    @property
    def has_cancel_all(self) -> bool:
        """Whether a cancel_orders has no result yet."""
        return bool(self._chains[_CANCEL_ALLS])

    def list_cancel_alls(self) -> list[TrackedCommand]:
        """Return every cancel_orders that has no result yet, in order of arrival."""
        return [command for command in self._chains[_CANCEL_ALLS] if command.state not in FINISHED]

    def is_blocked_by_cancel_all(self, command: TrackedCommand) -> bool:
        """Whether an earlier cancel_orders of its scope is unsent: it would end the order of this command."""
        return any(
            cancel_all.state in UNSENT
            and cancel_all.offset < command.offset
            and in_scope(cancel_all.exchange, command.exchange)
            for cancel_all in self._chains[_CANCEL_ALLS]
        )

    def find_unsent_place(self, client_order_id: str) -> TrackedCommand | None:
        """Return the place of a clientOrderId if it is unsent."""
        place = self._find_place(client_order_id)
        return place if place is not None and place.state in UNSENT else None

    def find_exchange(self, client_order_id: str) -> str | None:
        """Return the exchange of the place of a clientOrderId, if it has no result yet."""
        place = self._find_place(client_order_id)
        return place.exchange if place is not None else None

    def list_unsent_in_scope(self, scope: str) -> list[TrackedCommand]:
        """Return the unsent places and replaces that a cancel_orders of a scope ends."""
        commands = (command for chain in self._chains.values() for command in chain)
        unsent = (command for command in commands if command.action in ADDS_RISK and command.state in UNSENT)
        return [one for one in unsent if in_scope(scope, one.exchange) and not one.is_superseded]

    def list_unsent_replaces(self, order_key: str) -> list[TrackedCommand]:
        """Return the unsent replaces of an order."""
        chain: Iterable[TrackedCommand] = self._chains.get(order_key, ())
        return [command for command in chain if command.action == REPLACE and command.state in UNSENT]

    def _find_place(self, client_order_id: str) -> TrackedCommand | None:
        chain: Iterable[TrackedCommand] = self._chains.get(client_order_id, ())
        places = (command for command in chain if command.action == PLACE and command.state not in FINISHED)
        return next(places, None)

    def _advance_chain(self, key: str) -> None:
        """Take out the first commands of a chain that have results, and put the next one into its lane."""
        chain = self._chains.get(key)
        if chain is None:
            return
        while chain and chain[0].state in FINISHED:
            chain.popleft()
            if chain and chain[0].state is CommandState.QUEUED and chain[0].action in ADDS_RISK:
                self.lanes.append(chain[0])
        if not chain and key != _CANCEL_ALLS:
            del self._chains[key]

    # -- by request

    def await_ack(self, command: TrackedCommand, request_id: str, slot_key: object) -> None:
        """Add a request that is written now, and await its ack."""
        self._requests[request_id] = Request(command, slot_key)
        command.awaits_ack = True

    def pop_request(self, request_id: str | None) -> Request | None:
        """Take out and return the request that an ack names; None when there is none of that id."""
        request = self._requests.pop(request_id or "", None)
        if request is not None and request.command.request_id == request_id:
            request.command.awaits_ack = False
        return request

    def forget_requests(self) -> list[TrackedCommand]:
        """Take out every request; return the commands that awaited an ack, in the order of their writes."""
        self._requests.clear()
        awaiting = sorted(self._iter_awaiting(), key=lambda command: command.written_boot_s)
        for command in awaiting:
            command.awaits_ack = False
        return awaiting

    def count_awaiting(self) -> int:
        """Count the commands without a result that await an ack."""
        return sum(command.state not in FINISHED for command in self._iter_awaiting())

    @property
    def request_count(self) -> int:
        """The number of requests whose acks are awaited."""
        return len(self._requests)

    def list_unknown_since_ms(self) -> list[int]:
        """Return since when each command without a known outcome is in doubt, Unix ms."""
        unknown = (one for one in self._by_offset.values() if one.state is CommandState.UNKNOWN)
        return [one.unknown_at_ms or one.timestamp_ms for one in unknown]

    def find_oldest_waiting(self) -> TrackedCommand | None:
        """Return the command that was read first of those that have not been written."""
        return next((command for command in self._by_offset.values() if command.is_waiting), None)

    def find_oldest_awaiting(self) -> TrackedCommand | None:
        """Return the command of the oldest request whose ack is awaited."""
        return next((request.command for request in self._requests.values()), None)

    def _iter_awaiting(self) -> Iterable[TrackedCommand]:
        return (command for command in self._by_offset.values() if command.awaits_ack)

    # -- the end

    def finish(self, command: TrackedCommand) -> None:
        """Take a command, whose terminal result is published, out of all indexes but that of offsets.

        Its requests stay until their acks come, because each ack frees a slot.
        """
        if self._by_command_id.get(command.command_id) is command:
            del self._by_command_id[command.command_id]
        for name in command.order_names:
            commands = self._by_order_name[name]
            del commands[command.offset]
            if not commands:
                del self._by_order_name[name]
        command.order_names = ()
        if command.outcome is not None and not command.outcome.unsent:
            self._free_client_order_id(command)
        if command.is_waiting:
            self.lanes.count_out(command)
        self._advance_chain(_chain_key(command))

    def forget(self, offset: int) -> TrackedCommand | None:
        """Take out and return the command at an offset, whose terminal result is durable."""
        command = self._by_offset.pop(offset, None)
        if command is not None:
            # An unsent place frees its clientOrderId only now. If it did so before its result was durable, and that
            # result was lost, the next owner would find two places without a result under one clientOrderId.
            self._free_client_order_id(command)
        return command

    def _free_client_order_id(self, command: TrackedCommand) -> None:
        if command.action == PLACE and self._places.get(command.client_order_id or "") is command:
            del self._places[command.client_order_id or ""]


def _chain_key(command: TrackedCommand) -> str:
    """Return the name of a command's chain: the key of its order, or the one of every cancel_orders."""
    return _CANCEL_ALLS if command.action == CANCEL_ALL else command.order_key or ""
