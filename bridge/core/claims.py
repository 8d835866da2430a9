"""The write-ahead log: a committed offset and its metadata.

Everything below the offset has its result durable. The metadata names the owner's term, up to when events are
durable, and which commands at or above the offset are claimed: they may have been written to the venue. Where the
claims of an earlier owner were lost, it says instead below which offset every command counts as claimed, so that the
loss is not forgotten by the next takeover and needs no room.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Final

from msgspec import Struct

METADATA_BYTES_MAX: Final = 4096
"""Kafka's `offset.metadata.max.bytes`."""

_TAG: Final = "ltpb1"
_METADATA: Final = re.compile(rf"{_TAG}:([0-9]{{1,18}}):([0-9]{{1,18}}):([0-9]{{1,18}}):([01]):([A-Za-z0-9_-]*)")
_MORE: Final = 0x80
"""The bit that says that another byte of the number follows."""


class Stored(Struct, frozen=True):
    """What the metadata of a commit says.

    `durable_until_ms` is 0 when nothing was ever received. `claimed` are the claimed offsets from `doubtful_below` on;
    below it everything counts as claimed, because the record of the claims was lost once.
    """

    epoch: int
    durable_until_ms: int
    claimed: tuple[int, ...]
    doubtful_below: int = 0
    released: bool = False
    """Whether the owner has ended in good order: it does nothing any more, and its last login was long enough ago."""


def encode(stored: Stored, watermark: int) -> str:
    """Write the metadata of a commit at `watermark`; the claimed offsets are sorted and at or above it."""
    packed = bytearray()
    previous = watermark
    for offset in stored.claimed:
        delta, previous = offset - previous, offset
        while delta >= _MORE:
            packed.append(delta % _MORE | _MORE)
            delta >>= 7
        packed.append(delta)
    coded = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    return f"{_TAG}:{stored.epoch}:{stored.durable_until_ms}:{stored.doubtful_below}:{stored.released:d}:{coded}"


def decode(metadata: str, watermark: int) -> Stored | None:
    """Read the metadata of a commit at `watermark`; None when it is not ours."""
    parts = _METADATA.fullmatch(metadata)
    if parts is None:
        return None
    try:
        packed = base64.urlsafe_b64decode(parts[5] + "=" * (-len(parts[5]) % 4))
    except binascii.Error:
        return None
    claimed, offset, delta, shift = [], watermark, 0, 0
    for byte in packed:
        delta |= (byte % _MORE) << shift
        shift += 7
        if byte < _MORE:
            offset += delta
            claimed.append(offset)
            delta = shift = 0
    if shift:
        return None
    return Stored(int(parts[1]), int(parts[2]), tuple(claimed), int(parts[3]), parts[4] == "1")


class Claims:
    """Which offsets are open, which of them claimed, and where the watermark stands."""

    def __init__(self, start: int, *, doubtful_below: int = 0) -> None:
        self.next_offset = start
        self._doubtful_below = doubtful_below
        self.claimed: set[int] = set()
        self.refused: set[int] = set()
        """Commands that would have gone first and were refused, as long as a successor might not learn of it."""
        self._open: set[int] = set()
        self._heap: list[int] = []

    @property
    def watermark(self) -> int:
        """The lowest offset without a durable result."""
        while self._heap and self._heap[0] not in self._open:
            heappop(self._heap)
        return self._heap[0] if self._heap else self.next_offset

    def opened(self, offset: int) -> None:
        """Note that a command was read."""
        self._open.add(offset)
        heappush(self._heap, offset)
        self.next_offset = max(self.next_offset, offset + 1)

    def passed(self, offset: int) -> None:
        """Note that nothing needs to be done for an offset."""
        self.next_offset = max(self.next_offset, offset + 1)

    def durable(self, offset: int) -> None:
        """Note that a command's answer is durable."""
        self._open.discard(offset)
        self.claimed.discard(offset)
        self.refused.discard(offset)

    def stored(self, epoch: int, durable_until_ms: int, more: Iterable[int] = (), *, released: bool = False) -> Stored:
        """Return what a commit would say now, with `more` offsets claimed."""
        doubtful_below = self._doubtful_below if self.watermark < self._doubtful_below else 0
        claimed = (offset for offset in self.claimed.union(more) if offset >= doubtful_below)
        return Stored(epoch, durable_until_ms, tuple(sorted(claimed)), doubtful_below, released)
