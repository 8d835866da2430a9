"""Commands that wait: urgency between orders, sequence within one.

Each action has a lane in order of arrival. A place or replace that must wait for an earlier command of its order
stands only in that order's chain until that one has its answer, so that what is at the head of a lane may go.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.core.commands.command import ACTIONS, TrackedCommand, in_scope
from bridge.core.commands.states import OVER, UNSENT, CommandState

CLAIM_LANES: Final = (CANCEL_ALL, REPLACE, PLACE)
"""Lanes whose commands need a claim, most urgent first."""


class Lanes:
    """The waiting commands of one account, and for each order the command that the next must wait for."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[TrackedCommand]] = {action: deque() for action in ACTIONS}
        self._waiting: dict[str, set[int]] = {action: set() for action in ACTIONS}
        self._chains: dict[str, deque[TrackedCommand]] = {}
        self._places: dict[str, TrackedCommand] = {}
        self._unsent_cancel_alls: deque[TrackedCommand] = deque()
        self._repeats: deque[TrackedCommand] = deque()
        self._repeating: set[int] = set()
        self._turns = 0

    def count_waiting(self, action: str) -> int:
        """Count the commands of an action that have not been handed on."""
        return len(self._waiting[action])

    def add(self, command: TrackedCommand) -> None:
        """Let a command wait its turn. A cancel waits for nothing, but what comes after it waits for its answer."""
        self._waiting[command.action].add(command.offset)
        if command.action == CANCEL_ALL:
            self._unsent_cancel_alls.append(command)
        if self._join_chain(command) or command.action == CANCEL:
            self._enqueue(command)

    def hold_chain(self, command: TrackedCommand) -> None:
        """Note a command that an earlier owner may have written, so that what comes after it waits for its answer."""
        self._join_chain(command)

    def answered(self, command: TrackedCommand) -> None:
        """Let the next command of an order go: this one has its answer."""
        self.discard(command)
        if command.action == PLACE and command.client_order_id is not None:
            self._places.pop(command.client_order_id, None)
        order = command.order_key
        chain = self._chains.get(order) if order is not None else None
        if chain is None or order is None:
            return
        while chain and chain[0].state in OVER:
            chain.popleft()
            if chain and chain[0].state is CommandState.QUEUED and chain[0].action != CANCEL:
                self._enqueue(chain[0])
        if not chain:
            del self._chains[order]

    def head(self, action: str) -> TrackedCommand | None:
        """Return the next command of a lane and leave it there; what was decided meanwhile is passed over."""
        lane = self._lanes[action]
        while lane and (lane[0].state is not CommandState.QUEUED or lane[0].superseded):
            lane.popleft()
        return lane[0] if lane else None

    def take(self, command: TrackedCommand) -> None:
        """Hand on the head of a lane."""
        self.set_aside(command)
        self._waiting[command.action].discard(command.offset)

    def set_aside(self, command: TrackedCommand) -> None:
        """Let the head of a lane wait outside of it; it goes on counting among what waits."""
        self._lanes[command.action].popleft()

    def put_back(self, command: TrackedCommand) -> None:
        """Return a command to where it stood in its lane: it was not written."""
        lane = self._lanes[command.action]
        before = next(
            (index for index, other in enumerate(lane) if other.queue_position > command.queue_position), len(lane)
        )
        lane.insert(before, command)
        self._waiting[command.action].add(command.offset)

    def block_again(self, cancel_all: TrackedCommand) -> None:
        """Let what comes after a cancel_orders wait again: the venue refused it, and it is written once more."""
        self._unsent_cancel_alls.appendleft(cancel_all)

    def blocked_by_cancel_all(self, command: TrackedCommand) -> bool:
        """Whether an earlier cancel_orders of its scope is still to be written: it would end what went before it."""
        while self._unsent_cancel_alls and self._unsent_cancel_alls[0].state not in UNSENT:
            self._unsent_cancel_alls.popleft()
        return any(
            sweeping.state in UNSENT
            and sweeping.offset < command.offset
            and in_scope(sweeping.exchange, command.exchange)
            for sweeping in self._unsent_cancel_alls
        )

    def queue_repeat(self, command: TrackedCommand) -> None:
        """Let a cancel go out again. Repeats wait by themselves, so that they hold up no new one."""
        if command.offset not in self._repeating:
            self._repeating.add(command.offset)
            self._repeats.append(command)

    def head_repeat(self, mono: float) -> TrackedCommand | None:
        """Return the next cancel to repeat and leave it there; what has its answer or is not valid is passed over."""
        while self._repeats and (self._repeats[0].state in OVER or mono >= self._repeats[0].deadline_boot_s):
            self.take_repeat()
        return self._repeats[0] if self._repeats else None

    def take_repeat(self) -> None:
        """Hand on the next cancel to repeat."""
        self._repeating.discard(self._repeats.popleft().offset)

    def discard(self, command: TrackedCommand) -> None:
        """Count a command out that has its answer; its lane passes over it later."""
        self._waiting[command.action].discard(command.offset)

    def unsent_place(self, client_order_id: str) -> TrackedCommand | None:
        """Return the place of this clientOrderId if it has certainly not been written."""
        place = self._places.get(client_order_id)
        return place if place is not None and place.state in UNSENT else None

    def exchange_of(self, client_order_id: str) -> str | None:
        """Return the exchange of a place that has no answer yet."""
        place = self._places.get(client_order_id)
        return place.exchange if place is not None else None

    def unsent_in_scope(self, scope: str) -> list[TrackedCommand]:
        """Return the places and replaces that have not been written and that a cancel_orders of this scope ends."""
        return [
            command
            for command in self._unsent_commands()
            if in_scope(scope, command.exchange) and not command.superseded
        ]

    def unsent_replaces(self, order: str) -> list[TrackedCommand]:
        """Return the replaces of an order that have not been written."""
        chain: Iterable[TrackedCommand] = self._chains.get(order, ())
        return [command for command in chain if command.action == REPLACE and command.state in UNSENT]

    def _enqueue(self, command: TrackedCommand) -> None:
        self._turns += 1
        command.queue_position = self._turns
        self._lanes[command.action].append(command)

    def _join_chain(self, command: TrackedCommand) -> bool:
        """Let a command follow those of its order; True when none is before it."""
        if command.action == PLACE and command.client_order_id is not None:
            self._places[command.client_order_id] = command
        if command.order_key is None:
            return True
        chain = self._chains.setdefault(command.order_key, deque())
        chain.append(command)
        return chain[0] is command

    def _unsent_commands(self) -> Iterator[TrackedCommand]:
        yield from (place for place in self._places.values() if place.state in UNSENT)
        for chain in self._chains.values():
            yield from (command for command in chain if command.action == REPLACE and command.state in UNSENT)
