"""Commands and what was answered to them, as the checker reads the topics."""

import json
from typing import Any

Record = dict[str, Any]

_DEFAULT_VALIDITY_MS = {"place_order": 10_000, "replace_order": 10_000, "cancel_order": 60_000, "cancel_orders": 60_000}


class Command:
    """One record of `commands`. `kind` says how it must be answered: first, repeat, conflict or unreadable."""

    def __init__(self, record: Record, first: "Command | None") -> None:
        body = record["value"] if isinstance(record["value"], dict) else {}
        self.offset = int(record["offset"])
        self.timestamp_ms = int(record["timestamp"])
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

    def witness(self) -> Record:
        """Name the command for a person."""
        return {"commandId": self.command_id, "offset": self.offset, "action": self.action}


class Answer:
    """One valid record of `results` about a command."""

    def __init__(self, record: Record, term_began_ms: int) -> None:
        value = record["value"]
        self.at = int(record["offset"])
        self.epoch = epoch_of(record)
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

    def witness(self) -> Record:
        """Name the answer for a person."""
        return {
            "result": self.at,
            "epoch": self.epoch,
            "outcome": self.outcome,
            "code": self.code,
            "reason": self.reason,
        }


def epoch_of(record: Record) -> int:
    """Return the owner's term in which a record was made."""
    return int(record["headers"].get("ce_epoch", -1))


def read_commands(records: list[Record]) -> dict[int, Command]:
    """Return the commands by offset."""
    firsts: dict[str, Command] = {}
    commands = {}
    for record in records:
        body = record["value"] if isinstance(record["value"], dict) else {}
        first = firsts.get(json.dumps(body.get("commandId")))
        command = commands[int(record["offset"])] = Command(record, first)
        if command.kind == "first":
            firsts[json.dumps(command.command_id)] = command
    return commands


def without_void(records: list[Record]) -> list[Record]:
    """Pass over what a reader passes over: a lower epoch after a higher one, and the same publication twice."""
    top, seen, valid = 0, set[tuple[int, str]](), []
    for record in records:
        epoch, publication = epoch_of(record), (epoch_of(record), record["headers"].get("ce_sequence", ""))
        if epoch < top or publication in seen:
            continue
        top = epoch
        seen.add(publication)
        valid.append(record)
    return valid


def read_answers(valid: list[Record]) -> list[Answer]:
    """Return the answers among the valid records of `results`; the others are takeovers, with which a term begins."""
    answers, term_began_ms = [], 0
    for record in valid:
        if isinstance(record["value"], dict) and "outcome" in record["value"]:
            answers.append(Answer(record, term_began_ms))
        else:
            term_began_ms = int(record["timestamp"])
    return answers
