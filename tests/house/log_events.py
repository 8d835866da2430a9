"""The log events of the package: `python -m tests.house.log_events` writes the chart's LOGS.md anew (`make schemas`).

Events, levels and fields are read from the source. What an event means, and what to do about it, is written by hand in
the table itself and stays there.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from tests.house.source import Module, read_modules

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "helm/ltp-kafka-bridge/LOGS.md"
LEVELS: Final = {one: one for one in ("debug", "info", "warning", "error", "critical")} | {"exception": "error"}
LOGGERS: Final = ("log", "_log", "self._log")
"""What a logger is called in this package; the test holds every module to it."""
_WRITTEN: Final = re.compile(r'"event": "(?P<event>[\w.]+)", "level": "(?P<level>\w+)", "(?P<field>\w+)"')
"""A line that is written without a logger, as the log's own writer has to."""
_HEAD: Final = "| event | level | fields | what it means | what to do |\n|---|---|---|---|---|\n"
_ROW: Final = re.compile(
    r"^\| `(?P<event>[^`]+)` \| [^|]* \| [^|]* \| (?P<meaning>[^|]*) \| (?P<remedy>[^|]*) \|$", re.MULTILINE
)


class LogCall(Struct, frozen=True, order=True):
    """What one place of the source logs. Each line has `account` as well, where it is about one."""

    event: str
    level: str
    fields: tuple[str, ...]


class UnknownShape(Exception):
    """A logger is used in a way that the table cannot be made from."""


def find_log_calls(modules: Iterable[Module]) -> dict[LogCall, list[str]]:
    """Return what is logged, and the files that log it. Raises UnknownShape."""
    found: dict[LogCall, list[str]] = {}
    for module in modules:
        for call in (*_find_calls(module), *_find_written(module)):
            found.setdefault(call, []).append(module.path)
    return found


def _find_written(module: Module) -> Iterator[LogCall]:
    for match in _WRITTEN.finditer(module.text.replace("{{", "{").replace("}}", "}")):
        yield LogCall(match["event"], match["level"], (match["field"],))


def _find_calls(module: Module) -> Iterator[LogCall]:
    called = {id(node.func): node for node in ast.walk(module.syntax) if isinstance(node, ast.Call)}
    for node in ast.walk(module.syntax):
        if isinstance(node, ast.Attribute) and node.attr in LEVELS and ast.unparse(node.value) in LOGGERS:
            if id(node) not in called:
                raise UnknownShape(f"{module.path}:{node.lineno}: {ast.unparse(node)} is not called where it is named")
            yield _read_call(module, node.attr, called[id(node)])


def _read_call(module: Module, method: str, call: ast.Call) -> LogCall:
    where = f"{module.path}:{call.lineno}"
    if len(call.args) != 1 or any(one.arg is None for one in call.keywords):
        raise UnknownShape(f"{where}: a log call has its event and named fields, and nothing else")
    fields = {str(one.arg) for one in call.keywords} - {"account"}
    if method == "exception":
        fields.add("exception")
    return LogCall(_read_event(call.args[0], where), LEVELS[method], tuple(sorted(fields)))


def _read_event(node: ast.expr, where: str) -> str:
    """Return the name of an event; `*` stands for its last word where the source takes it from an enumeration."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if (
        isinstance(node, ast.BinOp)
        and isinstance(node.left, ast.Constant)
        and isinstance(node.left.value, str)
        and ast.unparse(node.right).endswith(".value")
    ):
        return f"{node.left.value}*"
    raise UnknownShape(f"{where}: {ast.unparse(node)} is no name of an event")


def read_texts(document: str) -> dict[str, tuple[str, str]]:
    """Return the meaning and the remedy of each event in the document."""
    return {row["event"]: (row["meaning"], row["remedy"]) for row in _ROW.finditer(document)}


def write_table(document: str, calls: Iterable[LogCall], texts: Mapping[str, tuple[str, str]]) -> str:
    """Return the document with a row for each event, and the texts that are given."""
    begin, _, _ = document.partition(_HEAD)
    rows = []
    for call in sorted(calls):
        meaning, remedy = texts.get(call.event, ("", ""))
        fields = ", ".join(f"`{field}`" for field in call.fields)
        rows.append(f"| `{call.event}` | {call.level} | {fields} | {meaning} | {remedy} |\n")
    return f"{begin}{_HEAD}{''.join(rows)}"


def main() -> None:
    """Write the table anew."""
    document = DOCUMENT.read_text(encoding="utf-8")
    calls = find_log_calls(read_modules(ROOT))
    DOCUMENT.write_text(write_table(document, calls, read_texts(document)), encoding="utf-8")


if __name__ == "__main__":
    main()
