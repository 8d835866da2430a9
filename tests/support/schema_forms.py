"""A JSON Schema in the form in which two can be compared: the values it lists, and the shapes of all else it takes.

`{"type": ["string", "null"]}`, `{"anyOf": [{"type": "string"}, {"type": "null"}]}` and a reference to either are one
form. Nothing here looks at descriptions, titles, examples or `x-` fields.
"""

import json
from collections import Counter
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from typing import Any, Final
from urllib.parse import unquote

from jsonschema import Draft202012Validator

Schema = dict[str, Any]

ANY: Final = "any"
_SAYS_NOTHING: Final = frozenset({
    "title", "description", "examples", "example", "default", "deprecated", "readOnly", "writeOnly", "externalDocs",
    "discriminator", "$comment", "$schema", "$defs", "definitions",
})  # fmt: skip
_NUMBERS: Final = ("integer", "number")
_APPLIES: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("minLength", "maxLength", "pattern", "contentEncoding", "contentMediaType"), ("string",)),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _NUMBERS),
    **dict.fromkeys(("items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems"), ("array",)),
    **dict.fromkeys(("properties", "required", "additionalProperties", "minProperties", "maxProperties"), ("object",)),
}
"""Keywords that say something of one type of values only."""
_FINITE: Final[dict[str, list[Any]]] = {"null": [None], "boolean": [False, True]}


@dataclass(frozen=True)
class Forms:
    """What a schema takes: values, by their JSON text, and shapes, each of one type or of any."""

    values: Schema
    shapes: list[Schema]

    @property
    def types(self) -> set[str]:
        """The types of all that is taken."""
        return {type_of(value) for value in self.values.values()} | {shape_type(shape) for shape in self.shapes}


