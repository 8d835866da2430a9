"""The write-ahead log: a committed offset and its metadata.

Every command below the offset has a durable result. The metadata holds the owner's epoch, the time up to which events
are durable, and the offsets of the claimed commands at or above the offset: those may have been written to the venue.
If the claims of an earlier owner were lost, it holds instead the offset below which every command counts as claimed, so
that the next takeover knows of the loss. It also names the offset it was made at, the topic's id, the environment and
the API key: copied to another place it is not valid.

Reading a command, acting at the venue and answering cannot be one atomic step, so the dangerous part is made visible
before it happens: a place, replace or cancel_orders is written only after a commit that claims it has been
acknowledged. The coordinator of the group refuses commits of an old generation, so a predecessor can claim nothing any
more. Commands that can be sent while a commit is under way share the next one. Metadata that names another environment
or portfolio stops the process that finds it (`foreign_owner`). The tag names the version of the metadata, and the
version before is read too, so that an update may roll. Places and replaces leave room for the claims of cancel_orders:
1,200 unknown places do not hold one up.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from heapq import heappop, heappush
from itertools import accumulate, pairwise
from math import inf
from typing import Final

from msgspec import Struct

from bridge.contract.headers import EPOCH_MAX
from bridge.core.commands.deferred_offsets import DeferredOffsets

METADATA_BYTES_MAX: Final = 4096
"""Kafka's `offset.metadata.max.bytes`."""

_TAG: Final = "ltpb2"
_NUMBER: Final = "([0-9]{1,19})"
_WORD: Final = "([A-Za-z0-9_-]*)"
_METADATA: Final = re.compile(
    rf"{_TAG}:{_NUMBER}:{_NUMBER}:{_NUMBER}:([01]):([0-9]{{0,19}}):{_NUMBER}:{_WORD}:{_WORD}:{_WORD}:{_WORD}:{_WORD}"
)
_METADATA_1: Final = re.compile(rf"ltpb1:{_NUMBER}:{_NUMBER}:{_NUMBER}:([01]):{_WORD}")
"""The form of earlier versions, which did not name the offset, the topic and the account."""
_CONTINUES: Final = 0x80
"""The bit that is set when another byte of the number follows."""
_NUMBER_BITS: Final = 63
"""An offset of Kafka has no more bits, nor has any other number here."""


class Origin(Struct, frozen=True):
    """For which account and topic a commit was made: the environment, a digest of the API key, the topic's id.

    Each is empty if it is not known; then it contradicts nothing.
    """

    environment: str = ""
    key_fingerprint: str = ""
    topic_id: str = ""


UNKNOWN_ORIGIN: Final = Origin()


def key_fingerprint(api_key: str) -> str:
    """Return a short digest of an API key, from which the key cannot be found: it is long and random."""
    return blake2b(api_key.encode(), digest_size=6, person=b"ltp-bridge-key").hexdigest()


class TermStart(Struct, frozen=True):
    """Where a term of ownership begins: the epoch and offset that were committed for it, and what is uncertain.

    Below `claims_lost_below` every command counts as claimed. What was pushed is durable up to `durable_until_ms`, 0
    when nothing was ever pushed. A predecessor may have logged in until `other_login_boot_s`;
    before all time without one.
    """

    epoch: int
    offset: int
    durable_until_ms: int = 0
    claims_lost_below: int = 0
    origin: Origin = UNKNOWN_ORIGIN
    other_login_boot_s: float = -inf


class CommitMetadata(Struct, frozen=True):
    """The metadata of a commit.

    `durable_until_ms` is 0 when nothing was ever received. `claimed` are the claimed offsets from `claims_lost_below`
    on; below it every command counts as claimed, because the claims of an earlier owner were lost.
    """

    epoch: int
    durable_until_ms: int
    claimed: tuple[int, ...]
    claims_lost_below: int = 0
    released: bool = False
    """Whether the owner has ended in good order: it writes nothing more, and its last login was long enough ago."""
    read_to: int | None = None
    """The first offset that the owner had not read when it ended in good order; None if it has not ended so."""
    origin: Origin = UNKNOWN_ORIGIN
    extra_cancels: tuple[tuple[int, int], ...] = ()
    """Pairs of seconds and a count: so many extra requests to cancel may be counted at the venue for so long yet."""


def encode(stored: CommitMetadata, offset: int) -> str:
    """Return the metadata of a commit at an offset as text; the claimed offsets are sorted and at or above it."""
    origin, read_to = stored.origin, "" if stored.read_to is None else stored.read_to
    deltas = (after - before for before, after in pairwise((offset, *stored.claimed)))
    extra = (number for pair in _subtract_previous(stored.extra_cancels) for number in pair)
    return (
        f"{_TAG}:{stored.epoch}:{stored.durable_until_ms}:{stored.claims_lost_below}:{stored.released:d}:{read_to}"
        f":{offset}:{origin.topic_id}:{origin.environment}:{origin.key_fingerprint}"
        f":{_pack_numbers(extra)}:{_pack_numbers(deltas)}"
    )


