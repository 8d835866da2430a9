"""The venue's orders as far as the bridge's own decisions need them: who is who, and what is over."""

from decimal import Decimal
from itertools import islice
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from bridge.contract.pushes import OrderPush, Text
from bridge.core.quantities import is_part, read_quantity

TERMINAL: Final = frozenset({"FILLED", "CANCELLED", "REJECT", "FAIL", "EXPIRED"})
"""States that an order never leaves (LTP docs, Enum Definitions; EXPIRED was seen)."""
LIVE: Final = frozenset({"NEW", "OPEN", "PARTIALLY_FILLED"})
"""States of an order that may still be executed."""
CONCLUDED_END: Final = "EXPIRED"
"""The end of an order that no list and no answer names; the venue may tell later that it goes on."""
CANCELLED: Final = frozenset({"CANCELLED"})
REFUSED: Final = frozenset({"REJECT", "FAIL"})
_CANONICAL: Final = LIVE | TERMINAL
_SYNONYMS: Final = {"CANCELED": "CANCELLED", "REJECTED": "REJECT", "FAILED": "FAIL"}
_OVER_REMEMBERED_MAX: Final = 25_000
"""What ends in twenty minutes at the venue's limit for places. Of one that is forgotten the venue is asked."""
_OVER_BYTES_MAX: Final = 8 * 1024 * 1024
_AMENDED_REMEMBERED_MAX: Final = 10_000
_SUCCESSORS_REMEMBERED_MAX: Final = 25_000
_UNSHOWN_REMEMBERED_MAX: Final = 10_000
_TIME_DIGITS_MAX: Final = 15
_TIME_MAX_MS: Final = 253_402_300_799_999


_STAGES: Final = {"NEW": 0, "PARTIALLY_FILLED": 2}
_OTHER_STAGE: Final = 1


def canonical_state(state: str) -> str:
    """Write a state in one way: the venue's documents, REST and stream do not agree on case and spelling."""
    if state in _CANONICAL:
        return state
    upper = state.strip().upper()
    return _SYNONYMS.get(upper, upper)


class Progress(NamedTuple):
    """How far a snapshot is.

    An order that is over stays over, and what was executed of it never falls; then its time decides, and of two
    snapshots of one millisecond the state (LTP docs, Order States).
    """

    ended: bool
    executed: Decimal
    time_ms: int
    stage: int


NO_PROGRESS: Final = Progress(ended=False, executed=Decimal(0), time_ms=0, stage=0)


def progress_of(push: OrderPush) -> Progress:
    """Tell how far an order's snapshot is. A state that nobody knows counts as live."""
    state, executed = canonical_state(push.order_state), read_quantity(push.executed_qty)
    return Progress(
        state in TERMINAL,
        NO_PROGRESS.executed if executed is None else executed,
        parse_time_ms(push.update_at),
        _STAGES.get(state, _OTHER_STAGE),
    )


def contradicts_end(progress: Progress, after: Progress) -> bool:
    """Whether a later snapshot shows that an order goes on after an end that was concluded, and not told."""
    return not progress.ended and progress.time_ms > after.time_ms and progress.executed >= after.executed


class Order(Struct, frozen=True, gc=False, array_like=True):
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
    def ended(self) -> bool:
        """Whether its state is one that an order never leaves."""
        return self.progress.ended

    @property
    def updated_ms(self) -> int:
        """When its latest snapshot was taken; 0 before the first."""
        return self.progress.time_ms

    @property
    def cancelled(self) -> bool:
        """Whether it ended as cancelled."""
        return self.state in CANCELLED

    @property
    def refused(self) -> bool:
        """Whether it never was: refused by the exchange, or failed."""
        return self.state in REFUSED

    @property
    def has_final_end(self) -> bool:
        """Whether it ended in a way that no other end can follow: not cancelled, nor filled with a part."""
        if not self.ended or self.cancelled:
            return False
        return self.state != "FILLED" or self.order_qty is None or not is_part(self.progress.executed, self.order_qty)

    @property
    def last_seen_ms(self) -> int:
        """When it last showed itself, or was acked."""
        return max(self.updated_ms, self.created_ms)

    @property
    def exchange(self) -> str | None:
        """BINANCE, OKX or EDX."""
        return self.sym.split("_", 1)[0] if self.sym else None


