"""Packed maps from keys to numbers: some twenty bytes for each key, where a dict of texts takes several hundred."""

from array import array
from collections import deque
from collections.abc import Hashable
from typing import Final

_PARTS: Final = 64
"""A power of two. Each part grows by itself, so that growing never takes long."""
_PART_BITS: Final = 6
_FIRST_SLOTS: Final = 32
_KEY_MASK: Final = (1 << 64) - 1
_GENERATIONS: Final = 4
_PREFIX_BITS: Final = 20
_PREFIX_SHIFT: Final = 64 - _PREFIX_BITS
"""The first bits of a key show at once that no generation has it; the other bits find its slot."""


def digest(value: Hashable) -> int:
    """Return a 64-bit digest of a text, or of a tuple of texts, which is valid in this process and never 0.

    Among a million keys, the chance that any two have one digest is one in thirty million.
    """
    return hash(value) & _KEY_MASK or 1


class _Part:
    """A run of slots, each with a key and a number; a key of 0 is a free slot."""

    __slots__ = ("count", "keys", "numbers")

    def __init__(self, code: str, slots: int) -> None:
        self.count = 0
        self.keys = array("Q", bytes(8 * slots))
        self.numbers = array(code, bytes(array(code).itemsize * slots))


class PackedNumbers:
    """A map from digests to numbers. `code` is the type of the numbers, as in `array`."""

    def __init__(self, code: str = "Q") -> None:
        self._code = code
        self._parts = [_Part(code, _FIRST_SLOTS) for _ in range(_PARTS)]
        self.count = 0
        """How many keys it has."""

    def get(self, key: int) -> int | None:
        """Return the number of a key; None without one."""
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
        """Set the number of a key."""
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
        self.count += 1
        if 3 * part.count > 2 * len(keys):
            self._double_part(key & (_PARTS - 1))

    def _double_part(self, at: int) -> None:
        old = self._parts[at]
        part = self._parts[at] = _Part(self._code, 2 * len(old.keys))
        part.count = old.count
        keys, numbers, mask = part.keys, part.numbers, len(part.keys) - 1
        for key, number in zip(old.keys, old.numbers, strict=True):
            if key:
                slot = (key >> _PART_BITS) & mask
                while keys[slot]:
                    slot = (slot + 1) & mask
                keys[slot], numbers[slot] = key, number


class _Generation(PackedNumbers):
    """The numbers that were put in one stretch of time. `bit` marks its keys in the prefixes."""

    def __init__(self, code: str, bit: int) -> None:
        super().__init__(code)
        self.bit = bit
        self.latest_ms = 0
        """The latest time of a number in it."""


class RecentNumbers:
    """The latest numbers by digests: at least `count_min` of them, and at most a third more."""

    def __init__(self, count_min: int, code: str = "Q") -> None:
        self._code = code
        self._each = -(-count_min // (_GENERATIONS - 1))
        self._generations = deque([_Generation(code, 1)])
        """The newest first."""
        self._prefixes = bytearray(1 << _PREFIX_BITS)
        """The bits of the generations that have keys of each prefix; most keys are in none."""
        self.forgotten_ms = 0
        """The latest time of a number that was forgotten; 0 when none was."""

    def get(self, key: int) -> int | None:
        """Return the number of a key; None without one."""
        bits = self._prefixes[key >> _PREFIX_SHIFT]
        if bits:
            for generation in self._generations:
                if bits & generation.bit and (number := generation.get(key)) is not None:
                    return number
        return None

    def put(self, key: int, number: int, at_ms: int) -> None:
        """Set the number of a key, which is about a fact of the time `at_ms`."""
        newest = self._generations[0]
        if newest.count >= self._each:
            newest = self._begin_generation()
        newest.latest_ms = max(newest.latest_ms, at_ms)
        newest.put(key, number)
        self._prefixes[key >> _PREFIX_SHIFT] |= newest.bit

    def _begin_generation(self) -> _Generation:
        bit = 1 << len(self._generations)
        if len(self._generations) == _GENERATIONS:
            forgotten = self._generations.pop()
            self.forgotten_ms = max(self.forgotten_ms, forgotten.latest_ms)
            bit = forgotten.bit
            self._prefixes = self._prefixes.translate(bytes(bits & ~bit for bits in range(256)))
        newest = _Generation(self._code, bit)
        self._generations.appendleft(newest)
        return newest
