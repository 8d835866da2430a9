"""Records as any reader of the topics gets them, and which of them are void."""

import json
from collections.abc import Iterator
from typing import Any

from tests.chaos.ledger import Entry

STREAMS = ("orders", "trades", "assets", "positions", "margin-calls", "liquidations", "session", "unrecognized")
"""What the checker reads; commands and their answers are the crash test's."""
STATES = ("orders", "assets", "positions")
"""Topics whose last record of a key is the truth about it."""


class Record:
    """One record."""

    def __init__(self, topic: str, raw: Entry) -> None:
        headers: dict[str, str] = raw["headers"]
        self.topic = topic
        self.offset = int(raw["offset"])
        self.queued_ms = int(raw["timestamp"])
        self.key = str(raw["key"])
        self.text: str | None = raw["text"]
        self.value: Any = _json(self.text)
        self.epoch = _number(headers.get("ce_epoch"))
        self.sequence = _number(headers.get("ce_sequence"))
        self.event_id = headers.get("ce_id", "")
        self.is_recovered = headers.get("ce_recovered") == "true"

    @property
    def is_tombstone(self) -> bool:
        """Whether it says that there is nothing more of its key."""
        return self.text is None

    @property
    def row(self) -> dict[str, Any]:
        """The value as an object; empty where it is none."""
        return self.value if isinstance(self.value, dict) else {}

    def witness(self) -> Entry:
        """Name the record for a person."""
        return {"topic": self.topic, "offset": self.offset, "epoch": self.epoch, "key": self.key, "id": self.event_id}


def valid(records: list[Record]) -> Iterator[Record]:
    """Return the records that count: one whose epoch is lower than that of one before it is void."""
    top = 0
    for record in records:
        if record.epoch >= top:
            top = record.epoch
            yield record


def last_of_each_key(records: list[Record]) -> dict[str, Record]:
    """Return what a reader believes of each key in the end."""
    return {record.key: record for record in valid(records)}


def _json(text: str | None) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text) if text is not None else None
    except ValueError:
        return None


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else -1
