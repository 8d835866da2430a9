"""A run's records topic by topic, and what is wrong with one of them. Knows the README and nothing of the bridge."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.witness.record import STREAMS, Record


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