@dataclass(frozen=True)
class Node:
    """A schema (or another part of a document) and the document that its references lead into."""

    document: Schema
    body: Any

    def to(self, body: object) -> "Node":
        """Return another part of the same document."""
        return Node(self.document, body)

    def follow(self) -> Schema:
        """Return what a chain of references leads to, for parts that are no schemas."""
        body = self.body
        while "$ref" in body:
            body = _lookup(self.document, body["$ref"])
        return dict(body)

    def resolved(self) -> Schema:
        """Return the schema without references at its top; what stands beside one counts too."""
        body, about, trail = self.body, Schema(), set()
        while isinstance(body, dict):
            beside = {name: value for name, value in body.items() if name != "$ref"}
            if "$ref" in body:
                if body["$ref"] in trail:
                    raise ValueError(f"{body['$ref']} refers to itself")
                trail.add(body["$ref"])
                target = _lookup(self.document, body["$ref"])
            elif constraints(body) == {"allOf"} and len(body["allOf"]) == 1:
                target = beside.pop("allOf")[0]
            else:
                break
            if constraints(beside):
                return {**about, **beside, "allOf": [*beside.get("allOf", []), target]}
            body, about = target, {**beside, **about}
        if isinstance(body, bool):
            body = {} if body else {"enum": []}
        return {**body, **about}

    def forms(self) -> Forms:
        """Return the values and the shapes that the schema takes."""
        body = self.resolved()
        said = constraints(body)
        if said == {"anyOf"} or (said == {"oneOf"} and self.apart(body["oneOf"])):
            branches = [self.to(branch).forms() for branch in next(body[name] for name in said)]
            values = reduce(lambda all_of, forms: all_of | forms.values, branches, Schema())
            return Forms(values, [*chain(*(forms.shapes for forms in branches))])
        if said & {"const", "enum"}:
            listed = [body["const"]] if "const" in body else body["enum"]
            return Forms({text(value): value for value in listed if len(said) == 1 or self.takes(body, value)}, [])
        kinds = body.get("type", ANY)
        kinds = [kinds] if isinstance(kinds, str) else [*kinds]
        kinds = [kind for kind in kinds if kind != "integer" or "number" not in kinds]
        finite = chain(*(_FINITE.get(kind, []) for kind in kinds))
        return Forms(
            {text(value): value for value in finite if len(said) == 1 or self.takes(body, value)},
            [of_type({name: body[name] for name in said}, kind) for kind in kinds if kind not in _FINITE],
        )

    def takes(self, schema: Schema, value: object) -> bool:
        """Tell whether a value is valid."""
        parts = {name: self.document[name] for name in ("components", "$defs", "definitions") if name in self.document}
        return bool(Draft202012Validator({**parts, **schema}).is_valid(value))

    def with_any_tag(self, shapes: list[Schema]) -> list[Schema] | None:
        """Let the branch for every tag but those of the others be for every tag; None if there is no such branch.

        So an open union says what is yet to come; the branch is the same one when another tag becomes known.
        """
        tags = [self.tag(shape) for shape in shapes]
        known = [tag for tag in tags if tag]
        if len(known) != len(shapes) - 1 or len({name for name, _ in known}) != 1:
            return None
        rest, name = tags.index(None), known[0][0]
        fields = shapes[rest].get("properties", {})
        field = self.to(fields.get(name, True)).resolved()
        others = field.pop("not", None)
        enum = others["enum"] if isinstance(others, dict) and constraints(others) == {"enum"} else []
        if sorted(map(text, enum)) != sorted(text(value) for _, value in known):
            return None
        opened = {**shapes[rest], "properties": {**fields, name: field}}
        return [*shapes[:rest], opened, *shapes[rest + 1 :]]

    def tag(self, shape: Schema) -> tuple[str, str] | None:
        """Return the required field that has one value only, and the value: what tells an object from its like."""
        for name in sorted(shape.get("required", [])) if shape_type(shape) == "object" else []:
            forms = self.to(shape.get("properties", {}).get(name, True)).forms()
            values = [*forms.values.values()]
            if not forms.shapes and len(values) == 1 and isinstance(values[0], str):
                return name, values[0]
        return None

    def apart(self, branches: list[Any]) -> bool:
        """Tell whether no value can fit two of them: each has types of its own, or a tag."""
        kinds: Counter[str] = Counter()
        tags: list[tuple[str, str]] = []
        for forms in (self.to(branch).forms() for branch in branches):
            found = [self.tag(shape) for shape in forms.shapes]
            tags += [tag for tag in found if tag]
            plain = [shape_type(shape) for shape, tag in zip(forms.shapes, found, strict=True) if not tag]
            kinds.update({*plain, *(type_of(value) for value in forms.values.values())})
        if tags and (kinds["object"] or len({name for name, _ in tags}) > 1 or len(set(tags)) < len(tags)):
            return False
        clash = kinds[ANY] or all(kinds[kind] for kind in _NUMBERS) or max(kinds.values(), default=0) > 1
        return len(branches) == 1 or not clash


def constraints(schema: Schema) -> set[str]:
    """Return the keywords that decide what is valid."""
    return {name for name in schema if name not in _SAYS_NOTHING and not name.startswith("x-")}


def of_type(shape: Schema, kind: str) -> Schema:
    """Return a shape for values of one type: without the keywords that say nothing of them."""
    if kind == ANY:
        return shape
    return {name: value for name, value in shape.items() if kind in _APPLIES.get(name, (kind,))} | {"type": kind}


def shape_type(shape: Schema) -> str:
    """Return a shape's one type, or `any`."""
    return str(shape.get("type", ANY))


def covers(kinds: set[str], kind: str) -> bool:
    """Tell whether values of a type are of one of these types."""
    return kind in kinds or ANY in kinds or (kind == "integer" and "number" in kinds)


def text(value: object) -> str:
    """Write a value as JSON, the same value always in the same way."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def type_of(value: object) -> str:
    """Return the JSON Schema type of a value."""
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    names = {type(None): "null", bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _lookup(document: Schema, pointer: str) -> Any:  # noqa: ANN401 - any JSON
    """Return what a reference leads to."""
    if not pointer.startswith("#/"):
        raise ValueError(f"{pointer} leads out of the document")
    part: Any = document
    for step in pointer[2:].split("/"):
        part = part[unquote(step).replace("~1", "/").replace("~0", "~")]
    return part
