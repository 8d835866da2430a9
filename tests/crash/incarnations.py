"""Commands topics that follow each other under one name: their offsets begin anew, so each gets a range of its own."""

import json
import re
from bisect import bisect_right
from typing import Any

from tests.witness.frames import json_object
from tests.witness.record import Plain

History = dict[str, Any]

RANGE = 1_000_000
"""Offsets of one incarnation."""
_DEAD_LETTER_OFFSET = "__connect.errors.offset"
_REQUEST_ID = re.compile(r'"([0-9a-f]+)x([0-9a-f]+)x([0-9a-f]+)"')


def number_offsets_through(history: History) -> History:
    """Return a history in which no two commands have one offset, whichever topic of that name they stood on.

    `incarnations` has the lowest epoch of an owner that read each topic. An owner reads one of them, so the epoch of a
    result or request tells which topic its offset is of.
    """
    lowest_epochs = history.get("incarnations", [0])
    if len(lowest_epochs) == 1:
        return history

    def base_of(epoch: int) -> int:
        return RANGE * (bisect_right(lowest_epochs, epoch) - 1)

    return {
        **history,
        "commands": [{**one, "offset": one["offset"] + RANGE * one["incarnation"]} for one in history["commands"]],
        "results": [_result(one, base_of(_epoch_of(one))) for one in history["results"]],
        "dead-letters": [_dead_letter(one, base_of(_epoch_of(one))) for one in history["dead-letters"]],
        "ledger": [_ledger_line(one, base_of) for one in history["ledger"]],
    }


def _epoch_of(record: Plain) -> int:
    return int(record["headers"].get("ce_epoch", -1))


def _result(record: Plain, base: int) -> Plain:
    value = json_object(record["text"] or "")
    if "commandOffset" not in value:
        return record
    return {**record, "text": json.dumps({**value, "commandOffset": value["commandOffset"] + base})}


def _dead_letter(record: Plain, base: int) -> Plain:
    headers = record["headers"]
    if _DEAD_LETTER_OFFSET not in headers:
        return record
    return {**record, "headers": {**headers, _DEAD_LETTER_OFFSET: str(int(headers[_DEAD_LETTER_OFFSET]) + base)}}


def _ledger_line(line: dict[str, Any], base_of: Any) -> dict[str, Any]:  # noqa: ANN401 - a function of an epoch
    """Rewrite the request ids, which have the offset of their command in hexadecimal."""

    def number_through(found: re.Match[str]) -> str:
        epoch, offset, attempt = (int(part, 16) for part in found.groups())
        return f'"{epoch:x}x{offset + base_of(epoch):x}x{attempt:x}"'

    facts = line.get("facts", {})
    changed = {}
    if "text" in facts:
        changed["text"] = _REQUEST_ID.sub(number_through, facts["text"])
    if facts.get("request_id"):
        changed["request_id"] = json.loads(_REQUEST_ID.sub(number_through, json.dumps(facts["request_id"])))
    return {**line, "facts": {**facts, **changed}} if changed else line
