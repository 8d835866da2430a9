"""The venue's orders, as far as decisions of the bridge need them: their two names, and whether they have ended."""

from collections import OrderedDict
from itertools import islice
from typing import Final

import msgspec
from msgspec import Struct

from bridge.contract.pushes import OrderPush
from bridge.core.odd_fields import is_part, parse_time_ms
from bridge.core.order_states import NO_PROGRESS, Progress, canonical_state, contradicts_end, progress_of
from bridge.core.replacements import Replacements

_REFUSED: Final = frozenset({"REJECT", "FAIL"})
_ENDED_MAX: Final = 25_000
"""The orders that end in twenty minutes at the venue's limit for places. The venue is asked about a forgotten one."""
_ENDED_BYTES_MAX: Final = 8 * 1024 * 1024
FORGOTTEN_AT_ONCE: Final = 256
"""Forgetting orders that have ended one by one takes twice as long: what is known of them is in no cache any more."""
_UNPUSHED_MAX: Final = 10_000


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
    """What is being done to the order beside its state, such as AMEND_PENDING; empty when nothing is."""
    progress: Progress
    created_ms: int

    @property
    def ended(self) -> bool:
        """Whether its state is one that an order never leaves."""
        return self.progress.ended

    @property
    def updated_ms(self) -> int:
        """The time of its latest snapshot; 0 before the first."""
        return self.progress.time_ms

    @property
    def cancelled(self) -> bool:
        """Whether it ended as cancelled."""
        return self.state == "CANCELLED"

    @property
    def refused(self) -> bool:
        """Whether the exchange refused it, or it failed."""
        return self.state in _REFUSED

    @property
    def has_final_end(self) -> bool:
        """Whether no other end can follow: it has ended, and neither as cancelled nor as filled with only a part."""
        if not self.ended or self.cancelled:
            return False
        return self.state != "FILLED" or self.order_qty is None or not is_part(self.progress.executed, self.order_qty)

    @property
    def last_seen_ms(self) -> int:
        """The time of its latest snapshot, or of its ack."""
        return max(self.updated_ms, self.created_ms)

    @property
    def exchange(self) -> str | None:
        """BINANCE, OKX or EDX."""
        return self.sym.split("_", 1)[0] if self.sym else None


class _Names(Struct, gc=False, array_like=True):
    """The first fields of an Order."""

    order_id: str
    client_order_id: str | None


_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(Order).decode
_unpack_names: Final = msgspec.msgpack.Decoder(_Names).decode


