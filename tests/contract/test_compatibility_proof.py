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

from tests.support.additive import compare_schemas, inline
from tests.support.schema_families import FAMILIES, TEXT, Family


def _passes(old: Any, new: Any, *, read: bool) -> bool:  # noqa: ANN401 - any JSON
    return not [*compare_schemas("it", inline(old, old), inline(new, new), read=read)]


def _list_passing(family: Family, *, read: bool) -> list[tuple[int, int]]:
    """Return which schema may become which; each may stay as it is, and some may change."""
    schemas = family.schemas
    numbers = range(len(schemas))
    passing = [(i, j) for i, j in product(numbers, repeat=2) if _passes(schemas[i], schemas[j], read=read)]
    assert {(i, i) for i in numbers} < {*passing}
    return passing


@pytest.mark.parametrize("name", FAMILIES)
def test_what_passes_on_the_written_side_can_be_read_by_either_version(name: str) -> None:
    """Readers of the released contract read today's records, and today's readers those that a topic still holds."""
    family = FAMILIES[name]
    for i, j in _list_passing(family, read=False):
        assert family.meant[j] <= family.valid[i], (family.schemas[i], family.schemas[j])
        assert family.known[i] <= family.valid[j], (family.schemas[i], family.schemas[j])


@pytest.mark.parametrize("name", FAMILIES)
def test_what_passes_on_the_read_side_is_taken_as_before(name: str) -> None:
    """What callers wrote under the released contract is valid today."""
    family = FAMILIES[name]
    for i, j in _list_passing(family, read=True):
        assert family.meant[i] <= family.valid[j], (family.schemas[i], family.schemas[j])


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
    Place(lambda part: {"oneOf": [part, {"type": "boolean"}]}),
    Place(lambda part: {"allOf": [{"not": {"type": "null"}}, part], "description": "Something."}),
    Place(lambda part: {"not": part}, turns=True),
    Place(lambda part: {"if": part, "then": {"type": "string"}}, turns=True),
]


@given(
    st.sampled_from([*FAMILIES.values()]).flatmap(
        lambda family: st.tuples(st.just(family), *[st.sampled_from(range(len(family.schemas)))] * 2)
    ),
    st.lists(st.sampled_from(PLACES), min_size=1, max_size=2),
    st.booleans(),
)
@settings(max_examples=300)
def test_the_same_holds_wherever_a_schema_stands(
    drawn: tuple[Family, int, int],
    places: list[Place],
    read: bool,  # noqa: FBT001 - drawn
) -> None:
    """In a field, an element, a branch, a condition."""
    family, i, j = drawn
    old, new = family.schemas[i], family.schemas[j]
    for place in places:
        old, new = place.schema(old), place.schema(new)
    if not _passes(old, new, read=read):
        return
    turned = any(place.turns for place in places)
    numbers = range(len(family.values)) if turned else family.meant[i] if read else family.known[i]
    back = range(len(family.values)) if turned else family.meant[j]
    for mine, others, these in ((old, new, numbers), (new, old, () if read else back)):
        for number in these:
            value = family.values[number]
            for place in places:
                value = place.value(value)
            assert not _valid(mine, value) or _valid(others, value), (mine, others, value)


def _valid(schema: dict[str, Any], value: object) -> bool:
    return Draft202012Validator(schema).is_valid(value)
