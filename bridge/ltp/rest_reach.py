"""How far back the venue's lists reach, and which of them knows what (LTP docs, Order History, Executions, Archive)."""

from typing import Final, NamedTuple

from bridge.core.clocks import UNMEASURED_MS
from bridge.core.stream.sweep import ARCHIVE_REACH_MS

_DAY_MS: Final = 24 * 3600 * 1000
RECENT_REACH_MS: Final = 7 * _DAY_MS - UNMEASURED_MS
_OVERLAP_MS: Final = 3600 * 1000
"""Both lists are asked for this much at their boundary: a row may move while we ask."""


class Span(NamedTuple):
    """A time to ask one of the two lists for. Unix ms."""

    archived: bool
    begin_ms: int
    end_ms: int


def spans(begin_ms: int, end_ms: int | None, now_ms: int) -> list[Span]:
    """Say what to ask for to learn of everything between two times, as far as the venue reaches back.

    An end is always asked for, so that rows of later do not shift the pages. Without one it lies ahead of our clock by
    as much as the venue's may: no row that is there when we ask may be missed.
    """
    end_ms = now_ms + UNMEASURED_MS if end_ms is None else end_ms
    begin_ms = max(begin_ms, now_ms - ARCHIVE_REACH_MS)
    recent_ms = now_ms - RECENT_REACH_MS
    asked = [Span(archived=False, begin_ms=max(begin_ms, recent_ms), end_ms=end_ms)]
    if begin_ms < recent_ms:
        asked.append(Span(archived=True, begin_ms=begin_ms, end_ms=min(end_ms, recent_ms + _OVERLAP_MS)))
    return [span for span in asked if span.begin_ms < span.end_ms]
