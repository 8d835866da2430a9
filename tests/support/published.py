"""The published contract, read as anybody may read it: schemas from the folder and jsonschema."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parents[2] / "schemas"


@cache
def validator(name: str) -> Draft202012Validator:
    """Return the validator of one schema of the folder; formats are checked too."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_bytes())
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def is_valid(name: str, value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether a value is what the schema of a name describes."""
    return validator(name).is_valid(value)


def samples() -> dict[str, dict[str, Any]]:
    """Return the golden samples by name."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted((SCHEMAS / "samples").glob("*.json"))}
