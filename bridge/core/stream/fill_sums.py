"""Executions held against their orders: at an order's end they add up to what was executed, or REST is asked for them.

FillSums does not judge an order whose executions it cannot all know: one from before the first login of the term, or
one that a replace has made of another.
"""

from collections.abc import Iterable
from decimal import Context, Decimal
from typing import Final

from msgspec import Struct

from bridge.contract.pushes import Amount, TradePush
from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.clocks import MeasuredClock
from bridge.core.now import Now
from bridge.core.orders import Orders, parse_time_ms
from bridge.core.quantities import read_quantity
from bridge.core.stream.venue_record import VenueRecord

SUMS_MAX: Final = 10_000
"""So many orders' sums are kept, the oldest forgotten first. One that was forgotten costs a question, and no more."""
ENDED_MAX: Final = 1000
PRODUCTS_MAX: Final = 50
"""Of so many the alarm is told; the venue has nine."""
_AT_ONCE: Final = 2
"""Few of the venue's questions for executions are left beside those of the sweeps."""
_ASKED_MAX: Final = 3
_LACKED: Final = 2
"""So many answers of REST prove that it has no more to tell."""
_NAME_CHARS_MAX: Final = 64
_EARLIER_MS: Final = 60_000
"""An execution may be dated so long before its order: the venue has more than one clock."""
_EXACT: Final = Context(prec=400, traps=[])
_ZERO: Final = Decimal(0)
_NO_NUMBER: Final = Decimal("NaN")


class ShortOrder(Struct):
    """An order that is over, and whose executions were not all published."""

    order_id: str
    sym: str
    executed: Decimal
    created_ms: int
    due_boot_s: float
    asked: int = 0
    lacked: int = 0
    """In how many answers of REST executions were missing."""

    @property
    def begin_ms(self) -> int:
        """From when on, by the venue's clock, its executions are asked for."""
        return self.created_ms - _EARLIER_MS


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
        self._missing: set[str] = set()
        """Products of which REST lacks executions as well; it is not asked about each of their orders."""

    def logged_in(self, now: Now) -> None:
        """Note a login: from the first one on, every execution is pushed or recovered."""
        if self._since_boot_s is None:
            self._since_boot_s = now.boot_s

    def trade_published(self, trade: TradePush, now: Now) -> None:
        """Add an execution that is published for the first time."""
        order_id = str(trade.order_id)
        total = _EXACT.add(self._sums.get(order_id, _ZERO), _read_addend(trade.quantity))
        short = self._short.get(order_id)
        if short is not None and not _is_less(total, short.executed):
            self._adds_up(order_id, short.sym, now)
            return
        self._sums[order_id] = total
        if len(self._sums) > SUMS_MAX:
            del self._sums[next(iter(self._sums))]

    def order_published(self, element: VenueRecord, now: Now, *, was_over: bool) -> None:
        """Hold the executions of an order that is over against what was executed of it."""
        order_id, executed = element.key, element.progress.executed
        if was_over:
            short = self._short.get(order_id)
            if short is not None:
                short.executed = max(short.executed, executed)
            return
        total = self._sums.get(order_id, _ZERO)
        sym = (element.order.sym if element.order is not None else None) or ""
        if not executed:
            self._forget_order(order_id)
        elif _is_less(total, executed):
            created_ms = parse_time_ms(element.order.create_at) if element.order is not None else 0
            self._short[order_id] = ShortOrder(order_id, sym, executed, created_ms, now.boot_s + self._rest_lag_s)
            if len(self._short) > ENDED_MAX:
                self._forget_order(next(iter(self._short)))
        else:
            self._adds_up(order_id, sym, now)

    def pop_short(self, now: Now) -> list[ShortOrder]:
        """Return some orders that REST is to be asked about now; where it does not answer, they come again."""
        found: list[ShortOrder] = []
        for short in list(self._short.values()):
            if len(found) == _AT_ONCE or short.due_boot_s > now.boot_s:
                break
            del self._short[short.order_id]
            if short.asked == _ASKED_MAX or not self._may_be_judged(short):
                self._forget_order(short.order_id)
                continue
            short.asked += 1
            short.due_boot_s = now.boot_s + self._rest_lag_s
            self._short[short.order_id] = short
            found.append(short)
        return found

    def compare_with_rest(self, short: ShortOrder, told: Iterable[TradePush], now: Now) -> None:
        """Hold what REST tells of an order's executions against what was executed of it."""
        total = _ZERO
        for trade in told:
            total = _EXACT.add(total, _read_addend(trade.quantity))
        if self._short.get(short.order_id) is not short:
            return  # they were pushed meanwhile
        if not _is_less(total, short.executed):
            self._adds_up(short.order_id, short.sym, now)
            return
        short.lacked += 1
        if short.lacked < _LACKED:
            return  # it is asked again: one list may be empty for a moment
        self._forget_order(short.order_id)
        if len(self._missing) == PRODUCTS_MAX:
            return
        self._missing.add(_read_product(short.sym))
        name = f"order {short.order_id[:_NAME_CHARS_MAX]} of {short.sym[:_NAME_CHARS_MAX]}"
        text = f"{name}: {short.executed:f} was executed, and its executions in REST add up to {total:f}"
        self._alarms.raise_alarm(Alarm.EXECUTIONS_SHORT, text, now, _read_product(short.sym))

    def _adds_up(self, order_id: str, sym: str, now: Now) -> None:
        self._forget_order(order_id)
        product = _read_product(sym) if self._missing else ""
        if product in self._missing:
            self._missing.discard(product)
            text = f"the executions of an order of {product} add up to what was executed of it"
            self._alarms.clear_alarm(Alarm.EXECUTIONS_SHORT, text, now, product)

    def _forget_order(self, order_id: str) -> None:
        self._sums.pop(order_id, None)
        self._short.pop(order_id, None)

    def _may_be_judged(self, short: ShortOrder) -> bool:
        """Whether all executions of an order are known under this orderId, and REST may have more of its product."""
        known = self._orders.find(short.order_id, None)
        short.created_ms = short.created_ms or (known.created_ms if known is not None else 0)
        is_heard_of = (
            self._since_boot_s is not None and short.created_ms > self._venue.read_at(self._since_boot_s).latest
        )
        is_replaced = self._orders.is_successor(short.order_id) or (
            self._orders.latest_order_id(short.order_id) != short.order_id
        )
        return is_heard_of and not is_replaced and _read_product(short.sym) not in self._missing


def _read_product(sym: str) -> str:
    """Return exchange and business of a symbol: quantities may be in one unit here, and in another there."""
    return "_".join(sym.split("_")[:2])[:_NAME_CHARS_MAX]


def _read_addend(amount: Amount) -> Decimal:
    """Return a quantity to add; NaN, which makes the sum no number, where it is none."""
    number = read_quantity(amount)
    return _NO_NUMBER if number is None else number


def _is_less(total: Decimal, executed: Decimal) -> bool:
    return total.is_finite() and total < executed
