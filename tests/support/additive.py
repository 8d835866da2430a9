"""The rule for a JSON Schema of the contract: additions may be made, and every other difference is a break.

The released schema and today's are walked side by side. What is known to be an addition: a new optional field; a new
value or branch where the released contract says that others may come; and, in what callers write, whatever lets them
write more. A schema that says the same in another way is refused: that it says the same would have to be proved.
An object that names fields is taken to hold no others until a later contract names them.
"""

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from jsonschema import Draft202012Validator

Schema = dict[str, Any]

_TOLD: Final = frozenset({
    "title", "description", "examples", "example", "deprecated", "externalDocs", "$comment", "$schema", "$defs",
})  # fmt: skip
"""Keywords that decide nothing about what is valid."""
_UNORDERED: Final = frozenset({"type", "required", "enum", "allOf", "anyOf", "oneOf"})
_MAPS: Final = frozenset({"properties", "patternProperties"})
_VALUES: Final = frozenset({"const", "enum", "default"})
_IF: Final = frozenset({"if", "then", "else"})
_OBJECT: Final = frozenset({"properties", "required", "additionalProperties"})
_BOUNDS: Final = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), -1),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), 1),
}
"""The direction in which more becomes valid."""
_LIMITS: Final = frozenset({*_BOUNDS, "enum", "pattern", "format", "multipleOf", "not", "anyOf", "allOf"})
"""Without one of these keywords more is valid than with it."""


def follow(document: Schema, part: Any, trail: tuple[str, ...] = ()) -> tuple[Any, tuple[str, ...]]:  # noqa: ANN401
    """Return what a chain of references leads to, and the references. Raises ValueError if one leads nowhere."""
    while isinstance(part, dict) and "$ref" in part:
        pointer = part["$ref"]
        if not pointer.startswith("#/"):
            raise ValueError(f"{pointer} leads out of the document")
        if pointer in trail:
            raise ValueError(f"{pointer} refers to itself")
        trail = (*trail, pointer)
        beside = {name: value for name, value in part.items() if name != "$ref" and not _is_told(name)}
        part = document
        for step in pointer[2:].split("/"):
            part = part[unquote(step).replace("~1", "/").replace("~0", "~")]
        part = {"allOf": [*beside.pop("allOf", []), part], **beside} if beside else part
    return part, trail


