"""Writes the contract: a JSON Schema (2020-12) for each record value and set of headers, AsyncAPI, golden samples."""

from pathlib import Path
from typing import Any

import msgspec

from bridge.contract.export import headers
from bridge.contract.export.asyncapi import document
from bridge.contract.export.messages import MESSAGES, Message
from bridge.contract.export.samples import SAMPLES
from bridge.contract.export.schemas import DIALECT, components

_HEADERS = {
    "command-headers": headers.CommandHeaders,
    "event-headers": headers.EventHeaders,
    "result-headers": headers.ResultHeaders,
    "dead-letter-headers": headers.DeadLetterHeaders,
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schemas by name: the values of the messages, and the headers."""
    values = {message.name: _value(message) for message in MESSAGES}
    return values | {name: _schema(kind, kind.__name__, None) for name, kind in _HEADERS.items()}


def _value(message: Message) -> dict[str, Any]:
    title = message.name.title().replace("-", "")
    about = f"{message.summary}. Topic {{prefix}}.{{account}}.{message.stream.value}."
    if message.kind is None:
        about += " The value is bytes of somebody else's: nothing is promised of it, not even that it is JSON."
        return {"$schema": DIALECT, "title": title, "description": about}
    return _schema(message.kind, title, about)


def _schema(kind: Any, title: str, about: str | None) -> dict[str, Any]:  # noqa: ANN401 - a type, or a union of types
    """Put the type itself at the root, where generators of code look for it, and what it refers to beside it."""
    (body,), definitions = components([kind], "#/$defs/{name}")
    root = definitions.pop(kind.__name__) if "$ref" in body else body
    described = "\n\n".join(text for text in (about, root.get("description")) if text)
    refers = {"$defs": definitions} if definitions else {}
    return {"$schema": DIALECT, **root, "title": title, "description": described, **refers}


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
