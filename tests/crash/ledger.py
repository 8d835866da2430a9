"""The venue's ledger as the checker reads it: requests that arrived, what became of them, and orders.

Our request ids are `<epoch>x<offset>x<attempt>`, all three in hexadecimal (`core/commands/dispatch.py`): so the ledger
alone says which command a request was made for, and by whom. A cancel that the bridge sends of its own accord is
`<epoch>y<count>` (`core/in_flight/bridge_cancels.py`) and belongs to no command.
"""

import json
import re
from collections import defaultdict
from typing import Any

Entry = dict[str, Any]

MUTATING = ("place_order", "replace_order", "cancel_order", "cancel_orders")
SUCCESS = 200000
_REQUEST_ID = re.compile(r"([0-9a-f]+)x([0-9a-f]+)x([0-9a-f]+)")
_OWN_REQUEST_ID = re.compile(r"([0-9a-f]+)y([0-9a-f]+)")
_OVER = ("FILLED", "CANCELLED", "REJECT", "FAIL")


class Request:
    """One request that arrived. `codes` are the venue's verdicts on it: none if it never reached the desk."""

    def __init__(self, entry: Entry, frame: Entry) -> None:
        self.number = int(entry["number"])
        self.at_ms = int(entry["wall_ms"])
        self.connection = int(entry["connection"])
        self.request_id = str(frame.get("id"))
        self.action = str(frame["action"])
        self.args: dict[str, str] = frame.get("args") or {}
        found = _REQUEST_ID.fullmatch(self.request_id)
        self.epoch, self.offset, self.attempt = (int(part, 16) for part in found.groups()) if found else (-1, -1, -1)
        own = _OWN_REQUEST_ID.fullmatch(self.request_id)
        self.is_own = own is not None
        if own is not None:
            self.epoch = int(own[1], 16)
        self.codes: list[int] = []

    def witness(self) -> Entry:
        """Name the request for a person."""
        return {"request": self.request_id, "action": self.action, "ledger": self.number, "codes": self.codes}


class Ledger:
    """What the checker looks up again and again."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.requests: list[Request] = []
        self.of_offset: dict[int, list[Request]] = defaultdict(list)
        self.order_ids: dict[str, str] = {}
        """orderId by clientOrderId."""
        self._orders: dict[str, Entry] = {}
        by_id: dict[str, Request] = {}
        for entry in entries:
            facts = entry.get("facts", {})
            if entry["kind"] == "RECV":
                frame = _frame(facts["text"])
                if frame.get("action") in MUTATING:
                    request = by_id[str(frame.get("id"))] = Request(entry, frame)
                    self.requests.append(request)
                    if not request.is_own:
                        self.of_offset[request.offset].append(request)
            elif entry["kind"] == "VERDICT" and facts.get("request_id") in by_id:
                by_id[facts["request_id"]].codes.append(facts["code"])
                if facts["action"] == "place_order" and facts["code"] == SUCCESS:
                    self.order_ids[facts["client_order_id"]] = facts["order_id"]
            elif entry["kind"] == "EVENT" and entry["event"]["channel"] == "Orders":
                row = json.loads(entry["event"]["payload"])
                self._orders[row["orderId"]] = row

    def of_kind(self, *kinds: str) -> list[Entry]:
        """Return the entries of some kinds, in order."""
        return [entry for entry in self.entries if entry["kind"] in kinds]

    def codes(self, offset: int) -> list[int]:
        """Return every verdict on the requests of one command."""
        return [code for request in self.of_offset.get(offset, ()) for code in request.codes]

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


def is_over(order: Entry) -> bool:
    """Tell whether an order has ended, from a snapshot of it."""
    return order["orderState"] in _OVER


def _frame(text: str) -> Entry:
    try:
        frame = json.loads(text)
    except ValueError:
        return {}
    return frame if isinstance(frame, dict) else {}
