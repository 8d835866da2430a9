"""Families of small schemas, with values of which each is valid under some: jsonschema says under which."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Final

from jsonschema import Draft202012Validator

from tests.support.additive import Schema

ABSENT: Final = object()
TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer"}


@dataclass(frozen=True)
class Family:
    """Schemas, and values of which each is valid under some of them."""

    schemas: list[Any]
    values: list[Any]

    @cached_property
    def valid(self) -> list[set[int]]:
        """The values that are valid, for each schema."""
        return [self._valid(schema) for schema in self.schemas]

    @cached_property
    def meant(self) -> list[set[int]]:
        """The values whose objects hold what the schema names and nothing else."""
        return [self._valid({"allOf": [schema, _closed(schema)]}) for schema in self.schemas]

    @cached_property
    def known(self) -> list[set[int]]:
        """Those, but for branches of what is yet to come, which nobody writes."""
        return [self._valid({"allOf": [schema, _closed(schema, known=True)]}) for schema in self.schemas]

    def _valid(self, schema: object) -> set[int]:
        judge = Draft202012Validator({"allOf": [schema]})
        return {number for number, value in enumerate(self.values) if judge.is_valid(value)}


def _closed(schema: Any, *, known: bool = False) -> Any:  # noqa: ANN401 - any JSON
    """Let an object hold what its schema names and nothing else; what names nothing may hold anything."""
    if not isinstance(schema, dict):
        return schema
    if known and schema.get("title") == "to come":
        return False
    schema = {
        **schema,
        **{name: [_closed(one, known=known) for one in schema[name]] for name in ("anyOf", "oneOf") if name in schema},
    }
    if _names(schema) and "additionalProperties" not in schema:
        schema["propertyNames"] = {"enum": sorted(_names(schema))}
    return schema


def _names(schema: Any) -> set[str]:  # noqa: ANN401 - any JSON
    parts = [*schema.get("allOf", []), *(schema[name] for name in ("if", "then", "else") if name in schema)]
    return set(schema.get("properties", {})).union(*map(_names, parts))


def _objects(**fields: list[Any]) -> list[Schema]:
    """Return every object of these fields, each with any of its values."""
    made = [dict(zip(fields, values, strict=True)) for values in product(*fields.values())]
    return [{name: value for name, value in one.items() if value is not ABSENT} for one in made]


def _merged(*parts: list[Schema]) -> list[Schema]:
    """Return every schema that takes one of each of these lists of parts."""
    return [{name: value for part in parts for name, value in part.items()} for parts in product(*parts)]


PLAIN: Final = Family(
    [
        True,
        TEXT,
        WHOLE,
        {"type": "number"},
        {"type": ["string", "null"]},
        {"type": ["integer", "string"], "minimum": 1, "minLength": 1},
        {"enum": ["a"]},
        {"enum": ["a", "b"]},
        {"enum": ["a", None, 1]},
        {"type": "string", "enum": ["a", "b", 1]},
        {"const": "a"},
        {"const": 1},
        {"enum": [True, False]},
        {"type": "string", "minLength": 1},
        {"type": "string", "minLength": 2, "maxLength": 3},
        {"type": "string", "pattern": "^a"},
        {"type": "string", "pattern": "^a", "not": {"pattern": "b"}},
        {"type": "string", "not": {"enum": ["a"]}},
        {"type": "string", "not": {"enum": ["a", "b"]}},
        {"type": "string", "allOf": [{"pattern": "^a"}, {"pattern": "b"}]},
        {"type": "string", "allOf": [{"pattern": "b"}]},
        {"type": "string", "if": {"pattern": "^a"}, "then": {"pattern": "b"}},
        {"type": "string", "if": {"pattern": "^a"}, "then": {"pattern": "b"}, "else": {"maxLength": 1}},
        {"type": "integer", "minimum": 0},
        {"type": "integer", "minimum": 1, "maximum": 2},
        {"anyOf": [{"type": "string", "enum": ["a"]}, TEXT]},
        {"anyOf": [{"type": "string", "enum": ["a", "b"]}, TEXT]},
        {"anyOf": [{"enum": ["a", "b", "c"]}, {"type": "string", "minLength": 2}]},
        {"anyOf": [{"type": "string", "pattern": "^a"}, WHOLE]},
        {"anyOf": [{"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "b"}]},
        {"type": "string", "anyOf": [{"pattern": "^a"}, {"pattern": "b"}]},
        {"oneOf": [TEXT, WHOLE]},
    ],
    ["a", "b", "c", "ab", "", "abcd", "bc", 0, 1, 2, 3, -1, 0.5, None, True, False, [], {}],
)
OBJECTS: Final = Family(
    _merged(
        [{"type": "object"}],
        [
            {"properties": fields} if fields else {}
            for fields in ({}, {"a": TEXT}, {"a": TEXT, "b": TEXT}, {"a": TEXT, "b": WHOLE}, {"a": TEXT, "c": TEXT})
        ],
        [{}, {"additionalProperties": False}, {"additionalProperties": TEXT}],
        [{}, {"required": ["a"]}, {"required": ["b", "a"]}],
    ),
    ["x", *_objects(a=[ABSENT, "x", 1], b=[ABSENT, "x", 1], c=[ABSENT, "x", 1])],
)
CONDITIONS: Final = Family(
    _merged(
        [{"type": "object"}],
        [{"properties": {"a": TEXT, "b": TEXT, **more}} for more in ({}, {"d": TEXT}, {"d": WHOLE})],
        [
            {},
            {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            {"anyOf": [{"required": ["d"]}, {"required": ["b"]}, {"required": ["a"]}]},
            {"not": {"required": ["b"]}},
            {"if": {"properties": {"a": {"const": "a"}}}, "then": {"required": ["b"]}, "else": {"required": ["d"]}},
            {"allOf": [{"required": ["a"]}, {"required": ["b"]}]},
            {"allOf": [{"required": ["b"]}]},
            {"allOf": [{"properties": {"b": {"const": "b"}}}]},
            {"allOf": [{"properties": {"b": {"const": "b"}, "d": {"const": "b"}}}]},
            {"minProperties": 1},
            {"dependentRequired": {"a": ["b"]}},
        ],
    ),
    _objects(a=[ABSENT, "a", "b"], b=[ABSENT, "a", "b"], d=[ABSENT, "a", "b", 1]),
)
_Y: Final[Schema] = {"type": "object", "properties": {"t": {"const": "y"}}, "required": ["t"]}
_TO_COME: Final[list[list[Schema]]] = [
    [],
    [{"type": "object"}],
    [{"type": "object", "properties": {"t": TEXT}, "required": ["t"]}],
    *(
        [
            {
                "type": "object",
                "properties": {"t": {**TEXT, "not": {"enum": tags}}},
                "required": ["t"],
                "title": "to come",
            }
        ]
        for tags in (["x"], ["x", "y"])
    ),
]
UNIONS: Final = Family(
    [
        {
            "anyOf": [
                {"type": "object", "properties": {"t": {"const": "x"}, **fields}, "required": must},
                *others,
                *to_come,
            ]
        }
        for (fields, must), others, to_come in product(
            [({"a": TEXT}, ["t"]), ({"a": TEXT, "b": WHOLE}, ["t", "a"])],
            [[], [_Y]],
            _TO_COME,
        )
    ],
    _objects(t=[ABSENT, "x", "y", "z", 1], a=[ABSENT, "s", 1], b=[ABSENT, "s", 1]),
)
FAMILIES: Final = {"plain": PLAIN, "objects": OBJECTS, "conditions": CONDITIONS, "unions": UNIONS}
