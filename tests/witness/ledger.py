"""The venue's ledger, read from its lines: requests and what became of them, sessions, pushes, and what faults did."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, Final

from tests.witness.frames import json_object
from tests.witness.request import MUTATING, SUCCESS, Entry, Request

TOPIC_OF: Final = {
    "Orders": "orders",
    "Trades": "trades",
    "Assets": "assets",
    "Positions": "positions",
    "MarginCall": "margin-calls",
    "LiquidationEvent": "liquidations",
    "LiquidationPosition": "liquidations",
}
_OVER: Final = ("FILLED", "CANCELLED", "REJECT", "FAIL")
_LATE_PUSHES: Final = ("delay_push", "swap_push")
_FOR_EVER_MS: Final = 1 << 62


class Push:
    """One push that the venue made."""

    def __init__(self, entry: Entry) -> None:
        event = entry["event"]
        self.number = int(entry["number"])
        self.at_ms = int(entry["wall_ms"])
        self.until_ms = self.at_ms
        """Until when it was on its way, where a fault held it back and its socket ended first."""
        self.held_on = 0
        """The connection on which a fault held it back."""
        self.is_muted = False
        """Whether a fault kept it from its sockets."""
        self.channel = str(event["channel"])
        self.topic = TOPIC_OF[self.channel]
        self.key = str(event["key"])
        self.identity = str(event["identity"])
        self.text = str(event["payload"])
        self.row: dict[str, Any] = json.loads(self.text)

    def witness(self) -> Entry:
        """Name the push for a person."""
        return {"ledger": self.number, "channel": self.channel, "key": self.key, "at_ms": self.at_ms}


class Session:
    """One socket from its login on, as the venue knows it."""

    def __init__(self, connection: int, login_ms: int) -> None:
        self.connection = connection
        self.login_ms = login_ms
        self.drop_ms = _FOR_EVER_MS

    def witness(self) -> Entry:
        """Name the session for a person."""
        return {"connection": self.connection, "login_ms": self.login_ms, "drop_ms": self.drop_ms}


class Ledger:
    """What is looked up again and again."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = list(entries)
        self.requests: list[Request] = []
        """What changes orders, and whatever else names a command."""
        self.of_offset: dict[int, list[Request]] = defaultdict(list)
        """Those of a command, by its offset."""
        self.pushes: list[Push] = []
        self.sessions: list[Session] = []
        self.order_ids: dict[str, str] = {}
        """orderId by clientOrderId, of the places that the venue took."""
        self.faults: Counter[str] = Counter()
        """How often each scripted fault bit."""
        self.delivered: set[int] = set()
        """Numbers of the pushes that were handed to some socket."""
        self._request_of: dict[str, Request] = {}
        self._session_of: dict[int, Session] = {}
        self._told: list[Push] = []
        """The pushes of the turn that is being told; what a fault does to one stands right behind them."""
        for entry in self.entries:
            self._read(entry)
        self._end_what_was_late()

    def _read(self, entry: Entry) -> None:
        kind, facts, connection = entry["kind"], entry.get("facts", {}), int(entry["connection"])
        if kind not in {"EVENT", "FAULT"}:
            self._told = []
        if kind == "RECV":
            self._read_frame(entry, json_object(facts["text"]))
        elif kind == "VERDICT":
            self._read_verdict(facts)
        elif kind == "ANSWER":
            self._read_answer(json_object(facts["text"]))
        elif kind == "EVENT" and entry["event"]["channel"] in TOPIC_OF:
            self._told.append(Push(entry))
            self.pushes.append(self._told[-1])
        elif kind == "FAULT":
            self._read_fault(facts, connection)
        elif kind == "DELIVER":
            self.delivered.add(int(facts["event_number"]))
        elif kind == "LOGIN" and facts.get("code") == 0:
            session = self._session_of[connection] = Session(connection, int(entry["wall_ms"]))
            self.sessions.append(session)
        elif kind == "DROP" and connection in self._session_of:
            self._session_of[connection].drop_ms = int(entry["wall_ms"])

    def _read_frame(self, entry: Entry, frame: Entry) -> None:
        request = Request(entry, frame)
        if request.action not in MUTATING and not request.names_a_command:
            return
        self.requests.append(request)
        self._request_of[request.request_id] = request
        if not request.is_own:
            self.of_offset[request.offset].append(request)

    def _read_verdict(self, facts: Entry) -> None:
        name = facts.get("request_id")
        if name not in self._request_of:
            return
        self._request_of[name].codes.append(int(facts["code"]))
        if facts["action"] == "place_order" and facts["code"] == SUCCESS:
            self.order_ids[facts["client_order_id"]] = facts["order_id"]

    def _read_answer(self, answer: Entry) -> None:
        name, code = answer.get("id"), str(answer.get("code"))
        if isinstance(name, str) and name in self._request_of and code.isdigit():
            self._request_of[name].answers.append(int(code))

    def _read_fault(self, facts: Entry, connection: int) -> None:
        self.faults[str(facts["fault"])] += 1
        for push in self._told:
            if push.channel != facts.get("channel"):
                continue
            if facts["fault"] == "mute_push":
                push.is_muted = True
            elif facts["fault"] in _LATE_PUSHES:
                push.held_on = connection

    def _end_what_was_late(self) -> None:
        for push in self.pushes:
            session = self._session_of.get(push.held_on)
            if session is not None and push.number not in self.delivered:
                push.until_ms = session.drop_ms

    def of_kind(self, *kinds: str) -> list[Entry]:
        """Return the entries of some kinds, in order."""
        return [entry for entry in self.entries if entry["kind"] in kinds]

    def session_of(self, connection: int) -> Session | None:
        """Return the session of a connection; None where it never logged in."""
        return self._session_of.get(connection)

    def codes(self, offset: int) -> list[int]:
        """Return every verdict on the requests of one command."""
        return [code for request in self.of_offset.get(offset, ()) for code in request.codes]

    def of_topic(self, topic: str) -> list[Push]:
        """Return the pushes that belong on a topic, in order."""
        return [push for push in self.pushes if push.topic == topic]


def is_over(order: Entry) -> bool:
    """Tell whether an order has ended, from a snapshot of it."""
    return order.get("orderState") in _OVER


def trade_identity(row: dict[str, Any]) -> str:
    """Return which execution a row is of, as the ledger names it."""
    return ":".join(str(row.get(name)) for name in ("exchangeType", "sym", "orderId", "transactionId"))
