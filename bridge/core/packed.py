"""Numbers by many keys, packed: some twenty bytes each, where a dict of texts takes several hundred."""

from array import array
from collections import deque
from collections.abc import Hashable
from typing import Final

_PARTS: Final = 64
"""A power of two. Each part grows by itself, so that none is long in growing."""
_PART_BITS: Final = 6
_FIRST_SLOTS: Final = 32
_KEY_MASK: Final = (1 << 64) - 1
_GENERATIONS: Final = 4
_BEGINNING_BITS: Final = 20
_AFTER_BEGINNING: Final = 64 - _BEGINNING_BITS
"""The first bits of a key, by which it is told at once that no generation has it; the others find its slot."""


def digest(value: Hashable) -> int:
    """Return 64 bits that stand for a text, or for a tuple of texts, in this process: never 0.

    That two of a million share them has a chance of one to thirty million.
    """
    return hash(value) & _KEY_MASK or 1


class _Part:
    """A run of slots with a key and a number in each; a key of 0 is a free slot."""

    __slots__ = ("count", "keys", "numbers")

    def __init__(self, code: str, slots: int) -> None:
        self.count = 0
        self.keys = array("Q", bytes(8 * slots))
        self.numbers = array(code, bytes(array(code).itemsize * slots))


class PackedNumbers:
    """Numbers by digests. `code` says how large they are, as in `array`."""

    def __init__(self, code: str = "Q") -> None:
        self._code = code
        self._parts = [_Part(code, _FIRST_SLOTS) for _ in range(_PARTS)]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, key: int) -> int | None:
        """Return the number of a key."""
        part = self._parts[key & (_PARTS - 1)]
        keys = part.keys
        mask = len(keys) - 1
        slot = (key >> _PART_BITS) & mask
        while (found := keys[slot]) != key:
            if not found:
                return None
            slot = (slot + 1) & mask
        return part.numbers[slot]

    def put(self, key: int, number: int) -> None:
        """Give a key a number, in place of the one that it had."""
        part = self._parts[key & (_PARTS - 1)]
        keys = part.keys
        mask = len(keys) - 1
        slot = (key >> _PART_BITS) & mask
        while (found := keys[slot]) and found != key:
            slot = (slot + 1) & mask
        part.numbers[slot] = number
        if found:
            return
        keys[slot] = key
        part.count += 1
        self._count += 1
        if 3 * part.count > 2 * len(keys):
            self._double_part(key & (_PARTS - 1))

    def _double_part(self, at: int) -> None:
        part = self._parts[at]
        self._parts[at] = _Part(self._code, 2 * len(part.keys))
        self._count -= part.count
        for key, number in zip(part.keys, part.numbers, strict=True):
            if key:
                self.put(key, number)


class _Generation(PackedNumbers):
    """What was put in a stretch of time. `bit` tells it from the others that are remembered."""

    def __init__(self, code: str, bit: int) -> None:
        super().__init__(code)
        self.bit = bit
        self.latest_ms = 0
        """The latest time of what was put."""


class RecentNumbers:
    """The latest numbers that were put, by digests: `least` of them at the least, and a third more at the most."""

    def __init__(self, least: int, code: str = "Q") -> None:
        self._code = code
        self._each = -(-least // (_GENERATIONS - 1))
        self._generations = deque([_Generation(code, 1)])
        """The newest first."""
        self._beginnings = bytearray(1 << _BEGINNING_BITS)
        """Which generations have keys that begin so, as their bits: most keys are in none."""
        self.forgotten_ms = 0
        """The latest time of what was forgotten; 0 when nothing was."""

    def get(self, key: int) -> int | None:
        """Return the number of a key."""
        bits = self._beginnings[key >> _AFTER_BEGINNING]
        if bits:
            for generation in self._generations:
                if bits & generation.bit and (number := generation.get(key)) is not None:
                    return number
        return None

    def put(self, key: int, number: int, at_ms: int) -> None:
        """Remember the number of a key, which is about something of that time."""
        newest = self._generations[0]
        if len(newest) >= self._each:
            newest = self._begin_generation()
        newest.latest_ms = max(newest.latest_ms, at_ms)
        newest.put(key, number)
        self._beginnings[key >> _AFTER_BEGINNING] |= newest.bit

    def _begin_generation(self) -> _Generation:
        bit = 1 << len(self._generations)
        if len(self._generations) == _GENERATIONS:
            forgotten = self._generations.pop()
            self.forgotten_ms = max(self.forgotten_ms, forgotten.latest_ms)
            bit = forgotten.bit
            self._beginnings = self._beginnings.translate(bytes(bits & ~bit for bits in range(256)))
        newest = _Generation(self._code, bit)
        self._generations.appendleft(newest)
        return newest
