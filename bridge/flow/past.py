"""What the topics tell of the time before this owner: results, dead letters, and the orders' snapshots."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from bridge.contract import headers as names
from bridge.contract.pushes import OrderPush
from bridge.contract.results import Result
from bridge.contract.topics import Stream
from bridge.flow.ports import TailRecord

_decode_result = msgspec.json.Decoder(Result).decode
_decode_order = msgspec.json.Decoder(OrderPush).decode


class NotVoid:
    """Passes over records with a lower epoch than one before them: a predecessor's producer was still flushing."""

    def __init__(self) -> None:
        self.epoch = 0
        """The highest so far."""

    def of(self, records: Iterable[TailRecord]) -> Iterator[tuple[TailRecord, bytes, bytes | None]]:
        """Yield each record that counts, with its value and its `ce_type`."""
        for record in records:
            headers = dict(record.headers)
            epoch = names.number(headers.get(names.EPOCH))
            if epoch >= self.epoch and record.value is not None:
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
            if kind != names.EVENT_TYPES[Stream.RESULTS]:
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


class Orders:
    """The orders' snapshots that earlier owners published, read piece by piece."""

    def __init__(self) -> None:
        self._not_void = NotVoid()

    def snapshots(self, records: Sequence[TailRecord]) -> list[OrderPush]:
        """Return the snapshots among records; void ones are left out."""
        found: list[OrderPush] = []
        for _, value, _ in self._not_void.of(records):
            with contextlib.suppress(msgspec.DecodeError):
                found.append(_decode_order(value))
        return found
