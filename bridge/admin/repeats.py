"""A limit on warnings of one kind, so that a step that fails many times a second does not fill disks."""

import logging
import time
from collections.abc import Callable
from typing import Final

import structlog

LINES_MAX: Final = 100
PERIOD_S: Final = 10.0
_KINDS_MAX: Final = 1000
_LEFT_OUT: Final = "left_out"
_LOUD: Final = frozenset({"warning", "error", "exception", "critical"})


class RepeatLimit(logging.Filter):
    """Passes 100 lines of a kind in 10 s, ours and those of libraries; the next one says how many were left out.

    Lines at `info` always pass: each answer to a command is one.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic_s = monotonic_s
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}

    def __call__(self, logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """Pass on or drop a line, as a processor of structlog."""
        del logger
        if method in _LOUD:
            left_out = self._count_line(("", str(event.get("event"))))
            if left_out is None:
                raise structlog.DropEvent
            if left_out:
                event[_LEFT_OUT] = left_out
        return event

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line of a library passes, as a filter of the standard library."""
        if record.levelno < logging.WARNING:
            return True
        left_out = self._count_line((record.name, str(record.msg)))
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more like it were left out)", ()
        return left_out is not None

    def _count_line(self, kind: tuple[str, str]) -> int | None:
        """Return how many lines were left out before this one, or None when this one is left out too."""
        now_s = self._monotonic_s()
        began_s, count = self._kinds.get(kind, (now_s, 0))
        if now_s - began_s >= PERIOD_S:
            self._kinds[kind] = now_s, 1
            return max(0, count - LINES_MAX)
        if kind not in self._kinds and len(self._kinds) >= _KINDS_MAX:
            self._kinds.clear()
        self._kinds[kind] = began_s, count + 1
        return 0 if count < LINES_MAX else None
