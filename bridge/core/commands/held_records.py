"""Records of the commands topic that are held while there is no lease: only the owner may answer them."""

from collections import deque
from itertools import islice
from typing import Final

from bridge.core.records import CommandRecord

_BYTES_MAX: Final = 16 * 1024 * 1024
_RECORDS_MAX: Final = 20
"""Held records that are parsed in one turn: each may be 64 KB of JSON."""


class HeldRecords:
    """The held records, in order; the cancels among them may go ahead."""

    def __init__(self) -> None:
        self._records: dict[int, CommandRecord] = {}
        self._unjudged: deque[int] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def is_full(self) -> bool:
        """Whether so many bytes are held that reading should pause."""
        return self._bytes >= _BYTES_MAX

    def hold(self, record: CommandRecord) -> None:
        """Hold a record."""
        self._records[record.offset] = record
        self._bytes += record.size_bytes
        self._unjudged.append(record.offset)

    def release(self, record: CommandRecord) -> None:
        """Hold a record no longer."""
        del self._records[record.offset]
        self._bytes -= record.size_bytes

    def list_oldest(self) -> list[CommandRecord]:
        """Return the first records, to be taken in when there is a lease."""
        return list(islice(self._records.values(), _RECORDS_MAX))

    def pop_unjudged(self) -> list[CommandRecord]:
        """Return the next records of which was not judged yet whether they may go ahead; each is returned once."""
        offsets = [self._unjudged.popleft() for _ in range(min(len(self._unjudged), _RECORDS_MAX))]
        return [self._records[offset] for offset in offsets if offset in self._records]
