"""The verdict on a run's records: each against its schema, its headers, the SDK, and what holds between them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.records import commands, contract, events, order
from tests.records.record import Records, Wrong
from tests.witness.record import STREAMS, Record

_BETWEEN: Final[tuple[Callable[[Records], Iterator[Wrong]], ...]] = (
    *(order.keys, order.tombstones, order.sequences, order.epochs, order.names, order.pairs),
    *(commands.answered, commands.letters, commands.both_ways, commands.echoes),
)


@dataclass(frozen=True)
class Verdict:
    """What was found."""

    records: Records
    wrongs: list[Wrong]
    parsed: int
    """How many the official SDK read."""
    unparsed: frozenset[tuple[str, int]]

    @property
    def invalid(self) -> set[tuple[str, int]]:
        """The records with which something is wrong."""
        return {(wrong.record.stream, wrong.record.offset) for wrong in self.wrongs}

    def row(self, stream: str) -> dict[str, int]:
        """Count one topic."""
        total = len(self.records[stream])
        invalid = sum(stream == of for of, _ in self.invalid)
        unparsed = sum(stream == of for of, _ in self.unparsed)
        parsed = 0 if stream == "commands" else total - unparsed
        return {"records": total, "valid": total - invalid, "invalid": invalid, "cloudevents": parsed}

    @property
    def empty(self) -> list[str]:
        """The topics that nothing was on."""
        return [stream for stream in STREAMS if not self.records[stream]]


def check(records: Records) -> Verdict:
    """Check everything."""
    wrongs, unparsed = [], set()
    for record in records.events:
        wrongs += [Wrong(record, text) for text in events.headers_wrong(record)]
        wrongs += [Wrong(record, text) for text in _value_wrong(record)]
        unread = events.unread(record)
        if unread is not None:
            wrongs.append(Wrong(record, f"the CloudEvents SDK: {unread}"))
            unparsed.add((record.stream, record.offset))
    wrongs += [Wrong(record, text) for record in records["commands"] for text in _command_wrong(record)]
    wrongs += [wrong for rule in _BETWEEN for wrong in rule(records)]
    return Verdict(records, wrongs, len(records.events) - len(unparsed), frozenset(unparsed))


def _value_wrong(record: Record) -> Iterator[str]:
    if record.value is None or record.texts.get("ce_type") not in contract.TYPES[record.stream]:
        return  # tombstones have a rule of their own; without its type nobody knows what a value should be
    if record.stream in {"unrecognized", "dead-letters"}:
        return  # bytes of somebody else's
    why = contract.wrong(contract.schema_of(record), record.json)
    if why is not None:
        yield why
    else:
        yield from contract.unknown(record)


def _command_wrong(record: Record) -> Iterator[str]:
    why = contract.wrong("command-headers", record.texts)
    if why is not None:
        yield f"headers: {why}"