class Orders:
    """Orders by orderId and by clientOrderId. Orders that have ended are forgotten, the oldest first.

    REST may be behind the stream by `rest_lag_ms`, and a replace may be under way for so long.
    """

    def __init__(self, rest_lag_ms: int = 0) -> None:
        self.replacements = Replacements(rest_lag_ms)
        self._live: dict[str, Order] = {}
        # Of a dict the first key costs a walk over the places of those that were removed before it.
        self._ended: OrderedDict[str, bytes] = OrderedDict()
        """The orders that have ended, packed: each takes a fifth of what it takes as an object."""
        self._ended_bytes = 0
        self._by_client_order_id: dict[str, str] = {}
        self._unpushed: OrderedDict[str, int] = OrderedDict()
        """When orders were acked that no snapshot has shown yet; the oldest first."""
        self._concluded: set[str] = set()
        """Orders whose end the bridge has concluded, because the venue does not report it."""
        self._perhaps_replaced: dict[str, None] = {}
        """Orders that were cancelled while a replace was under way, and whose successor is not known."""

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
        """Return what the order of either name is now: itself, or its successor after replaces."""
        if order_id is None and client_order_id is not None:
            order_id = self._by_client_order_id.get(client_order_id)
        return self._of_id(self.replacements.latest_order_id(order_id)) if order_id is not None else None

    def find_current(self, order_id: str | None, client_order_id: str | None) -> Order | None:
        """Return the order that a command of these names is about, as it is now.

        Where that order was cancelled and another one lives under its clientOrderId, the command is about the other.
        """
        order = self.find_latest(order_id, client_order_id)
        if order is not None and not order.cancelled:
            return order
        named = self.find(None, order.client_order_id if order is not None else client_order_id)
        return named if named is not None and not named.ended else order

    @property
    def live_count(self) -> int:
        """The number of orders that `live` returns."""
        return len(self._live)

    def live(self) -> list[Order]:
        """Return the orders that were pushed or acked and are not known to have ended."""
        return list(self._live.values())

    def note_ack(self, order_id: str | None, client_order_id: str | None, sym: str | None, at_ms: int) -> None:
        """Note the two names of an order from an ack, if it has both."""
        if not order_id or not client_order_id:
            return
        named, known = self.find(None, client_order_id), order_id in self._live or order_id in self._ended
        if not known:
            self._live[order_id] = Order(
                order_id, client_order_id, sym, None, None, None, "", "", NO_PROGRESS, created_ms=at_ms
            )
            self._unpushed[order_id] = at_ms
            if len(self._unpushed) > _UNPUSHED_MAX:
                self._unpushed.popitem(last=False)
        if not known or named is None or named.ended:
            self._by_client_order_id[client_order_id] = order_id

    def pop_unpushed(self, acked_before_ms: int, orders_max: int) -> list[str]:
        """Return some orders that were acked before a time of the venue's, and that no snapshot shows; each once."""
        first = list(islice(self._unpushed.items(), orders_max))
        overdue = [order_id for order_id, acked_ms in first if acked_ms <= acked_before_ms]
        for order_id in overdue:
            del self._unpushed[order_id]
        return overdue

    def is_final(self, order: Order, known_until_ms: int) -> bool:
        """Whether an order has ended for good: a cancelled one may come back under another orderId, replaced.

        Everything that the venue dated before `known_until_ms` is known.
        """
        return order.ended and (order.has_final_end or order.updated_ms < known_until_ms)

    def may_be_replaced(self, order: Order, known_until_ms: int) -> bool:
        """Whether a cancelled order may have been replaced by one that no snapshot has shown yet."""
        if order.updated_ms < known_until_ms:
            return False
        is_amended = order.action.startswith("AMEND")
        return is_amended or self.replacements.was_under_way(order.updated_ms, order.order_id)

    def pop_possibly_replaced(self, known_until_ms: int) -> list[Order]:
        """Return the orders that a replace has perhaps ended, and whose successor no snapshot has shown yet."""
        waiting = [one for one in self._perhaps_replaced if not self.replacements.has_successor(one)]
        orders = [order for order in map(self._of_id, waiting) if order is not None]
        returning = [order for order in orders if self.may_be_replaced(order, known_until_ms)]
        self._perhaps_replaced = dict.fromkeys(order.order_id for order in returning)
        return returning

    def conclude_end(self, order_id: str) -> None:
        """Note that the bridge concludes the end of an order, which the venue does not report: it may still be open."""
        self._concluded.add(order_id)

    def update(self, push: OrderPush, progress: Progress | None = None) -> Order:
        """Take in a snapshot, and return what is known of its order. An older snapshot only fills in what is missing.

        `progress` is how far the order is in it, where that has been read.
        A refused order may have no orderId (LTP docs, Query Order); then what the snapshot says is returned, and not
        kept.
        """
        order_id = str(push.order_id)
        known = self._of_id(order_id)
        order = _read_snapshot(push, order_id, progress)
        if known is not None:
            self._unpushed.pop(order_id, None)
            order = _merge_snapshot(order, known, may_be_live=order_id in self._concluded)
        if not order_id or order is known:
            return order
        if order.action.startswith("AMEND"):
            self.replacements.note_request(order_id, order.progress.time_ms)
        self._store_order(order)
        if order.cancelled and not order.action.startswith("CANCEL") and self.may_be_replaced(order, 0):
            self._perhaps_replaced[order_id] = None
        if order.client_order_id and (named_id := self._by_client_order_id.get(order.client_order_id)) != order_id:
            self._assign_name(order.client_order_id, order, named_id)
        return order

    def _store_order(self, order: Order) -> None:
        order_id = order.order_id
        if not order.progress.ended:
            if order_id in self._ended:
                self._ended_bytes -= len(self._ended.pop(order_id))
            self._concluded.discard(order_id)
            self._live[order_id] = order
            return
        self._live.pop(order_id, None)
        packed = _pack(order)
        self._ended_bytes += len(packed) - len(self._ended.get(order_id, b""))
        self._ended[order_id] = packed
        if len(self._ended) >= _ENDED_MAX + FORGOTTEN_AT_ONCE or self._ended_bytes > _ENDED_BYTES_MAX:
            self._forget_oldest_ended()

    def _assign_name(self, client_order_id: str, order: Order, named_id: str | None) -> None:
        """Let a clientOrderId name the order that lives, and note which order is the successor of another one."""
        named = self._of_id(named_id) if named_id is not None else None
        if named is None or (not order.ended, order.created_ms) >= (not named.ended, named.created_ms):
            self._by_client_order_id[client_order_id] = order.order_id
        if named is None:
            return
        for one, other in ((named, order), (order, named)):
            comes_after = not other.cancelled or one.created_ms < other.created_ms
            ids = one.order_id, other.order_id
            if one.cancelled and comes_after and self.replacements.was_under_way(one.updated_ms, *ids):
                self.replacements.note_successor(*ids)

    def _forget_oldest_ended(self) -> None:
        while len(self._ended) > _ENDED_MAX or self._ended_bytes > _ENDED_BYTES_MAX:
            order_id, packed = self._ended.popitem(last=False)
            self._ended_bytes -= len(packed)
            self.replacements.forget(order_id)
            self._concluded.discard(order_id)
            self._perhaps_replaced.pop(order_id, None)
            name = _unpack_names(packed).client_order_id
            if name and self._by_client_order_id.get(name) == order_id:
                del self._by_client_order_id[name]


