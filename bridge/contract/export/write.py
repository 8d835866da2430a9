"""Writes the contract: a JSON Schema (2020-12) for each record value and set of headers, AsyncAPI, golden samples."""

from pathlib import Path
from typing import Any

import msgspec

from bridge.contract.export import headers
from bridge.contract.export.asyncapi import document
from bridge.contract.export.messages import MESSAGES
from bridge.contract.export.samples import SAMPLES
from bridge.contract.export.schemas import DIALECT, components
from bridge.contract.topics import Stream

_HEADERS = {
    "command-headers": headers.CommandHeaders,
    "event-headers": headers.EventHeaders,
    "result-headers": headers.ResultHeaders,
    "dead-letter-headers": headers.DeadLetterHeaders,
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schemas by name: the values of the messages, and the headers."""
    values = {message.name: _value(message.kind, message.stream, message.summary) for message in MESSAGES}
    return values | {name: _schema(kind, f"{name} of a record") for name, kind in _HEADERS.items()}


def _value(kind: Any, stream: Stream, summary: str) -> dict[str, Any]:  # noqa: ANN401 - a type, or a union of types
    title = f"{summary} (topic {{prefix}}.{{account}}.{stream.value})"
    if kind is None:
        about = "The value is bytes of somebody else's: nothing is promised of it, not even that it is JSON."
        return {"$schema": DIALECT, "title": title, "description": about}
    return _schema(kind, title)


def _schema(kind: Any, title: str) -> dict[str, Any]:  # noqa: ANN401 - a type, or a union of types
    (body,), definitions = components([kind], "#/$defs/{name}")
    return {"$schema": DIALECT, "title": title, **body, "$defs": definitions}


def contract() -> dict[str, Any]:
    """Return everything that is published, by the path of its file."""
    return {
        "asyncapi.json": document(),
        **{f"{name}.schema.json": schema for name, schema in schemas().items()},
        **{f"samples/{sample.name}.json": sample.content for sample in SAMPLES},
    }


def write(folder: Path) -> list[str]:
    """Write the contract into a folder; return the paths of the files in it."""
    published = contract()
    for name, content in published.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    return list(published)
