"""Late orders: orders that the venue shows after their command was answered `not_found`. Each raises an alarm."""

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


class _NotFoundCommand(Struct):
    """A place or replace that was answered `not_found`; `command` is None when an earlier owner answered it."""

    command_id: str
    since_ms: int
    command: TrackedCommand | None = None


class LateOrders:
    """Watches for the orders of commands that were answered `not_found`."""

    def __init__(self, outbox: Outbox, bridge_cancels: BridgeCancels, *, cancel: bool, rest_lag_ms: int) -> None:
        self._outbox = outbox
        self._bridge_cancels = bridge_cancels
        self._cancels_late_orders = cancel
        self._rest_lag_ms = rest_lag_ms
        self.watched: dict[tuple[str, str], _NotFoundCommand] = {}
        """Places by clientOrderId, and replaces by either name of their order."""

    def watch_not_found(self, command: TrackedCommand, since_ms: int) -> None:
        """Watch for a command that was answered `not_found`."""
        not_found = _NotFoundCommand(command.command_id, since_ms, command)
        if command.action == PLACE and command.client_order_id is not None:
            self._watch(PLACE, command.client_order_id, not_found)
        elif command.action == REPLACE:
            for name in filter(None, (command.order_id, command.client_order_id)):
                self._watch(REPLACE, name, not_found)

    def restore(self, results: Iterable[tuple[Result, int]]) -> None:
        """Watch for the places that earlier owners answered `not_found`."""
        for result, _ in results:
            if result.action == PLACE and result.outcome is Outcome.ACCEPTED:
                self.client_order_id_reused(result.client_order_id)
            elif result.outcome is Outcome.NOT_FOUND and result.action == PLACE and result.client_order_id is not None:
                # The last query found no order of it; an order that it did find was known to be another one.
                not_found = _NotFoundCommand(result.command_id, result.answered_at - self._rest_lag_ms)
                self._watch(PLACE, result.client_order_id, not_found)

    def client_order_id_reused(self, client_order_id: str | None) -> None:
        """Watch no longer for a place whose clientOrderId a later one has: its orders belong to the later one."""
        self.watched.pop((PLACE, client_order_id or ""), None)

    def on_order(self, order: Order, now: Now) -> None:
        """Raise the alarm, once, if an order is late; cancel the order of a late place where that is the policy."""
        name = order.client_order_id or ""
        place = self.watched.get((PLACE, name))
        if place is not None and _is_order_of(order, place):
            del self.watched[PLACE, name]
            self._report_late_order(place, PLACE, order, now)
            if self._cancels_late_orders and not order.ended and order.order_id:
                self._bridge_cancels.request(order.order_id)
        elif place is not None and _may_be_order_of(order, place):
            # Another program may use the name too, and the quantity differs, so it is not cancelled.
            del self.watched[PLACE, name]
            self._report_late_order(place, PLACE, order, now)
        replace = self.watched.get((REPLACE, order.order_id)) or self.watched.get((REPLACE, name))
        if replace is not None and replace.command is not None:
            if facts.shows_replace(order, replace.command, replace.since_ms):
                self._forget_replace(replace.command)
                self._report_late_order(replace, REPLACE, order, now)
            elif order.has_final_end:
                self._forget_replace(replace.command)

    def _watch(self, action: str, name: str, not_found: _NotFoundCommand) -> None:
        self.watched[action, name] = not_found
        if len(self.watched) > _REMEMBERED_MAX:
            del self.watched[next(iter(self.watched))]

    def _forget_replace(self, replace: TrackedCommand) -> None:
        """Watch no longer for a replace, under either name of its order."""
        for name in (replace.order_id, replace.client_order_id):
            self.watched.pop((REPLACE, name or ""), None)

    def _report_late_order(self, not_found: _NotFoundCommand, action: str, order: Order, now: Now) -> None:
        if not_found.command is not None:
            not_found.command.step(CommandEvent.SEEN_LATE)
        text = (
            f"{action} of command {not_found.command_id} was answered not_found, and order {order.order_id} "
            f"(clientOrderId {order.client_order_id}, quantity {order.order_qty}) shows it after all, as {order.state}"
        )
        self._outbox.publish_alarm(Alarm.LATE_LANDED, text, now)


def _is_order_of(order: Order, place: _NotFoundCommand) -> bool:
    if place.command is None:
        return order.created_ms >= place.since_ms
    return facts.is_order_of(order, place.command, place.since_ms)


def _may_be_order_of(order: Order, place: _NotFoundCommand) -> bool:
    """Whether an order fits a place in all but its quantity; one of unknown age may be from before the write."""
    return (
        place.command is not None
        and bool(order.created_ms)
        and facts.may_be_order_of(order, place.command, place.since_ms)
    )
