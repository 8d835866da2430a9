"""Lists that come in pages while they change."""

from itertools import pairwise
from typing import Annotated, Any, Final

from msgspec import Meta, Raw, Struct, field

from bridge.core.packed import PackedNumbers, digest
from bridge.ltp import wire
from bridge.ltp.rows import Row

Count = int | Annotated[str, Meta(pattern=r"^[0-9]{1,9}$")]

PAGE_SIZE: Final = 1000
PAGES_MAX: Final = 100
ROWS_MAX: Final = 10_000
"""So many rows may stand in one answer."""
LIST_ROWS_MAX: Final = PAGES_MAX * PAGE_SIZE
"""So many rows one reading of a list may have."""
READINGS_MAX: Final = 3
_READING_BITS: Final = 2
_BYTES_BITS: Final = 14
_BYTES_MASK: Final = (1 << _BYTES_BITS) - 1
AT_A_TIME: Final = 100
"""Rows that are handed over together; then whoever else waits has a turn: a long list must not hold the session up."""


class Page(Struct, rename="camel"):
    """One page of a list. `page_num` is the number of pages, 0 or 1 when there is nothing."""

    page_num: Count
    rows: list[Raw] | None = field(name="list")
    total_size: Any = None

    @property
    def total(self) -> int | None:
        """How many rows all pages hold; None where that is not told."""
        return wire.number(self.total_size)

    @property
    def is_too_long(self) -> bool:
        """Whether it says twice that there are more rows than may be read."""
        return int(self.page_num) > PAGES_MAX and (self.total or 0) > LIST_ROWS_MAX

    def is_last(self, number: int) -> bool:
        """Whether no page follows. A short page alone proves nothing: the venue may give fewer rows than asked for."""
        return not self.rows or number >= int(self.page_num)


class Listing:
    """What several readings of one list have met. Of a row only its name and time are kept, packed."""

    def __init__(self) -> None:
        self._known = PackedNumbers()
        """When each row was last changed, a few bits of a digest of its bytes, and in which reading it was last met."""
        self._reading = -1
        self._totals: list[int] = []
        self._met = 0
        self._taken = 0

    def begin(self) -> None:
        """Begin another reading."""
        self._reading += 1
        self._totals.clear()
        self._met = 0
        self._taken = 0

    def page(self, total: int | None) -> None:
        """Note that a page said how many rows there are; None where it did not."""
        if total is not None:
            self._totals.append(total)

    def note(self, row: Row) -> bool:
        """Note a row; return whether it tells more than those of the same thing before it.

        Of two that are as new the later one counts.
        """
        return self._is_news(digest(row.key), row.updated_ms << _BYTES_BITS | digest(row.raw) & _BYTES_MASK)

    def note_unreadable(self, raw: bytes) -> bool:
        """Note a row that was not understood; return whether it is a new one."""
        return self._is_news(digest(raw), 0)

    def _is_news(self, name: int, told: int) -> bool:
        self._taken += 1
        known = self._known.get(name)
        if known is None:
            self._met += 1
            self._known.put(name, told << _READING_BITS | self._reading)
            return True
        known_told, last_reading = known >> _READING_BITS, known & ((1 << _READING_BITS) - 1)
        self._met += last_reading != self._reading
        is_news = known_told != told and told >> _BYTES_BITS >= known_told >> _BYTES_BITS
        self._known.put(name, (told if is_news else known_told) << _READING_BITS | self._reading)
        return is_news

    @property
    def missing(self) -> int:
        """How many rows fewer came in this reading than there are, by a count that was the same on every page."""
        return max(0, self._totals[0] - self._taken) if len(set(self._totals)) == 1 else 0

    def is_whole(self, *, only_grows: bool) -> bool:
        """Whether this reading can have missed no row that was listed all the while, where the newest stand first.

        A row that is added pushes others to a later page, where they come twice. A row that goes pulls others to a page
        that was read already: then fewer were met than there should be, or their number changed. One page is one
        moment, and has as many rows as it says there are.
        """
        totals, met = self._totals, self._met
        if len(totals) <= 1:
            return not self.missing
        if only_grows:
            return met >= totals[0] and all(one <= other for one, other in pairwise(totals))
        return met >= totals[-1] and len(set(totals)) == 1
