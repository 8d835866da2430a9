"""The demo's check at its end: compares the venue's ledger with what independent readers found on the topics."""

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from bridge.contract.headers import EPOCH, ID, RECOVERED, SEQUENCE
from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.sandbox.demo.ledger_reader import STREAM_OF, LedgerReader
from bridge.sandbox.demo.readers import EVENTS, ReadRecord, TopicRecords
from bridge.sandbox.venue.ledger import EntryKind, Ledger, LedgerEntry, VenuePush

_IDENTIFIED: Final = (*EVENTS, Stream.RESULTS)
_MEDIAN, _P99 = 0.5, 0.99


class Latency(msgspec.Struct, frozen=True):
    """A latency in milliseconds; None if nothing was measured."""

    median: float | None
    p99: float | None


class PublishedGap(msgspec.Struct, frozen=True):
    """A published gap, from its `fromMs` to the opening of the next session."""

    gap_id: str
    from_ms: int
    until_ms: float

    def covers(self, entry: LedgerEntry) -> bool:
        """Return whether an entry of the ledger was made within the gap."""
        return self.from_ms <= entry.wall_ms <= self.until_ms


class MissingPush(msgspec.Struct, frozen=True):
    """A push of the ledger that the topics lack, and the record that they have instead."""

    push: VenuePush
    in_gap: bool
    found: str


def summarize_latency(values_ms: Iterable[float]) -> Latency:
    """Return median and 99th percentile by nearest rank."""
    ordered = sorted(values_ms)
    if not ordered:
        return Latency(None, None)
    return Latency(*(round(ordered[math.ceil(share * len(ordered)) - 1], 2) for share in (_MEDIAN, _P99)))


class PushLatencies:
    """Measures the time of each push from the venue's socket to a reader, by the growing ledger."""

    def __init__(self, ledger: Ledger, portfolio_id: str) -> None:
        self._ledger = LedgerReader(ledger, portfolio_id)
        self._pushes: dict[int, VenuePush] = {}
        self._written: dict[tuple[Stream, bytes, bytes], deque[float]] = defaultdict(deque)
        self.measured_ms: list[float] = []

    def measure(self, record: ReadRecord) -> float | None:
        """Return the milliseconds that a record took; None if the venue has not written it to a socket."""
        self._catch_up()
        written = self._written.get((record.stream, record.key, record.value))
        if not written:
            return None
        took_ms = (record.read_monotonic_s - written.popleft()) * 1000
        self.measured_ms.append(took_ms)
        return took_ms

    def _catch_up(self) -> None:
        """Take the pushes and their writing times from the new entries of the ledger."""
        for entry in self._ledger.read_new():
            if entry.kind is EntryKind.EVENT and entry.event is not None:
                self._pushes[entry.number] = entry.event
            elif entry.kind is EntryKind.DELIVER:
                push = self._pushes[entry.facts["event_number"]]
                record = (STREAM_OF[push.channel], push.key.encode(), push.payload)
                self._written[record].append(entry.monotonic_s)


def find_gaps(session: Sequence[ReadRecord]) -> list[PublishedGap]:
    """Return the gaps of the session topic, without that of the first start."""
    found = []
    rows = [record.fields for record in session]
    for index, row in enumerate(rows):
        if row["type"] != "gap.opened" or row["cause"] == "first_start":
            continue
        reopened = next((later["at"] for later in rows[index + 1 :] if later["type"] == "session.opened"), math.inf)
        found.append(PublishedGap(row["gapId"], row["fromMs"], reopened))
    return found


