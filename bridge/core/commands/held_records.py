"""Records of the commands topic that are held back while there is no lease to answer them with."""

from collections import deque
from itertools import islice
from typing import Final

from bridge.core.records import CommandRecord

_BYTES_MAX: Final = 16 * 1024 * 1024
_AT_ONCE: Final = 20
"""Records that are taken in after a wait in one turn: each may be 64 KB of JSON."""


class HeldRecords:
    """What is held back, in order; the cancels among it may go ahead."""

    def __init__(self) -> None:
        self._records: dict[int, CommandRecord] = {}
        self._unjudged: deque[int] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def is_full(self) -> bool:
        """Whether so much is held that reading should pause."""
        return self._bytes >= _BYTES_MAX

    def hold(self, record: CommandRecord) -> None:
        """Hold a record back."""
        self._records[record.offset] = record
        self._bytes += record.size_bytes
        self._unjudged.append(record.offset)

    def release(self, record: CommandRecord) -> None:
        """Let a record go."""
        del self._records[record.offset]
        self._bytes -= record.size_bytes

    def list_oldest(self) -> list[CommandRecord]:
        """Return the records to take in now that there is a lease."""
        return list(islice(self._records.values(), _AT_ONCE))

    def pop_unjudged(self) -> list[CommandRecord]:
        """Return records of which it is not known yet whether they may go ahead, each once."""
        offsets = [self._unjudged.popleft() for _ in range(min(len(self._unjudged), _AT_ONCE))]
        return [self._records[offset] for offset in offsets if offset in self._records]
