"""Executions held against their orders: at an order's end they add up to what was executed, or REST is asked for them.

An order whose executions were not all heard of is not judged: one from before the first login of the term, or one that
a replace has made of another.
"""

from collections.abc import Iterable
from decimal import Context, Decimal
from typing import Final

from msgspec import Struct

from bridge.contract.pushes import Amount, TradePush
from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.clocks import MeasuredClock
from bridge.core.element import Element
from bridge.core.now import Now
from bridge.core.orders import Orders, milliseconds

SUMS_MAX: Final = 10_000
"""So many orders' sums are kept, the oldest forgotten first. One that was forgotten costs a question, and no more."""
ENDED_MAX: Final = 1000
_AT_ONCE: Final = 2
"""Few of the venue's questions for executions are left beside those of the sweeps."""
_ASKED_MAX: Final = 3
_NAME_CHARS_MAX: Final = 64
_EARLIER_MS: Final = 60_000
"""An execution may be dated so long before its order: the venue has more than one clock."""
_EXACT: Final = Context(prec=100, traps=[])
_ZERO: Final = Decimal(0)


class ShortOrder(Struct):
    """An order that is over, and whose executions were not all published."""

    order_id: str
    sym: str
    executed: Decimal
    begin_ms: int
    """From when on, by the venue's clock, its executions are asked for."""
    due_boot_s: float
    asked: int = 0

    @property
    def product(self) -> str:
        """Exchange and business of its symbol: quantities may be in one unit here, and in another there."""
        return "_".join(self.sym.split("_")[:2])[:_NAME_CHARS_MAX]


class FillSums:
    """What was published of every order's executions, added up."""

    def __init__(self, orders: Orders, alarms: ActiveAlarms, venue: MeasuredClock, rest_lag_s: float) -> None:
        self._orders = orders
        self._alarms = alarms
        self._venue = venue
        self._rest_lag_s = rest_lag_s
        self._since_boot_s: float | None = None
        self._sums: dict[str, Decimal] = {}
        self._short: dict[str, ShortOrder] = {}

    def logged_in(self, now: Now) -> None:
        """Note that executions are heard of from the first login on: pushed, or recovered."""
        if self._since_boot_s is None:
            self._since_boot_s = now.mono

    def trade_published(self, trade: TradePush, now: Now) -> None:
        """Add an execution that is published for the first time."""
        order_id = str(trade.order_id)
        total = _EXACT.add(self._sums.get(order_id, _ZERO), _number(trade.quantity))
        self._sums[order_id] = total
        if len(self._sums) > SUMS_MAX:
            del self._sums[next(iter(self._sums))]
        short = self._short.get(order_id)
        if short is not None and not _is_less(total, short.executed):
            self._adds_up(short, now)

    def order_published(self, element: Element, now: Now, *, was_over: bool) -> None:
        """Hold the executions of an order that is over against what was executed of it."""
        order_id, executed = element.key, element.progress.executed
        short = self._short.get(order_id)
        if was_over:
            if short is not None:
                short.executed = max(short.executed, executed)
            return
        created_ms = self._created_ms(element)
        if not executed or not self._is_heard_of_since(created_ms):
            self._sums.pop(order_id, None)
            return
        sym = (element.order.sym if element.order is not None else None) or ""
        short = ShortOrder(order_id, sym, executed, created_ms - _EARLIER_MS, now.mono + self._rest_lag_s)
        if not _is_less(self._sums.get(order_id, _ZERO), executed):
            self._adds_up(short, now)
        elif self._alarms.is_active(Alarm.EXECUTIONS_SHORT, short.product):
            self._sums.pop(order_id, None)  # REST has no more to tell of such orders, and would be asked about each
        else:
            self._short[order_id] = short
            if len(self._short) > ENDED_MAX:
                self._forget(next(iter(self._short)))

    def pop_short(self, now: Now) -> list[ShortOrder]:
        """Return some orders that REST is to be asked about now; where it does not answer, they come again."""
        found: list[ShortOrder] = []
        for short in list(self._short.values()):
            if len(found) == _AT_ONCE or short.due_boot_s > now.mono:
                break
            self._short.pop(short.order_id)
            if self._is_replaced(short.order_id) or short.asked == _ASKED_MAX:
                self._sums.pop(short.order_id, None)
                continue
            short.asked += 1
            short.due_boot_s = now.mono + self._rest_lag_s
            self._short[short.order_id] = short
            found.append(short)
        return found

    def judge(self, short: ShortOrder, told: Iterable[TradePush], now: Now) -> None:
        """Hold what REST tells of an order's executions against what was executed of it."""
        total = _ZERO
        for trade in told:
            total = _EXACT.add(total, _number(trade.quantity))
        if self._short.get(short.order_id) is not short:
            return  # they were pushed meanwhile
        if not _is_less(total, short.executed):
            self._adds_up(short, now)
            return
        self._forget(short.order_id)
        name = f"order {short.order_id[:_NAME_CHARS_MAX]} of {short.sym[:_NAME_CHARS_MAX]}"
        text = f"{name}: {short.executed:f} was executed, and its executions in REST add up to {total:f}"
        self._alarms.raise_alarm(Alarm.EXECUTIONS_SHORT, text, now, short.product)

    def _adds_up(self, short: ShortOrder, now: Now) -> None:
        self._forget(short.order_id)
        text = f"the executions of an order of {short.product} add up to what was executed of it"
        self._alarms.clear_alarm(Alarm.EXECUTIONS_SHORT, text, now, short.product)

    def _forget(self, order_id: str) -> None:
        self._sums.pop(order_id, None)
        self._short.pop(order_id, None)

    def _is_heard_of_since(self, created_ms: int) -> bool:
        """Whether all executions of an order of that age were heard of."""
        return self._since_boot_s is not None and created_ms > self._venue.read_at(self._since_boot_s).latest

    def _created_ms(self, element: Element) -> int:
        told_ms = milliseconds(element.order.create_at) if element.order is not None else 0
        known = self._orders.find(element.key, None)
        return told_ms or (known.created_ms if known is not None else 0)

    def _is_replaced(self, order_id: str) -> bool:
        """Whether a replace has given an order another orderId: under which of them its executions are is not told."""
        return self._orders.is_successor(order_id) or self._orders.present_id(order_id) != order_id


def _number(amount: Amount) -> Decimal:
    """Read a quantity exactly; what is no number makes no sum."""
    return _EXACT.create_decimal(str(amount))


def _is_less(total: Decimal, executed: Decimal) -> bool:
    return total.is_finite() and total < executed
