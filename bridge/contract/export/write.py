"""Write the contract: a JSON Schema (2020-12) for each record value and set of headers, AsyncAPI, golden samples."""

from pathlib import Path
from typing import Any

import msgspec

from bridge.contract.export import headers
from bridge.contract.export.asyncapi import build_document
from bridge.contract.export.messages import MESSAGES, Message
from bridge.contract.export.samples import SAMPLES
from bridge.contract.export.schemas import DIALECT, build_components, published_name

_HEADERS = {
    "command-headers": headers.CommandHeaders,
    "event-headers": headers.EventHeaders,
    "result-headers": headers.ResultHeaders,
    "dead-letter-headers": headers.DeadLetterHeaders,
}


def build_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schemas by name: the values of the messages, and the headers."""
    values = {message.name: _value_schema(message) for message in MESSAGES}
    return values | {name: _root_schema(kind, kind.__name__, None) for name, kind in _HEADERS.items()}


def _value_schema(message: Message) -> dict[str, Any]:
    title = message.name.title().replace("-", "")
    about = f"{message.summary}. Topic {{prefix}}.{{account}}.{message.stream.value}."
    if message.kind is None:
        about += " The value is bytes of another party: it may be anything, also not JSON."
        return {"$schema": DIALECT, "title": title, "description": about}
    return _root_schema(message.kind, title, about)


def _root_schema(kind: Any, title: str, about: str | None) -> dict[str, Any]:  # noqa: ANN401 - a type, or a union of types
    """Return a schema with the type itself at its root, where code generators look for it, and its definitions."""
    (body,), definitions = build_components([kind], "#/$defs/{name}")
    root = definitions.pop(published_name(kind.__name__)) if "$ref" in body else body
    described = "\n\n".join(text for text in (about, root.get("description")) if text)
    refers = {"$defs": definitions} if definitions else {}
    return {"$schema": DIALECT, **root, "title": title, "description": described, **refers}


def build_contract() -> dict[str, Any]:
    """Return every published document by the path of its file."""
    return {
        "asyncapi.json": build_document(),
        **{f"{name}.schema.json": schema for name, schema in build_schemas().items()},
        **{f"samples/{sample.name}.json": sample.content for sample in SAMPLES},
    }


def write_contract(folder: Path) -> list[str]:
    """Write the contract into a folder; return the paths of the files in it."""
    published = build_contract()
    for name, content in published.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    return list(published)
