"""Answered commands of one horizon, packed: an hour may hold a million refusals, and each takes a few dozen bytes."""

import struct
from array import array
from collections import deque
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct

from bridge.contract.results import Outcome, Reason, Result

SEGMENT_ENTRIES_MAX: Final = 32_768
_SEGMENTS_PER_HORIZON: Final = 16
_KEY_BYTES: Final = 16
_FIRST_SLOTS: Final = 64
_SLOT_BYTES: Final = 4

_OUTCOMES: Final = tuple(Outcome)
_REASONS: Final = (None, *Reason)
_REFUSAL: Final = struct.Struct("<Bqq8sIBB")
"""A zero, with which no other answer begins; offset, time of the answer, digest, time to wait, outcome and reason."""
_OFFSET: Final = struct.Struct("<q")
_AGAIN: Final = "as it was answered before"


class AnsweredCommand(Struct, frozen=True):
    """What is known of an answered command. `digest` as `short_digest` gives it; the result carries none."""

    offset: int
    digest: bytes
    result: Result


def short_digest(digest: str | None) -> bytes:
    """Shorten the digest of a body to what tells two apart."""
    return blake2b((digest or "").encode("utf-8", "replace"), digest_size=8).digest()


def _key(kind: bytes, name: str) -> bytes:
    return blake2b(kind + name.encode("utf-8", "replace"), digest_size=_KEY_BYTES).digest()


class _Segment:
    """Packed values of a stretch of time by their keys: one run of bytes, and a table of places in it."""

    def __init__(self, first_at: float) -> None:
        self.first_at = first_at
        self.newest_at = first_at
        self.count = 0
        self._data = bytearray()
        self._slots = array("I", bytes(_SLOT_BYTES * _FIRST_SLOTS))

    @property
    def size_bytes(self) -> int:
        return len(self._data) + _SLOT_BYTES * len(self._slots)

    def add(self, key: bytes, packed: bytes) -> None:
        """Add a value; an older one of the same key must not be looked for any more."""
        if 3 * (self.count + 1) > 2 * len(self._slots):
            self._grow()
        self._slots[self._slot_of(key, int.from_bytes(key, "little"))] = len(self._data) + 1
        self._data += key + len(packed).to_bytes(2, "little") + packed
        self.count += 1

    def find(self, key: bytes, number: int) -> bytes | None:
        """Return the value of a key, whose bytes are also given as a number."""
        place = self._slots[self._slot_of(key, number)]
        if not place:
            return None
        begin = place - 1 + _KEY_BYTES + 2
        length = int.from_bytes(self._data[begin - 2 : begin], "little")
        return bytes(self._data[begin : begin + length])

    def _slot_of(self, key: bytes, number: int) -> int:
        """Return the slot that holds a key, or the free one where it belongs."""
        slots, data, mask = self._slots, self._data, len(self._slots) - 1
        slot = number & mask
        while (place := slots[slot]) and not data.startswith(key, place - 1):
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        places = [place for place in self._slots if place]
        self._slots = array("I", bytes(2 * _SLOT_BYTES * len(self._slots)))
        for place in places:
            key = bytes(self._data[place - 1 : place - 1 + _KEY_BYTES])
            self._slots[self._slot_of(key, int.from_bytes(key, "little"))] = place


class AnsweredCommands:
    """The answers of one horizon, and the clientOrderIds of what was sent. Times are all of one clock and unit.

    An answer is forgotten together with those of its stretch of time, a sixteenth of the horizon: never too early.
    """

    def __init__(self, horizon: float, bytes_max: int) -> None:
        self._horizon = horizon
        self._bytes_max = bytes_max
        self._segments: deque[_Segment] = deque()

    def __len__(self) -> int:
        return sum(segment.count for segment in self._segments)

    @property
    def size_bytes(self) -> int:
        """What is remembered takes so much."""
        return sum(segment.size_bytes for segment in self._segments)

    @property
    def is_full(self) -> bool:
        """Whether no more may be remembered than must be."""
        return self.size_bytes >= self._bytes_max

    def add(self, result: Result, digest: bytes, at: float) -> None:
        """Remember an answer; of a command that was not sent, without its message."""
        if result.outcome.unsent and result.reason in _REASONS:
            packed = _REFUSAL.pack(
                0,
                result.command_offset,
                result.answered_at,
                digest,
                min(result.retry_after_ms or 0, 0xFFFFFFFF),
                _OUTCOMES.index(result.outcome),
                _REASONS.index(result.reason),
            )
        else:
            short = msgspec.structs.replace(result, command_id="", body_digest=None)
            packed = msgspec.msgpack.encode((digest, *msgspec.structs.astuple(short)))
        self._segment(at).add(_key(b"command:", result.command_id), packed)

    def find(self, command_id: str) -> AnsweredCommand | None:
        """Return what is remembered of a command."""
        packed = self._find(_key(b"command:", command_id))
        if packed is None:
            return None
        if packed[0]:
            digest, *values = msgspec.msgpack.decode(packed)
            fields = dict(zip(Result.__struct_encode_fields__, values, strict=True)) | {"commandId": command_id}
            result = msgspec.convert(fields, Result)
            return AnsweredCommand(result.command_offset, digest, result)
        _, offset, answered_at, digest, retry_after_ms, outcome, reason = _REFUSAL.unpack(packed)
        refusal = Result(
            command_id=command_id,
            command_offset=offset,
            outcome=_OUTCOMES[outcome],
            answered_at=answered_at,
            message=_AGAIN,
            reason=_REASONS[reason],
            retry_after_ms=retry_after_ms or None,
        )
        return AnsweredCommand(offset, digest, refusal)

    def add_client_order_id(self, client_order_id: str, offset: int, at: float) -> None:
        """Remember by which command a clientOrderId is used."""
        self._segment(at).add(_key(b"order:", client_order_id), _OFFSET.pack(offset))

    def find_order_offset(self, client_order_id: str) -> int | None:
        """Return the offset of the command that uses a clientOrderId."""
        packed = self._find(_key(b"order:", client_order_id))
        return None if packed is None else int(_OFFSET.unpack(packed)[0])

    def was_client_order_id_used(self, client_order_id: str, at: float) -> bool:
        """Whether a clientOrderId was surely used by a command that was remembered at that time, or has been since."""
        key = _key(b"order:", client_order_id)
        number = int.from_bytes(key, "little")
        found = next((one for one in reversed(self._segments) if one.find(key, number) is not None), None)
        return found is not None and found.first_at >= at - self._horizon

    def drop_expired(self, at: float) -> None:
        """Drop what is older than the horizon."""
        while self._segments and self._segments[0].newest_at < at - self._horizon:
            self._segments.popleft()

    def _find(self, key: bytes) -> bytes | None:
        number = int.from_bytes(key, "little")
        for segment in reversed(self._segments):
            packed = segment.find(key, number)
            if packed is not None:
                return packed
        return None

    def _segment(self, at: float) -> _Segment:
        newest = self._segments[-1] if self._segments else None
        stretch = self._horizon / _SEGMENTS_PER_HORIZON
        if newest is None or newest.count >= SEGMENT_ENTRIES_MAX or at - newest.first_at > stretch:
            newest = _Segment(at)
            self._segments.append(newest)
        newest.newest_at = max(newest.newest_at, at)
        return newest
