"""Records of several topics in the order of their times, as far as each topic's own order allows."""

from collections import deque
from collections.abc import Collection, Iterable

from bridge.contract.topics import Stream
from bridge.inspect.seen_record import SeenRecord


class TimeMerge:
    """Holds the records of each topic that may still be preceded by a record of another one.

    The order of a topic is never changed: its records may have times that go back. Of records of one time those of the
    topic come first that was named first.
    """

    def __init__(self, streams: Iterable[Stream]) -> None:
        self._waiting: dict[Stream, deque[SeenRecord]] = {stream: deque() for stream in streams}
        self._unfinished = set(self._waiting)

    @property
    def lacking(self) -> Collection[Stream]:
        """The topics whose next record decides which one is next, and is not there yet."""
        return [stream for stream in self._unfinished if not self._waiting[stream]]

    @property
    def is_finished(self) -> bool:
        """Whether every topic has been read to its end, and all was returned."""
        return not self._unfinished and not any(self._waiting.values())

    def add(self, records: Iterable[SeenRecord]) -> None:
        """Add the next records of topics, each in its order."""
        for record in records:
            self._waiting[record.stream].append(record)

    def finish(self, stream: Stream) -> None:
        """Note that a topic has no more records."""
        self._unfinished.discard(stream)

    def pop_ready(self) -> list[SeenRecord]:
        """Take out the records whose turn it is."""
        ready: list[SeenRecord] = []
        while not self.lacking:
            heads = [waiting for waiting in self._waiting.values() if waiting]
            if not heads:
                break
            first = min(heads, key=_time_of_first)
            others = [_time_of_first(waiting) for waiting in heads if waiting is not first]
            until_ms = min(others, default=None)
            ready.append(first.popleft())
            while first and (until_ms is None or _time_of_first(first) < until_ms):
                ready.append(first.popleft())
        return ready


def _time_of_first(waiting: deque[SeenRecord]) -> int:
    return waiting[0].timestamp_ms
