"""The contract as it lies on the disk: which schema a record's value must satisfy, and what one says of it."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from jsonschema.exceptions import best_match

from tests.support import published
from tests.support.published import document, message_of, parts, samples, validator
from tests.witness.record import NO_JSON, Record

TYPES: Final[dict[str, frozenset[str]]] = {
    "orders": frozenset({"ltp.order.v1"}),
    "trades": frozenset({"ltp.trade.v1"}),
    "assets": frozenset({"ltp.asset.v1"}),
    "positions": frozenset({"ltp.position.v1"}),
    "margin-calls": frozenset({"ltp.margin-call.v1"}),
    "liquidations": frozenset({"ltp.liquidation.v1"}),
    "session": frozenset({"ltp.session.v1"}),
    "unrecognized": frozenset({"ltp.unrecognized.v1"}),
    "results": frozenset({"ltp.result.v1", "ltp.takeover.v1"}),
    "dead-letters": frozenset({"ltp.dead-letter.v1"}),
}
"""Which events travel on a topic."""


def wrong(name: str, value: object) -> str | None:
    """Say where and why a value does not satisfy a schema; None when it does."""
    if value is NO_JSON:
        return "it is no JSON"
    error = best_match(validator(name).iter_errors(value))
    if error is None:
        return None
    at = "/".join(map(str, error.absolute_path))
    return f"{at}: {error.message} (schema {name}: {'/'.join(map(str, error.absolute_schema_path))})"


def schema_of(record: Record) -> str:
    """Name the schema of an event's value: the middle of its `ce_type`."""
    return record.texts["ce_type"].removeprefix("ltp.").removesuffix(".v1")


def headers_of(record: Record) -> str:
    """Name the schema of a record's headers."""
    return published.headers_of(schema_of(record) if record.stream != "commands" else "", record.stream)


@cache
def sample_headers(name: str) -> frozenset[str]:
    """Return the headers that all golden samples of a message have, and that no command brought."""
    names = [set(content["headers"]) for sample, content in samples().items() if message_of(sample) == name]
    return frozenset(set.intersection(*names) - fields("command-headers"))


@cache
def fields(name: str) -> frozenset[str]:
    """Return every name that a schema has for a field, wherever it stands."""
    return frozenset(field for part in parts(document(name)) for field in part.get("properties", ()))


@cache
def choices(name: str, field: str) -> frozenset[str]:
    """Return the words that a schema knows for a field, wherever it stands; it may let others through."""
    known = [part.get("properties", {}).get(field) for part in parts(document(name))]
    return frozenset(value for node in known for value in _allowed(name, node))


WORDS: Final = (
    ("session", "type"),
    ("session", "cause"),
    ("session", "alarm"),
    ("session", "lost"),
    ("result", "outcome"),
    ("result", "reason"),
)
"""Fields that hold words of the contract. Some schemas let others through, for versions to come."""
OURS: Final = frozenset({"session", "result", "takeover"})
"""Values that the bridge writes itself; the others are the venue's, or a caller's."""


def words(row: dict[str, Any], field: str) -> list[str]:
    """Return what a field holds, one word or a list of them."""
    held = row.get(field) or []
    return held if isinstance(held, list) else [held]


def unknown(record: Record) -> Iterator[str]:
    """Say what of a record of the bridge its schema leaves to versions to come: this version must not use it."""
    name = schema_of(record)
    for of, field in WORDS:
        if of == name:
            yield from (
                f"{field} {word!r} is not told"
                for word in words(record.fields, field)
                if word not in choices(of, field)
            )
    if name in OURS:
        held = {field for part in objects(record.json) for field in part}
        yield from (f"the field {field} is not told" for field in sorted(held - fields(name)))


def objects(value: object) -> list[dict[str, Any]]:
    """Return every object in a value."""
    if isinstance(value, dict):
        return [value, *(part for one in value.values() for part in objects(one))]
    return [part for one in value for part in objects(one)] if isinstance(value, list) else []


def optional(name: str) -> frozenset[str]:
    """Return the fields of a value that may be absent."""
    required = {field for part in parts(document(name)) for field in part.get("required", ())}
    return fields(name) - required


def _allowed(name: str, node: object) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    if "$ref" in node:
        yield from _allowed(name, document(name)["$defs"][node["$ref"].rsplit("/", 1)[1]])
    yield from node.get("enum", [node["const"]] if "const" in node else ())
    for branch in (*node.get("anyOf", ()), node.get("items")):
        yield from _allowed(name, branch)
