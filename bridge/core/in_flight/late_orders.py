"""Late landings: orders that show themselves after the venue knew nothing of them. Never hidden."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from bridge.contract.commands import PLACE, REPLACE
from bridge.contract.results import Outcome, Result
from bridge.contract.session import Alarm
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.states import CommandEvent
from bridge.core.in_flight import facts
from bridge.core.in_flight.bridge_cancels import BridgeCancels
from bridge.core.now import Now
from bridge.core.orders import Order
from bridge.core.outbox import Outbox

_REMEMBERED_MAX: Final = 10_000


class _GivenUp(Struct):
    """A place or replace that was answered `not_found`; `command` is None when an earlier owner did it."""

    command_id: str
    since_ms: int
    command: TrackedCommand | None = None


class LateOrders:
    """What was given up, and is watched for."""

    def __init__(self, outbox: Outbox, own_cancels: BridgeCancels, *, cancel: bool, rest_lag_ms: int) -> None:
        self._outbox = outbox
        self._bridge_cancels = own_cancels
        self._cancel = cancel
        self._rest_lag_ms = rest_lag_ms
        self._places: dict[str, _GivenUp] = {}
        self._replaces: dict[str, _GivenUp] = {}

    def watch_not_found(self, command: TrackedCommand, since_ms: int) -> None:
        """Watch for a command that was answered `not_found`."""
        given_up = _GivenUp(command.command_id, since_ms, command)
        if command.action == PLACE and command.client_order_id is not None:
            _remember(self._places, command.client_order_id, given_up)
        elif command.action == REPLACE:
            for name in filter(None, (command.order_id, command.client_order_id)):
                _remember(self._replaces, name, given_up)

    def restore(self, results: Iterable[tuple[Result, int]]) -> None:
        """Watch for the places that earlier owners gave up."""
        for result, _ in results:
            if result.action == PLACE and result.outcome is Outcome.ACCEPTED:
                self.client_order_id_reused(result.client_order_id)
            elif result.outcome is Outcome.NOT_FOUND and result.action == PLACE and result.client_order_id is not None:
                # The last look found no order of it. What was there to be found then was known not to be its order.
                given_up = _GivenUp(result.command_id, result.answered_at - self._rest_lag_ms)
                _remember(self._places, result.client_order_id, given_up)

    def client_order_id_reused(self, client_order_id: str | None) -> None:
        """Watch no longer for a place whose name a later one has: its order is that one's."""
        self._places.pop(client_order_id or "", None)

    def on_order(self, order: Order, now: Now) -> None:
        """Raise the alarm, once, for an order that was given up; end a late order where that is the policy."""
        if not self._places and not self._replaces:
            return
        place = self._places.get(order.client_order_id or "")
        if place is not None and _is_of(order, place):
            del self._places[order.client_order_id or ""]
            self._landed(place, PLACE, order, now)
            if self._cancel and not order.ended and order.order_id:
                self._bridge_cancels.request(order.order_id)
        elif place is not None and _may_be_of(order, place):
            # Of a name that others may use too, with another quantity: perhaps somebody else's, so it is left alone.
            del self._places[order.client_order_id or ""]
            self._landed(place, PLACE, order, now)
        replace = self._replaces.get(order.order_id) or self._replaces.get(order.client_order_id or "")
        if replace is not None and replace.command is not None:
            if facts.shows_replace(order, replace.command, replace.since_ms):
                self._forget_replace(replace.command)
                self._landed(replace, REPLACE, order, now)
            elif order.has_final_end:
                self._forget_replace(replace.command)

    def _forget_replace(self, replace: TrackedCommand) -> None:
        """Watch no longer for a replace, under either name of its order."""
        for name in (replace.order_id, replace.client_order_id):
            self._replaces.pop(name or "", None)

    def _landed(self, given_up: _GivenUp, action: str, order: Order, now: Now) -> None:
        if given_up.command is not None:
            given_up.command.step(CommandEvent.SEEN_LATE)
        text = (
            f"{action} of command {given_up.command_id} was answered not_found, and order {order.order_id} "
            f"(clientOrderId {order.client_order_id}, quantity {order.order_qty}) shows it after all, as {order.state}"
        )
        self._outbox.publish_alarm(Alarm.LATE_LANDED, text, now)


def _is_of(order: Order, place: _GivenUp) -> bool:
    if place.command is None:
        return order.created_ms >= place.since_ms
    return facts.is_order_of(order, place.command, place.since_ms)


def _may_be_of(order: Order, place: _GivenUp) -> bool:
    """Whether all but its quantity is right. An order whose age is not told may be from before the write."""
    return (
        place.command is not None
        and bool(order.created_ms)
        and facts.may_be_order_of(order, place.command, place.since_ms)
    )


def _remember(watched: dict[str, _GivenUp], name: str, given_up: _GivenUp) -> None:
    watched[name] = given_up
    if len(watched) > _REMEMBERED_MAX:
        del watched[next(iter(watched))]
