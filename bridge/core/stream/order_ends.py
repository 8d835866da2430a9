"""Orders whose end the venue does not report, and snapshots of refused orders, which may have no orderId."""

import msgspec
from msgspec import Raw

from bridge.contract.pushes import OrderPush
from bridge.contract.topics import Stream
from bridge.core.now import Now
from bridge.core.odd_fields import decode_fields
from bridge.core.order_states import CONCLUDED_END, LIVE, TERMINAL, canonical_state
from bridge.core.orders import Order, Orders
from bridge.core.stream.venue_record import PARSERS, VenueRecord


def _with_fields(value: bytes, **texts: str) -> VenueRecord:
    fields = decode_fields(value)
    fields |= {name: Raw(msgspec.json.encode(text)) for name, text in texts.items()}
    return PARSERS[Stream.ORDERS](msgspec.json.encode(fields))


def add_order_id(push: OrderPush, value: bytes, order_id: str) -> tuple[OrderPush, bytes]:
    """Return a row with the orderId by which REST was asked for it: the row of a refused order may have none."""
    if push.order_id or not order_id:
        return push, value
    record = _with_fields(value, orderId=order_id)
    return record.order or push, record.value


def identify_refused(record: VenueRecord, orders: Orders) -> VenueRecord:
    """Return a snapshot without orderId with the one of its clientOrderId, if the exchange has not accepted that order.

    An order that rests or was executed cannot be refused any more: then the snapshot is of another order of that name.
    """
    if record.order is None or record.order.order_id or not record.order.client_order_id:
        return record
    named = orders.find(None, record.order.client_order_id)
    if named is None or named.ended or named.state not in {"", "NEW"}:
        return record
    return _with_fields(record.value, orderId=named.order_id)


class UnreportedEnds:
    """Orders that no list of REST includes, and whose end REST does not report when it is asked for one."""

    def __init__(self, rest_lag_s: float) -> None:
        self._rest_lag_s = rest_lag_s
        self._since_boot_s: dict[str, float] = {}
        self._found_boot_s: dict[str, float] = {}

    def begin(self) -> None:
        """Begin another sweep: an order that it does not find as well starts anew."""
        self._since_boot_s, self._found_boot_s = self._found_boot_s, {}

    def has_surely_ended(self, order_id: str, state: str, began: Now) -> bool:
        """Whether an order has ended because two lists, as far apart as REST may lag, lack it. `began`: the sweep.

        False where the venue reports a live state, or an end, which needs no such proof.
        """
        if canonical_state(state) in LIVE | TERMINAL:
            return False
        since_boot_s = self._since_boot_s.get(order_id)
        self._found_boot_s[order_id] = began.boot_s if since_boot_s is None else since_boot_s
        return since_boot_s is not None and since_boot_s <= began.boot_s - self._rest_lag_s


def build_concluded_end(order: Order, last_value: bytes | None) -> VenueRecord:
    """Return the end of an order: its last snapshot, or what is known of it, in the state CONCLUDED_END."""
    known = {"orderId": order.order_id, "clientOrderId": order.client_order_id or "", "sym": order.sym}
    value = last_value or msgspec.json.encode({name: text for name, text in known.items() if text is not None})
    return _with_fields(value, orderState=CONCLUDED_END)