def parse_time_ms(text: Text | None) -> int:
    """Read one of the venue's times; 0 when it has none, or one that is no time in ms before the year 10000."""
    digits = "" if text is None else str(text)
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _TIME_DIGITS_MAX):
        return 0
    number = int(digits)
    return number if number <= _TIME_MAX_MS else 0


_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(Order).decode


class Orders:
    """Orders by both of their names. Orders that are over are forgotten, the oldest first.

    A replace may end an order and open another under its clientOrderId (LTP docs, Replace Order). The other is then
    its successor: what is asked of the first goes to that.
    """

    def __init__(self, rest_lag_ms: int = 0) -> None:
        self._rest_lag_ms = rest_lag_ms
        """So long what REST tells may be behind, and a replace under way."""
        self._live: dict[str, Order] = {}
        self._ended: dict[str, bytes] = {}
        """Those that are over, packed: each takes a fifth of what it takes as an object."""
        self._ended_bytes = 0
        self._by_client_order_id: dict[str, str] = {}
        self._unpushed: dict[str, int] = {}
        """Orders that were acked and have not shown themselves, and when; the oldest first."""
        self._amended_ms: dict[str, int] = {}
        """When an order was last asked, or seen, to be replaced."""
        self._successors: dict[str, str] = {}
        self._made_by_replace: set[str] = set()
        self._concluded: set[str] = set()
        """Orders whose end the venue has not told."""
        self._may_be_replaced: dict[str, None] = {}
        """Orders that were cancelled while a replace was under way, and that no other is known to go on with."""

    def find(self, order_id: str | None, client_order_id: str | None) -> Order | None:
        """Return the order of either name; the orderId wins, as at the venue."""
        if order_id is None and client_order_id is not None:
            order_id = self._by_client_order_id.get(client_order_id)
        return self._of_id(order_id) if order_id is not None else None

    def _of_id(self, order_id: str) -> Order | None:
        order = self._live.get(order_id)
        if order is None and (packed := self._ended.get(order_id)) is not None:
            return _unpack(packed)
        return order

    def find_latest(self, order_id: str | None, client_order_id: str | None) -> Order | None:
        """Return what the order of either name is now: itself, or the one that replaces have made of it."""
        if order_id is None and client_order_id is not None:
            order_id = self._by_client_order_id.get(client_order_id)
        return self._of_id(self.latest_order_id(order_id)) if order_id is not None else None

    def find_current(self, order_id: str | None, client_order_id: str | None) -> Order | None:
        """Return the order that a command of these names is about, as it is now.

        One that was cancelled is not it while another one lives under its clientOrderId.
        """
        order = self.find_latest(order_id, client_order_id)
        if order is not None and not order.cancelled:
            return order
        named = self.find(None, order.client_order_id if order is not None else client_order_id)
        return named if named is not None and not named.ended else order

    def latest_order_id(self, order_id: str) -> str:
        """Return the orderId that an order has now."""
        passed = set()
        while order_id in self._successors and order_id not in passed:
            passed.add(order_id)
            order_id = self._successors[order_id]
        return order_id

    def is_successor(self, order_id: str) -> bool:
        """Whether a replace made this order of another one."""
        return order_id in self._made_by_replace

    def live(self) -> list[Order]:
        """Return the orders that were seen or acked and are not known to be over."""
        return list(self._live.values())

    def note_ack(self, order_id: str | None, client_order_id: str | None, sym: str | None, at_ms: int) -> None:
        """Learn the two names of an order from an ack, if it has both."""
        if not order_id or not client_order_id:
            return
        named, known = self.find(None, client_order_id), order_id in self._live or order_id in self._ended
        if not known:
            self._live[order_id] = Order(
                order_id, client_order_id, sym, None, None, None, "", "", NO_PROGRESS, created_ms=at_ms
            )
            self._unpushed[order_id] = at_ms
            if len(self._unpushed) > _UNSHOWN_REMEMBERED_MAX:
                del self._unpushed[next(iter(self._unpushed))]
        if not known or named is None or named.ended:
            self._by_client_order_id[client_order_id] = order_id

    def pop_unpushed(self, acked_before_ms: int, orders_max: int) -> list[str]:
        """Return some orders that were acked before a time of the venue's and have not shown themselves; each once."""
        first = list(islice(self._unpushed.items(), orders_max))
        overdue = [order_id for order_id, acked_ms in first if acked_ms <= acked_before_ms]
        for order_id in overdue:
            del self._unpushed[order_id]
        return overdue

    def note_replace_request(self, order_id: str | None, at_ms: int) -> None:
        """Note that an order is asked to be replaced: it may come back under another orderId."""
        if order_id:
            self._amended_ms[order_id] = max(at_ms, self._amended_ms.pop(order_id, 0))
            if len(self._amended_ms) > _AMENDED_REMEMBERED_MAX:
                del self._amended_ms[next(iter(self._amended_ms))]

    def note_successor(self, order_id: str | None, by: str | None) -> None:
        """Note that a replace has given an order another orderId."""
        if order_id and by and self.latest_order_id(by) != order_id:
            self._successors[order_id] = by
            self._made_by_replace.add(by)
            self._may_be_replaced.pop(order_id, None)
            if len(self._successors) > _SUCCESSORS_REMEMBERED_MAX:
                # Their orders have never shown themselves: one that is over takes its own with it.
                self._made_by_replace.discard(self._successors.pop(next(iter(self._successors))))

    def is_final(self, order: Order, told_until_ms: int) -> bool:
        """Whether an order is over for good: one that was cancelled may come back under another orderId, replaced.

        What the venue dated before `told_until_ms` is all known.
        """
        return order.ended and (order.has_final_end or order.updated_ms < told_until_ms)

    def may_be_replaced(self, order: Order, told_until_ms: int) -> bool:
        """Whether an order that was cancelled may have been replaced, by one that has not shown itself yet."""
        if order.updated_ms < told_until_ms:
            return False
        amended_ms = self._amended_ms.get(order.order_id, 0)
        return order.action.startswith("AMEND") or (
            amended_ms > 0 and order.updated_ms < amended_ms + self._rest_lag_ms
        )

    def pop_possibly_replaced(self, told_until_ms: int) -> list[Order]:
        """Return the orders that a replace has perhaps ended, and whose successor has not shown itself yet."""
        orders = [self._of_id(order_id) for order_id in self._may_be_replaced]
        returning = [order for order in orders if order is not None and self.may_be_replaced(order, told_until_ms)]
        self._may_be_replaced = dict.fromkeys(order.order_id for order in returning)
        return returning

    def conclude_end(self, order_id: str) -> None:
        """Note that the end of an order is concluded and not told: it may go on."""
        self._concluded.add(order_id)

    def update(self, push: OrderPush) -> Order:
        """Learn from a snapshot. What is over stays over, and an older snapshot changes nothing but what was not known.

        A refused order may have no orderId (LTP docs, Query Order); such a row is answered with and not kept. A push
        may tell few of the fields: what never changes is kept from the others.
        """
        order_id = str(push.order_id)
        self._unpushed.pop(order_id, None)
        known = self._of_id(order_id)
        order = _merge_snapshot(push, known, may_go_on=order_id in self._concluded)
        if not order_id or order is known:
            return order
        if order.action.startswith("AMEND"):
            self.note_replace_request(order_id, order.updated_ms)
        self._store_order(order)
        is_cancel = order.action.startswith("CANCEL")
        if order.cancelled and not is_cancel and order_id not in self._successors and self.may_be_replaced(order, 0):
            self._may_be_replaced[order_id] = None
        if order.client_order_id:
            self._give_name(order.client_order_id, order)
        while len(self._ended) > _OVER_REMEMBERED_MAX or self._ended_bytes > _OVER_BYTES_MAX:
            self._forget_order(next(iter(self._ended)))
        return order

    def _store_order(self, order: Order) -> None:
        if not order.ended:
            self._ended_bytes -= len(self._ended.pop(order.order_id, b""))
            self._concluded.discard(order.order_id)
            self._live[order.order_id] = order
            return
        self._live.pop(order.order_id, None)
        packed = _pack(order)
        self._ended_bytes += len(packed) - len(self._ended.get(order.order_id, b""))
        self._ended[order.order_id] = packed

    def _give_name(self, client_order_id: str, order: Order) -> None:
        """Let a clientOrderId stand on the order that lives, and learn which order succeeds another one."""
        if self._by_client_order_id.get(client_order_id) == order.order_id:
            return
        named = self.find(None, client_order_id)
        if named is None or (not order.ended, order.created_ms) >= (not named.ended, named.created_ms):
            self._by_client_order_id[client_order_id] = order.order_id
        if named is None:
            return
        for one, other in ((named, order), (order, named)):
            comes_after = not other.cancelled or one.created_ms < other.created_ms
            if one.cancelled and comes_after and self._was_amended(one, other):
                self.note_successor(one.order_id, other.order_id)

    def _was_amended(self, order: Order, other: Order) -> bool:
        """Whether a replace was under way when an order was cancelled, as far as the two that may be one tell."""
        amended_ms = max(self._amended_ms.get(one.order_id, 0) for one in (order, other))
        return amended_ms > 0 and order.updated_ms < amended_ms + self._rest_lag_ms

    def _forget_order(self, order_id: str) -> None:
        packed = self._ended.pop(order_id)
        self._ended_bytes -= len(packed)
        self._amended_ms.pop(order_id, None)
        self._successors.pop(order_id, None)
        self._made_by_replace.discard(order_id)
        self._concluded.discard(order_id)
        self._may_be_replaced.pop(order_id, None)
        name = _unpack(packed).client_order_id
        if name and self._by_client_order_id.get(name) == order_id:
            del self._by_client_order_id[name]


