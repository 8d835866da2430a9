"""The sums of executions: when an order has ended they must equal what was executed of it, or REST is asked for them.

FillSums leaves out orders whose executions it cannot all know: those from before the first login of the term, and those
that a replace made of another order.
"""

from collections import OrderedDict
from collections.abc import Iterable
from decimal import Context, Decimal
from typing import Final

from msgspec import Struct

from bridge.contract.pushes import Amount, TradePush
from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.clocks import MeasuredClock
from bridge.core.now import Now
from bridge.core.odd_fields import parse_time_ms, read_quantity
from bridge.core.orders import Orders
from bridge.core.stream.venue_record import VenueRecord

SUMS_MAX: Final = 10_000
"""The sums that are kept, the oldest forgotten first. An order whose sum was forgotten is asked about once more."""
ENDED_MAX: Final = 1000
PRODUCTS_MAX: Final = 50
"""The products that alarms name at the most; the venue has nine."""
_ORDERS_AT_ONCE: Final = 2
"""The sweeps leave few of the venue's requests for executions."""
_QUERIES_MAX: Final = 3
_SHORT_ANSWERS: Final = 2
"""So many answers with too few executions prove that REST has no more."""
_NAME_CHARS_MAX: Final = 64
_EARLIER_MS: Final = 60_000
"""An execution may be dated so long before its order: the venue has more than one clock."""
_EXACT: Final = Context(prec=400, traps=[])
_ZERO: Final = Decimal(0)
_NO_NUMBER: Final = Decimal("NaN")


class IncompleteOrder(Struct):
    """An order that has ended, and whose executions were not all published."""

    order_id: str
    sym: str
    executed: Decimal
    created_ms: int
    due_boot_s: float
    queries: int = 0
    short_answers: int = 0
    """The answers of REST in which executions were missing."""

    @property
    def begin_ms(self) -> int:
        """The time, by the venue's clock, from which on its executions are asked for."""
        return self.created_ms - _EARLIER_MS


class FillSums:
    """The published executions of every order, added up."""

    def __init__(self, orders: Orders, alarms: ActiveAlarms, venue: MeasuredClock, rest_lag_s: float) -> None:
        self._orders = orders
        self._alarms = alarms
        self._venue = venue
        self._rest_lag_s = rest_lag_s
        self._since_boot_s: float | None = None
        self._sums: OrderedDict[str, Decimal] = OrderedDict()
        self._short: dict[str, IncompleteOrder] = {}
        self._missing: set[str] = set()
        """Products of which REST lacks executions as well; their orders are not asked about one by one."""

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
            self._mark_complete(order_id, short.sym, now)
            return
        self._sums[order_id] = total
        if len(self._sums) > SUMS_MAX:
            self._sums.popitem(last=False)

    def concerns(self, record: VenueRecord) -> bool:
        """Whether anything was executed of an order that has ended, or is known to have been."""
        return bool(record.progress.executed) or record.key in self._sums or record.key in self._short

    def order_published(self, record: VenueRecord, now: Now, *, had_ended: bool) -> None:
        """Compare the executions of an order that has ended with what was executed of it."""
        order_id, executed = record.key, record.progress.executed
        if had_ended:
            short = self._short.get(order_id)
            if short is not None:
                short.executed = max(short.executed, executed)
            return
        total = self._sums.get(order_id, _ZERO)
        sym = (record.order.sym if record.order is not None else None) or ""
        if not executed:
            self._forget_order(order_id)
        elif _is_less(total, executed):
            created_ms = parse_time_ms(record.order.create_at) if record.order is not None else 0
            self._short[order_id] = IncompleteOrder(order_id, sym, executed, created_ms, now.boot_s + self._rest_lag_s)
            if len(self._short) > ENDED_MAX:
                self._forget_order(next(iter(self._short)))
        else:
            self._mark_complete(order_id, sym, now)

    def pop_incomplete(self, now: Now) -> list[IncompleteOrder]:
        """Return some orders that REST is to be asked about now; an order without an answer is returned again later."""
        found: list[IncompleteOrder] = []
        for short in list(self._short.values()):
            if len(found) == _ORDERS_AT_ONCE or short.due_boot_s > now.boot_s:
                break
            del self._short[short.order_id]
            if short.queries == _QUERIES_MAX or not self._is_comparable(short):
                self._forget_order(short.order_id)
                continue
            short.queries += 1
            short.due_boot_s = now.boot_s + self._rest_lag_s
            self._short[short.order_id] = short
            found.append(short)
        return found

    def compare_with_rest(self, short: IncompleteOrder, trades: Iterable[TradePush], now: Now) -> None:
        """Compare the executions that REST has of an order with what was executed of it."""
        total = _ZERO
        for trade in trades:
            total = _EXACT.add(total, _read_addend(trade.quantity))
        if self._short.get(short.order_id) is not short:
            return  # they were pushed meanwhile
        if not _is_less(total, short.executed):
            self._mark_complete(short.order_id, short.sym, now)
            return
        short.short_answers += 1
        if short.short_answers < _SHORT_ANSWERS:
            return  # REST is asked again: one list may be empty for a moment
        self._forget_order(short.order_id)
        if len(self._missing) == PRODUCTS_MAX:
            return
        self._missing.add(_read_product(short.sym))
        name = f"order {short.order_id[:_NAME_CHARS_MAX]} of {short.sym[:_NAME_CHARS_MAX]}"
        text = f"{name}: {short.executed:f} was executed, and its executions in REST add up to {total:f}"
        self._alarms.raise_alarm(Alarm.EXECUTIONS_SHORT, text, now, _read_product(short.sym))

    def _mark_complete(self, order_id: str, sym: str, now: Now) -> None:
        self._forget_order(order_id)
        product = _read_product(sym) if self._missing else ""
        if product in self._missing:
            self._missing.discard(product)
            text = f"the executions of an order of {product} add up to what was executed of it"
            self._alarms.clear_alarm(Alarm.EXECUTIONS_SHORT, text, now, product)

    def _forget_order(self, order_id: str) -> None:
        self._sums.pop(order_id, None)
        self._short.pop(order_id, None)

    def _is_comparable(self, short: IncompleteOrder) -> bool:
        """Whether all executions of an order are known under this orderId, and REST may have more of its product."""
        known = self._orders.find(short.order_id, None)
        short.created_ms = short.created_ms or (known.created_ms if known is not None else 0)
        is_of_this_term = (
            self._since_boot_s is not None and short.created_ms > self._venue.read_at(self._since_boot_s).latest
        )
        is_replaced = self._orders.replacements.is_successor(short.order_id) or (
            self._orders.replacements.latest_order_id(short.order_id) != short.order_id
        )
        return is_of_this_term and not is_replaced and _read_product(short.sym) not in self._missing


def _read_product(sym: str) -> str:
    """Return exchange and business of a symbol; each may count quantities in a unit of its own."""
    return "_".join(sym.split("_")[:2])[:_NAME_CHARS_MAX]


def _read_addend(amount: Amount) -> Decimal:
    """Return a quantity to add; NaN for what is no number, so that the sum is none either."""
    number = read_quantity(amount)
    return _NO_NUMBER if number is None else number


def _is_less(total: Decimal, executed: Decimal) -> bool:
    return total.is_finite() and total < executed
