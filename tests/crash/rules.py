"""The rules that the venue's ledger alone can tell: what arrived, how often, when, in which order, by whom."""

import json
from collections import defaultdict, deque
from collections.abc import Iterator
from itertools import pairwise

from tests.crash.answers import Command
from tests.crash.ledger import OrderLedger
from tests.witness.record import Record
from tests.witness.request import Entry, Request
from tests.witness.violation import Violation, violation

LATE_MS = 1000
"""How much later than `validUntil` a request may arrive: 50 ms, and the patience that a shared machine needs."""
LIMITS = {"place_order": 1200, "replace_order": 300, "cancel_order": 1200, "cancel_orders": 1200}
"""LTP docs, User Data Overview: per 60 s."""
_WINDOW_S = 60.0
_LOGIN_GAP_S = 1.0
CLOCK_MS = 5
"""What two readings of one machine's clock may differ by."""
_ONCE = ("place_order", "replace_order", "cancel_orders")
_TOO_OFTEN = frozenset({429, 100429, 601010})
_OPEN_ORDERS = "/api/v1/trading/orders"


def asked_for(commands: dict[int, Command], ledger: OrderLedger) -> Iterator[tuple[Command, Request]]:
    """Return each request that a command asked for, with the command."""
    for request in ledger.requests:
        command = commands.get(request.offset)
        if command is not None and not request.is_own:
            yield command, request


def sent_once(commands: dict[int, Command], ledger: OrderLedger) -> Iterator[Violation]:
    """Let a place, replace or cancel_orders arrive once at most, and every request be some command, as it was asked.

    A cancel_orders that the venue refused for its rate has done nothing, and may come again.
    """
    seen: dict[tuple[str, str], Request] = {}
    for request in ledger.requests:
        command = commands.get(request.offset)
        if request.is_own:
            continue
        if command is None or command.action != request.action:
            yield violation("sent once", "a request that no command asked for", request.witness())
            continue
        came_too_often = bool(request.codes) and _TOO_OFTEN.issuperset(request.codes)
        if request.action not in _ONCE or (request.action == "cancel_orders" and came_too_often):
            continue
        names = [("offset", str(request.offset))]
        if request.action == "place_order":
            names.append(("clientOrderId", request.args.get("clientOrderId", "")))
        if request.action == "replace_order":
            names.append(("values", json.dumps(request.args, sort_keys=True)))
        for name in names:
            before = seen.setdefault(name, request)
            if before is not request:
                yield violation(
                    "sent once", f"twice by {name[0]}", command.witness(), before.witness(), request.witness()
                )
                break
        wrong = {
            name: value
            for name, value in request.args.items()
            if name not in {"orderId", "clientOrderId"} and command.args.get(name) != value
        }
        if wrong:
            yield violation("sent once", f"not what was asked: {wrong}", command.witness(), request.witness())


def own_cancels(commands: dict[int, Command], ledger: OrderLedger) -> Iterator[Violation]:
    """Let the bridge cancel of its own accord only orders of ours that are older than some cancel_orders.

    Nothing lands late in these histories, so there is no other reason for it.
    """
    placed = ledger.placed_by()
    sweeps = [one.offset for one in commands.values() if one.kind == "first" and one.action == "cancel_orders"]
    for request in ledger.requests:
        order_id = request.args.get("orderId")
        if not request.is_own:
            continue
        if request.action != "cancel_order" or order_id not in placed:
            yield violation("own cancels", "of something that is no order of ours", request.witness())
        elif placed[order_id] > max(sweeps, default=-1):
            yield violation("own cancels", "of an order newer than every cancel_orders", request.witness())


def in_time(commands: dict[int, Command], ledger: OrderLedger) -> Iterator[Violation]:
    """Let nothing be written after its validity."""
    for command, request in asked_for(commands, ledger):
        late_ms = request.at_ms - command.valid_until_ms
        if late_ms > LATE_MS:
            yield violation("in time", f"{late_ms} ms after validUntil", command.witness(), request.witness())


def worst_lateness_ms(commands: dict[int, Command], ledger: OrderLedger) -> int:
    """Return by how much a request came after its validity at worst; 0 when none did."""
    late = (request.at_ms - command.valid_until_ms for command, request in asked_for(commands, ledger))
    return max([0, *late])


