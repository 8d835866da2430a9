"""A limit on the log lines of one kind, so that what happens many times a second does not fill disks."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog
from msgspec import Struct

LOUD_LINES_MAX: Final = 100
"""Warnings and errors of one kind in a period."""
QUIET_LINES_MAX: Final = 1000
"""Other lines of one kind in a period: each result of a command is one, and the venue's limits allow so many."""
PERIOD_S: Final = 10.0
_KINDS_MAX: Final = 5000
"""There are less than a hundred events, each for every account."""
_LIBRARY_KINDS_MAX: Final = 100
"""A library that writes numbers into its texts makes kinds without end."""
_LOUD: Final = frozenset({"warning", "error", "exception", "critical"})
_ITS_OWN: Final = "log.left_out"
"""The event that tells what was left out is bounded by the number of kinds."""
_OTHERS: Final = "others"
"""Stands for all kinds that come while too many are known."""

LineKind = tuple[str, str, str]
"""The event, or a library's text; its account and its alarm, where it has one."""


class LeftOut(Struct, frozen=True):
    """How many lines of a kind were left out."""

    event: str
    account: str
    alarm: str
    lines: int


class _Period(Struct):
    """The lines of a kind in its current period."""

    began_s: float
    lines: int = 0
    left_out: int = 0


class _Kinds:
    """The lines of every kind, for a number of kinds; what comes beyond them shares one."""

    def __init__(self, kinds_max: int, monotonic_s: Callable[[], float]) -> None:
        self._kinds_max = kinds_max
        self._monotonic_s = monotonic_s
        self._periods: dict[LineKind, _Period] = {}
        self._lock = threading.Lock()  # lines come from the event loop, from spans' thread and from the log's own

    def count_line(self, kind: LineKind, lines_max: int) -> bool:
        """Return whether a line of a kind passes."""
        now_s = self._monotonic_s()
        with self._lock:
            if kind not in self._periods and len(self._periods) >= self._kinds_max:
                kind = (_OTHERS, "", "")
            period = self._periods.setdefault(kind, _Period(now_s))
            if now_s - period.began_s >= PERIOD_S:  # what it has left out is told with what the next one does
                period.began_s, period.lines = now_s, 0
            period.lines += 1
            passes = period.lines <= lines_max
            period.left_out += not passes
        return passes

    def pop_left_out(self, *, at_end: bool) -> Iterator[LeftOut]:
        """Forget the kinds whose period is over, `at_end` all, and yield what was left out of each."""
        now_s = self._monotonic_s()
        with self._lock:
            over = [kind for kind, one in self._periods.items() if at_end or now_s - one.began_s >= PERIOD_S]
            ended = [(kind, self._periods.pop(kind)) for kind in over]
        for (event, account, alarm), period in ended:
            if period.left_out:
                yield LeftOut(event, account, alarm, period.left_out)


class RepeatLimit(logging.Filter):
    """Passes so many lines of a kind in 10 s, ours and those of libraries; `pop_left_out` says how many it has not.

    A kind is an event of an account, and of an alarm where it is about one: a flood of one hides no other.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._kinds = _Kinds(_KINDS_MAX, monotonic_s)
        self._library_kinds = _Kinds(_LIBRARY_KINDS_MAX, monotonic_s)

    def __call__(self, logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """Pass on or drop a line, as a processor of structlog."""
        del logger
        kind = (str(event.get("event")), str(event.get("account", "")), str(event.get("alarm", "")))
        if kind[0] == _ITS_OWN:
            return event
        if not self._kinds.count_line(kind, LOUD_LINES_MAX if method in _LOUD else QUIET_LINES_MAX):
            raise structlog.DropEvent
        return event

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line of a library passes, as a filter of the standard library."""
        lines_max = LOUD_LINES_MAX if record.levelno >= logging.WARNING else QUIET_LINES_MAX
        return self._library_kinds.count_line((f"{record.name}: {record.msg}", "", ""), lines_max)

    def pop_left_out(self, *, at_end: bool = False) -> list[LeftOut]:
        """Return what was left out in periods that are over, each once; `at_end`, also in those that are not."""
        return [one for kinds in (self._kinds, self._library_kinds) for one in kinds.pop_left_out(at_end=at_end)]
