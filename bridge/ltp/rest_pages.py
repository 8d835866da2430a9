"""Lists that come in pages while they change."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Any, Final

from msgspec import Meta, Raw, Struct, field

from bridge.core.packed import PackedNumbers, digest
from bridge.ltp import wire
from bridge.ltp.rows import Row

Count = int | Annotated[str, Meta(pattern=r"^[0-9]{1,9}$")]

PAGE_SIZE: Final = 1000
PAGES_MAX: Final = 100
ANSWER_ROWS_MAX: Final = 10_000
"""The most rows in one answer."""
LIST_ROWS_MAX: Final = PAGES_MAX * PAGE_SIZE
"""The most rows in one reading of a list."""
READINGS_MAX: Final = 3
_READING_BITS: Final = 2
_BYTES_BITS: Final = 14
_BYTES_MASK: Final = (1 << _BYTES_BITS) - 1
ROWS_PER_BATCH: Final = 100
"""The rows that are yielded together. Other tasks run between two batches: a long list does not block the session."""


class Page(Struct, rename="camel"):
    """One page of a list. `page_num` is the number of pages, 0 or 1 when there is nothing."""

    page_num: Count
    rows: list[Raw] | None = field(name="list")
    total_size: Any = None

    @property
    def total(self) -> int | None:
        """The number of rows on all pages; None if the page does not say."""
        return wire.parse_number(self.total_size)

    @property
    def is_too_long(self) -> bool:
        """Whether both the number of pages and the number of rows exceed what may be read."""
        return int(self.page_num) > PAGES_MAX and (self.total or 0) > LIST_ROWS_MAX

    def is_last(self, number: int) -> bool:
        """Return whether no page follows. A short page proves nothing: the venue may send fewer rows than requested."""
        return not self.rows or number >= int(self.page_num)


def split_batches(rows: Sequence[Raw]) -> Iterator[Sequence[Raw]]:
    """Return the rows of one answer in batches of ROWS_PER_BATCH."""
    return (rows[at : at + ROWS_PER_BATCH] for at in range(0, len(rows), ROWS_PER_BATCH))


class PagedList:
    """The rows that several readings of one list have returned. Only digests of their keys and their times are kept."""

    def __init__(self) -> None:
        self._known = PackedNumbers()
        """By a digest of the key: when the row last changed, some bits of a digest of its bytes, its last reading."""
        self._reading = -1
        self._totals: list[int] = []
        self._distinct = 0
        self._rows = 0

    def begin_reading(self) -> None:
        """Begin another reading."""
        self._reading += 1
        self._totals.clear()
        self._distinct = 0
        self._rows = 0

    def note_total(self, total: int | None) -> None:
        """Note the number of rows that a page names; None if it names none."""
        if total is not None:
            self._totals.append(total)

    def note_row(self, row: Row) -> bool:
        """Note a row. Returns whether it is newer than the earlier rows with its key.

        Of two different rows with the same time the later one is the newer.
        """
        return self._note_version(digest(row.key), row.updated_at_ms << _BYTES_BITS | digest(row.raw) & _BYTES_MASK)

    def note_unreadable(self, raw: bytes) -> bool:
        """Note a row that was not understood. Returns whether it was not noted before."""
        return self._note_version(digest(raw), 0)

    def _note_version(self, name: int, version: int) -> bool:
        self._rows += 1
        known = self._known.get(name)
        if known is None:
            self._distinct += 1
            self._known.put(name, version << _READING_BITS | self._reading)
            return True
        known_version, last_reading = known >> _READING_BITS, known & ((1 << _READING_BITS) - 1)
        self._distinct += last_reading != self._reading
        is_newer = known_version != version and version >> _BYTES_BITS >= known_version >> _BYTES_BITS
        self._known.put(name, (version if is_newer else known_version) << _READING_BITS | self._reading)
        return is_newer

    @property
    def missing(self) -> int:
        """The rows that this reading lacks, by a total that was the same on every page."""
        return max(0, self._totals[0] - self._rows) if len(set(self._totals)) == 1 else 0

    def is_complete(self, *, only_grows: bool) -> bool:
        """Return whether this reading has every row that was in the list all the time. The newest rows stand first.

        A row that is added moves others to a later page, where they are read twice. A row that is removed moves others
        to a page that was already read: then there are fewer rows than the total, or the total changed. A single page
        is read at one moment, and has as many rows as it says.
        """
        totals, distinct = self._totals, self._distinct
        if len(totals) <= 1:
            return not self.missing
        if only_grows:
            return distinct >= totals[0] and all(one <= other for one, other in pairwise(totals))
        return distinct >= totals[-1] and len(set(totals)) == 1
