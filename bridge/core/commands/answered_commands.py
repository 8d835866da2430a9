"""Results of one horizon, packed: an hour may hold a million refusals, and each takes a few dozen bytes."""

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
_SLOTS_MIN: Final = 64
_SLOT_BYTES: Final = 4

_OUTCOMES: Final = tuple(Outcome)
_REASONS: Final = (None, *Reason)
_REFUSAL: Final = struct.Struct("<Bqq8sIBB")
"""A zero, with which no other packed result begins; offset, answeredAt, digest, retryAfterMs, outcome and reason."""
_OFFSET: Final = struct.Struct("<q")
_AGAIN: Final = "as it was answered before"


class AnsweredCommand(Struct, frozen=True):
    """The remembered result of a command. `digest` is a `short_digest`; the result has no bodyDigest."""

    offset: int
    digest: bytes
    result: Result


def short_digest(digest: str | None) -> bytes:
    """Return a short digest of the digest of a body: enough to tell two bodies apart."""
    return blake2b((digest or "").encode("utf-8", "replace"), digest_size=8).digest()


def _key(kind: bytes, name: str) -> bytes:
    return blake2b(kind + name.encode("utf-8", "replace"), digest_size=_KEY_BYTES).digest()


class _Segment:
    """Packed values of a period by their keys: the bytes, and a hash table of positions in them."""

    def __init__(self, first_boot_s: float) -> None:
        self.first_boot_s = first_boot_s
        self.newest_boot_s = first_boot_s
        self.count = 0
        self._data = bytearray()
        self._slots = array("I", bytes(_SLOT_BYTES * _SLOTS_MIN))

    @property
    def size_bytes(self) -> int:
        return len(self._data) + _SLOT_BYTES * len(self._slots)

    def add(self, key: bytes, packed: bytes) -> None:
        """Add a value; it replaces an older one of the same key."""
        if 3 * (self.count + 1) > 2 * len(self._slots):
            self._grow()
        self._slots[self._slot_of(key, int.from_bytes(key, "little"))] = len(self._data) + 1
        self._data += key + len(packed).to_bytes(2, "little") + packed
        self.count += 1

    def find(self, key: bytes, number: int) -> bytes | None:
        """Return the value of a key; `number` is the key as a number."""
        position = self._slots[self._slot_of(key, number)]
        if not position:
            return None
        begin = position - 1 + _KEY_BYTES + 2
        length = int.from_bytes(self._data[begin - 2 : begin], "little")
        return bytes(self._data[begin : begin + length])

    def _slot_of(self, key: bytes, number: int) -> int:
        """Return the slot of a key, or the free one for it."""
        slots, data, mask = self._slots, self._data, len(self._slots) - 1
        slot = number & mask
        while (position := slots[slot]) and not data.startswith(key, position - 1):
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        positions = [position for position in self._slots if position]
        self._slots = array("I", bytes(2 * _SLOT_BYTES * len(self._slots)))
        for position in positions:
            key = bytes(self._data[position - 1 : position - 1 + _KEY_BYTES])
            self._slots[self._slot_of(key, int.from_bytes(key, "little"))] = position


class AnsweredCommands:
    """The results of one horizon, and the clientOrderIds of commands that were sent.

    A result is dropped together with those of its period, a sixteenth of the horizon, so never too early.
    """

    def __init__(self, horizon_s: float, bytes_max: int) -> None:
        self._horizon_s = horizon_s
        self._bytes_max = bytes_max
        self._segments: deque[_Segment] = deque()

    def __len__(self) -> int:
        return sum(segment.count for segment in self._segments)

    @property
    def size_bytes(self) -> int:
        """How many bytes the packed values take."""
        return sum(segment.size_bytes for segment in self._segments)

    @property
    def is_full(self) -> bool:
        """Whether only results of commands that were sent should be added."""
        return self.size_bytes >= self._bytes_max

    def add(self, result: Result, digest: bytes, at_boot_s: float) -> None:
        """Remember a result; that of an unsent command is remembered without its message."""
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
        self._segment_at(at_boot_s).add(_key(b"command:", result.command_id), packed)

    def find(self, command_id: str) -> AnsweredCommand | None:
        """Return the remembered result of a commandId; None when there is none."""
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

    def add_client_order_id(self, client_order_id: str, offset: int, at_boot_s: float) -> None:
        """Remember the offset of the command that uses a clientOrderId."""
        self._segment_at(at_boot_s).add(_key(b"order:", client_order_id), _OFFSET.pack(offset))

    def find_order_offset(self, client_order_id: str) -> int | None:
        """Return the offset of the command that uses a clientOrderId."""
        packed = self._find(_key(b"order:", client_order_id))
        return None if packed is None else int(_OFFSET.unpack(packed)[0])

    def was_client_order_id_used(self, client_order_id: str, at_boot_s: float) -> bool:
        """Whether a clientOrderId is certainly that of a command that was remembered at a time, or since."""
        key = _key(b"order:", client_order_id)
        number = int.from_bytes(key, "little")
        found = next((one for one in reversed(self._segments) if one.find(key, number) is not None), None)
        return found is not None and found.first_boot_s >= at_boot_s - self._horizon_s

    def drop_expired(self, at_boot_s: float) -> None:
        """Drop the periods that are older than the horizon."""
        while self._segments and self._segments[0].newest_boot_s < at_boot_s - self._horizon_s:
            self._segments.popleft()

    def _find(self, key: bytes) -> bytes | None:
        number = int.from_bytes(key, "little")
        for segment in reversed(self._segments):
            packed = segment.find(key, number)
            if packed is not None:
                return packed
        return None

    def _segment_at(self, at_boot_s: float) -> _Segment:
        newest = self._segments[-1] if self._segments else None
        period_s = self._horizon_s / _SEGMENTS_PER_HORIZON
        if newest is None or newest.count >= SEGMENT_ENTRIES_MAX or at_boot_s - newest.first_boot_s > period_s:
            newest = _Segment(at_boot_s)
            self._segments.append(newest)
        newest.newest_boot_s = max(newest.newest_boot_s, at_boot_s)
        return newest
