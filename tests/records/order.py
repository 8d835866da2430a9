"""What holds between a record and its topic: keys, sequences, epochs, and the names of facts (README)."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from tests.records.record import Records, Wrong
from tests.witness.record import STATES, Record

_NOWHERE: Final = "UNKNOWN"
"""Stands in a key for what a push does not say."""


def _position(row: dict[str, Any]) -> str:
    side = row.get("positionSide") or "NONE"
    return f"{row['sym']}:{'NONE' if side == 'NET' else side}"


_KEYS: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "orders": lambda row: row["orderId"],
    "trades": lambda row: row["orderId"],
    "assets": lambda row: f"{row.get('exchangeType') or _NOWHERE}:{row['coin']}",
    "positions": _position,
    "margin-calls": lambda row: row.get("exchangeType") or _NOWHERE,
    "liquidations": lambda row: row["liquidationEventId"],
    "results": lambda row: row["commandId"],
}


def keys(records: Records) -> Iterator[Wrong]:
    """Compare each key with the table of the README; that of a dead letter is the command's."""
    for record in records.events:
        wanted = _key(record) if record.value is not None and record.stream != "dead-letters" else None
        if wanted is not None and record.key != wanted.encode():
            yield Wrong(record, f"the key is {record.key!r}, not {wanted}")


def tombstones(records: Records) -> Iterator[Wrong]:
    """Only a position or a balance that is no more has no value; a dead letter has the value that its command had."""
    for record in records.events:
        if record.value is None and record.stream not in {"assets", "positions", "dead-letters"}:
            yield Wrong(record, "no value, and no end of a position or a balance")


def _key(record: Record) -> str | None:
    if record.stream == "session" or record.texts.get("ce_type") == "ltp.takeover.v1":
        return record.account
    if record.stream == "unrecognized":
        # Of what is no push at all nobody knows the channel.
        return str(record.fields["channel"]) if {"channel", "data"} <= record.fields.keys() else _NOWHERE
    try:
        return str(_KEYS[record.stream](record.fields))
    except KeyError:
        return None  # its schema says so


def sequences(records: Records) -> Iterator[Wrong]:
    """In each topic and epoch `ce_sequence` goes from 1 on by one; a lower epoch never follows a higher one."""
    last: dict[tuple[str, int], int] = defaultdict(int)
    top: dict[str, int] = defaultdict(int)
    for record in records.events:
        epoch, sequence = record.epoch, record.sequence
        if sequence != last[record.stream, epoch] + 1:
            yield Wrong(record, f"ce_sequence {sequence} follows {last[record.stream, epoch]} in epoch {epoch}")
        if epoch < top[record.stream]:
            yield Wrong(record, f"ce_epoch {epoch} follows {top[record.stream]}")
        last[record.stream, epoch] = sequence
        top[record.stream] = max(top[record.stream], epoch)


def epochs(records: Records) -> Iterator[Wrong]:
    """Compare what records say of their owner's term; each begins on `results` with a takeover, and nowhere else."""
    for record in records.events:
        told = record.fields.get("epoch")
        if record.stream in {"results", "session"} and told is not None and told != record.epoch:
            yield Wrong(record, f"epoch {told} under ce_epoch {record.number('ce_epoch')}")
        is_takeover = record.texts.get("ce_type") == "ltp.takeover.v1"
        if record.stream == "results" and is_takeover != (record.sequence == 1):
            yield Wrong(record, "a takeover record is the first of its term, and the first of a term is one")


def names(records: Records) -> Iterator[Wrong]:
    """One `ce_id` is one fact: what is told twice under it on a topic of events is the same, word for word."""
    seen: dict[tuple[str, str], Record] = {}
    for record in records.events:
        name = record.texts.get("ce_id", "")
        first = seen.setdefault((record.stream, name), record)
        if first is not record and record.stream not in STATES and _fact(first) != _fact(record):
            yield Wrong(record, f"ce_id {name} is that of offset {first.offset}, which says otherwise")


def told_again(records: Records) -> int:
    """Count the records of event topics that whoever dedupes by `ce_id` drops."""
    events = [record for record in records.events if record.stream not in STATES]
    return len(events) - len({(record.stream, record.texts.get("ce_id")) for record in events})


def _fact(record: Record) -> object:
    """Return what all records of one `ce_id` must agree in."""
    row = record.fields
    if record.stream == "trades":
        return row.get("side"), *(Decimal(str(row.get(name))) for name in ("quantity", "price"))
    if record.stream == "results":
        # A command that was submitted again brings the same result again, for its own offset and marked so.
        return {name: value for name, value in row.items() if name not in {"commandOffset", "repeated"}}
    return record.offset


def pairs(records: Records) -> Iterator[Wrong]:
    """Every gap that is closed was opened, before and once; a session is lost only where one was opened."""
    opened: set[str] = set()
    sessions = 0
    for record in records["session"]:
        row = record.fields
        sessions += {"session.opened": 1, "session.lost": -1}.get(row.get("type", ""), 0)
        gap = row.get("gapId", "")
        if row.get("type") == "gap.opened" and gap in opened:
            yield Wrong(record, f"the gap {gap} is open already")
        if row.get("type") == "gap.closed" and gap not in opened:
            yield Wrong(record, f"the gap {gap} was not opened")
        if sessions not in {0, 1}:
            yield Wrong(record, "more sessions opened than lost, or more lost than opened")
            sessions = 0
        opened = opened | {gap} if row.get("type") == "gap.opened" else opened - {gap}
