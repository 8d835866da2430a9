"""The published contract, read as anybody may read it: schemas and samples from the folder, and jsonschema."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parents[2] / "schemas"
_OWN_HEADERS = frozenset({"result", "dead-letter"})


@cache
def document(name: str) -> dict[str, Any]:
    """Read the schema of a name."""
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_bytes())
    return schema


@cache
def validator(name: str) -> Draft202012Validator:
    """Return the validator of one schema, which is one; formats are checked too."""
    Draft202012Validator.check_schema(document(name))
    return Draft202012Validator(document(name), format_checker=Draft202012Validator.FORMAT_CHECKER)


def is_valid(name: str, value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether a value is what the schema of a name describes."""
    return validator(name).is_valid(value)


def headers_of(message: str, stream: str) -> str:
    """Name the schema of the headers of a message on a stream."""
    if stream == "commands":
        return "command-headers"
    return f"{message}-headers" if message in _OWN_HEADERS else "event-headers"


def parts(schema: object) -> Iterator[dict[str, Any]]:
    """Walk through every object of a schema, itself first."""
    if isinstance(schema, dict):
        yield schema
    children = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for child in children:
        yield from parts(child)


@cache
def samples() -> dict[str, dict[str, Any]]:
    """Return the golden samples by name."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted((SCHEMAS / "samples").glob("*.json"))}


def message_of(sample: str) -> str:
    """Name the message that a sample is of: what stands before the first dot of its name."""
    return sample.split(".", 1)[0]
