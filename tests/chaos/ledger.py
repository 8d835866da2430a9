"""The venue's ledger as the checker reads it: every push, the sockets that could hear it, and orders that arrived."""

import json
import re
from collections import Counter, defaultdict
from typing import Any

Entry = dict[str, Any]

TOPIC_OF = {
    "Orders": "orders",
    "Trades": "trades",
    "Assets": "assets",
    "Positions": "positions",
    "MarginCall": "margin-calls",
    "LiquidationEvent": "liquidations",
    "LiquidationPosition": "liquidations",
}
SPACE_MS = 5
"""What two readings of one machine's clock, rounded to ms on both sides, may differ by."""
_LATE_PUSHES = ("delay_push", "swap_push")
_GATED = ("place_order", "replace_order")
_EPOCH_OF_REQUEST = re.compile(r"([0-9a-f]+)[xy][0-9a-f]+")
_FOR_EVER_MS = 1 << 62


class Event:
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
        self.is_deleted = False
        """Whether its topic may have been deleted, with its record, after it was published."""
        self.topic = TOPIC_OF[event["channel"]]
        self.channel = str(event["channel"])
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


class Request:
    """A place or replace that reached the venue. Request ids begin with the owner's epoch, in hexadecimal."""

    def __init__(self, entry: Entry, frame: Entry) -> None:
        self.number = int(entry["number"])
        self.at_ms = int(entry["wall_ms"])
        self.connection = int(entry["connection"])
        self.action = str(frame["action"])
        self.request_id = str(frame.get("id"))
        found = _EPOCH_OF_REQUEST.match(self.request_id)
        self.epoch = int(found[1], 16) if found else -1

    def witness(self) -> Entry:
        """Name the request for a person."""
        return {"ledger": self.number, "request": self.request_id, "action": self.action, "at_ms": self.at_ms}


class Ledger:
    """What the checker looks up again and again."""

    def __init__(self, entries: list[Entry], step_ms: int = 0) -> None:
        self.space_ms = SPACE_MS + step_ms
        """What a moment may differ by between this ledger and the bridge, whose clock was set `step_ms` wrong."""
        self.events: list[Event] = []
        self.sessions: list[Session] = []
        self.gated: list[Request] = []
        self.faults: Counter[str] = Counter()
        """How often each scripted fault bit."""
        self.delivered: set[int] = set()
        """Numbers of the events that were handed to some socket."""
        self.limited = 0
        self._of_connection: dict[int, Session] = {}
        self._told: list[Event] = []
        """The events of the turn that is being told; what a fault does to one stands right behind them."""
        for entry in entries:
            self._read(entry)
        self._end_what_was_late()

    def _read(self, entry: Entry) -> None:
        kind, facts, connection = entry["kind"], entry.get("facts", {}), int(entry["connection"])
        if kind == "EVENT":
            self._read_event(entry)
        elif kind == "FAULT":
            self._read_fault(facts, connection)
        else:
            self._told = []
        if kind == "LOGIN" and facts.get("code") == 0:
            session = self._of_connection[connection] = Session(connection, int(entry["wall_ms"]))
            self.sessions.append(session)
        elif kind == "DROP" and connection in self._of_connection:
            self._of_connection[connection].drop_ms = int(entry["wall_ms"])
        elif kind == "DELIVER":
            self.delivered.add(int(facts["event_number"]))
        elif kind == "LIMITED":
            self.limited += 1
        elif kind == "RECV":
            frame = _frame(facts["text"])
            if frame.get("action") in _GATED:
                self.gated.append(Request(entry, frame))

    def _read_event(self, entry: Entry) -> None:
        if entry["event"]["channel"] in TOPIC_OF:
            event = Event(entry)
            self.events.append(event)
            self._told.append(event)

    def _read_fault(self, facts: Entry, connection: int) -> None:
        self.faults[str(facts["fault"])] += 1
        for event in self._told:
            if event.channel != facts.get("channel"):
                continue
            if facts["fault"] == "mute_push":
                event.is_muted = True
            elif facts["fault"] in _LATE_PUSHES:
                event.held_on = connection

    def _end_what_was_late(self) -> None:
        for event in self.events:
            session = self._of_connection.get(event.held_on)
            if session is not None and event.number not in self.delivered:
                event.until_ms = session.drop_ms

    def mark_deleted(self, topic: str, until_ms: int) -> None:
        """Note that a topic was deleted, with what had been pushed until then."""
        for event in self.of_topic(topic):
            event.is_deleted |= event.at_ms <= until_ms

    def session_of(self, connection: int) -> Session | None:
        """Return the session of a connection; None where it never logged in."""
        return self._of_connection.get(connection)

    def of_topic(self, topic: str) -> list[Event]:
        """Return the pushes that belong on a topic, in order."""
        return [event for event in self.events if event.topic == topic]

    def by_key(self, topic: str) -> dict[str, list[Event]]:
        """Return the pushes that belong on a topic, by what they are the state of."""
        found: dict[str, list[Event]] = defaultdict(list)
        for event in self.of_topic(topic):
            found[event.key].append(event)
        return found


def _frame(text: str) -> Entry:
    try:
        frame = json.loads(text)
    except ValueError:
        return {}
    return frame if isinstance(frame, dict) else {}
