"""A router on its own: pushes and rows in, records out, with everything that it reports besides."""

import json
from typing import TYPE_CHECKING

from bridge.contract.pushes import TradePush
from bridge.core.clocks import Clocks
from bridge.core.now import Now
from bridge.core.orders import Order, Orders
from bridge.core.outbox import Outbox
from bridge.core.stream.route import Router
from tests.support.one_account import settings_with

if TYPE_CHECKING:
    from bridge.core.records import OutgoingRecord


class OneRouter:
    """A router that has published nothing, with the orders, executions and alarms that it reports."""

    def __init__(self, now: Now) -> None:
        _, timing = settings_with()
        self.orders: list[Order] = []
        self.trades: list[TradePush] = []
        self._events: list[OutgoingRecord] = []
        outbox = Outbox("main", self._events.append)
        clocks = Clocks(outbox.alarms, now, skew_bound_s=timing.skew_bound_s, rest_lag_s=timing.rest_lag_s)
        self.router = Router(outbox, Orders(), clocks=clocks, timing=timing, listener=self)

    def on_order(self, order: Order, _: Now) -> None:
        """Collect an order."""
        self.orders.append(order)

    def on_trade(self, push: TradePush, _: Now) -> None:
        """Collect an execution."""
        self.trades.append(push)

    def alarms(self, name: str) -> list[str]:
        """Return the details of the alarms of one name."""
        events = [json.loads(record.value or b"") for record in self._events]
        return [event["detail"] for event in events if event["alarm"] == name]
