"""The venue's ledger by orders: which name is whose, which place asked for it, and how it stands in the end."""

from collections.abc import Iterable

from tests.witness.ledger import Ledger, is_over
from tests.witness.request import Entry


class OrderLedger(Ledger):
    """What the checker looks up again and again."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        super().__init__(entries)
        self._orders = {push.row["orderId"]: push.row for push in self.of_topic("orders")}
        """The last snapshot of each, in the order in which they came to be."""

    def order_of(self, args: dict[str, str]) -> str | None:
        """Return the one name of the order that a request is about: its orderId, as far as the venue gave one."""
        client_order_id = args.get("clientOrderId", "")
        return args.get("orderId") or self.order_ids.get(client_order_id) or client_order_id or None

    def placed_by(self) -> dict[str, int]:
        """Return for each order the offset of the place that asked for it, or for the order that it replaced."""
        places = {
            request.args.get("clientOrderId", ""): request.offset
            for request in self.requests
            if request.action == "place_order"
        }
        names = {row["orderId"]: row["clientOrderId"] for row in self._orders.values()}
        names |= {order_id: name for name, order_id in self.order_ids.items()}
        return {order_id: places[name] for order_id, name in names.items() if name in places}

    def order_named(self, args: dict[str, str]) -> Entry | None:
        """Return the last snapshot of the order that a request's name stands on in the end: the one that came last."""
        if args.get("orderId"):
            return self._orders.get(args["orderId"])
        named = [row for row in self._orders.values() if row["clientOrderId"] == args.get("clientOrderId")]
        return named[-1] if named else None

    def open_orders(self) -> list[Entry]:
        """Return the last snapshot of each order that has not ended."""
        return [row for row in self._orders.values() if not is_over(row)]

    def knows(self, order_id: str) -> bool:
        """Tell whether there ever was an order of this id."""
        return order_id in self._orders
