"""LOGS.md has every log event of the package, as the source has it."""

import ast
import re
from collections import Counter

import pytest

from tests.house.log_events import (
    DOCUMENT,
    LOGGERS,
    ROOT,
    LogCall,
    UnknownShape,
    find_log_calls,
    read_texts,
    write_table,
)
from tests.house.source import Module, read_modules

MODULES = read_modules(ROOT)
CALLS = find_log_calls(MODULES)
TEXTS = read_texts(DOCUMENT.read_text(encoding="utf-8"))


def _read(text: str) -> list[LogCall]:
    return list(find_log_calls([Module("x.py", text, ast.parse(text))]))


def test_the_table_is_current() -> None:
    """It is what `make schemas` writes: no event is missing, left over, or there with another level or field."""
    document = DOCUMENT.read_text(encoding="utf-8")
    assert document == write_table(document, CALLS, TEXTS), "run `make schemas`"


def test_every_event_is_explained() -> None:
    """It has a meaning; a warning and an error also say what to do."""
    assert [call.event for call in CALLS if not TEXTS[call.event][0]] == []
    loud = [call.event for call in CALLS if call.level in {"warning", "error", "critical"}]
    assert [event for event in loud if not TEXTS[event][1]] == []


def test_an_event_has_one_level_and_one_set_of_fields() -> None:
    """Wherever it is logged."""
    assert [event for event, times in Counter(call.event for call in CALLS).items() if times > 1] == []


def test_events_have_dotted_names() -> None:
    """`what.happened`, in lower case; behind `command.` stands an outcome."""
    names = {call.event for call in CALLS}
    assert {name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)+", name)} == {"command.*"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.path)
def test_every_logger_has_a_name_that_the_table_knows(module: Module) -> None:
    """So no call is passed over: what `get_logger` and `bind` return is called `_log`, `log` or `self._log`."""
    for node in ast.walk(module.syntax):
        if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("get_logger"):
            continue
        kept = [one for one in ast.walk(module.syntax) if isinstance(one, ast.Assign) and one.value is node]
        assert [ast.unparse(target) for one in kept for target in one.targets][0:1] in ([name] for name in LOGGERS)
    bound = [
        ast.unparse(one.targets[0])
        for one in ast.walk(module.syntax)
        if isinstance(one, ast.Assign) and ast.unparse(one.value).startswith(("_log.bind(", "log.bind("))
    ]
    assert set(bound) <= set(LOGGERS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("_log.info('a.b', x=1, account=2)", LogCall("a.b", "info", ("x",))),
        ("self._log.exception('a.b')", LogCall("a.b", "error", ("exception",))),
        ("log.info('command.' + result.outcome.value, y=1)", LogCall("command.*", "info", ("y",))),
        ('out.write(f\'{{"event": "a.b", "level": "warning", "n": {n}}}\')', LogCall("a.b", "warning", ("n",))),
    ],
)
def test_calls_are_read_from_the_source(text: str, found: LogCall) -> None:
    """Of every kind that there is."""
    assert _read(text) == [found]


@pytest.mark.parametrize(
    "text",
    [
        "tell = _log.warning if x else _log.error\ntell('a.b')",
        "_log.info(event, x=1)",
        "_log.info(f'a.{x}')",
        "_log.info('a.b', **fields)",
        "_log.info('a.b %s', x)",
    ],
)
def test_a_call_that_cannot_be_read_is_an_error(text: str) -> None:
    """The table would miss it, or be wrong about it."""
    with pytest.raises(UnknownShape):
        _read(text)


def test_texts_stay_when_the_table_is_written() -> None:
    """Only they are written by hand; a new event has none yet."""
    calls = [LogCall("a.b", "info", ("x",)), LogCall("c.d", "error", ())]
    head = "# T\n\n| event | level | fields | what it means | what to do |\n|---|---|---|---|---|\n"
    document = write_table(
        head + "| `a.b` | x | x | It is so. | Nothing. |\n", calls, {"a.b": ("It is so.", "Nothing.")}
    )
    assert document == head + "| `a.b` | info | `x` | It is so. | Nothing. |\n| `c.d` | error |  |  |  |\n"
    assert read_texts(document)["a.b"] == ("It is so.", "Nothing.")
