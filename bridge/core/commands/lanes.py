"""Commands that wait to be sent: the urgent actions first, and those of one order in their sequence.

Each action has a lane in order of arrival, and each order a chain of its commands. A place or replace that must wait
for an earlier command of its order is put into its lane when that one has its result, so the head of a lane may always
be sent.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.core.commands.command import ACTIONS, TrackedCommand, in_scope
from bridge.core.commands.states import FINISHED, UNSENT, CommandState

CLAIM_LANES: Final = (CANCEL_ALL, REPLACE, PLACE)
"""Lanes whose commands need a claim, most urgent first."""
_REPEATS: Final = "repeats"
"""The lane of cancels that are to be repeated: a new cancel does not wait for them."""
_CANCEL_ALLS: Final = "*"
"""The chain of all cancel_orders; no order has this name, because it is no character of one."""


class Lanes:
    """The lanes of one account, and the chains of its orders."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[TrackedCommand]] = {lane: deque() for lane in (*ACTIONS, _REPEATS)}
        self.cancel_alls: deque[TrackedCommand] = deque()
        """The chain of all cancel_orders: those before the first that has no result yet are gone."""
        self._chains: dict[str, deque[TrackedCommand]] = {_CANCEL_ALLS: self.cancel_alls}
        self._waiting = dict.fromkeys(ACTIONS, 0)
        self._positions = 0

    def count_waiting(self, action: str) -> int:
        """Count the commands of an action that wait, in their lane or outside of it."""
        return self._waiting[action]

    def add(self, command: TrackedCommand) -> None:
        """Add a command. A cancel is put into its lane at once; later commands of its order wait for its result."""
        self._count_in(command)
        if self._join_chain(command) or command.action in {CANCEL, CANCEL_ALL}:
            self._enqueue(command)

    def hold_chain(self, command: TrackedCommand) -> None:
        """Append a command to the chain of its order, but not to its lane.

        The places and replaces of the order that come after it wait until it has its result.
        """
        self._join_chain(command)

    def release_chain(self, command: TrackedCommand) -> None:
        """Take out a command that has its result, and put the next one of its order into its lane."""
        self.count_out(command)
        key = _chain_key(command)
        chain = self._chains.get(key)
        if chain is None:
            return
        while chain and chain[0].state in FINISHED:
            chain.popleft()
            if chain and chain[0].state is CommandState.QUEUED and chain[0].action in {PLACE, REPLACE}:
                self._enqueue(chain[0])
        if not chain and key != _CANCEL_ALLS:
            del self._chains[key]

    def peek_head(self, action: str) -> TrackedCommand | None:
        """Return the head of a lane, and leave it there; commands that were answered meanwhile are dropped."""
        lane = self._lanes[action]
        while lane and (lane[0].state is not CommandState.QUEUED or lane[0].is_superseded):
            lane.popleft()
        return lane[0] if lane else None

    def pop_head(self, command: TrackedCommand) -> None:
        """Take the head out of a lane; it no longer waits."""
        self.set_aside(command)
        self.count_out(command)

    def set_aside(self, command: TrackedCommand) -> None:
        """Take the head out of a lane; it is still counted as waiting."""
        self._lanes[command.action].popleft()

    def put_back(self, command: TrackedCommand) -> None:
        """Put a command that was not written back into its lane, where it was before."""
        lane = self._lanes[command.action]
        index = next((n for n, other in enumerate(lane) if other.queue_position > command.queue_position), len(lane))
        lane.insert(index, command)
        self._count_in(command)

    def count_out(self, command: TrackedCommand) -> None:
        """Count a command as waiting no longer; its lane drops it later."""
        self._waiting[command.action] -= command.is_waiting
        command.is_waiting = False

    def is_blocked_by_cancel_all(self, command: TrackedCommand) -> bool:
        """Whether an earlier cancel_orders of its scope is unsent: it would end the order of this command."""
        return any(
            cancel_all.state in UNSENT
            and cancel_all.offset < command.offset
            and in_scope(cancel_all.exchange, command.exchange)
            for cancel_all in self.cancel_alls
        )

    def list_cancel_alls(self) -> list[TrackedCommand]:
        """Return every cancel_orders that has no result yet, in order of arrival."""
        return [command for command in self.cancel_alls if command.state not in FINISHED]

    def queue_repeat(self, cancel: TrackedCommand) -> None:
        """Let a cancel be repeated."""
        if not cancel.is_repeat_queued:
            cancel.is_repeat_queued = True
            self._lanes[_REPEATS].append(cancel)

    def peek_repeat(self, now_boot_s: float) -> TrackedCommand | None:
        """Return the next cancel to repeat, and leave it there; one that has its result or has expired is dropped."""
        repeats = self._lanes[_REPEATS]
        while repeats and (repeats[0].state in FINISHED or now_boot_s >= repeats[0].deadline_boot_s):
            self.pop_repeat()
        return repeats[0] if repeats else None

    def pop_repeat(self) -> None:
        """Take out the next cancel to repeat."""
        self._lanes[_REPEATS].popleft().is_repeat_queued = False

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
        return [
            command
            for command in self._iter_unsent()
            if in_scope(scope, command.exchange) and not command.is_superseded
        ]

    def list_unsent_replaces(self, order_key: str) -> list[TrackedCommand]:
        """Return the unsent replaces of an order."""
        chain: Iterable[TrackedCommand] = self._chains.get(order_key, ())
        return [command for command in chain if command.action == REPLACE and command.state in UNSENT]

    def _find_place(self, client_order_id: str) -> TrackedCommand | None:
        chain: Iterable[TrackedCommand] = self._chains.get(client_order_id, ())
        places = (command for command in chain if command.action == PLACE and command.state not in FINISHED)
        return next(places, None)

    def _enqueue(self, command: TrackedCommand) -> None:
        self._positions += 1
        command.queue_position = self._positions
        self._lanes[command.action].append(command)

    def _join_chain(self, command: TrackedCommand) -> bool:
        """Append a command to the chain of its order; return whether it is the first there."""
        key = _chain_key(command)
        chain = self._chains.setdefault(key, deque())
        chain.append(command)
        return chain[0] is command

    def _count_in(self, command: TrackedCommand) -> None:
        self._waiting[command.action] += not command.is_waiting
        command.is_waiting = True

    def _iter_unsent(self) -> Iterator[TrackedCommand]:
        for chain in self._chains.values():
            yield from (one for one in chain if one.action in {PLACE, REPLACE} and one.state in UNSENT)


def _chain_key(command: TrackedCommand) -> str:
    """Return the name of a command's chain: the key of its order, or the one of every cancel_orders."""
    return _CANCEL_ALLS if command.action == CANCEL_ALL else command.order_key or ""
