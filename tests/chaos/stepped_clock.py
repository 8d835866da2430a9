"""A daemon whose wall clock somebody sets: `python -m tests.chaos.stepped_clock FILE run --config …`.

FILE holds two signed 64-bit numbers: by how many milliseconds the clock is ahead, which may be written at any time, and
how often a clock that was not right has been read. Clocks that never step (`CLOCK_MONOTONIC`, `CLOCK_BOOTTIME`) stay as
they are, as on a machine whose time is set.
"""

import mmap
import struct
import sys
import time
from pathlib import Path
from typing import Final

_NUMBERS: Final = struct.Struct("<qq")


class SetClock:
    """The file that a daemon's wall clock follows; the clock is right until `set_ahead`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(_NUMBERS.pack(0, 0))

    def set_ahead(self, ahead_ms: int) -> None:
        """Let the clock be so many milliseconds ahead of the true time, or behind it where negative."""
        with self.path.open("r+b") as file:
            file.write(struct.pack("<q", ahead_ms))

    @property
    def wrong_readings(self) -> int:
        """How often the clock has been read while it was ahead or behind."""
        return int(_NUMBERS.unpack(self.path.read_bytes())[1])


def _follow(path: Path) -> None:
    with path.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), _NUMBERS.size)
    true_ns = time.time_ns

    def read_ns() -> int:
        ahead_ms, wrong_readings = _NUMBERS.unpack_from(shared)
        if ahead_ms:
            struct.pack_into("<q", shared, 8, wrong_readings + 1)
        return true_ns() + int(ahead_ms) * 1_000_000

    time.time_ns = read_ns
    time.time = lambda: read_ns() / 1e9


if __name__ == "__main__":
    _follow(Path(sys.argv.pop(1)))
    from bridge.cli import main

    main()
