"""A record as any consumer gets it, and a run's records topic by topic. Knows the README and nothing of the bridge."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

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

    @cached_property
    def texts(self) -> dict[str, str]:
        """The headers as text."""
        return {name: content.decode(errors="replace") for name, content in self.headers}

    def number(self, name: str) -> int:
        """Read a header that holds a number; -1 where there is none, or something else."""
        text = self.texts.get(name, "")
        return int(text) if text.isascii() and text.isdigit() else -1


@dataclass(frozen=True)
class Wrong:
    """What is wrong with a record."""

    record: Record
    text: str

    def __str__(self) -> str:
        value = (self.record.value or b"null")[:300].decode(errors="replace")
        return f"{self.record.stream}[{self.record.offset}] {self.text}; the record: {value}"


class Records:
    """A run's records, each topic in the order of its offsets."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._of: dict[str, list[Record]] = {stream: [] for stream in STREAMS}
        for record in records:
            self._of[record.stream].append(record)

    def __getitem__(self, stream: str) -> list[Record]:
        return self._of[stream]

    @property
    def events(self) -> list[Record]:
        """Everything that the bridge wrote."""
        return [record for stream in STREAMS if stream != "commands" for record in self._of[stream]]

    def all(self) -> list[Record]:
        """Return every record."""
        return [*self.events, *self._of["commands"]]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key stands twice")
    return made


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no JSON")