def find_missing(
    ledger: Ledger, portfolio_id: str, topic_records: TopicRecords, until: int | None = None
) -> list[MissingPush]:
    """Compare byte for byte: each trade and margin call, and the last state of each order, asset and position.

    With `until` only pushes up to that entry of the ledger must be there; other callers may go on trading after it.
    """
    known_gaps = find_gaps(topic_records[Stream.SESSION])
    last: dict[Stream, dict[bytes, bytes]] = {
        stream: {record.key: record.value for record in topic_records[stream]} for stream in EVENTS
    }
    every = {(record.stream, record.key, record.value) for stream in EVENTS for record in topic_records[stream]}
    missing = []
    for entry, push, later in _required_pushes(ledger.entries(EntryKind.EVENT, portfolio_id=portfolio_id), until):
        stream, key = STREAM_OF[push.channel], push.key.encode()
        there = last[stream].get(key)
        is_state = stream in STATE_STREAMS
        was_there = (stream, key, push.payload) in every
        # A record without value behind the last state of a balance or position says that it has ended.
        is_there = there == push.payload or there in later or (was_there and there == b"") if is_state else was_there
        if not is_there:
            in_gap = any(gap.covers(entry) for gap in known_gaps)
            missing.append(MissingPush(push, in_gap, there.decode(errors="replace") if there else "nothing"))
    return missing


def _required_pushes(
    entries: Iterable[LedgerEntry], until: int | None
) -> Iterable[tuple[LedgerEntry, VenuePush, list[bytes]]]:
    """Return the pushes that the topics must have, each with the later states that may stand in its place."""
    wanted: dict[tuple[str, str], tuple[LedgerEntry, VenuePush, list[bytes]]] = {}
    for entry in entries:
        push = entry.event
        if push is None or push.channel not in STREAM_OF:
            continue
        name = push.channel, push.key if STREAM_OF[push.channel] in STATE_STREAMS else push.identity
        if until is None or entry.number <= until:
            wanted[name] = (entry, push, [])
        elif name in wanted:
            wanted[name][2].append(push.payload)
    return wanted.values()


class RepeatCheck:
    """Finds the records of the event topics and of `results` that repeat a `ce_id` where the contract has no reason.

    It has three: one of the two records came from REST; a state stands once more behind an older one of its key; or
    somebody sent a command again, and its result is marked `repeated`.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[Stream, bytes], ReadRecord] = {}
        self._last_of_key: dict[tuple[Stream, bytes], bytes] = {}
        self.found: list[ReadRecord] = []

    def check(self, record: ReadRecord) -> None:
        """Take the next record of its topic; those of other topics are not looked at."""
        stream, ce_id = record.stream, record.headers.get(ID, b"")
        if stream not in _IDENTIFIED:
            return
        earlier = self._first.setdefault((stream, ce_id), record)
        if earlier is not record and not self._has_reason(record, earlier):
            self.found.append(record)
        self._last_of_key[stream, record.key] = ce_id

    def _has_reason(self, record: ReadRecord, earlier: ReadRecord) -> bool:
        stream = record.stream
        if stream is Stream.RESULTS:
            return record.fields.get("repeated") is True
        is_behind_older = stream in STATE_STREAMS and self._last_of_key.get((stream, record.key)) != record.headers[ID]
        return is_behind_older or RECOVERED in record.headers or RECOVERED in earlier.headers


def find_repeats(topic_records: TopicRecords) -> list[ReadRecord]:
    """Return the records that repeat a `ce_id` without a reason."""
    repeats = RepeatCheck()
    for stream in _IDENTIFIED:
        for record in topic_records[stream]:
            repeats.check(record)
    return repeats.found


def count_sequence_breaks(topic_records: TopicRecords) -> int:
    """Return how often `ce_sequence` does not begin with 1 or does not rise by one in a topic and epoch."""
    breaks = 0
    for stream in (*EVENTS, Stream.RESULTS, Stream.DEAD_LETTERS):
        last: dict[bytes, int] = defaultdict(int)
        for record in topic_records[stream]:
            epoch, number = record.headers[EPOCH], int(record.headers[SEQUENCE])
            breaks += number != last[epoch] + 1
            last[epoch] = number
    return breaks