def inline(document: Schema, schema: Any, trail: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - any JSON
    """Return a schema in one piece: references resolved, lists without an order sorted, nothing that is only told."""
    schema, trail = follow(document, schema, trail)
    if isinstance(schema, list):
        return [inline(document, one, trail) for one in schema]
    if not isinstance(schema, dict):
        return schema
    whole = Schema()
    for name, value in schema.items():
        if name in _MAPS:
            whole[name] = {field: inline(document, one, trail) for field, one in value.items()}
        elif not _is_told(name):
            whole[name] = value if name in _VALUES else inline(document, value, trail)
        if name in _UNORDERED and isinstance(value, list):
            whole[name] = sorted(whole[name], key=write)
    if isinstance(whole.get("type"), str):
        whole["type"] = [whole["type"]]
    if "const" in whole and "enum" not in whole:
        whole["enum"] = [whole.pop("const")]
    return whole["allOf"][0] if whole.keys() == {"allOf"} and len(whole["allOf"]) == 1 else whole


def compare_schemas(
    at: str, old: object, new: object, *, read: bool, named: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Yield a line for each change between two schemas in one piece that is no addition.

    `read` tells that the bridge reads what the schema describes; `named` are the fields that the schemas around these
    name of the same value.
    """
    old, new = _write_as_object(old), _write_as_object(new)
    if read and _takes_all(old, new):
        return
    kinds = [" or ".join(schema.get("type", ["any"])) for schema in (old, new)]
    if kinds[0] != kinds[1]:
        yield f"{at}: type changed from {kinds[0]} to {kinds[1]}"
        return
    named |= _list_fields(old)
    changed = {name for name in old.keys() | new.keys() if write(old.get(name)) != write(new.get(name))}
    if changed & _IF and not (read and "if" not in new):
        yield f"{at}: {say('condition', *({name: it[name] for name in sorted(_IF & it.keys())} for it in (old, new)))}"
    if changed & _OBJECT:
        yield from _compare_fields(at, old, new, read=read, named=named)
    for name in sorted(changed - _IF - _OBJECT):
        was: Any = old.get(name)
        now: Any = new.get(name)
        if read and ((now is None and name in _LIMITS) or _is_wider(name, was, now)):
            continue
        both = type(was) if type(was) is type(now) else None
        if name == "enum" and both:
            yield from _compare_values(at, was, now, read=read)
        elif name == "anyOf" and both:
            yield from _compare_branches(at, was, now, read=read, named=named)
        elif name == "allOf" and both:
            yield from _compare_parts(at, was, now, read=read, named=named)
        elif name == "items" and both is dict and "prefixItems" not in old:
            yield from compare_schemas(f"{at}[]", was, now, read=read)
        else:
            yield f"{at}: {say(name, was, now)}"


def _compare_fields(at: str, old: Schema, new: Schema, *, read: bool, named: frozenset[str]) -> Iterator[str]:
    """Compare an object: its fields, which of them are required, and whether there may be others."""
    olds, news = old.get("properties", {}), new.get("properties", {})
    must, must_now = set(old.get("required", [])), set(new.get("required", []))
    others, others_now = old.get("additionalProperties", True), new.get("additionalProperties", True)
    has_room = bool(named) and (others is True or (read and others is False))
    for name in sorted(olds.keys() | news.keys() | must | must_now):
        if name in olds and name not in news:
            yield f"{at}.{name}: removed"
        elif name in must_now - must:
            yield f"{at}.{name}: {'now required' if name in olds or name not in news else 'added, and required'}"
        elif name in must - must_now and not read:
            yield f"{at}.{name}: no longer required"
        elif name in olds:
            yield from compare_schemas(f"{at}.{name}", olds[name], news[name], read=read)
        elif name in news and (name in named or not has_room):
            yield f"{at}.{name}: added, where the released contract allows none or others"
    if False in (others, others_now) and others is not others_now:
        if not (read and others is False):
            yield f"{at}: further fields are {'now' if others is False else 'no longer'} allowed"
    else:
        yield from compare_schemas(f"{at}.*", others, others_now, read=read)


def _compare_values(at: str, old: list[Any], new: list[Any], *, read: bool) -> Iterator[str]:
    """Compare the values of an enum. A closed one must not gain a value that readers would meet."""
    was, now = set(map(write, old)), set(map(write, new))
    if was - now:
        yield f"{at}: value {', '.join(sorted(was - now))} removed from the enum"
    if now - was and not read:
        yield f"{at}: value {', '.join(sorted(now - was))} added to an enum that was closed"


def _compare_parts(
    at: str, olds: list[Schema], news: list[Schema], *, read: bool, named: frozenset[str]
) -> Iterator[str]:
    """Compare schemas of which all hold, those that changed in their order."""
    was, now = _drop_common(olds, news)
    if len(was) == len(now):
        for old, new in zip(was, now, strict=True):
            yield from compare_schemas(at, old, new, read=read, named=named)
    elif now or not read:
        yield f"{at}: {say('allOf', was, now)}"


def _compare_branches(
    at: str, olds: list[Schema], news: list[Schema], *, read: bool, named: frozenset[str]
) -> Iterator[str]:
    """Compare the branches of a union: a tagged one with that of its tag, any other with the one that is like it."""
    olds, news = ([_write_as_object(branch) for branch in branches] for branches in (olds, news))
    to_come, to_come_now = _describe_what_comes(olds), _describe_what_comes(news)
    if not read:
        news = [to_come if new == to_come_now else _drop_new_texts(olds, new) for new in news]
    was, now = (_name_branches(branches) for branches in _drop_common(olds, news))
    for label, old in was.items():
        if label in now:
            inside = f"{at}({label})" if _find_tag(old) else at
            yield from compare_schemas(inside, old, now[label], read=read, named=named)
        else:
            yield f"{at}: {label} removed"
    for label in sorted(now.keys() - was.keys()):
        tag = _find_tag(now[label])
        if not (read or (to_come in olds and tag and to_come["required"] == [tag[0]])):
            yield f"{at}: {label} added to a union that was closed"


def _describe_what_comes(branches: list[Schema]) -> Schema:
    """Return the branch by which a union of tagged objects is open: an object of any tag but those that are known."""
    tags = [tag for tag in map(_find_tag, branches) if tag]
    names = sorted({name for name, _ in tags})
    field = {"type": ["string"], "not": {"enum": sorted((value for _, value in tags), key=write)}}
    return {"type": ["object"], "properties": dict.fromkeys(names, field), "required": names}


def _drop_new_texts(olds: list[Schema], new: Schema) -> Schema:
    """Return a branch of texts without those that an old branch for any text takes anyway."""
    if {"type": ["string"]} not in olds or new.get("type") != ["string"] or "enum" not in new:
        return new
    return {**new, "enum": [value for value in new["enum"] if any(value in old.get("enum", []) for old in olds)]}


def _find_tag(branch: Schema) -> tuple[str, str] | None:
    """Return the required field that has one value only, and the value: what tells an object from its like."""
    for name in branch.get("required", []):
        field = branch.get("properties", {}).get(name, {})
        values = field.get("enum", []) if isinstance(field, dict) else []
        if len(values) == 1 and isinstance(values[0], str):
            return name, values[0]
    return None


def _name_branches(branches: list[Schema]) -> dict[str, Schema]:
    """Return branches by what people call them: the tag, else the type; or what stands there, if several are alike."""
    labels = []
    for branch in branches:
        tag = _find_tag(branch)
        labels.append(
            tag[1] if tag else f"any other {' or '.join(branch['type'])}" if "type" in branch else write(branch)
        )
    return {
        label if labels.count(label) == 1 else write(branch): branch
        for label, branch in zip(labels, branches, strict=True)
    }


def _drop_common(olds: list[Any], news: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return the schemas of each list that the other does not have."""
    was, now = list(map(write, olds)), list(map(write, news))
    return [old for old in olds if write(old) not in now], [new for new in news if write(new) not in was]


def _list_fields(schema: Any) -> frozenset[str]:  # noqa: ANN401 - any JSON
    """Return the fields that a schema of an object names, in whatever part of it."""
    if not isinstance(schema, dict):
        return frozenset()
    parts = [part for name in ("allOf", "anyOf", "oneOf") for part in schema.get(name, [])]
    parts += [schema[name] for name in _IF if name in schema]
    return frozenset(schema.get("properties", {})).union(*map(_list_fields, parts))


def _takes_all(old: Schema, new: Schema) -> bool:
    """Tell whether callers may write what they might: each listed value, or what is now one branch of several."""
    if "enum" in old and "default" not in {*old, *new}:
        return all(Draft202012Validator(new).is_valid(value) for value in old["enum"])
    return new.keys() == {"anyOf"} and write(old) in map(write, new["anyOf"])


def _is_wider(name: str, was: object, now: object) -> bool:
    """Tell whether a bound lets more through than it did."""
    numbers = isinstance(was, int | float) and isinstance(now, int | float)
    return numbers and name in _BOUNDS and _BOUNDS[name] * (now - was) > 0  # type: ignore[operator]


def _write_as_object(schema: object) -> Schema:
    """Return a schema that may be true or false as an object."""
    return schema if isinstance(schema, dict) else {} if schema else {"not": {}}


def _is_told(name: str) -> bool:
    return name in _TOLD or name.startswith("x-")


def write(value: object) -> str:
    """Return a value as JSON, the same value always in the same way."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def say(name: str, was: object, now: object) -> str:
    """Say what something was and is."""
    return f"{name} changed from {'none' if was is None else write(was)} to {'none' if now is None else write(now)}"
