"""A record as any consumer gets it: its headers and value as the README tells, read by nothing of the bridge."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

Plain = dict[str, Any]
"""A record as JSON can carry it: `offset`, `timestamp`, `key`, `headers` and `text`, all bytes as text."""

STREAMS: Final = (
    *("orders", "trades", "assets", "positions", "margin-calls", "liquidations", "session", "unrecognized"),
    *("commands", "results", "dead-letters"),
)
STATES: Final = frozenset({"orders", "assets", "positions"})
"""Topics whose last record of a key is the truth about it."""
NO_JSON: Final = object()
"""What is read of bytes that are no JSON."""


@dataclass(frozen=True)
class Record:
    """One record; `key` and `value` are None where the record has none."""

    stream: str
    account: str
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @classmethod
    def from_plain(cls, stream: str, plain: Plain) -> Self:
        """Return the record of the account `main` that a plain form is of."""
        text = plain["text"]
        headers = tuple((name, content.encode()) for name, content in plain["headers"].items())
        value = text.encode() if text is not None else None
        key = str(plain["key"]).encode()
        return cls(stream, "main", int(plain["offset"]), int(plain["timestamp"]), key, value, headers)

    def plain(self) -> Plain:
        """Return its plain form; a key that is missing becomes an empty one, bytes that are no text are replaced."""
        key = (self.key or b"").decode(errors="replace")
        return {
            "offset": self.offset,
            "timestamp": self.timestamp_ms,
            "key": key,
            "headers": self.texts,
            "text": self.text,
        }

    @cached_property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """The value as JSON; NO_JSON where it is none, or where a key stands twice and nobody knows what was meant."""
        try:
            return json.loads((self.value or b"").decode(), object_pairs_hook=_unique, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return NO_JSON

    @property
    def fields(self) -> dict[str, Any]:
        """The value's JSON object; empty where it is none."""
        return self.json if isinstance(self.json, dict) else {}

    @property
    def text(self) -> str | None:
        """The value as text; None where there is none."""
        return self.value.decode(errors="replace") if self.value is not None else None

    @property
    def name(self) -> str:
        """The key as text."""
        return (self.key or b"").decode(errors="replace")

    @cached_property
    def texts(self) -> dict[str, str]:
        """The headers as text."""
        return {name: content.decode(errors="replace") for name, content in self.headers}

    def number(self, name: str) -> int:
        """Read a header that holds a number; -1 where there is none, or something else."""
        text = self.texts.get(name, "")
        return int(text) if text.isascii() and text.isdigit() else -1

    @property
    def epoch(self) -> int:
        """The epoch of the owner that wrote it; -1 where it names none."""
        return self.number("ce_epoch")

    @property
    def sequence(self) -> int:
        """Its number within its topic and epoch; -1 where it names none."""
        return self.number("ce_sequence")

    @property
    def event_id(self) -> str:
        """The id of the fact that it tells."""
        return self.texts.get("ce_id", "")

    @property
    def is_recovered(self) -> bool:
        """Whether it came from REST."""
        return self.texts.get("ce_recovered") == "true"

    @property
    def is_tombstone(self) -> bool:
        """Whether it says that there is nothing more of its key."""
        return self.value is None

    def witness(self) -> dict[str, Any]:
        """Name the record for a person."""
        place = {"topic": self.stream, "offset": self.offset, "epoch": self.epoch}
        return {**place, "key": self.name, "id": self.event_id}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key stands twice")
    return made


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no JSON")
