"""A small recording by hand, right in every point: two owners, a cut, a death, pushes that were muted, a zombie."""

import json
from typing import Any

from tests.chaos.contents import STREAMS

Row = dict[str, Any]

BEGIN_MS = 1_795_000_000_000
TIMING = {
    "ping_interval_s": 1.0,
    "pong_deadline_s": 0.5,
    "commit_period_s": 0.2,
    "audit_period_s": 3.0,
    "rest_lag_s": 2.0,
    "recovery_s": 5.0,
    "sweep_s": 0.2,
}
_SYM = "BINANCE_PERP_BTC_USDT"
_TYPES = {"Orders": "order", "Trades": "trade", "Assets": "asset", "Positions": "position", "MarginCall": "margin-call"}
_TOPICS = {"Orders": "orders", "Trades": "trades", "Assets": "assets", "Positions": "positions"}


class Story:
    """Tells a recording as the ledger and the topics would. Times are seconds since its beginning."""

    def __init__(self) -> None:
        self.ledger: list[Row] = []
        self.topics: dict[str, list[Row]] = {stream: [] for stream in STREAMS}
        self.done: list[Row] = []
        self.now_s = 0.0
        self.epoch = 1
        self._numbers: dict[tuple[str, int], int] = {}

    def recording(self) -> Row:
        """Return what the checker takes."""
        return {
            "ledger": self.ledger,
            "topics": self.topics,
            "timing": TIMING,
            "done": self.done,
            "begin_ms": BEGIN_MS,
            "end_ms": self.now_ms,
        }

    @property
    def now_ms(self) -> int:
        """The time of the story."""
        return BEGIN_MS + int(self.now_s * 1000)

    def at(self, seconds: float) -> "Story":
        """Go on to a time."""
        self.now_s = seconds
        return self

    def line(self, kind: str, connection: int = 0, **facts: Any) -> Row:  # noqa: ANN401 - JSON
        """Write a line to the ledger."""
        entry = {
            "number": len(self.ledger) + 1,
            "wall_ms": self.now_ms,
            "kind": kind,
            "connection": connection,
            "facts": facts,
        }
        self.ledger.append(entry)
        return entry

    def push(self, channel: str, key: str, row: Row, identity: str = "", *, heard: int = 0) -> str:
        """Let the venue make a push; on the connection `heard` it arrives, and is published."""
        text = json.dumps(row)
        entry = self.line("EVENT")
        entry["event"] = {"channel": channel, "key": key, "identity": identity, "payload": text}
        if heard:
            self.line("DELIVER", heard, event_number=entry["number"])
            self.record(_TOPICS.get(channel, "margin-calls"), key, text, f"{_TYPES[channel]}:{identity or text}")
        return text

    def record(self, topic: str, key: str, text: str | None, event_id: str, *, recovered: bool = False) -> Row:
        """Publish a record in the present epoch."""
        number = self._numbers[topic, self.epoch] = self._numbers.get((topic, self.epoch), 0) + 1
        headers = {"ce_id": event_id, "ce_epoch": str(self.epoch), "ce_sequence": f"{number:020}"}
        raw = {
            "offset": len(self.topics[topic]),
            "timestamp": self.now_ms,
            "key": key,
            "headers": headers | ({"ce_recovered": "true"} if recovered else {}),
            "text": text,
        }
        self.topics[topic].append(raw)
        return raw

    def say(self, kind: str, **fields: Any) -> Row:  # noqa: ANN401 - JSON
        """Publish a session event."""
        value = {"type": kind, "at": self.now_ms, **fields}
        count = self._numbers.get(("session", self.epoch), 0)
        return self.record("session", "main", json.dumps(value), f"session:{self.epoch}:{count}")

    def gap(self, gap_id: str, from_s: float, cause: str) -> None:
        """Open a gap."""
        self.say("gap.opened", gapId=gap_id, fromMs=BEGIN_MS + int(from_s * 1000), cause=cause)

    def end_gap(self, gap_id: str, from_s: float, to_s: float, cause: str) -> None:
        """Close a gap."""
        ends = {"fromMs": BEGIN_MS + int(from_s * 1000), "toMs": BEGIN_MS + int(to_s * 1000)}
        self.say("gap.closed", gapId=gap_id, cause=cause, **ends)

    def log_in(self, connection: int) -> None:
        """Log in and say so."""
        self.line("LOGIN", connection, code=0)
        self.say("session.opened", endpoint="az4")

    def request(self, connection: int, action: str) -> None:
        """Let a place or replace reach the venue."""
        frame = {"id": f"{self.epoch:x}x{len(self.ledger):x}x1", "action": action, "args": {}}
        self.line("RECV", connection, text=json.dumps(frame))

    def fill(self, number: int, executed: str, *, heard: int = 0, state: str = "PARTIALLY_FILLED") -> list[str]:
        """Let the order be filled in part: order, trade, balance and position are pushed."""
        return [
            self.push("Orders", "o1", self.order(state, executed), f"o1:{executed}", heard=heard),
            self.push("Trades", "o1", self.trade(number), f"BINANCE:{_SYM}:o1:{number}", heard=heard),
            self.push("Assets", "BINANCE:USDT", self.asset(number), f"u{number}", heard=heard),
            self.push("Positions", f"{_SYM}:NONE", self.position(executed), f"p{number}", heard=heard),
        ]

    def recover(self, texts: list[str], number: int, executed: str) -> None:
        """Publish what a fill left behind, from REST."""
        order, trade, asset, position = texts
        row = {name: value for name, value in json.loads(order).items() if name != "action"}
        self.record("orders", "o1", json.dumps(row), f"order:o1:{executed}", recovered=True)
        self.record("trades", "o1", trade, f"trade:BINANCE:{_SYM}:o1:{number}", recovered=True)
        self.record("assets", "BINANCE:USDT", asset, f"asset:{self.epoch}:{number}", recovered=True)
        self.record("positions", f"{_SYM}:NONE", position, f"position:{self.epoch}:{number}", recovered=True)

    def order(self, state: str, executed: str) -> Row:
        """Return an order's row."""
        at = str(self.now_ms)
        return {"orderId": "o1", "orderState": state, "executedQty": executed, "updateAt": at, "action": "NONE"}

    def trade(self, number: int) -> Row:
        """Return an execution's row."""
        head = {"transactionId": str(number), "exchangeType": "BINANCE", "sym": _SYM, "orderId": "o1"}
        return {**head, "quantity": "0.1", "price": "65000", "createAt": str(self.now_ms)}

    def asset(self, number: int) -> Row:
        """Return a balance's row."""
        at, balance = str(self.now_ms), str(1000 - number)
        return {"coin": "USDT", "exchangeType": "BINANCE", "balance": balance, "equity": balance, "updateAt": at}

    def position(self, quantity: str) -> Row:
        """Return a position's row."""
        return {"sym": _SYM, "positionSide": "NONE", "positionQty": quantity, "updateAt": str(self.now_ms)}