def in_order(commands: dict[int, Command], ledger: OrderLedger) -> Iterator[Violation]:
    """Let commands of one order arrive in sequence, a repeated cancel aside, and none behind a later cancel_orders."""
    newest: dict[str, Request] = {}
    swept: dict[str, Request] = {}
    arrived: set[int] = set()
    for command, request in asked_for(commands, ledger):
        if request.action == "cancel_orders":
            scope = command.args.get("exchangeType", "ALL")
            for exchange in ("BINANCE", "OKX", "EDX") if scope == "ALL" else (scope,):
                swept[exchange] = max(swept.get(exchange, request), request, key=lambda one: one.offset)
            continue
        first_time, order = request.offset not in arrived, ledger.order_of(request.args)
        arrived.add(request.offset)
        before = newest.get(order or "")
        if before is not None and before.offset > request.offset and first_time:
            yield violation("in order", f"order {order}", before.witness(), request.witness())
        if order is not None and (before is None or before.offset < request.offset):
            newest[order] = request
        sweep = swept.get(request.args.get("sym", "").split("_")[0])
        if request.action == "place_order" and sweep is not None and sweep.offset > request.offset:
            yield violation("in order", "a place from before a cancel_orders", sweep.witness(), request.witness())


def fenced(valid: list[Record], ledger: OrderLedger) -> Iterator[Violation]:
    """Let each term have its own epoch, and none send anything once a later one has."""
    epochs = [int(record.fields["epoch"]) for record in valid if "epoch" in record.fields]
    for before, after in pairwise(epochs):
        if after <= before:
            yield violation("fenced", "an epoch was used twice", {"epochs": [before, after]})
    top: Request | None = None
    for request in ledger.requests:
        if top is not None and request.epoch < top.epoch:
            yield violation("fenced", "sent by an owner that has a successor", top.witness(), request.witness())
        if top is None or request.epoch > top.epoch:
            top = request


def within_limits(ledger: OrderLedger) -> Iterator[Violation]:
    """Let no more requests of an action count in any 60 s than the venue allows."""
    windows: dict[str, deque[float]] = defaultdict(deque)
    for entry in ledger.of_kind("COUNT"):
        action, at_s = entry["facts"]["action"], float(entry["monotonic_s"])
        window = windows[action]
        window.append(at_s)
        while at_s - window[0] >= _WINDOW_S:
            window.popleft()
        if len(window) > LIMITS.get(action, len(window)):
            yield violation("within limits", f"{len(window)} {action} in 60 s", {"ledger": entry["number"]})


def logins_apart(ledger: OrderLedger) -> Iterator[Violation]:
    """Let logins of one key keep a second between them, whoever makes them."""
    last: dict[str, Entry] = {}
    for entry in ledger.of_kind("LOGIN"):
        before = last.get(entry["facts"]["api_key"])
        last[entry["facts"]["api_key"]] = entry
        if before is not None and entry["monotonic_s"] - before["monotonic_s"] < _LOGIN_GAP_S:
            gap_s = entry["monotonic_s"] - before["monotonic_s"]
            yield violation("logins apart", f"{gap_s:.3f} s", {"ledger": [before["number"], entry["number"]]})


def swept_first(session: list[Record], ledger: OrderLedger) -> Iterator[Violation]:
    """Let no place or replace go out on a session before it was swept, and said to be.

    The word of a daemon that died right after may be lost; then that its open orders were asked for must do.
    """
    opened: dict[int, list[int]] = defaultdict(list)
    for record in session:
        if record.fields["type"] == "recovery.complete":
            opened[record.epoch].append(int(record.fields["at"]))
    login: dict[int, Entry] = {}
    orders = {one.number: one for one in ledger.requests if one.action in {"place_order", "replace_order"}}
    swept_at = 0
    for entry in ledger.of_kind("LOGIN", "REST", "RECV"):
        if entry["kind"] == "LOGIN":
            login[entry["connection"]] = entry
        elif entry["kind"] == "REST" and entry["facts"].get("path") == _OPEN_ORDERS:
            swept_at = int(entry["number"])
        elif entry["number"] in orders:
            request = orders[entry["number"]]
            begun = login.get(request.connection)
            if begun is None or swept_at < int(begun["number"]):
                yield violation("swept first", "sent before a sweep of its session", request.witness())
                continue
            told = [at for at in opened[request.epoch] if at >= int(begun["wall_ms"]) - CLOCK_MS]
            if told and min(told) > request.at_ms + CLOCK_MS:
                yield violation(
                    "swept first", "sent before recovery.complete", request.witness(), {"opened": min(told)}
                )


def orders_exist(orders: list[Record], ledger: OrderLedger) -> Iterator[Violation]:
    """Let every order on the topic be one of the venue's."""
    for record in orders:
        order_id = record.fields.get("orderId", "")
        if not record.is_tombstone and not ledger.knows(order_id):
            yield violation("orders exist", "an order that the venue never had", {"orderId": order_id})
