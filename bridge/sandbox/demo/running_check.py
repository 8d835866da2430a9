"""The demo's check while it runs: what the topics lack so far. The check at the end looks at everything once more."""

from typing import Final

from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.sandbox.demo.check import RepeatCheck, find_gaps
from bridge.sandbox.demo.ledger_reader import STREAM_OF, LedgerReader
from bridge.sandbox.demo.readers import ReadRecord, TopicRecords
from bridge.sandbox.venue.ledger import Ledger, LedgerEntry

_LATE_S: Final = 10.0
"""From this age on a push that is not on its topic counts as lost; a slow machine needs a second or two."""
_STREAMS: Final = frozenset(STREAM_OF.values())


class RunningCheck:
    """Follows the ledger and the topics, and counts what is lost and duplicated so far.

    A fact must be on its topic byte for byte. A state must be there unless a newer one of its key followed.
    """

    def __init__(self, ledger: Ledger, portfolio_id: str, topic_records: TopicRecords) -> None:
        self._ledger = LedgerReader(ledger, portfolio_id)
        self._topic_records = topic_records
        self._awaited: dict[tuple[Stream, bytes], LedgerEntry] = {}
        self._repeats = RepeatCheck()
        topic_records.add_listener(self._on_record)

    @property
    def duplicated(self) -> int:
        """The records that repeat a `ce_id` without a reason, so far."""
        return len(self._repeats.found)

    def count_lost(self, now_monotonic_s: float) -> int:
        """Return the number of pushes that are 10 s old, on no topic and in no published gap."""
        self._await_new_pushes()
        late = [entry for entry in self._awaited.values() if now_monotonic_s - entry.monotonic_s > _LATE_S]
        gaps = find_gaps(self._topic_records[Stream.SESSION]) if late else []
        return sum(not any(gap.covers(entry) for gap in gaps) for entry in late)

    def _on_record(self, record: ReadRecord) -> None:
        self._repeats.check(record)
        if record.stream not in _STREAMS:
            return
        self._await_new_pushes()
        name = (record.stream, record.key if record.stream in STATE_STREAMS else record.value)
        awaited = self._awaited.get(name)
        if awaited is not None and awaited.event is not None and awaited.event.payload == record.value:
            del self._awaited[name]

    def _await_new_pushes(self) -> None:
        """Await each new push; a state in place of the one before of its key."""
        for entry in self._ledger.read_new():
            push = entry.event
            stream = STREAM_OF.get(push.channel) if push is not None else None
            if push is not None and stream is not None:
                self._awaited[stream, push.key.encode() if stream in STATE_STREAMS else push.payload] = entry