def true_story() -> Story:
    """Tell what the lies are planted into."""
    story = Story()
    _first_start(story)
    _cut(story)
    _takeover(story)
    _muted(story)
    story.at(60)
    return story


def _first_start(story: Story) -> None:
    story.gap("1-1", 0, "first_start")
    story.at(0.5).log_in(1)
    story.record("assets", "BINANCE:BTC", '{"coin": "BTC"}', "asset:1:0", recovered=True)
    story.at(1).say("recovery.complete", endpoint="az4")
    story.at(3).end_gap("1-1", 0, 0.5, "first_start")
    story.at(4).request(1, "place_order")
    story.push("Orders", "o1", story.order("OPEN", "0"), "o1:0", heard=1)
    story.at(5).fill(1, "0.1", heard=1)
    story.at(6).push("MarginCall", "BINANCE", {"accountStatus": "MARGIN_CALL", "updateAt": "6"}, "m6", heard=1)


def _cut(story: Story) -> None:
    story.at(10).line("DROP", 1, reason="cut")
    story.say("session.lost", endpoint="az4", cause="link_failed", detail="")
    story.gap("1-2", 9.8, "link_failed")
    missed = story.at(10.5).fill(2, "0.2")
    story.at(10.6).push("MarginCall", "BINANCE", {"accountStatus": "LIQUIDATING", "updateAt": "10"}, "m10")
    story.at(12).log_in(2)
    story.recover(missed, 2, "0.2")
    story.at(12.5).say("recovery.complete", endpoint="az4")
    story.at(15).end_gap("1-2", 9.8, 12, "link_failed")
    story.at(16).request(2, "replace_order")
    story.push("Orders", "o1", story.order("OPEN", "0.2"), "o1:0.2b", heard=2)


def _takeover(story: Story) -> None:
    story.at(20).line("DROP", 2, reason="closed")
    story.done.append({"kind": "death", "from_ms": story.now_ms, "to_ms": story.now_ms})
    missed = story.at(21).fill(3, "0.3")
    story.epoch = 2
    story.at(22).gap("2-1", 19.7, "owner_changed")
    story.at(23).log_in(3)
    story.recover(missed, 3, "0.3")
    story.at(23.5).say("recovery.complete", endpoint="az4")
    story.at(26).end_gap("2-1", 19.7, 23, "owner_changed")
    # What the predecessor's producer still held.
    story.epoch = 1
    story.record("orders", "o1", json.dumps(story.order("OPEN", "0")), "order:zombie", recovered=True)
    story.topics["orders"][-1]["text"] = story.topics["orders"][0]["text"]
    story.epoch = 2


def _muted(story: Story) -> None:
    story.done.append({"kind": "mute", "from_ms": BEGIN_MS + 30_000, "to_ms": BEGIN_MS + 32_000})
    missed = story.at(31).fill(4, "0.4", state="FILLED")
    for channel in ("Orders", "Trades", "Assets", "Positions"):
        story.line("FAULT", 3, fault="mute_push", channel=channel)
    story.at(36).line("DROP", 3, reason="closed")
    story.gap("2-2", 29, "pushes_missed")
    story.at(37.5).log_in(4)
    story.recover(missed, 4, "0.4")
    story.at(38).say("recovery.complete", endpoint="az4")
    story.at(41).end_gap("2-2", 29, 37.5, "pushes_missed")
    story.at(45).push("Positions", f"{_SYM}:NONE", story.position("0"), "p-closed", heard=4)
    story.record("positions", f"{_SYM}:NONE", None, "position:2:gone", recovered=True)
