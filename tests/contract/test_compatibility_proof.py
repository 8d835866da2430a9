"""The gate misses nothing: of whatever it lets pass, values of one version are valid under the other.

Every two of a family of small schemas are compared, and what is valid under each, jsonschema says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.support.schema_changes import changes
from tests.support.schema_families import FAMILIES, TEXT, Family
from tests.support.schema_forms import Node, Schema
from tests.support.schema_pairs import READ, WRITTEN, Pair, Rule


def _passes(old: Any, new: Any, rule: Rule) -> bool:  # noqa: ANN401 - any JSON
    documents = ({} if isinstance(schema, bool) else schema for schema in (old, new))
    was, now = (Node(document, schema) for document, schema in zip(documents, (old, new), strict=True))
    return not changes(Pair(was, now, "it", rule))


@pytest.mark.parametrize("name", FAMILIES)
def test_what_passes_on_the_written_side_can_be_read_by_either_version(name: str) -> None:
    """Readers of the released contract read today's records, and today's readers those that a topic still holds."""
    family = FAMILIES[name]
    for (i, old), (j, new) in product(enumerate(family.schemas), repeat=2):
        if _passes(old, new, WRITTEN):
            assert family.meant[j] <= family.valid[i], (old, new)
            assert family.known[i] <= family.valid[j], (old, new)
        else:
            assert i != j


@pytest.mark.parametrize("name", FAMILIES)
def test_what_passes_on_the_read_side_is_taken_as_before(name: str) -> None:
    """What callers wrote under the released contract is valid today."""
    family = FAMILIES[name]
    for (i, old), (j, new) in product(enumerate(family.schemas), repeat=2):
        if _passes(old, new, READ):
            assert family.meant[i] <= family.valid[j], (old, new)
        else:
            assert i != j


@dataclass(frozen=True)
class Place:
    """Where a schema may stand in another, and its values in those of the other."""

    schema: Callable[[Any], Any]
    value: Callable[[Any], Any] = lambda value: value
    turns: bool = False
    """Whether the other takes less when the schema takes more."""


PLACES: Final = [
    Place(lambda part: {"type": "object", "properties": {"p": part}, "required": ["p"]}, lambda value: {"p": value}),
    Place(lambda part: {"type": "object", "properties": {"p": part, "q": TEXT}}, lambda value: {"p": value}),
    Place(lambda part: {"type": "object", "additionalProperties": part}, lambda value: {"p": value}),
    Place(lambda part: {"type": "array", "items": part}, lambda value: [value]),
    Place(lambda part: {"type": "array", "prefixItems": [TEXT, part]}, lambda value: ["a", value]),
    Place(lambda part: {"anyOf": [{"type": "boolean"}, part]}),
    Place(lambda part: {"anyOf": [part, {"type": "array", "minItems": 9}]}),
    Place(lambda part: {"oneOf": [part, {"type": "boolean"}]}),
    Place(lambda part: {"allOf": [part, {"title": "Any"}]}),
    Place(lambda part: {"allOf": [{"not": {"type": "null"}}, part], "description": "Something."}),
    Place(lambda part: {"type": ["string", "object"], "anyOf": [part]}),
    Place(lambda part: {"not": part}, turns=True),
    Place(lambda part: {"if": part, "then": {"type": "string"}}, turns=True),
    Place(lambda part: {"components": {"Part": part}, "$ref": "#/components/Part"}),
    Place(
        lambda part: {
            "components": {"Tree": {"type": "object", "properties": {"p": part, "t": {"$ref": "#/components/Tree"}}}},
            "$ref": "#/components/Tree",
        },
        lambda value: {"t": {"t": {"p": value}}},
    ),
]
"""A reference is drawn last, for it leads from the top of the document."""


@given(
    st.sampled_from([*FAMILIES.values()]).flatmap(
        lambda family: st.tuples(st.just(family), *[st.sampled_from(range(len(family.schemas)))] * 2)
    ),
    st.lists(st.sampled_from(PLACES[:-2]), min_size=1, max_size=2),
    st.sampled_from([None, *PLACES[-2:]]),
    st.sampled_from([READ, WRITTEN]),
)
@settings(max_examples=300)
def test_the_same_holds_wherever_a_schema_stands(
    drawn: tuple[Family, int, int], places: list[Place], top: Place | None, rule: Rule
) -> None:
    """In a field, an element, a branch, a condition, behind a reference, in a tree."""
    family, i, j = drawn
    places = [*places, top] if top else places
    old, new = family.schemas[i], family.schemas[j]
    for place in places:
        old, new = place.schema(old), place.schema(new)
    if not _passes(old, new, rule):
        return
    turned = any(place.turns for place in places)
    numbers = range(len(family.values)) if turned else family.meant[i] if rule is READ else family.known[i]
    back = range(len(family.values)) if turned else family.meant[j]
    for mine, others, these in ((old, new, numbers), (new, old, back if rule is WRITTEN else ())):
        for number in these:
            value = family.values[number]
            for place in places:
                value = place.value(value)
            assert not _valid(mine, value) or _valid(others, value), (mine, others, value)


def _valid(schema: Schema, value: object) -> bool:
    return Draft202012Validator(schema).is_valid(value)
