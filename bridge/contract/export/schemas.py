"""JSON Schema from the types that the code uses, without what only Python understands."""

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
"""Those that the code's patterns have, and what each excludes."""
_RELEASED: Final = {
    "sym": "^(BINANCE|OKX|EDX)_(SPOT|MARGIN|PERP)_[A-Z0-9]{1,20}_[A-Z0-9]{1,20}$",
}
"""The patterns of fields whose pattern takes more than it did. It stays beside the wider one: that what matched it
matches still, nobody can then doubt."""
_WORDS: Final[dict[str, type[DocumentedEnum]]] = {
    word.__name__: word for word in (results.Outcome, results.Reason, session.Cause, session.Alarm, session.Lost)
}
_VENUES: Final = frozenset(
    kind.__name__
    for kind in (pushes.Order, pushes.Trade, pushes.Asset, pushes.Position, pushes.MarginCall, pushes.Liquidation)
)
_NOT_CHECKED: Final = (
    "Fields without a type are described as the venue documents them; nothing checks them. There may be more fields."
)


def components(kinds: Iterable[Any], template: str) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the schema of each type, and the definitions that they refer to by `template`.

    Patterns have no look-ahead, which not every language knows; enumerations say what their values mean.
    """
    bodies, definitions = msgspec.json.schema_components(list(kinds), ref_template=template)
    tidy = {name: _definition(name, definition) for name, definition in sorted(definitions.items())}
    return [_body(body) for body in bodies], tidy


def _body(body: dict[str, Any]) -> dict[str, Any]:
    """Leave the union of session events open: an event of a type to come is valid, and readers pass over it."""
    if "anyOf" not in body:
        return body
    types = sorted(str(kind.__struct_config__.tag) for kind in session.SessionEvent.__args__)
    to_come = {
        "title": "EventToCome",
        "description": "An event of a later version of the contract: pass over it.",
        "type": "object",
        "properties": {"type": {"type": "string", "not": {"enum": types}}},
        "required": ["type"],
    }
    return {"anyOf": [*body["anyOf"], to_come]}


def _definition(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    """Make one definition plain: description, patterns, conditions, and words with their meanings."""
    if name in _WORDS:
        return _words(_WORDS[name])
    definition = {**definition, "description": inspect.cleandoc(definition["description"])}
    if name in _VENUES:
        definition["description"] += "\n\n" + _NOT_CHECKED
    may_be_null = name in _VENUES
    definition["properties"] = {
        field: _widened(field, _property(schema, may_be_null=may_be_null))
        for field, schema in definition["properties"].items()
    }
    return {**definition, **CONDITIONS.get(name, {})}


def _property(schema: dict[str, Any], *, may_be_null: bool) -> dict[str, Any]:
    """Make one field plain. What the bridge or a caller has nothing to say in is absent, and null the venue's alone."""
    schema = dict(schema)
    if "default" in schema and schema["default"] is None:
        del schema["default"]
    if "anyOf" in schema:
        branches = [branch for branch in schema.pop("anyOf") if may_be_null or branch != {"type": "null"}]
        schema = {**schema, **_union(branches)}
    if "enum" in schema:
        values = [value for value in schema.pop("enum") if value is not None]
        schema |= {"type": "string", **({"enum": values} if len(values) > 1 else {"const": values[0]})}
    if "pattern" in schema:
        schema = {**schema, **_portable(schema["pattern"])}
    return schema


def _widened(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Say beside the pattern of a field the narrower one that was released."""
    if field not in _RELEASED or "pattern" not in schema:
        return schema
    text = {name: value for name, value in schema.items() if name != "description"}
    return {"description": schema["description"], "anyOf": [{**text, "pattern": _RELEASED[field]}, text]}


def _union(branches: list[dict[str, Any]]) -> dict[str, Any]:
    """Write a union of plain types as a list of them; `number` says `integer` too."""
    if len(branches) == 1:
        return branches[0]
    about = {name: value for branch in branches for name, value in branch.items() if name != "type"}
    types = [branch["type"] for branch in branches]
    return {**about, "type": [kind for kind in types if kind != "integer" or "number" not in types]}


def _portable(pattern: str) -> dict[str, Any]:
    """Say a pattern in the part of the language that every validator and generator has.

    A `$` matches before a last line feed in Python and nowhere else, so that is excluded by itself; and so is what
    stood in the other look-ahead, a number that is zero.
    """
    excluded = [text for mark, text in _LOOKAHEADS.items() if mark in pattern]
    plain = reduce(lambda text, mark: text.replace(mark, ""), _LOOKAHEADS, pattern)
    return {"pattern": plain, **({"not": {"pattern": "|".join(excluded)}} if excluded else {})}


def _words(words: type[DocumentedEnum]) -> dict[str, Any]:
    """Describe an enumeration, value by value; one that may grow takes every text."""
    meanings = "\n".join(f"- `{word.value}`: {word.__doc__}" for word in words)
    grows = issubclass(words, ExtensibleEnum)
    more = " There may be others in later versions." if grows else ""
    about = {"title": words.__name__, "description": f"{inspect.getdoc(words)}{more}\n\n{meanings}"}
    known = {"type": "string", "enum": [word.value for word in words]}
    return {**about, "anyOf": [known, {"type": "string"}]} if grows else {**about, **known}
