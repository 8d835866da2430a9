"""How far back the venue's recent lists and its archive reach (LTP docs, Order History, Executions, Archive)."""

from typing import Final, NamedTuple

from bridge.core.clocks import UNMEASURED_MS
from bridge.core.stream.sweep import ARCHIVE_REACH_MS

_DAY_MS: Final = 24 * 3600 * 1000
RECENT_REACH_MS: Final = 7 * _DAY_MS - UNMEASURED_MS
_OVERLAP_MS: Final = 3600 * 1000
"""Both lists are read for this time at their boundary: a row may move from one to the other meanwhile."""


class Span(NamedTuple):
    """The part of a time range that is read from one of the two lists, in Unix ms."""

    archived: bool
    begin_ms: int
    end_ms: int


def split_time_range(begin_ms: int, end_ms: int | None, now_ms: int) -> list[Span]:
    """Return what to read for everything between two times in Unix ms, as far as the venue reaches back.

    Every request has an end, so that later rows do not shift the pages. Without `end_ms` the end is ahead of our clock
    by as much as the venue's clock may be: no row that exists at the time of the request may be missed.
    """
    end_ms = now_ms + UNMEASURED_MS if end_ms is None else end_ms
    begin_ms = max(begin_ms, now_ms - ARCHIVE_REACH_MS)
    recent_ms = now_ms - RECENT_REACH_MS
    spans = [Span(archived=False, begin_ms=max(begin_ms, recent_ms), end_ms=end_ms)]
    if begin_ms < recent_ms:
        spans.append(Span(archived=True, begin_ms=begin_ms, end_ms=min(end_ms, recent_ms + _OVERLAP_MS)))
    return [span for span in spans if span.begin_ms < span.end_ms]
