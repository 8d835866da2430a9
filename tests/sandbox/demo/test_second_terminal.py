"""What the demo prints for a second terminal: commands for this folder and this daemon."""

import shlex
import sys
from pathlib import Path

import msgspec
import pytest

from tests.support.demo_records import RUNNING

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def in_project_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in a folder as a user has it, with the program in its .venv."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (tmp_path / "examples" / "python").mkdir(parents=True)
    for path in (programs / "ltp-bridge", programs / "python", tmp_path / "examples" / "python" / "desk.py"):
        path.touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(programs / "ltp-bridge"), "demo"])


def test_paths_are_those_of_the_folder() -> None:
    """The program and its Python are named as they are from the folder; other paths are absolute and quoted."""
    assert [" ".join(words) for words in RUNNING.commands] == [
        ".venv/bin/ltp-bridge tail trades --config '/tmp/a folder/bridge.toml'",
        "KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9092 .venv/bin/python examples/python/desk.py",
    ]


def test_another_account_and_prefix_are_named() -> None:
    """The commands name what is not the default of the programs that they start."""
    other = msgspec.structs.replace(RUNNING, topic_prefix="own", account="two", is_only_account=False)
    tail, desk = other.commands
    assert tail[2:5] == ["trades", "--account", "two"]
    assert desk[1:3] == ["LTP_PREFIX=own", "LTP_ACCOUNT=two"]


def test_a_program_of_another_folder_is_named_by_its_whole_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m bridge` names the Python that runs it."""
    monkeypatch.setattr(sys, "argv", [str(ROOT / "bridge" / "__main__.py"), "demo"])
    assert list(RUNNING.commands[0][:4]) == [sys.executable, "-m", "bridge", "tail"]


def test_without_the_example_nothing_is_said_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder without the examples the other command is left."""
    monkeypatch.chdir("/")
    assert [words[1] for words in RUNNING.commands] == ["tail"]
    assert "order" not in RUNNING.caption


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_lines_for_a_narrow_terminal_are_the_same_commands(width: int) -> None:
    """A shell takes the lines together as the two commands, and no line is longer than the terminal is wide."""
    lines = RUNNING.wrap_commands(width)
    text = "\n".join(lines)
    words = [shlex.split(line) for line in text.replace("\\\n", "").splitlines()]
    assert words == [shlex.split(" ".join(command)) for command in RUNNING.commands]
    longest_word = max(len(word) for command in RUNNING.commands for word in command)
    assert max(map(len, lines)) <= max(width, longest_word + len("     \\"))


def test_what_is_printed_has_both_addresses() -> None:
    """The status page, the broker with the topics, and the commands are there."""
    told = "\n".join(RUNNING.describe())
    for expected in ("http://127.0.0.1:9090/", "127.0.0.1:9092, topics ltp.main.*", "desk.py", "tail trades"):
        assert expected in told