def decode(metadata: str, offset: int) -> CommitMetadata | None:
    """Return the metadata of a commit at an offset; None when it is not of a bridge, or was made at another offset.

    A tool that mirrors a group copies the metadata to the offset that it has calculated for the other cluster, where
    the claims would name other commands.
    """
    origin, packed_extra, read_to = UNKNOWN_ORIGIN, "", ""
    parts = _METADATA.fullmatch(metadata)
    if parts is not None:
        if int(parts[6]) != offset:
            return None
        origin, packed_extra, read_to = Origin(parts[8], parts[9], parts[7]), parts[10], parts[5]
    else:
        parts = _METADATA_1.fullmatch(metadata)
    if parts is None or int(parts[1]) > EPOCH_MAX:
        return None
    deltas, extra = _unpack_numbers(parts[parts.lastindex or 0]), _unpack_numbers(packed_extra)
    if deltas is None or extra is None or len(extra) % 2:
        return None
    claimed = tuple(accumulate(deltas, initial=offset))[1:]
    extra_cancels = tuple(zip(accumulate(extra[::2]), extra[1::2], strict=True))
    epoch, durable_until_ms, claims_lost_below, released = int(parts[1]), int(parts[2]), int(parts[3]), parts[4] == "1"
    return CommitMetadata(
        epoch,
        durable_until_ms,
        claimed,
        claims_lost_below,
        released,
        int(read_to) if read_to else None,
        origin,
        extra_cancels,
    )


def _subtract_previous(pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Return pairs with the first number of each less that of the pair before."""
    before = 0
    for number, count in pairs:
        yield number - before, count
        before = number


def _pack_numbers(numbers: Iterable[int]) -> str:
    """Return numbers of any size as text; smaller ones take fewer characters."""
    packed = bytearray()
    for number in numbers:
        left = number
        while left >= _CONTINUES:
            packed.append(left % _CONTINUES | _CONTINUES)
            left >>= 7
        packed.append(left)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _unpack_numbers(coded: str) -> list[int] | None:
    """Return the numbers that were packed; None if the text ends within one, or if one has too many bits."""
    try:
        packed = base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4))
    except binascii.Error:
        return None
    numbers, number, shift = [], 0, 0
    for byte in packed:
        number |= (byte % _CONTINUES) << shift
        shift += 7
        if byte < _CONTINUES:
            numbers.append(number)
            number = shift = 0
        elif shift >= _NUMBER_BITS:
            return None
    return None if shift else numbers


class Claims:
    """The offsets of one term that have no durable result, and which of them are claimed."""

    def __init__(self, start: int, *, claims_lost_below: int = 0, origin: Origin = UNKNOWN_ORIGIN) -> None:
        self.origin = origin
        self.next_offset = start
        self._claims_lost_below = claims_lost_below
        self.claimed: set[int] = set()
        self.unrecorded_refusals: set[int] = set()
        """No place or replace after the first of these offsets may be claimed yet.

        They are those of cancel_orders and replaces that the bridge answered `denied` or `expired`, until that is
        durable. Of deferred commands only those count that were deferred for memory, whatever their action; before
        they are answered the first of them stands for all.
        """
        self._first_for_memory: int | None = None
        """That first one."""
        self._open: set[int] = set()
        self._heap: list[int] = []
        self.deferred = DeferredOffsets()
        """The offsets of commands that are answered later; none of them is below the committed offset."""

    @property
    def committable_offset(self) -> int:
        """The lowest offset without a durable result."""
        while self._heap and self._heap[0] not in self._open:
            heappop(self._heap)
        lowest = self._heap[0] if self._heap else self.next_offset
        span = self.deferred.span
        return lowest if span is None else min(lowest, span[0])

    def is_claim_lost(self, offset: int) -> bool:
        """Whether a command counts as claimed because the claims of an earlier owner were lost."""
        return offset < self._claims_lost_below

    def mark_read(self, offset: int) -> None:
        """Note that a command was read."""
        self._open.add(offset)
        heappush(self._heap, offset)
        self.next_offset = max(self.next_offset, offset + 1)

    def mark_skipped(self, offset: int) -> None:
        """Note that the record at an offset needs no result."""
        self.next_offset = max(self.next_offset, offset + 1)

    def defer(self, offset: int, end: int, *, for_memory: bool = False) -> None:
        """Note that the command at an offset, or all below `end` if they are unreadable, will be answered later.

        `for_memory`: it is deferred only because too many answers wait for Kafka, so a successor may not defer it.
        """
        self.deferred.add(offset, end)
        if for_memory:
            self.deferred.note_for_memory(offset, end)
            self._hold_claims()
        self.next_offset = max(self.next_offset, end)

    def pop_deferred(self, offset: int) -> bool:
        """Take a command that is answered now out of the deferred ones; return False when it is not one of them."""
        is_deferred = self.deferred.pop(offset)
        self._hold_claims()
        return is_deferred

    def drop_deferred_below(self, offset: int) -> None:
        """Note that no command below an offset is deferred any more."""
        self.deferred.drop_below(offset)
        self._hold_claims()

    def mark_answered(self, offset: int) -> None:
        """Note that the result of a command is durable."""
        self._open.discard(offset)
        self.claimed.discard(offset)
        self.unrecorded_refusals.discard(offset)

    def build_metadata(
        self,
        epoch: int,
        durable_until_ms: int,
        newly_claimed: Iterable[int] = (),
        *,
        released: bool = False,
        read_to: int | None = None,
        extra_cancels: tuple[tuple[int, int], ...] = (),
    ) -> CommitMetadata:
        """Return the metadata for a commit now, with the `newly_claimed` offsets claimed too."""
        claims_lost_below = self._claims_lost_below if self.committable_offset < self._claims_lost_below else 0
        claimed = (offset for offset in self.claimed.union(newly_claimed) if offset >= claims_lost_below)
        return CommitMetadata(
            epoch,
            durable_until_ms,
            tuple(sorted(claimed)),
            claims_lost_below,
            released,
            read_to,
            self.origin,
            extra_cancels,
        )

    def _hold_claims(self) -> None:
        """Let the claims wait for the first command that is deferred for memory."""
        if self._first_for_memory is not None:
            self.unrecorded_refusals.discard(self._first_for_memory)
        self._first_for_memory = self.deferred.first_for_memory
        if self._first_for_memory is not None:
            self.unrecorded_refusals.add(self._first_for_memory)
