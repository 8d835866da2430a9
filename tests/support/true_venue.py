"""A venue that knows the truth: its orders, and which commands it has carried out. Tests decide what reaches whom."""

import itertools

from msgspec import Struct

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE
from bridge.contract.pushes import OrderPush
from bridge.core.now import Now
from bridge.core.order_states import TERMINAL
from bridge.core.records import Answer
from tests.support.one_account import Written, order_push


class TrueOrder(Struct):
    """One order at the venue; `made_by` is the command that placed it."""

    order_id: str
    name: str
    price: str
    created_ms: int
    updated_ms: int
    made_by: object
    state: str = "OPEN"
    action: str = ""
    executed: str = "0"

    @property
    def live(self) -> bool:
        """Whether it is not over."""
        return self.state not in TERMINAL

    def push(self) -> OrderPush:
        """Return it as the venue would push it."""
        return order_push(
            self.name,
            orderId=self.order_id,
            orderState=self.state,
            action=self.action,
            limitPrice=self.price,
            executedQty=self.executed,
            createAt=str(self.created_ms),
            updateAt=str(self.updated_ms),
        )


class TrueVenue:
    """Orders by orderId; `opening` are those that a replace is about to open, and since when."""

    def __init__(self) -> None:
        self.orders: dict[str, TrueOrder] = {}
        self.opening: list[tuple[float, TrueOrder]] = []
        self.taken: set[object] = set()
        """The commands of which a request was carried out."""
        self.pushes: list[OrderPush] = []
        self._ids = itertools.count(1)

    def all(self) -> list[TrueOrder]:
        """Return every order, and those about to be opened."""
        return [*self.orders.values(), *(order for _, order in self.opening)]

    def named(self, name: str) -> list[TrueOrder]:
        """Return the orders of a clientOrderId, and those about to be opened."""
        return [order for order in self.all() if order.name == name]

    def live(self) -> list[TrueOrder]:
        """Return the orders that are open."""
        return [order for order in self.orders.values() if order.live]

    def find(self, args: dict[str, str]) -> TrueOrder | None:
        """Return the order that a request names; of several under one clientOrderId the newest."""
        if "orderId" in args:
            return self.orders.get(args["orderId"])
        return next((o for o in reversed(self.orders.values()) if o.name == args["clientOrderId"]), None)

    def change(self, order: TrueOrder, at_ms: int, **fields: str) -> None:
        """Change an order and push it."""
        order.updated_ms = max(at_ms, order.updated_ms + 1)
        for field, value in fields.items():
            setattr(order, field, value)
        self.pushes.append(order.push())

    def carry_out(self, written: Written, command: object, now: Now, *, anew: bool) -> Answer:
        """Do what a request asks for, or refuse it, by the venue's clock.

        `command` is whose request it is; None for one of the bridge's own. `anew`: a replace ends the order and opens
        another.
        """
        order: TrueOrder | None = None
        if written.action == CANCEL_ALL:
            code = 200000
            for one in self.live():
                self.change(one, now.wall_ms, state="CANCELLED", action="CANCEL_COMPLETE")
        elif written.action == PLACE:
            code = 401009 if self.named(written.args["clientOrderId"]) else 200000
            if code == 200000:
                order = self._place(written.args, command, now.wall_ms)
        else:
            order = self.find(written.args)
            code = 401018 if order is None else 200000 if order.live else 401117
            if order is not None and order.live:
                self._end_or_amend(written, order, now, anew=anew)
        if code == 200000 and command is not None:
            self.taken.add(command)
        names = (order.order_id, order.name) if order is not None and code == 200000 else (None, None)
        return Answer(written.request_id, written.action, code, "as the venue says", *names)

    def _place(self, args: dict[str, str], command: object, at_ms: int) -> TrueOrder:
        order = TrueOrder(self._next_id(), args["clientOrderId"], args["limitPrice"], at_ms, at_ms, command)
        self.orders[order.order_id] = order
        self.pushes.append(order.push())
        return order

    def _end_or_amend(self, written: Written, order: TrueOrder, now: Now, *, anew: bool) -> None:
        if written.action == CANCEL:
            self.change(order, now.wall_ms, state="CANCELLED", action="CANCEL_COMPLETE")
        elif not anew:
            self.change(order, now.wall_ms, price=written.args["replacePrice"], action="AMEND_COMPLETED")
        else:
            self.change(order, now.wall_ms, state="CANCELLED", action="")
            successor = TrueOrder(self._next_id(), order.name, written.args["replacePrice"], 0, 0, order.made_by)
            self.opening.append((now.boot_s, successor))

    def open_oldest(self, at_ms: int) -> None:
        """Open the order that a replace has been about to open for the longest time."""
        _, order = self.opening.pop(0)
        order.created_ms = order.updated_ms = at_ms
        self.orders[order.order_id] = order
        self.pushes.append(order.push())

    def _next_id(self) -> str:
        return f"{next(self._ids):016}"
