"""JSON Schema from the types of the code, without features that only Python has."""

import inspect
from collections.abc import Iterable
from functools import reduce
from typing import Any, Final

import msgspec

from bridge.contract import results, session
from bridge.contract.enums import DocumentedEnum, ExtensibleEnum
from bridge.contract.export import pushes
from bridge.contract.export.conditions import CONDITIONS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_LOOKAHEADS: Final = {r"(?!\n)": "\n", "(?=.*[1-9])": "^[0.]*$"}
"""The look-aheads in the patterns of the code, and the pattern of what each excludes."""
_RELEASED: Final = {
    "sym": "^(BINANCE|OKX|EDX)_(SPOT|MARGIN|PERP)_[A-Z0-9]{1,20}_[A-Z0-9]{1,20}$",
}
"""The released patterns of fields whose pattern has become wider. The schema has both, which proves that every value
that matched before still matches."""
_ENUMS: Final[dict[str, type[DocumentedEnum]]] = {
    member.__name__: member for member in (results.Outcome, results.Reason, session.Cause, session.Alarm, session.Lost)
}
_PREFIX: Final = "Documented"
"""Begins the names of the push types that have every documented field; it is no part of the published names."""
_VENUE_TYPES: Final = frozenset(
    kind.__name__.removeprefix(_PREFIX)
    for kind in (
        pushes.DocumentedOrder,
        pushes.DocumentedTrade,
        pushes.DocumentedAsset,
        pushes.DocumentedPosition,
        pushes.DocumentedMarginCall,
        pushes.DocumentedLiquidation,
    )
)
_NOT_CHECKED: Final = (
    "Fields without a type are described as the venue documents them; nothing checks them. There may be more fields."
)


def build_components(kinds: Iterable[Any], template: str) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the schema of each type, and the definitions that they refer to by `template`.

    Patterns have no look-ahead, because some languages do not support it. Enumerations describe their values.
    """
    bodies, definitions = msgspec.json.schema_components(list(kinds), ref_template=template)
    named = sorted((published_name(name), definition) for name, definition in definitions.items())
    tidy = {name: _describe_definition(name, definition) for name, definition in named}
    return [_open_session_events(_refer_by_published_name(body)) for body in bodies], tidy


def published_name(type_name: str) -> str:
    """Return the name of a type in the published schemas, for example `Order` for `DocumentedOrder`."""
    return type_name.removeprefix(_PREFIX)


def _refer_by_published_name(body: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in body:
        return body
    folder, _, name = body["$ref"].rpartition("/")
    return {"$ref": f"{folder}/{published_name(name)}"}


def _open_session_events(body: dict[str, Any]) -> dict[str, Any]:
    """Leave the union of session events open: an event of a later version is valid, and readers ignore it."""
    if "anyOf" not in body:
        return body
    types = sorted(str(kind.__struct_config__.tag) for kind in session.SessionEvent.__args__)
    to_come = {
        "title": "EventToCome",
        "description": "An event of a later version of the contract: ignore it.",
        "type": "object",
        "properties": {"type": {"type": "string", "not": {"enum": types}}},
        "required": ["type"],
    }
    return {"anyOf": [*body["anyOf"], to_come]}


def _describe_definition(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    """Return one definition for readers: description, portable patterns, conditions, and meanings of values."""
    if name in _ENUMS:
        return _describe_enum(_ENUMS[name])
    definition = {**definition, "title": name, "description": inspect.cleandoc(definition["description"])}
    if name in _VENUE_TYPES:
        definition["description"] += "\n\n" + _NOT_CHECKED
    may_be_null = name in _VENUE_TYPES
    definition["properties"] = {
        field: _add_released_pattern(field, _describe_property(schema, may_be_null=may_be_null))
        for field, schema in definition["properties"].items()
    }
    return {**definition, **CONDITIONS.get(name, {})}


def _describe_property(schema: dict[str, Any], *, may_be_null: bool) -> dict[str, Any]:
    """Return the schema of one field. Only the venue writes null; the bridge and callers leave a field out."""
    schema = dict(schema)
    if "default" in schema and schema["default"] is None:
        del schema["default"]
    if "anyOf" in schema:
        branches = [branch for branch in schema.pop("anyOf") if may_be_null or branch != {"type": "null"}]
        schema = {**schema, **_merge_union(branches)}
    if "enum" in schema:
        values = [value for value in schema.pop("enum") if value is not None]
        schema |= {"type": "string", **({"enum": values} if len(values) > 1 else {"const": values[0]})}
    if "pattern" in schema:
        schema = {**schema, **_portable_pattern(schema["pattern"])}
    return schema


def _add_released_pattern(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field with its released, narrower pattern beside the present one."""
    if field not in _RELEASED or "pattern" not in schema:
        return schema
    text = {name: value for name, value in schema.items() if name != "description"}
    return {"description": schema["description"], "anyOf": [{**text, "pattern": _RELEASED[field]}, text]}


def _merge_union(branches: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a union of plain types as a list of types; `number` includes `integer`."""
    if len(branches) == 1:
        return branches[0]
    about = {name: value for branch in branches for name, value in branch.items() if name != "type"}
    types = [branch["type"] for branch in branches]
    return {**about, "type": [kind for kind in types if kind != "integer" or "number" not in types]}


def _portable_pattern(pattern: str) -> dict[str, Any]:
    """Return a pattern in the syntax that every validator and code generator supports.

    Only in Python `$` also matches before a last line feed, so the schema excludes a line feed with `not`. In the same
    way it excludes what the other look-ahead excludes, a number that is zero.
    """
    excluded = [text for mark, text in _LOOKAHEADS.items() if mark in pattern]
    plain = reduce(lambda text, mark: text.replace(mark, ""), _LOOKAHEADS, pattern)
    return {"pattern": plain, **({"not": {"pattern": "|".join(excluded)}} if excluded else {})}


def _describe_enum(enum: type[DocumentedEnum]) -> dict[str, Any]:
    """Return the schema of an enumeration with the meaning of each value; an extensible one accepts every text."""
    meanings = "\n".join(f"- `{member.value}`: {member.__doc__}" for member in enum)
    grows = issubclass(enum, ExtensibleEnum)
    more = " Later versions may add values." if grows else ""
    about = {"title": enum.__name__, "description": f"{inspect.getdoc(enum)}{more}\n\n{meanings}"}
    known = {"type": "string", "enum": [member.value for member in enum]}
    return {**about, "anyOf": [known, {"type": "string"}]} if grows else {**about, **known}
