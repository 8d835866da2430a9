"""Commands and what was answered to them, as the checker reads the topics."""

import json
from typing import Any

from tests.witness.epochs import valid
from tests.witness.record import Record

STREAMS = ("commands", "results", "dead-letters", "session", "orders")
_DEFAULT_VALIDITY_MS = {"place_order": 10_000, "replace_order": 10_000, "cancel_order": 60_000, "cancel_orders": 60_000}


class Command:
    """One record of `commands`. `kind` says how it must be answered: first, repeat, conflict or unreadable."""

    def __init__(self, record: Record, first: "Command | None") -> None:
        body = record.fields
        self.offset = record.offset
        self.timestamp_ms = record.timestamp_ms
        self.command_id = body.get("commandId")
        self.action = str(body.get("action"))
        self.args: dict[str, str] = body.get("args") or {}
        self.first = first or self
        default_ms = self.timestamp_ms + _DEFAULT_VALIDITY_MS.get(self.action, 0)
        self.valid_until_ms = int(body.get("validUntil", default_ms))
        if not isinstance(self.command_id, str):
            self.kind = "unreadable"
        elif first is None:
            self.kind = "first"
        else:
            self.kind = "repeat" if (first.action, first.args) == (self.action, self.args) else "conflict"

    @property
    def wants_dead_letter(self) -> bool:
        """Whether it cannot be answered under its own id."""
        return self.kind in {"unreadable", "conflict"}

    def witness(self) -> dict[str, Any]:
        """Name the command for a person."""
        return {"commandId": self.command_id, "offset": self.offset, "action": self.action}


class Answer:
    """One valid record of `results` about a command."""

    def __init__(self, record: Record, term_began_ms: int) -> None:
        value = record.fields
        self.at = record.offset
        self.epoch = record.epoch
        self.offset = int(value["commandOffset"])
        self.command_id = value["commandId"]
        self.outcome = str(value["outcome"])
        self.code = value.get("code")
        self.reason = value.get("reason")
        self.answered_ms = int(value["answeredAt"])
        self.term_began_ms = term_began_ms

    @property
    def is_last(self) -> bool:
        """Whether it is a terminal result."""
        return self.outcome != "unknown"

    def witness(self) -> dict[str, Any]:
        """Name the answer for a person."""
        return {
            "result": self.at,
            "epoch": self.epoch,
            "outcome": self.outcome,
            "code": self.code,
            "reason": self.reason,
        }


def read_commands(records: list[Record]) -> dict[int, Command]:
    """Return the commands by offset."""
    firsts: dict[str, Command] = {}
    commands = {}
    for record in records:
        first = firsts.get(json.dumps(record.fields.get("commandId")))
        command = commands[record.offset] = Command(record, first)
        if command.kind == "first":
            firsts[json.dumps(command.command_id)] = command
    return commands


def without_void(records: list[Record]) -> list[Record]:
    """Pass over what a reader passes over: a lower epoch after a higher one, and the same publication twice."""
    once = {(record.epoch, record.sequence): record for record in reversed(list(valid(records)))}
    return sorted(once.values(), key=lambda record: record.offset)


def read_answers(records: list[Record]) -> list[Answer]:
    """Return the answers among the valid records of `results`; the others are takeovers, with which a term begins."""
    answers, term_began_ms = [], 0
    for record in records:
        if "outcome" in record.fields:
            answers.append(Answer(record, term_began_ms))
        else:
            term_began_ms = record.timestamp_ms
    return answers