def _read_snapshot(push: OrderPush, order_id: str, progress: Progress | None) -> Order:
    """Return an order as a snapshot shows it."""
    state = canonical_state(push.order_state)
    return Order(
        order_id,
        push.client_order_id or None,
        push.sym,
        push.side.upper() if push.side else None,
        None if push.order_qty is None else str(push.order_qty),
        None if push.limit_price is None else str(push.limit_price),
        state,
        push.action.upper() if push.action else "",
        progress_of(state, push.executed_qty, push.update_at) if progress is None else progress,
        parse_time_ms(push.create_at),
    )


def _merge_snapshot(order: Order, known: Order, *, may_be_live: bool) -> Order:
    """Return what is known of an order after a snapshot of it. `may_be_live`: its end was only concluded."""
    is_newer = known.progress <= order.progress or (may_be_live and contradicts_end(order.progress, known.progress))
    newer, older = (order, known) if is_newer else (known, order)
    same_snapshot = newer.state == older.state and newer.progress.time_ms == older.progress.time_ms
    has_names = newer.client_order_id and newer.sym and newer.side and newer.created_ms
    if has_names and newer.order_qty is not None and newer.limit_price is not None and not same_snapshot:
        return newer
    merged = msgspec.structs.replace(
        newer,
        # The venue's history leaves the action out.
        action=newer.action or (older.action if same_snapshot else ""),
        client_order_id=newer.client_order_id or older.client_order_id,
        sym=newer.sym or older.sym,
        side=newer.side or older.side,
        order_qty=older.order_qty if newer.order_qty is None else newer.order_qty,
        limit_price=older.limit_price if newer.limit_price is None else newer.limit_price,
        created_ms=newer.created_ms or older.created_ms,
    )
    return known if merged == known else merged
