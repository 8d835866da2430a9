"""Lists that come in pages while they change."""

from itertools import pairwise
from typing import Annotated, Any, Final, Generic, TypeVar

from msgspec import Meta, Raw, Struct, field

from bridge.ltp import wire
from bridge.ltp.rows import Row

R = TypeVar("R", bound=Row)

Count = int | Annotated[str, Meta(pattern=r"^[0-9]{1,9}$")]

PAGE_SIZE: Final = 1000
PAGES_MAX: Final = 100
ROWS_MAX: Final = 10_000
"""So many rows may stand in one answer."""
LIST_BYTES_MAX: Final = 32 * 1024 * 1024
"""So much the rows of one reading may be, each with ROW_BYTES; in memory long rows take twice as much."""
ROW_BYTES: Final = 512
"""What a row takes in memory beside its own bytes, roughly."""
READINGS_MAX: Final = 3
AT_A_TIME: Final = 100
"""Rows; then whoever else waits has a turn: a long list must not hold the session up."""


class Page(Struct, rename="camel"):
    """One page of a list. `page_num` is the number of pages, 0 or 1 when there is nothing."""

    page_num: Count
    rows: list[Raw] | None = field(name="list")
    total_size: Any = None

    @property
    def total(self) -> int | None:
        """How many rows all pages hold; None where that is not told."""
        return wire.number(self.total_size)

    def is_last(self, number: int) -> bool:
        """Whether no page follows. A short page alone proves nothing: the venue may give fewer rows than asked for."""
        return not self.rows or number >= int(self.page_num)


class Listing(Generic[R]):
    """What several readings of one list have found: every row that any of them met, of two of one thing the newer."""

    def __init__(self) -> None:
        self.rows: dict[object, R] = {}
        self.unreadable: set[bytes] = set()
        self.size_bytes = 0
        """What the rows of this reading take, roughly."""
        self._met: set[object] = set()
        self._totals: list[int] = []
        self._taken = 0

    def begin(self) -> None:
        """Begin another reading."""
        self._met.clear()
        self._totals.clear()
        self._taken = 0
        self.size_bytes = 0

    def page(self, total: int | None) -> None:
        """Note that a page said how many rows there are; None where it did not."""
        if total is not None:
            self._totals.append(total)

    def take(self, raw: bytes, row: R | None) -> None:
        """Take a row; None is one that was not understood. Of two that are as new the later one counts."""
        self.size_bytes += len(raw) + ROW_BYTES
        self._taken += 1
        if row is None:
            self._met.add(raw)
            self.unreadable.add(raw)
            return
        self._met.add(row.key)
        known = self.rows.get(row.key)
        if known is None or row.updated_ms >= known.updated_ms:
            self.rows[row.key] = row

    @property
    def _untold(self) -> int:
        """How many rows fewer came than there are, by a count that was the same on every page."""
        return max(0, self._totals[0] - self._taken) if len(set(self._totals)) == 1 else 0

    @property
    def unread(self) -> int:
        """How many rows are not there: not understood, or counted by the venue and not listed in the last reading."""
        return len(self.unreadable) + self._untold

    def is_whole(self, *, only_grows: bool) -> bool:
        """Whether this reading can have missed no row that was listed all the while, where the newest stand first.

        A row that is added pushes others to a later page, where they come twice. A row that goes pulls others to a page
        that was read already: then fewer were met than there should be, or their number changed. One page is one
        moment, and has as many rows as it says there are.
        """
        totals, met = self._totals, len(self._met)
        if len(totals) <= 1:
            return not self._untold
        if only_grows:
            return met >= totals[0] and all(one <= other for one, other in pairwise(totals))
        return met >= totals[-1] and len(set(totals)) == 1
