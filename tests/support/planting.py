"""Changes to plant in a contract: what stands where, by paths with slashes."""

import json
from collections.abc import Callable
from functools import reduce
from typing import Any

from tests.support.additive import Schema

Change = Callable[[Schema], None]


def what_stands_at(document: Any, path: list[str]) -> Any:  # noqa: ANN401 - any JSON
    """Return what stands at a path; a number counts in a list."""
    return reduce(lambda part, step: part[int(step) if isinstance(part, list) else step], path, document)


def put(path: str, value: object) -> Change:
    """Change, or add, what stands at a path; a step after a list adds to it."""

    def change(document: Schema) -> None:
        *way, last = path.split("/")
        part = what_stands_at(document, way)
        if last == "+":
            part.append(value)
        else:
            part[int(last) if isinstance(part, list) else last] = value

    return change


def drop(path: str, value: object = None) -> Change:
    """Remove what stands at a path, or a value from the list that stands there."""

    def change(document: Schema) -> None:
        *way, last = path.split("/")
        part = what_stands_at(document, way)
        if value is not None:
            part[last].remove(value)
        else:
            del part[int(last) if isinstance(part, list) else last]

    return change


def both(*changes: Change) -> Change:
    """Make several changes."""

    def change(document: Schema) -> None:
        for one in changes:
            one(document)

    return change


def named_anew(document: Schema) -> None:
    """Give a component another name, wherever it is referred to."""
    document["components"]["schemas"]["Answer"] = document["components"]["schemas"].pop("Result")
    text = json.dumps(document).replace('#/components/schemas/Result"', '#/components/schemas/Answer"')
    document.update(json.loads(text))


def in_another_order(document: Schema) -> None:
    """Turn every list around that says what may be, and every object."""

    def turned(part: Any) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(part, dict):
            return {
                name: turned(
                    value[::-1]
                    if name in {"required", "enum", "anyOf", "allOf", "messages"} and isinstance(value, list)
                    else value
                )
                for name, value in reversed(part.items())
            }
        return [turned(one) for one in part] if isinstance(part, list) else part

    document.update(turned(document))


def told_otherwise(document: Schema) -> None:
    """Change every description, title and example."""

    def told(part: Any, *, names: bool = False) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(part, list):
            return [told(one) for one in part]
        if not isinstance(part, dict):
            return part
        kept = {
            name: told(value, names=name == "properties")
            for name, value in part.items()
            if names or name not in {"description", "title", "examples"}
        }
        return kept if names else {**kept, "description": "Other words.", "x-since": "1.1"}

    document["components"]["schemas"] = {name: told(value) for name, value in document["components"]["schemas"].items()}
    for part in (*document["channels"].values(), *document["components"]["messages"].values()):
        part.update(description="Other words.", summary="In short.", examples=[])
