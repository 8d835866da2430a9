"""What the topics tell of the time before this owner: results, dead letters, and what stood on the state topics."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from bridge.contract import headers as names
from bridge.contract.results import Result
from bridge.contract.session import GapClosed, GapOpened, SessionEvent, SessionOpened
from bridge.contract.topics import Stream
from bridge.core.gaps import Gap
from bridge.flow.ports import TailRecord

_decode_session = msgspec.json.Decoder(SessionEvent).decode
_decode_result = msgspec.json.Decoder(Result).decode


class NotVoid:
    """Passes over records with a lower epoch than one before them: a predecessor's producer was still flushing."""

    def __init__(self) -> None:
        self.epoch = 0
        """The highest so far."""

    def of(self, records: Iterable[TailRecord]) -> Iterator[tuple[TailRecord, bytes | None, bytes | None]]:
        """Yield each record that counts, with its value and its `ce_type`."""
        for record in records:
            headers = dict(record.headers)
            epoch = names.number(headers.get(names.EPOCH))
            if epoch >= self.epoch:
                self.epoch = epoch
                yield record, record.value, headers.get(names.TYPE)


class Answered:
    """What `results` and `dead-letters` tell, read piece by piece."""

    def __init__(self) -> None:
        self._not_void = NotVoid()
        self.offsets: set[int] = set()
        """The commands that have their last word."""
        self.trimmed_ms = 0
        """When the oldest result was written, where retention has removed older ones; else 0."""
        self._first_offset: int | None = None

    @property
    def epoch(self) -> int:
        """The highest epoch; 0 without one."""
        return self._not_void.epoch

    def results(self, records: Sequence[TailRecord]) -> list[tuple[Result, int]]:
        """Return the results among records, with their timestamps in ms; void ones are left out."""
        found: list[tuple[Result, int]] = []
        for record, value, kind in self._not_void.of(records):
            if value is None or kind != names.EVENT_TYPES[Stream.RESULTS]:
                continue
            try:
                result = _decode_result(value)
            except msgspec.DecodeError:
                continue
            found.append((result, record.timestamp_ms))
            if result.outcome.terminal:
                self.offsets.add(result.command_offset)
        if records and self._first_offset is None:
            self._first_offset = records[0].offset
        if found and self._first_offset and not self.trimmed_ms:
            self.trimmed_ms = found[0][1]
        return found

    def dead_letters(self, records: Sequence[TailRecord]) -> None:
        """Note which records of `commands` became dead letters."""
        self.offsets.update(names.number(dict(record.headers).get(names.ERROR_OFFSET)) for record in records)


class States:
    """The last state of every key that earlier owners published on one topic, read piece by piece."""

    def __init__(self) -> None:
        self._not_void = NotVoid()
        self.last: dict[bytes, tuple[bytes, int]] = {}
        """Value and timestamp in ms of the last record of each key, the oldest first."""

    def take(self, records: Sequence[TailRecord]) -> None:
        """Take records in; void ones are left out, and a tombstone ends its key."""
        for record, value, _ in self._not_void.of(records):
            key = record.key or b""
            self.last.pop(key, None)
            if value is not None:
                self.last[key] = value, record.timestamp_ms


class Heard:
    """What earlier owners said on `session`: the gaps that they left open and their last login, read piece by piece."""

    def __init__(self) -> None:
        self._open: dict[str, Gap] = {}
        self.epoch = 0
        """The highest epoch; 0 without one."""
        self.last_login_ms = 0

    @property
    def left_open(self) -> Iterable[Gap]:
        """The gaps that were not closed, the oldest first."""
        return self._open.values()

    def take(self, records: Sequence[TailRecord]) -> None:
        """Take records of `session` in; what is not a session event is none."""
        for record in records:
            with contextlib.suppress(msgspec.DecodeError):
                event = _decode_session(record.value or b"")
                epoch = names.number(dict(record.headers).get(names.EPOCH))
                # An owner that was put out may still have been flushing.
                void, self.epoch = epoch < self.epoch, max(epoch, self.epoch)
                if isinstance(event, GapOpened):
                    self._open[event.gap_id] = Gap(event.gap_id, event.from_ms, event.cause)
                elif isinstance(event, GapClosed):
                    self._open.pop(event.gap_id, None)
                elif isinstance(event, SessionOpened) and not void:
                    self.last_login_ms = event.at
                    for gap in self._open.values():
                        gap.to_ms = gap.to_ms or event.at
