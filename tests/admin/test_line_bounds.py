"""No value makes a log line long, breaks it or makes it fail."""

import json
from typing import Any

import pytest

from bridge.admin.line_bounds import (
    LINE_CHARS_MAX,
    VALUE_CHARS_MAX,
    bound_coloured,
    bound_values,
    cut_ends,
    render_json,
)


class Unshowable:
    """An object that nothing can show."""

    def __repr__(self) -> str:
        """Fail."""
        raise RuntimeError("no")


class Talkative:
    """An object with much to show."""

    def __repr__(self) -> str:
        """Return a megabyte."""
        return "x" * 1_000_000


def _render(**fields: Any) -> str:  # noqa: ANN401 - any value of a line
    return render_json(None, "info", bound_values(None, "info", {"event": "it.happened", **fields}))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * VALUE_CHARS_MAX, "x" * VALUE_CHARS_MAX),
        ("x" * 1_000_000, "x" * VALUE_CHARS_MAX + "… (cut: 1000000 characters)"),
        ("\ud800\n\x1b\u202e", "\ud800\n\x1b\u202e"),
        (b"\xff", "b'\\xff'"),
        (1 << 63, 1 << 63),
        (10**100_000, "an integer of 332193 bits"),
        (float("nan"), "nan"),
        (0.5, 0.5),
        (True, True),
        (None, None),
        (Unshowable(), "<Unshowable whose repr raises RuntimeError>"),
        (Talkative(), "x" * VALUE_CHARS_MAX + "… (cut: 1000000 characters)"),
        ([1, ("a", {"b": 2})], [1, ["a", {"b": 2}]]),
        (list(range(100_000)), list(range(100))),
        ({str(number): number for number in range(100_000)}, {str(number): number for number in range(100)}),
    ],
    ids=range(15),
)
def test_every_value_is_shown_within_bounds(value: object, shown: object) -> None:
    """Also those that JSON has no form for; the line is one of ASCII."""
    line = _render(value=value)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["value"] == shown


def test_what_is_nested_too_deep_is_shown_as_text() -> None:
    """A list in a list, thousands deep, neither fails nor fills the line."""
    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]
    assert len(_render(value=nested)) < LINE_CHARS_MAX


def test_of_a_line_that_is_too_long_only_what_it_is_about_is_left() -> None:
    """It says how long it was."""
    line = json.loads(
        _render(account="main", level="error", **{f"f{number}": "\U0001f600" * 2000 for number in range(9)})
    )
    assert line.pop("cut_chars") > LINE_CHARS_MAX
    assert line == {"event": "it.happened", "account": "main", "level": "error"}
    assert len(_render(event_name="x", **{str(number): "é" * 2000 for number in range(100)})) <= LINE_CHARS_MAX


def test_a_coloured_line_is_not_cut_within_a_colour() -> None:
    """Else the terminal would take the next characters for a part of it."""
    for shift in range(10):
        line = bound_coloured(None, "info", "x" * (LINE_CHARS_MAX - shift) + "\x1b[31m" + "y" * 100)
        for code in ("\x1b[31m", "\x1b[0m"):
            line = line.replace(code, "")
        assert line.isprintable()
        assert len(line) < LINE_CHARS_MAX + 100
    assert bound_coloured(None, "info", "short") == "short"


def test_of_a_long_traceback_both_ends_are_left() -> None:
    """The last line says what went wrong."""
    text = "first\n" + "x" * 100_000 + "\nlast"
    assert cut_ends(text, 1000).startswith("first")
    assert cut_ends(text, 1000).endswith("last")
    assert len(cut_ends(text, 1000)) < 1100
    assert cut_ends("short", 1000) == "short"
