"""Records for the tests of this folder: the published samples, and small ones of their own."""

import base64
import json
from pathlib import Path
from typing import Any

from bridge.contract.topics import Stream, topic_name
from bridge.inspect.seen_record import RecordMarker, SeenRecord
from bridge.kafka.batches import FetchedRecord

SAMPLES = Path(__file__).parents[2] / "schemas" / "samples"
BEGIN_MS = 1_795_164_156_000


def sample(name: str) -> SeenRecord:
    """Return one of the published samples as it would be read."""
    found = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    stream = Stream(found["topic"].rpartition(".")[2])
    value = base64.b64decode(found["base64"]) if "base64" in found else json.dumps(found["value"]).encode()
    headers = tuple((header, content.encode()) for header, content in found["headers"].items())
    return seen(stream, None if found.get("value", b"") is None else value, key=found["key"].encode(), headers=headers)


def seen(
    stream: Stream,
    value: bytes | None,
    *,
    key: bytes | None = b"k",
    offset: int = 7,
    at_ms: int = 42,
    headers: tuple[tuple[str, bytes | None], ...] = (),
) -> SeenRecord:
    """Return a record that was read, the first of its topic."""
    fetched = FetchedRecord(offset, offset, BEGIN_MS + at_ms, key, value, headers)
    return RecordMarker().mark(stream, topic_name("ltp", "main", stream), fetched)


class Log:
    """Appends records to the topics of an account; `records` has them in the order of their times."""

    def __init__(self) -> None:
        self.epoch = 1
        self._marker = RecordMarker()
        self._offsets: dict[Stream, int] = {}
        self.records: list[SeenRecord] = []

    def add(self, stream: Stream, value: Any, at_ms: int, *, event_id: str = "", **headers: str) -> int:  # noqa: ANN401 - JSON
        """Append a record, `at_ms` after the beginning; return its offset."""
        offset = self._offsets[stream] = self._offsets.get(stream, -1) + 1
        of_bridge = {} if stream is Stream.COMMANDS else {"ce_epoch": str(self.epoch)}
        named = {"ce_id": event_id} if event_id else {}
        content = tuple((name, text.encode()) for name, text in (of_bridge | named | headers).items())
        fetched = FetchedRecord(offset, offset, BEGIN_MS + at_ms, b"k", json.dumps(value).encode(), content)
        self.records.append(self._marker.mark(stream, topic_name("ltp", "main", stream), fetched))
        return offset

    def command(self, command_id: str, action: str, at_ms: int, **args: str) -> int:
        """Append a command."""
        value = {"commandId": command_id, "action": action, "args": args}
        return self.add(Stream.COMMANDS, value, at_ms)

    def result(self, command_id: str, action: str, outcome: str, at_ms: int, **more: Any) -> None:  # noqa: ANN401 - JSON
        """Append a result."""
        value = {"commandId": command_id, "commandOffset": 0, "action": action, "outcome": outcome}
        suffix = ":unknown" if outcome == "unknown" else ""
        value |= {"answeredAt": BEGIN_MS + at_ms} | more
        self.add(Stream.RESULTS, value, at_ms, event_id=f"result:{command_id}{suffix}")

    def order(
        self, order_id: str, state: str, at_ms: int, *, client: str = "c1", recovered: bool = False, **more: str
    ) -> None:
        """Append a state of an order."""
        value = {"orderId": order_id, "clientOrderId": client, "orderState": state, "sym": "BINANCE_PERP_BTC_USDT"}
        headers = {"ce_recovered": "true"} if recovered else {}
        value |= {"side": "BUY", "orderQty": "0.003", "executedQty": "0"} | more
        self.add(Stream.ORDERS, value, at_ms, **headers)

    def trade(self, order_id: str, trade_id: str, quantity: str, at_ms: int) -> None:
        """Append an execution."""
        value = {"orderId": order_id, "transactionId": trade_id, "sym": "BINANCE_PERP_BTC_USDT", "side": "BUY"}
        self.add(Stream.TRADES, value | {"quantity": quantity, "price": "1"}, at_ms, event_id=f"trade:{trade_id}")

    def session(self, kind: str, at_ms: int, **more: Any) -> None:  # noqa: ANN401 - JSON
        """Append an event of the session."""
        self.add(Stream.SESSION, {"type": kind, "at": BEGIN_MS + at_ms} | more, at_ms)
