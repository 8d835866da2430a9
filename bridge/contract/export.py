"""Writes the contract as JSON Schema (2020-12), a document for each record value, from the types the code uses."""

import inspect
from pathlib import Path
from typing import Any, Final

import msgspec

from bridge.contract import commands, pushes, results, session
from bridge.contract.topics import Stream

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

VALUES: Final[dict[str, tuple[Stream, Any]]] = {
    "command": (Stream.COMMANDS, commands.Command),
    "result": (Stream.RESULTS, results.Result),
    "takeover": (Stream.RESULTS, results.Takeover),
    "session": (Stream.SESSION, session.SessionEvent),
    "order": (Stream.ORDERS, pushes.OrderPush),
    "trade": (Stream.TRADES, pushes.TradePush),
    "asset": (Stream.ASSETS, pushes.AssetPush),
    "position": (Stream.POSITIONS, pushes.PositionPush),
    "margin-call": (Stream.MARGIN_CALLS, pushes.MarginCallPush),
    "liquidation": (Stream.LIQUIDATIONS, pushes.LiquidationPush),
}
"""The record values of the contract: the stream each travels on and its type."""


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of one record value."""
    stream, kind = VALUES[name]
    (body,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    about = {"$schema": _DIALECT, "title": f"{name} (topic {{prefix}}.{{account}}.{stream.value})"}
    return {**about, **body, "$defs": {title: _tidy(definition) for title, definition in definitions.items()}}


def _tidy(definition: dict[str, Any]) -> dict[str, Any]:
    """Take the indentation of the code out of a description."""
    return {**definition, "description": inspect.cleandoc(definition["description"])}


def write(folder: Path) -> list[str]:
    """Write every schema into a folder; return the file names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name in VALUES:
        path = folder / f"{name}.schema.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(schema(name), order="sorted"), indent=2) + b"\n")
        names.append(path.name)
    return names
