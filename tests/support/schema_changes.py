"""What differs between two versions of a JSON Schema, as far as it breaks someone.

Each keyword of a schema narrows what is valid, independently of the others (but for `properties` with
`additionalProperties`, and `items` with `prefixItems`), so they are compared one by one. A change that cannot be
proved harmless is a change. An object that names fields is taken to hold no others: naming a new one, optional, is how
a contract grows.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from tests.support.schema_forms import ANY, Forms, Node, Schema, constraints, covers, of_type, shape_type, text
from tests.support.schema_pairs import SAME, WITHIN, WRITTEN, Pair, Rule, from_to


def changes(pair: Pair) -> list[str]:
    """Return what changed from the old schema to the new one and is not allowed by the rule, a line for each."""
    this = (id(pair.old.body), id(pair.new.body), pair.rule, pair.named)
    if this in pair.inside or _untouched(pair):  # inside: it refers to itself, and is judged where that began
        return []
    pair = replace(pair, inside=pair.inside | {this})
    lines = [] if pair.rule.drops else _defaults(pair)
    olds, news = pair.old.forms(), pair.new.forms()
    if pair.rule.drops and {} in news.shapes:
        return lines
    lost = any(not covers(news.types, kind) for kind in olds.types)
    gained = any(not covers(olds.types, kind) for kind in news.types)
    if lost or (gained and not pair.rule.loosens):
        return [*lines, *pair.said(f"type changed from {_kinds(olds)} to {_kinds(news)}")]
    shapes = olds.shapes, news.shapes
    if pair.rule is WRITTEN:
        was, now = pair.old.with_any_tag(olds.shapes), pair.new.with_any_tag(news.shapes)
        shapes = (was, now) if was and now else shapes
    return [*lines, *_values(pair, olds, news), *_shapes(pair, *shapes)]


def _part(pair: Pair, old: object, new: object, rule: Rule | None = None) -> list[str]:
    """Compare other schemas of the same value."""
    return changes(pair.to(old, new, rule=rule))


def _defaults(pair: Pair) -> list[str]:
    """Compare what it means that a field is absent."""
    said = pair.old.resolved(), pair.new.resolved()
    was, now = (text(schema["default"]) if "default" in schema else "none" for schema in said)
    return [] if was == now else pair.said(f"default changed from {was} to {now}")


def _values(pair: Pair, olds: Forms, news: Forms) -> list[str]:
    """Compare enumerations and constants. A closed one must not gain a value that readers would meet."""
    rule = pair.rule
    lost = [
        key
        for key in olds.values.keys() - news.values.keys()
        if not (rule.loosens and _fits_one(pair.new, news.shapes, olds.values[key]))
    ]
    gained = [
        key
        for key in news.values.keys() - olds.values.keys()
        if not (rule.loosens or (rule.grows and _fits_one(pair.old, olds.shapes, news.values[key])))
    ]
    return [
        *(pair.said(f"value {', '.join(sorted(lost))} removed from the enum") if lost else []),
        *(pair.said(f"value {', '.join(sorted(gained))} added to an enum that was closed") if gained else []),
    ]


def _fits_one(node: Node, shapes: list[Schema], value: object) -> bool:
    return any(node.takes(shape, value) for shape in shapes)


def _shapes(pair: Pair, olds: list[Schema], news: list[Schema]) -> list[str]:
    """Compare what is not enumerated, branch by branch."""
    rule = pair.rule
    names = [_branch(pair.old, shape) for shape in olds], [_branch(pair.new, shape) for shape in news]
    couples = _coupled(
        *names,
        lambda i, j: not _shape(pair.to(olds[i], news[j])),
        lambda i, j: (
            shape_type(olds[i]) == shape_type(news[j]) and not (pair.old.tag(olds[i]) and pair.new.tag(news[j]))
        ),
    )
    several = max(len(olds), len(news)) > 1
    lines = []
    for i, j in couples:
        tagged = several and pair.old.tag(olds[i])
        lines += _shape(pair.to(olds[i], news[j], f"({names[0][i]})" if tagged else ""))
    for i in sorted(set(range(len(olds))) - {i for i, _ in couples}):
        if not (rule.loosens and any(not _shape(pair.to(olds[i], new)) for new in news)):
            lines += pair.said(f"{_called(pair.old, olds[i])} removed")
    for j in sorted(set(range(len(news))) - {j for _, j in couples}):
        known = rule.grows and any(not _shape(pair.to(old, news[j]).turned(WITHIN)) for old in olds)
        if not (rule.loosens or known):
            lines += pair.said(f"{_called(pair.new, news[j])} added to a union that was closed")
    return lines


def _coupled(
    olds: list[str], news: list[str], same: Callable[[int, int], bool], near: Callable[[int, int], bool]
) -> list[tuple[int, int]]:
    """Say which old part is which new one: by a name that only one has, by having stayed the same, by being near."""
    couples: list[tuple[int, int]] = []
    tests: tuple[Callable[[int, int], bool], ...] = (
        lambda i, j: olds[i] == news[j] and olds.count(olds[i]) == news.count(news[j]) == 1,
        same,
        near,
    )
    for test in tests:
        for i in range(len(olds)):
            taken = {j for _, j in couples}
            if i not in {i for i, _ in couples}:
                couples += [(i, j) for j in range(len(news)) if j not in taken and test(i, j)][:1]
    return couples


def _branch(node: Node, shape: Schema) -> str:
    """Name a branch of a union: by its tag, else by its type."""
    tag = node.tag(shape)
    return tag[1] if tag else shape_type(shape)


def _called(node: Node, shape: Schema) -> str:
    """Say to people which branch it is."""
    if shape_type(shape) == ANY:
        return text(shape)
    return _branch(node, shape) if node.tag(shape) else f"any other {shape_type(shape)}"


def _shape(pair: Pair) -> list[str]:
    """Compare two shapes, keyword by keyword."""
    old, new = pair.old.body, pair.new.body
    if not old and not new:
        return []
    kind = shape_type(old)
    if kind != shape_type(new) and not (pair.rule.loosens and covers({shape_type(new)}, kind)):
        return pair.said(f"type changed from {kind} to {shape_type(new)}")
    new = of_type(new, kind)
    if kind in {"object", ANY}:
        pair = replace(pair, named=(pair.named[0] | _named(pair.old), pair.named[1] | _named(pair.new)))
    said = constraints(old) | constraints(new)
    unjudged = sorted(said - _JUDGED)
    if unjudged and not _untouched(pair):
        return pair.said(f"changed, and what {', '.join(unjudged)} means to it is not judged")
    judges = [] if unjudged else [judge for names, judge in _JUDGES if said.intersection(names)]
    return [line for judge in judges for line in judge(pair, old, new)]


def _named(node: Node) -> frozenset[str]:
    """Return the fields that a schema of an object names, with the schemas it is put together from."""
    body = node.resolved()
    parts = [part for name in ("allOf", "anyOf", "oneOf") for part in body.get(name, [])]
    parts += [body[name] for name in _IF if name in body]
    return frozenset(body.get("properties", {})).union(*(_named(node.to(part)) for part in parts))


def _untouched(pair: Pair) -> bool:
    """Tell whether two schemas are word for word the same, and refer to nothing that may not be."""
    words = text(pair.old.body)
    return '"$ref"' not in words and words == text(pair.new.body)


def _bounds(pair: Pair, old: Schema, new: Schema) -> list[str]:
    lines = []
    for name, sign in (*((name, 1) for name in _LOWER), *((name, -1) for name in _UPPER)):
        was, now = old.get(name), new.get(name)
        looser = pair.rule.loosens and (now is None or (was is not None and sign * now <= sign * was))
        if was != now and not looser:
            lines += pair.said(from_to(name, was, now))
    return lines


def _opaque(pair: Pair, old: Schema, new: Schema) -> list[str]:
    """Compare what can only be the same, or be gone."""
    lines = []
    for name in _OPAQUE:
        was, now = old.get(name), new.get(name)
        if was != now and not (pair.rule.loosens and now is None):
            lines += pair.said(from_to(name, was, now))
    return lines


def _negation(pair: Pair, old: Schema, new: Schema) -> list[str]:
    was, now = old.get("not", False), new.get("not", False)
    if (pair.rule.loosens and now is False) or not _part(pair, was, now, rule=SAME):
        return []
    return pair.said(from_to("not", old.get("not"), new.get("not")))


def _conditions(pair: Pair, old: Schema, new: Schema) -> list[str]:
    if pair.rule.loosens and "if" not in new:
        return []
    if any(_part(pair, old.get(name, True), new.get(name, True), rule=SAME) for name in _IF):
        return pair.said(
            from_to("condition", *({name: said[name] for name in _IF if name in said} for said in (old, new)))
        )
    return []


def _all_of(pair: Pair, old: Schema, new: Schema) -> list[str]:
    """Compare conjuncts: each new one must follow from an old one."""
    olds, news = old.get("allOf", []), new.get("allOf", [])
    couples = _coupled(
        [""] * len(olds), [""] * len(news), lambda i, j: not _part(pair, olds[i], news[j]), lambda *_: True
    )
    lines = [line for i, j in couples for line in _part(pair, olds[i], news[j])]
    for i in sorted(set(range(len(olds))) - {i for i, _ in couples}):
        lines += _part(pair, olds[i], True)  # noqa: FBT003 - the schema that takes everything
    for j in sorted(set(range(len(news))) - {j for _, j in couples}):
        if not (pair.rule.loosens and any(not _part(pair, old, news[j]) for old in olds)):
            lines += _part(pair, True, news[j])  # noqa: FBT003
    return lines


def _unions(pair: Pair, old: Schema, new: Schema) -> list[str]:
    """Compare a union that stands beside other keywords."""
    lines = _part(pair, {"anyOf": old.get("anyOf", [True])}, {"anyOf": new.get("anyOf", [True])})
    was, now = old.get("oneOf", [True]), new.get("oneOf", [True])
    if pair.old.apart(was) and pair.new.apart(now):
        return [*lines, *_part(pair, {"oneOf": was}, {"oneOf": now})]
    if pair.rule.loosens and "oneOf" not in new:
        return lines
    alike = len(was) == len(now) and not any(_part(pair, *two, rule=SAME) for two in zip(was, now, strict=True))
    return lines if alike else [*lines, *pair.said(from_to("oneOf", was, now))]


def _fields(pair: Pair, old: Schema, new: Schema) -> list[str]:
    """Compare an object: its fields, which of them are required, and whether there may be others."""
    rule, olds, news = pair.rule, old.get("properties", {}), new.get("properties", {})
    more_old, more_new = old.get("additionalProperties", True), new.get("additionalProperties", True)
    must_old, must_new = set(old.get("required", [])), set(new.get("required", []))
    lines = []
    for name in sorted(olds.keys() | news.keys() | must_old | must_new):
        field = pair.down(olds.get(name, more_old), news.get(name, more_new), f".{name}")
        if name in olds and name not in news and not rule.drops:
            lines += field.said("removed")
        elif name in news and name not in olds and name in must_new - must_old:
            lines += field.said("added, and required")
        elif name in must_new - must_old:
            lines += field.said("now required")
        elif name in must_old - must_new and not rule.loosens:
            lines += field.said("no longer required")
        elif name in news and name not in olds and not _has_room(pair, name, field):
            lines += field.said("added, where the released contract allows none or others")
        elif name in olds:
            lines += changes(field)
    others = changes(pair.down(more_old, more_new, ".*"))
    if others and False in (more_old, more_new):
        others = pair.said(f"further fields are {'now' if more_old is False else 'no longer'} allowed")
    return [*lines, *others]


def _has_room(pair: Pair, name: str, field: Pair) -> bool:
    """Tell whether a new optional field meets what the old object could hold in its place."""
    if not pair.rule.grows:
        return False
    if pair.named[0] and name not in pair.named[0] and not constraints(field.old.resolved()):
        return True
    within = replace(field, rule=WITHIN)
    return not changes(within) and (pair.rule.loosens or not changes(within.turned(WITHIN)))


def _elements(pair: Pair, old: Schema, new: Schema) -> list[str]:
    """Compare an array: its first elements one by one, then the rest."""
    firsts_old, rest_old = _places(old)
    firsts_new, rest_new = _places(new)
    lines = []
    for i in range(max(len(firsts_old), len(firsts_new))):
        was = firsts_old[i] if i < len(firsts_old) else rest_old
        now = firsts_new[i] if i < len(firsts_new) else rest_new
        lines += changes(pair.down(was, now, f"[{i}]"))
    return [*lines, *changes(pair.down(rest_old, rest_new, "[]"))]


def _places(schema: Schema) -> tuple[list[Any], Any]:
    """Return the schemas of the first elements and of the others, in the old spelling or the new one."""
    if isinstance(schema.get("items"), list):
        return schema["items"], schema.get("additionalItems", True)
    return schema.get("prefixItems", []), schema.get("items", True)


def _kinds(forms: Forms) -> str:
    return " or ".join(sorted(forms.types)) or "nothing"


_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_OPAQUE: Final = ("pattern", "format", "multipleOf", "uniqueItems", "contentEncoding", "contentMediaType")
_IF: Final = ("if", "then", "else")
_JUDGES: Final[tuple[tuple[tuple[str, ...], Callable[[Pair, Schema, Schema], list[str]]], ...]] = (
    ((*_LOWER, *_UPPER), _bounds),
    (_OPAQUE, _opaque),
    (("not",), _negation),
    (_IF, _conditions),
    (("allOf",), _all_of),
    (("anyOf", "oneOf"), _unions),
    (("properties", "required", "additionalProperties"), _fields),
    (("items", "prefixItems", "additionalItems"), _elements),
)
_JUDGED: Final = frozenset({"type"}).union(*(names for names, _ in _JUDGES))
