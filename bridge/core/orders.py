"""The venue's orders as far as the bridge's own decisions need them: who is who, and what is over."""

from collections import deque
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from msgspec import Struct

from bridge.contract.pushes import OrderPush, Text

TERMINAL: Final = frozenset({"FILLED", "CANCELLED", "CANCELED", "REJECT", "REJECTED", "FAIL", "EXPIRED"})
"""States that an order never leaves, with the spellings that were seen (LTP docs, Enum Definitions)."""
CANCELLED: Final = frozenset({"CANCELLED", "CANCELED"})
_OVER_REMEMBERED_MAX: Final = 100_000
_TIME_DIGITS_MAX: Final = 15
_TIME_MAX_MS: Final = 253_402_300_799_999


_STAGES: Final = {"NEW": 0, "PARTIALLY_FILLED": 2}
_LIVE: Final = 1


class Progress(NamedTuple):
    """How far a snapshot is.

    An order that is over stays over, and what was executed of it never falls; then its time decides, and of two
    snapshots of one millisecond the state (LTP docs, Order States).
    """

    over: bool
    executed: Decimal
    time_ms: int
    stage: int


NOTHING: Final = Progress(over=False, executed=Decimal(0), time_ms=0, stage=0)


def progress(push: OrderPush) -> Progress:
    """Tell how far an order's snapshot is. A state that nobody knows counts as live."""
    state = push.order_state.upper()
    try:
        executed = Decimal(str(push.executed_qty or 0))
    except InvalidOperation:
        executed = NOTHING.executed
    if not executed.is_finite():
        executed = NOTHING.executed
    return Progress(state in TERMINAL, executed, milliseconds(push.update_at), _STAGES.get(state, _LIVE))


class Order(Struct, frozen=True, gc=False):
    """One order at the venue, as its latest snapshot shows it; `state` is empty before the first."""

    order_id: str
    client_order_id: str | None
    sym: str | None
    side: str | None
    order_qty: str | None
    limit_price: str | None
    state: str
    action: str
    """What is being done to it beside its state, such as AMEND_PENDING; empty when nothing is."""
    progress: Progress
    created_ms: int

    @property
    def over(self) -> bool:
        """Whether its state is one that an order never leaves."""
        return self.progress.over

    @property
    def updated_ms(self) -> int:
        """When its latest snapshot was taken; 0 before the first."""
        return self.progress.time_ms

    @property
    def cancelled(self) -> bool:
        """Whether it ended as cancelled."""
        return self.state in CANCELLED

    @property
    def known_ms(self) -> int:
        """When it last showed itself, or was acked."""
        return max(self.updated_ms, self.created_ms)

    @property
    def exchange(self) -> str | None:
        """BINANCE, OKX or EDX."""
        return self.sym.split("_", 1)[0] if self.sym else None


def same_number(one: str, other: str) -> bool:
    """Whether two decimal strings mean one number."""
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return one == other


def milliseconds(text: Text | None) -> int:
    """Read one of the venue's times; 0 when it has none, or one that is no time in ms before the year 10000."""
    digits = "" if text is None else str(text)
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _TIME_DIGITS_MAX):
        return 0
    return int(digits) if int(digits) <= _TIME_MAX_MS else 0


class Orders:
    """Orders by both of their names. Orders that are over are forgotten, the oldest first."""

    def __init__(self) -> None:
        self._by_order_id: dict[str, Order] = {}
        self._by_client_order_id: dict[str, str] = {}
        self._over: deque[str] = deque()

    def find(self, order_id: str | None, client_order_id: str | None) -> Order | None:
        """Return the order of either name; the orderId wins, as at the venue."""
        if order_id is None and client_order_id is not None:
            order_id = self._by_client_order_id.get(client_order_id)
        return self._by_order_id.get(order_id) if order_id is not None else None

    def live(self) -> list[Order]:
        """Return the orders that were seen or acked and are not known to be over."""
        return [order for order in self._by_order_id.values() if not order.over]

    def acked(self, order_id: str | None, client_order_id: str | None, sym: str | None, at_ms: int) -> None:
        """Learn the two names of an order from an ack, if it has both."""
        if not order_id or not client_order_id:
            return
        self._by_client_order_id[client_order_id] = order_id
        if order_id not in self._by_order_id:
            self._by_order_id[order_id] = Order(
                order_id, client_order_id, sym, None, None, None, "", "", NOTHING, created_ms=at_ms
            )

    def seen(self, push: OrderPush) -> Order:
        """Learn from a snapshot. What is over stays over, and an older snapshot changes nothing.

        A refused order may have no orderId (LTP docs, Query Order); such a row is answered with and not kept.
        """
        order_id = str(push.order_id)
        shown = progress(push)
        known = self._by_order_id.get(order_id)
        if known is not None and (known.over or shown < known.progress):
            return known
        order = Order(
            order_id=order_id,
            client_order_id=push.client_order_id or None,
            sym=push.sym,
            side=push.side,
            order_qty=None if push.order_qty is None else str(push.order_qty),
            limit_price=None if push.limit_price is None else str(push.limit_price),
            state=push.order_state.upper(),
            action=(push.action or "").upper(),
            progress=shown,
            created_ms=milliseconds(push.create_at),
        )
        if not order_id:
            return order
        self._by_order_id[order_id] = order
        if order.client_order_id:
            # A replace may end one order and open another under the same clientOrderId: the name stays with the live.
            named = self.find(None, order.client_order_id)
            if not order.over or named is None or named.over:
                self._by_client_order_id[order.client_order_id] = order_id
        if order.over:
            self._over.append(order_id)
            if len(self._over) > _OVER_REMEMBERED_MAX:
                self._forget(self._over.popleft())
        return order

    def _forget(self, order_id: str) -> None:
        order = self._by_order_id.pop(order_id, None)
        if order and order.client_order_id and self._by_client_order_id.get(order.client_order_id) == order_id:
            del self._by_client_order_id[order.client_order_id]
