"""Writing log lines without waiting for their reader."""

import atexit
import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from typing import Final, Protocol, TextIO

_LINES_MAX: Final = 20_000
_END_S: Final = 1.0
_GATHER_S: Final = 0.01
"""How long lines are gathered: to wake the thread for each would take the event loop's time, when it has least."""
_LINES_AT_ONCE: Final = 1000
_REPORT_PERIOD_S: Final = 1.0


class Report(Protocol):
    """Logs what is to be logged now and then, or, `at_end`, for the last time."""

    def __call__(self, *, at_end: bool) -> None:
        """Log it."""


class NonBlockingWriter:
    """A text stream whose `write` returns at once; a thread of its own writes the lines to the real stream.

    A pipe without a reader is full after 64 KiB, and the next write to it blocks. That would stop the event loop, and
    with it the session and the lease. So lines that do not fit in the queue are dropped, and a line says how many.
    """

    def __init__(self, out: TextIO, lines_max: int = _LINES_MAX, report: Report | None = None) -> None:
        """Write to `out`. The thread calls `report` about once a second, and the end of the process once more."""
        self._out = out
        self._report = report
        self._queue: queue.Queue[str] = queue.Queue(lines_max)
        self._dropped = 0
        threading.Thread(target=self._write_queued, name="log", daemon=True).start()
        atexit.register(self._report_and_drain)

    def write(self, text: str) -> int:
        """Queue a line for the thread; return its length."""
        try:
            self._queue.put_nowait(text)
        except queue.Full:
            self._dropped += 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes by itself, a moment later."""

    def drain(self, timeout_s: float = _END_S) -> None:
        """Wait until the queued lines are written, for at most `timeout_s`."""
        deadline_monotonic_s = time.monotonic() + timeout_s
        with self._queue.all_tasks_done:
            while self._queue.unfinished_tasks and (left_s := deadline_monotonic_s - time.monotonic()) > 0:
                self._queue.all_tasks_done.wait(left_s)

    def _report_and_drain(self) -> None:
        if self._report is not None:
            self._report(at_end=True)
        self.drain()

    def _write_lines(self, lines: Sequence[str]) -> None:
        try:
            self._out.write("".join(lines))
        except UnicodeEncodeError:  # one of them holds what the stream's encoding has not
            encoding = self._out.encoding or "ascii"
            for line in lines:
                self._out.write(line.encode(encoding, "backslashreplace").decode(encoding))

    def _write_queued(self) -> None:
        report_at_monotonic_s = time.monotonic() + _REPORT_PERIOD_S
        while True:
            if self._report is not None and time.monotonic() >= report_at_monotonic_s:
                report_at_monotonic_s = time.monotonic() + _REPORT_PERIOD_S
                self._report(at_end=False)
            try:
                lines = [self._queue.get(timeout=_REPORT_PERIOD_S)]
            except queue.Empty:
                continue
            time.sleep(_GATHER_S)
            with contextlib.suppress(queue.Empty):
                while len(lines) < _LINES_AT_ONCE:
                    lines.append(self._queue.get_nowait())
            try:
                self._write_lines(lines)
                if self._dropped:
                    dropped, self._dropped = self._dropped, 0
                    self._out.write(f'{{"event": "log.dropped", "level": "warning", "lines": {dropped}}}\n')
                self._out.flush()
            except (OSError, ValueError):
                pass  # the pipe has no reader, or the stream was closed; the daemon goes on
            finally:
                for _ in lines:
                    self._queue.task_done()
