"""Orders whose end the venue does not tell: of which one a row without orderId is, and what is over without a word."""

import msgspec
from msgspec import Raw

from bridge.contract.pushes import OrderPush
from bridge.contract.topics import Stream
from bridge.core.now import Now
from bridge.core.odd_fields import decode_fields
from bridge.core.orders import CONCLUDED_END, LIVE, TERMINAL, Order, Orders, canonical_state
from bridge.core.stream.venue_record import PARSERS, VenueRecord


def _with_fields(value: bytes, **texts: str) -> VenueRecord:
    fields = decode_fields(value)
    fields |= {name: Raw(msgspec.json.encode(text)) for name, text in texts.items()}
    return PARSERS[Stream.ORDERS](msgspec.json.encode(fields))


def add_order_id(push: OrderPush, value: bytes, order_id: str) -> tuple[OrderPush, bytes]:
    """Give an order's row without orderId the one that it was asked by: one that was refused may come back without."""
    if push.order_id or not order_id:
        return push, value
    named = _with_fields(value, orderId=order_id)
    return named.order or push, named.value


def identify_refused(element: VenueRecord, orders: Orders) -> VenueRecord:
    """Give a snapshot without orderId that of the order of its clientOrderId, if the exchange has not taken that yet.

    What rests or was executed cannot be refused any more: then it is of another order of that name.
    """
    if element.order is None or element.order.order_id or not element.order.client_order_id:
        return element
    named = orders.find(None, element.order.client_order_id)
    if named is None or named.ended or named.state not in {"", "NEW"}:
        return element
    return _with_fields(element.value, orderId=named.order_id)


class UnreportedEnds:
    """Orders that the lists of what is open and over lack, and of which the venue tells no end when it is asked."""

    def __init__(self, rest_lag_s: float) -> None:
        self._rest_lag_s = rest_lag_s
        self._since: dict[str, float] = {}
        self._found: dict[str, float] = {}

    def begin(self) -> None:
        """Begin another sweep: only what it finds as well goes on to count."""
        self._since, self._found = self._found, {}

    def is_over(self, order_id: str, word: str, began: Now) -> bool:
        """Return whether an order is over because two lists, as far apart as REST may lag, did not contain it.

        One that the venue calls live is not; one that it calls over needs no such proof.
        """
        if canonical_state(word) in LIVE | TERMINAL:
            return False
        known = self._since.get(order_id)
        self._found[order_id] = began.boot_s if known is None else known
        return known is not None and known <= began.boot_s - self._rest_lag_s


def concluded_end(order: Order, last: bytes | None) -> VenueRecord:
    """Return the last snapshot of an order, or what is known of it, as over."""
    known = {"orderId": order.order_id, "clientOrderId": order.client_order_id or "", "sym": order.sym}
    value = last or msgspec.json.encode({name: text for name, text in known.items() if text is not None})
    return _with_fields(value, orderState=CONCLUDED_END)
