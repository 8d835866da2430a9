"""Lists that come in pages while they change."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Final

from msgspec import Meta, Raw, Struct

from bridge.ltp import wire

Count = int | Annotated[str, Meta(pattern=r"^[0-9]{1,9}$")]

PAGE_SIZE: Final = 1000
PAGES_MAX: Final = 100
READINGS_MAX: Final = 3


class Page(Struct, rename="camel"):
    """One page of a list. `page_num` is the number of pages, 0 or 1 when there is nothing."""

    page_num: Count
    list: list[Raw] | None
    total_size: Any = None

    @property
    def total(self) -> int | None:
        """How many rows all pages hold; None where that is not told."""
        return wire.number(self.total_size)

    def is_last(self, number: int) -> bool:
        """Whether no page follows. A short page alone proves nothing: the venue may give fewer rows than asked for."""
        return not self.list or number >= int(self.page_num)


def is_whole(totals: Sequence[int], rows: int, *, only_grows: bool) -> bool:
    """Whether no row that was listed all the while can have been missed, where the newest stand first.

    `totals` is how many rows there were at each page, `rows` how many different ones were read. A row that is added
    pushes others to a later page, where they come twice. A row that goes pulls others to a page that was read already:
    then there are fewer rows than there should be, or the number changes. One page is one moment.
    """
    if len(totals) <= 1:
        return True
    if only_grows:
        return rows >= totals[0] and all(one <= other for one, other in pairwise(totals))
    return rows >= totals[-1] and len(set(totals)) == 1
