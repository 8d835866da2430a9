"""How much of the contract a run has shown: told, and not judged."""

from collections import Counter
from typing import Any

from tests.records.contract import WORDS, choices, objects, optional, schema_of, words
from tests.records.record import Records


def seen(records: Records) -> dict[str, Any]:
    """Return what was seen how often, and what of the contract was not."""
    rows = [(schema_of(record), record.fields) for record in records.events if record.texts.get("ce_type")]
    found: dict[str, Any] = {}
    for name, field in WORDS:
        counted = Counter(word for of, row in rows if of == name for word in words(row, field))
        found[f"{name}.{field}"] = {"seen": dict(counted), "unseen": sorted(choices(name, field) - counted.keys())}
    letters = Counter(record.texts.get("error_code", "") for record in records["dead-letters"])
    found["dead-letter.error_code"] = {"seen": dict(letters)}
    found["fields"] = {name: fields for name in sorted({of for of, _ in rows}) if (fields := _never(name, rows))}
    found["tombstones"] = dict(Counter(record.stream for record in records.events if record.value is None))
    found["headers"] = dict(Counter(name for record in records.events for name, _ in record.headers))
    return found


def _never(name: str, rows: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Return the optional fields of a value that never held anything."""
    held = {
        field for of, row in rows if of == name for part in objects(row) for field in part if part[field] is not None
    }
    return sorted(optional(name) - held)
