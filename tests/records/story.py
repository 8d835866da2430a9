"""A quiet day as records: the golden samples in their order, and the commands that their results answer."""

import base64
import json
from collections import defaultdict
from dataclasses import replace
from typing import Any

from tests.records.record import Records
from tests.support.published import samples
from tests.witness.record import Record


def _record(sample: dict[str, Any], offset: int) -> Record:
    _, account, stream = sample["topic"].split(".")
    value = base64.b64decode(sample["base64"]) if "base64" in sample else json.dumps(sample["value"]).encode()
    headers = tuple((name, text.encode()) for name, text in sample["headers"].items())
    key = sample["key"].encode()
    return Record(stream, account, offset, 0, key, None if value == b"null" else value, headers)


class Story:
    """Records that nothing is wrong with, until something is planted."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        at: dict[str, int] = defaultdict(int)
        for sample in sorted(samples().values(), key=lambda one: one["headers"].get("ce_sequence", "")):
            if not sample["topic"].endswith(".commands"):
                self._records.append(_record(sample, at[sample["topic"]]))
                at[sample["topic"]] += 1
        for answer in list(self._records):
            self._ask(answer)

    def _ask(self, answer: Record) -> None:
        """Add the command of an answer, once."""
        if answer.stream == "dead-letters":
            offset = answer.number("__connect.errors.offset")
            self._records.append(replace(answer, stream="commands", offset=offset, headers=()))
        row = answer.fields
        if "commandOffset" in row and row["outcome"] != "unknown":
            command = _record(samples()[row["action"].replace("_", "-")], row["commandOffset"])
            value = {**command.fields, "commandId": row["commandId"]}
            self._records.append(replace(command, value=json.dumps(value).encode()))

    def find(self, name: str) -> Record:
        """Return a record by its stream, and the word of its value that tells it from the others."""
        stream, _, word = name.partition(" ")
        return next(one for one in self._records if one.stream == stream and word.encode() in (one.value or b"null"))

    def put(self, old: Record, new: Record) -> None:
        """Put another record in the place of one."""
        self._records[self._records.index(old)] = new

    def add(self, record: Record) -> None:
        """Let a record follow."""
        self._records.append(record)

    def remove(self, record: Record) -> None:
        """Take a record out."""
        self._records.remove(record)

    def records(self) -> Records:
        """Return what a reader finds."""
        return Records(self._records)


def with_header(record: Record, name: str, content: bytes | None) -> Record:
    """Return a record with another header, or without it."""
    headers = {key: value for key, value in record.headers if key != name}
    return replace(record, headers=tuple((headers if content is None else {**headers, name: content}).items()))


def with_value(record: Record, **changes: Any) -> Record:  # noqa: ANN401 - any JSON
    """Return a record whose value has other fields; None takes one away."""
    row = {name: value for name, value in {**record.fields, **changes}.items() if value is not None}
    return replace(record, value=json.dumps(row).encode())


def next_of(record: Record, **changes: Any) -> Record:  # noqa: ANN401 - any JSON
    """Return the record that would follow next, under the same name."""
    after = with_header(record, "ce_sequence", str(record.number("ce_sequence") + 1).zfill(20).encode())
    return with_value(replace(after, offset=record.offset + 1), **changes)
