"""Commands that wait: urgency between orders, sequence within one.

Each action has a lane in order of arrival. A place or replace that must wait for an earlier command of its order
stands only in that order's chain until that one has its answer, so that what is at the head of a lane may go.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.core.command import ACTIONS, Pending, in_scope
from bridge.core.life import OVER, UNSENT, State

CLAIM_LANES: Final = (CANCEL_ALL, REPLACE, PLACE)
"""Lanes whose commands need a claim, most urgent first."""


class Lanes:
    """The waiting commands of one account, and for each order the command that the next must wait for."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Pending]] = {action: deque() for action in ACTIONS}
        self._waiting: dict[str, set[int]] = {action: set() for action in ACTIONS}
        self._chains: dict[str, deque[Pending]] = {}
        self._places: dict[str, Pending] = {}
        self._sweeping: deque[Pending] = deque()
        self._repeats: deque[Pending] = deque()
        self._repeating: set[int] = set()
        self._turns = 0

    def waiting(self, action: str) -> int:
        """Count the commands of an action that have not been handed on."""
        return len(self._waiting[action])

    def add(self, pending: Pending) -> None:
        """Let a command wait its turn. A cancel waits for nothing, but what comes after it waits for its answer."""
        self._waiting[pending.action].add(pending.offset)
        if pending.action == CANCEL_ALL:
            self._sweeping.append(pending)
        if self._chain(pending) or pending.action == CANCEL:
            self._line_up(pending)

    def occupy(self, pending: Pending) -> None:
        """Note a command that an earlier owner may have written, so that what comes after it waits for its answer."""
        self._chain(pending)

    def settled(self, pending: Pending) -> None:
        """Let the next command of an order go: this one has its answer."""
        self.discard(pending)
        if pending.action == PLACE and pending.client_order_id is not None:
            self._places.pop(pending.client_order_id, None)
        order = pending.order
        chain = self._chains.get(order) if order is not None else None
        if chain is None or order is None:
            return
        while chain and chain[0].state in OVER:
            chain.popleft()
            if chain and chain[0].state is State.QUEUED and chain[0].action != CANCEL:
                self._line_up(chain[0])
        if not chain:
            del self._chains[order]

    def head(self, action: str) -> Pending | None:
        """Return the next command of a lane and leave it there; what was decided meanwhile is passed over."""
        lane = self._lanes[action]
        while lane and (lane[0].state is not State.QUEUED or lane[0].superseded):
            lane.popleft()
        return lane[0] if lane else None

    def take(self, pending: Pending) -> None:
        """Hand on the head of a lane."""
        self.set_aside(pending)
        self._waiting[pending.action].discard(pending.offset)

    def set_aside(self, pending: Pending) -> None:
        """Let the head of a lane wait outside of it; it goes on counting among what waits."""
        self._lanes[pending.action].popleft()

    def put_back(self, pending: Pending) -> None:
        """Return a command to where it stood in its lane: it was not written."""
        lane = self._lanes[pending.action]
        before = next((index for index, other in enumerate(lane) if other.turn > pending.turn), len(lane))
        lane.insert(before, pending)
        self._waiting[pending.action].add(pending.offset)

    def bar_again(self, cancel_all: Pending) -> None:
        """Let what comes after a cancel_orders wait again: the venue refused it, and it is written once more."""
        self._sweeping.appendleft(cancel_all)

    def barred(self, pending: Pending) -> bool:
        """Whether an earlier cancel_orders of its scope is still to be written: it would end what went before it."""
        while self._sweeping and self._sweeping[0].state not in UNSENT:
            self._sweeping.popleft()
        return any(
            sweeping.state in UNSENT
            and sweeping.offset < pending.offset
            and in_scope(sweeping.exchange, pending.exchange)
            for sweeping in self._sweeping
        )

    def repeat(self, pending: Pending) -> None:
        """Let a cancel go out again. Repeats wait by themselves, so that they hold up no new one."""
        if pending.offset not in self._repeating:
            self._repeating.add(pending.offset)
            self._repeats.append(pending)

    def head_repeat(self, mono: float) -> Pending | None:
        """Return the next cancel to repeat and leave it there; what has its answer or is not valid is passed over."""
        while self._repeats and (self._repeats[0].state in OVER or mono >= self._repeats[0].deadline):
            self.take_repeat()
        return self._repeats[0] if self._repeats else None

    def take_repeat(self) -> None:
        """Hand on the next cancel to repeat."""
        self._repeating.discard(self._repeats.popleft().offset)

    def discard(self, pending: Pending) -> None:
        """Count a command out that has its answer; its lane passes over it later."""
        self._waiting[pending.action].discard(pending.offset)

    def unsent_place(self, client_order_id: str) -> Pending | None:
        """Return the place of this clientOrderId if it has certainly not been written."""
        place = self._places.get(client_order_id)
        return place if place is not None and place.state in UNSENT else None

    def exchange_of(self, client_order_id: str) -> str | None:
        """Return the exchange of a place that has no answer yet."""
        place = self._places.get(client_order_id)
        return place.exchange if place is not None else None

    def unsent_in_scope(self, scope: str) -> list[Pending]:
        """Return the places and replaces that have not been written and that a cancel_orders of this scope ends."""
        return [pending for pending in self._unsent() if in_scope(scope, pending.exchange) and not pending.superseded]

    def unsent_replaces(self, order: str) -> list[Pending]:
        """Return the replaces of an order that have not been written."""
        chain: Iterable[Pending] = self._chains.get(order, ())
        return [pending for pending in chain if pending.action == REPLACE and pending.state in UNSENT]

    def _line_up(self, pending: Pending) -> None:
        self._turns += 1
        pending.turn = self._turns
        self._lanes[pending.action].append(pending)

    def _chain(self, pending: Pending) -> bool:
        """Let a command follow those of its order; True when none is before it."""
        if pending.action == PLACE and pending.client_order_id is not None:
            self._places[pending.client_order_id] = pending
        if pending.order is None:
            return True
        chain = self._chains.setdefault(pending.order, deque())
        chain.append(pending)
        return chain[0] is pending

    def _unsent(self) -> Iterator[Pending]:
        yield from (place for place in self._places.values() if place.state in UNSENT)
        for chain in self._chains.values():
            yield from (pending for pending in chain if pending.action == REPLACE and pending.state in UNSENT)
