"""Text of others is escaped before it reaches a terminal."""

import ast
import io
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from bridge.cli import main
from bridge.terminal import EscapingConsole, escape_lines, escape_text

HOSTILE = "\x1b[2J\x1b]0;pwned\x07ok\x9b8m\r\n\u202eevil\udc80[bold red]x[/] [/nope] :smile: [link=http://e]1[/link]"
ROOT = Path(__file__).parents[1]


def _is_plain(text: str) -> bool:
    return all(one.isprintable() or one == "\n" for one in text)


@given(st.text())
def test_escaped_text_is_one_line_that_a_terminal_shows(text: str) -> None:
    """A terminal executes and hides nothing in it, and plain text does not change."""
    assert escape_text(text).isprintable()
    assert escape_text(escape_text(text)) == escape_text(text)
    assert _is_plain(escape_lines(text))
    assert escape_lines(text).count("\n") == text.count("\n")


@pytest.mark.parametrize("colour", [False, True])
def test_a_console_escapes_what_it_prints(colour: bool) -> None:  # noqa: FBT001 - both are tried
    """Strings, texts, tables and raw output have no control characters and no markup of the content."""
    out = io.StringIO()
    console = EscapingConsole(file=out, width=200, force_terminal=colour, color_system="standard" if colour else None)
    table = Table("head[/x]")
    table.add_row(HOSTILE)
    for what in (HOSTILE, Text(HOSTILE, style="red"), table):
        console.print(what)
    console.out(HOSTILE)
    told = out.getvalue()
    for code in ("\x1b[31m", "\x1b[1m", "\x1b[0m"):  # rich's own
        told = told.replace(code, "")
    assert _is_plain(told)
    assert told.count("[bold red]x[/] [/nope] :smile:") == 4
    assert "\\x1b[2J" in told


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("style", ["pretty", "json"])
def test_logs_escape_what_they_write(style: str, foreign: bool) -> None:  # noqa: FBT001 - both are tried
    """This holds for values, names and tracebacks, for our lines and those of libraries, for text and JSON."""
    call = (
        f"import logging, structlog; from bridge.admin import logs; lines = logs.configure('info', {style!r})\n"
        f"hostile = {HOSTILE!r}\n"
        "try:\n    raise ValueError(hostile)\nexcept ValueError:\n"
        + (
            "    logging.getLogger('x').exception('told %s', hostile)\n"
            if foreign
            else "    structlog.get_logger().exception(hostile, detail=hostile, many=[hostile], **{hostile: 1})\n"
        )
        + "lines.drain(5)"
    )
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, check=False)  # noqa: S603 - what stands here
    told = done.stdout.decode()
    assert "pwned" in told, done.stderr.decode()
    assert "\x1b[2J" not in told
    assert "\x1b]" not in told
    assert not {"\x07", "\x9b", "\r", "\u202e"} & set(told)


def test_names_in_a_file_are_escaped(tmp_path: Path) -> None:
    """The error shows the unknown name of a setting, escaped."""
    path = tmp_path / "bridge.toml"
    path.write_text('"\\u001b[2J\\n  - all is well" = 1\n')
    told = CliRunner().invoke(main, ["run", "--config", str(path)]).output
    assert "\\x1b[2J\\n  - all is well: there is no such setting" in told
    assert _is_plain(told)


def test_an_uncaught_exception_is_escaped() -> None:
    """A traceback that quotes the venue is escaped too."""
    call = "import sys; from bridge.terminal import print_exception; sys.excepthook = print_exception"
    call += f"; raise ValueError({HOSTILE!r})"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, check=False)  # noqa: S603 - what stands here
    told = done.stderr.decode()
    assert "pwned" in told
    assert _is_plain(told)


def test_nothing_prints_without_escaping() -> None:
    """No other file makes a console of rich, and only the listed ones write to standard output."""
    consoles, writers = [], []
    for path in sorted(ROOT.glob("bridge/**/*.py")):
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"Console", "print"}:
                consoles.append(name)
            if (
                isinstance(node, ast.Attribute)
                and node.attr in {"stdout", "stderr"}
                and ast.unparse(node.value) == "sys"
            ):
                writers.append(name)
    assert consoles == []
    assert set(writers) == {
        "bridge/admin/logs.py",  # through the processors that the tests above try
        "bridge/cli.py",  # the sandbox's own addresses and key
        "bridge/inspect/commands.py",  # handed to the printer of records, which escapes each line
        "bridge/sandbox/broker/jars.py",  # a number
        "bridge/sandbox/demo/show.py",  # by the console of bridge/terminal.py
        "bridge/sandbox/reaper.py",  # JSON for its owner
        "bridge/terminal.py",
    }
