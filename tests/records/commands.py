"""Commands and their answers, in both directions: what the schema lets through is taken, what it refuses is refused."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tests.records.contract import fields, wrong
from tests.records.record import Records, Wrong
from tests.witness.record import NO_JSON, Record

_ACTIONS: Final = frozenset({"place_order", "replace_order", "cancel_order", "cancel_orders"})
_BY_SCHEMA: Final = frozenset({"bad_schema", "bad_value"})
_BEFORE_SCHEMA: Final = frozenset({"too_large"})
"""What is too large is refused unread."""
_ID_CONFLICT: Final = "id_conflict"


@dataclass
class SeenCommand:
    """A command and what came back for it."""

    record: Record
    results: list[Record] = field(default_factory=list)
    letters: list[Record] = field(default_factory=list)

    @property
    def last_words(self) -> list[Record]:
        """Its terminal results."""
        return [one for one in self.results if one.fields.get("outcome") != "unknown"]


def asked(records: Records) -> dict[int, SeenCommand]:
    """Bring every command together with its answers, by the offset that they name."""
    found = {record.offset: SeenCommand(record) for record in records["commands"]}
    for record in records["results"]:
        if record.texts.get("ce_type") == "ltp.result.v1":
            one = found.get(record.fields.get("commandOffset", -1))
            if one is not None:
                one.results.append(record)
    for record in records["dead-letters"]:
        one = found.get(record.number("__connect.errors.offset"))
        if one is not None:
            one.letters.append(record)
    return found


def refused(record: Record) -> str | None:
    """Say why a command does not satisfy the contract; None when it does."""
    if record.json is NO_JSON or not isinstance(record.json, dict):
        return "no JSON object"
    action = record.json.get("action")
    if action not in _ACTIONS:
        return f"no action of the contract: {action!r}"
    return wrong(action.replace("_", "-"), record.json)


def answered(records: Records) -> Iterator[Wrong]:
    """Count answers: a command has one last word or is in doubt, `unknown` comes first, no answer is about nothing."""
    found = asked(records)
    for one in found.values():
        words = len(one.last_words) + len(one.letters)
        if words > 1 or not one.results + one.letters:
            yield Wrong(one.record, f"{words} last words, {len(one.results)} results")
        if any(result.fields.get("outcome") == "unknown" for result in one.results[1:]):
            yield Wrong(one.record, "unknown is not the first answer")
    for record in records["results"]:
        of = found.get(record.fields.get("commandOffset", -1))
        if record.texts.get("ce_type") == "ltp.result.v1" and (of is None or not _belongs(record.fields, of.record)):
            yield Wrong(record, "there is no such command")


def _belongs(result: dict[str, Any], command: Record) -> bool:
    """Whether a result names what its command does; where a key stands twice, the schema decides alone."""
    return command.json is NO_JSON or command.fields.get("commandId") == result.get("commandId")


def letters(records: Records) -> Iterator[Wrong]:
    """Compare each dead letter with its command: the same bytes, under its key, and from its topic."""
    found = asked(records)
    for record in records["dead-letters"]:
        of = found.get(record.number("__connect.errors.offset"))
        if of is None:
            yield Wrong(record, "it names no command")
        elif (record.value, record.key) != (of.record.value, of.record.key or b""):
            yield Wrong(record, "value or key are not those of the command")
        elif not record.texts.get("__connect.errors.topic", "").endswith(f"{record.account}.commands"):
            yield Wrong(record, "it names another topic")


def both_ways(records: Records) -> Iterator[Wrong]:
    """Hold answers against the schema: what it refuses was refused, and nothing else for what it says."""
    for one in asked(records).values():
        why = refused(one.record)
        for result in one.results:
            row = result.fields
            if why is None and row.get("reason") in _BY_SCHEMA and not _is_too_late(row):
                yield Wrong(one.record, f"its schema lets it through, and it was denied: {row.get('message')}")
            if why is not None and row.get("reason") not in _BY_SCHEMA | _BEFORE_SCHEMA:
                yield Wrong(one.record, f"its schema refuses it ({why}), and it was taken")
        for letter in one.letters:
            if why is None and letter.texts.get("error_code") != _ID_CONFLICT:
                yield Wrong(one.record, f"it is a command, and a dead letter: {letter.texts.get('error_code')}")


def _is_too_late(result: dict[str, Any]) -> bool:
    """Whether a validity was beyond the limit, which counts from the record's timestamp: no schema knows it."""
    return str(result.get("message")).startswith("validUntil: more than")


def echoes(records: Records) -> Iterator[Wrong]:
    """Look for the headers of a command that come back in each of its answers, unchanged, and for no other."""
    echoed = fields("command-headers")
    for one in asked(records).values():
        brought = {name: content for name, content in one.record.headers if name in echoed}
        for answer in [*one.results, *one.letters]:
            back = {name: content for name, content in answer.headers if name in echoed}
            if back != brought:
                yield Wrong(answer, f"the command's headers {sorted(brought)} came back as {back}")


def in_doubt(records: Records) -> int:
    """Count the commands whose fate is not known."""
    return sum(not one.last_words and not one.letters for one in asked(records).values())


def counts(records: Records) -> dict[str, int]:
    """Count what became of the commands that their schema refuses, and of all the others."""
    made: dict[str, int] = defaultdict(int)
    for one in asked(records).values():
        made["valid" if refused(one.record) is None else "refused_by_schema"] += 1
    return dict(made)