def _merge_snapshot(push: OrderPush, known: Order | None, *, may_go_on: bool) -> Order:
    """Return what is known of an order after a snapshot of it."""
    order = Order(
        order_id=str(push.order_id),
        client_order_id=push.client_order_id or None,
        sym=push.sym,
        side=push.side.upper() if push.side else None,
        order_qty=None if push.order_qty is None else str(push.order_qty),
        limit_price=None if push.limit_price is None else str(push.limit_price),
        state=canonical_state(push.order_state),
        action=(push.action or "").upper(),
        progress=progress_of(push),
        created_ms=parse_time_ms(push.create_at),
    )
    if known is None:
        return order
    is_newer = known.progress <= order.progress or (may_go_on and contradicts_end(order.progress, known.progress))
    newer, older = (order, known) if is_newer else (known, order)
    if newer is known and None not in _lasting(known) and known.created_ms:
        return known
    same_snapshot = (newer.state, newer.updated_ms) == (older.state, older.updated_ms)
    merged = msgspec.structs.replace(
        newer,
        # The venue's history leaves it out.
        action=newer.action or (older.action if same_snapshot else ""),
        client_order_id=newer.client_order_id or older.client_order_id,
        sym=newer.sym or older.sym,
        side=newer.side or older.side,
        order_qty=older.order_qty if newer.order_qty is None else newer.order_qty,
        limit_price=older.limit_price if newer.limit_price is None else newer.limit_price,
        created_ms=newer.created_ms or older.created_ms,
    )
    return known if merged == known else merged


def _lasting(order: Order) -> tuple[str | None, ...]:
    return order.client_order_id, order.sym, order.side, order.order_qty, order.limit_price
