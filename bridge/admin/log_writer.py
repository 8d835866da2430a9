"""Writing log lines without waiting for whoever reads them."""

import atexit
import queue
import threading
import time
from typing import IO, Final

_LINES_MAX: Final = 20_000
_END_S: Final = 1.0


class NonBlockingWriter:
    """A text sink that writes in a thread of its own.

    A pipe that nobody reads is full after 64 KiB, and a write to it then waits: the daemon would stand still, its
    session and its lease with it. NonBlockingWriter beyond what is held here are dropped, and their number is told.
    """

    def __init__(self, out: IO[str], lines_max: int = _LINES_MAX) -> None:
        self._out = out
        self._held: queue.Queue[str] = queue.Queue(lines_max)
        self._dropped = 0
        threading.Thread(target=self._write, name="log", daemon=True).start()
        atexit.register(self.drain)

    def write(self, text: str) -> int:
        """Hold a line for the thread; returns at once."""
        try:
            self._held.put_nowait(text)
        except queue.Full:
            self._dropped += 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes as soon as it can."""

    def drain(self, timeout_s: float = _END_S) -> None:
        """Wait until what is held is written, but not longer than this."""
        end = time.monotonic() + timeout_s
        with self._held.all_tasks_done:
            while self._held.unfinished_tasks and (left_s := end - time.monotonic()) > 0:
                self._held.all_tasks_done.wait(left_s)

    def _write(self) -> None:
        while True:
            text = self._held.get()
            try:
                self._out.write(text)
                if self._dropped:
                    dropped, self._dropped = self._dropped, 0
                    self._out.write(f'{{"event": "log.dropped", "level": "warning", "lines": {dropped}}}\n')
                self._out.flush()
            except (OSError, ValueError):
                pass  # nobody reads any more, or the stream was closed; the daemon lives on
            finally:
                self._held.task_done()
