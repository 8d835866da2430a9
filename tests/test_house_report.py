"""The figures about the package count what they say, on little trees that were planted for it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.house.account_use import count_account_use
from tests.house.containers import find_containers
from tests.house.figures import (
    PrivateNames,
    Size,
    count_private_names,
    count_sizes,
    find_large_constructors,
    find_twin_classes,
)
from tests.house.message_calls import FIRST_OFFSET, RECEIVED, SEEN, WRITTEN, Recorder, place_number, push_number
from tests.house.source import Module, extract_ref, order_folders, read_modules
from tests.house.ways import summarize
from tests.house_report import render, report_tree, tables

Plant = Callable[[dict[str, str]], list[Module]]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Return what plants a package: texts of files by their paths below `bridge/`."""

    def write(files: dict[str, str]) -> list[Module]:
        for path, text in files.items():
            file = tmp_path / "bridge" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(text), encoding="utf-8")
        return read_modules(tmp_path)

    return write


def test_lines_are_code_or_docstrings_and_nothing_else(plant: Plant) -> None:
    """Comments and blank lines are neither; a string alone is a docstring, also behind an attribute."""
    text = '''
        """One.

        Two."""

        # a comment
        LIMIT = 1  # and another
        """What it is."""
        TEXT = """a
        b"""


        def double(
            number: int,
        ) -> int:
            """Return it."""
            return number * 2
    '''
    assert count_sizes(plant({"core/a.py": text, "cli.py": "", "core/stream/b.py": "x = 1"})) == {
        "core": Size(files=1, code_lines=7, docstring_lines=5),
        "core/stream": Size(files=1, code_lines=1, docstring_lines=0),
        "top-level": Size(files=1),
    }


def test_folders_stand_in_the_order_of_the_report() -> None:
    """What the report does not name comes last."""
    assert order_folders({"top-level", "new", "flow", "core"}) == ["core", "flow", "top-level", "new"]


def test_a_private_function_of_one_word_is_counted(plant: Plant) -> None:
    """Methods and nested functions too; neither dunders nor public names, nor the name that is no word."""
    text = """
        def look(): ...
        def _look():
            def _nested(): ...
        def _look_at_orders(): ...
        def _(): ...
        class Orders:
            def __init__(self): ...
            async def _find(self): ...
            def __mangled(self): ...
    """
    (names,) = count_private_names(plant({"flow/a.py": text})).values()
    found = sorted(one.partition(" ")[2] for one in names.one_word)
    assert (4, ["_find", "_look", "_nested"], 0.75) == (names.functions, found, names.share)
    assert PrivateNames().share == 0


def test_class_names_that_exist_twice_are_found(plant: Plant) -> None:
    """A port and its implementation may share a name; two implementations, or two ports, may not."""
    ports = "class Session(Protocol): ...\nclass Rest(Protocol): ...\nclass Listener(typing.Protocol): ..."
    twins = find_twin_classes(
        plant(
            {
                "flow/ports.py": ports,
                "ltp/a.py": "class Session: ...\nclass Rest: ...\nclass Listener(Protocol): ...",
                "ltp/b.py": "class Rest: ...\nclass Alone: ...",
            }
        )
    )
    assert {"Listener": ["flow/ports.py:3", "ltp/a.py:3"]} == {
        name: places for name, places in twins.twins.items() if name != "Rest"
    }
    assert twins.twins["Rest"] == ["flow/ports.py:2", "ltp/a.py:2", "ltp/b.py:1"]
    assert twins.ports == {"Session": ["flow/ports.py:1", "ltp/a.py:1"]}


def test_large_constructors_are_found(plant: Plant) -> None:
    """Required fields count as parameters where the class has methods; a mere value is none, nor are six too many."""
    fields = "".join(f"    f{number}: int\n" for number in range(7))
    files = {
        "a.py": "class Seven:\n    def __init__(self, a, b, c, *, d, e, f, **g): ...",
        "b.py": "class Six:\n    def __init__(self, a, b, c, d, e, f): ...",
        "c.py": f"class Value(Struct):\n{fields}",
        "d.py": f"@dataclass(slots=True)\nclass Data:\n{fields}    def act(self): ...",
        "e.py": f"class Order(msgspec.Struct):\n{fields}    g: int\n    h: int = 0\n    def act(self): ...",
        "f.py": f"class Six(Struct):\n{fields[:-12]}    x: list = field(default_factory=list)\n    def act(self): ...",
        "g.py": f"class Plain:\n{fields}    def act(self): ...",
    }
    found = [(one.owner, one.parameters) for one in find_large_constructors(plant(files))]
    assert found == [("Order", 8), ("Seven", 7), ("Data", 7)]


def test_what_flow_uses_of_the_account_is_counted(plant: Plant) -> None:
    """By every name that the account has in flow; other accounts, and other folders, do not count."""
    account = """
        class Account:
            def __init__(self):
                self.intake = self._claims = 0
                self.epoch: int = 1
            @property
            def origin(self): ...
            def tick(self): ...
    """
    flow = """
        class Loop:
            def __init__(self, account: Account, venue: AccountSettings) -> None:
                self._owned = account
                self.epoch = venue.epoch
            def run(self):
                self._owned.tick()
                self._owned.intake.offer(self._owned.origin)
                self._owned.intake.offer(self._owned.unknown)
                use(self._owned.intake)
    """
    files = {"core/account.py": account, "flow/loop.py": flow, "app.py": "def f(account: Account): account.epoch"}
    use = count_account_use(plant(files))
    assert use.members == {"intake": 3, "origin": 1, "tick": 1}
    assert use.reaching == {"intake.offer": 2}
    assert use.handed_over == {"intake": 1, "origin": 1}


def test_what_the_account_inherits_is_counted_too(plant: Plant) -> None:
    """Its bases, and theirs, stand in other files of `core/`; a class of another name is none of them."""
    files = {
        "core/account.py": "class Account(AccountStream, commands.AccountCommands):\n    def tick(self): ...",
        "core/account_stream.py": "class AccountStream(AccountWings):\n    def logged_in(self): ...",
        "core/account_commands.py": "class AccountCommands(AccountWings):\n    @property\n    def span(self): ...",
        "core/account_wings.py": "class AccountWings:\n    def __init__(self):\n        self.intake = 0",
        "core/orders.py": "class Orders:\n    def find(self): ...",
        "flow/loop.py": "def run(account: Account):\n    account.tick(account.span)\n    account.logged_in()\n"
        "    account.intake.offer(account.find())",
    }
    use = count_account_use(plant(files))
    assert use.members == {"intake": 1, "logged_in": 1, "span": 1, "tick": 1}
    assert (use.reaching, use.handed_over) == ({"intake.offer": 1}, {"span": 1})


@pytest.mark.parametrize("command", ["Pending", "TrackedCommand"])
def test_containers_of_commands_are_found(plant: Plant, command: str) -> None:
    """By their type, through a class that holds one as well, or by the key that a method uses."""
    text = f"""
        class _Doubt(Struct):
            pending: {command} | None
        class Lanes:
            def __init__(self):
                self._queues: dict[str, deque[{command}]] = {{}}
                self._doubts: dict[int, "_Doubt"] = {{}}
                self._offsets = set()
                self._ids: dict[str, set[str]] = {{}}
                self._heap: list[tuple[float, int]] = []
                self._current: {command} | None = None
                self._prices: dict[str, int] = {{}}
            def add(self, pending, sym):
                self._offsets.add(pending.offset)
                self._ids[sym].discard(pending.command_id)
                heappush(self._heap, (0.0, pending.offset))
                return self._prices[sym]
        class Orders:
            def __init__(self):
                self._by_name: dict[str, str] = {{}}
            def find(self, client_order_id):
                return self._by_name[client_order_id]
    """
    found = find_containers(plant({"core/lanes.py": text, "flow/other.py": text}))
    assert {(one.attribute, one.reason) for one in found.counted} == {
        *(("_queues", "by type"), ("_doubts", "by type")),
        *(("_offsets", "by key"), ("_ids", "by key"), ("_heap", "by key")),
    }
    assert [(one.owner, one.attribute) for one in found.left_out] == [("Orders", "_by_name")]


def _record(tmp_path: Path, source: str, run: str, **given: object) -> Recorder:
    """Record the calls of a planted module while `run` is evaluated."""
    recorder = Recorder(tmp_path / "bridge")
    names: dict[str, Any] = {**given, "recorder": recorder}
    exec(compile(dedent(source), str(tmp_path / "bridge" / "core" / "a.py"), "exec"), names)  # noqa: S102 - planted
    before = sys.getprofile()
    sys.setprofile(recorder)
    try:
        eval(run, names)  # noqa: S307 - planted
    finally:
        sys.setprofile(before)
    return recorder


_STREET = """
    class Street:
        def __init__(self, frame): self.kept = [frame]
        def run(self):
            self.tick()
            order = self.take(self.kept.pop())
            self.tick()
        def take(self, frame):
            self.count()
            self.kept.append(frame)
            return self.names(frame)
        def names(self, frame): return {"id": frame.decode()}
        def count(self): return 0
        def tick(self): return 0
    street = Street(frame)
"""


def test_calls_that_have_a_message_are_told_from_those_that_help_and_from_the_others(tmp_path: Path) -> None:
    """A caller that is given the message by what it calls handles it; what else it calls is no part of the way."""
    recorder = _record(tmp_path, _STREET, "street.run()", frame=push_number(3).encode())
    recorder.marks[RECEIVED, push_number(3)] = 0
    recorder.mark("appended", push_number(3))
    ((way, calls),) = [(one["way"], one["calls"]) for one in recorder.ways()]
    assert way == "push"
    found = {name.removeprefix("Street."): how for _, name, how in calls}
    assert found == {"run": "handles", "take": "handles", "names": "handles", "count": "helps"}


def test_a_command_is_known_by_its_offset_and_its_request_too(tmp_path: Path) -> None:
    """An offset alone is no first sight of it; and nothing counts once it is written."""
    source = """
        def read(text): return len(text)
        def claim(offset): return 0
        def answer(request_id): return 0
    """
    text, offset = place_number(7), FIRST_OFFSET + 7
    run = "[claim(offset), read(text), claim(offset), recorder.mark(written, text), answer(text)]"
    recorder = _record(tmp_path, source, run, text=text, offset=offset, written=WRITTEN)
    assert recorder.marks[SEEN, text] > 1
    ((way, calls),) = [(one["way"], one["calls"]) for one in recorder.ways()]
    assert (way, [name for _, name, _ in calls]) == ("place", ["read", "claim"])
    recorder.learn_synonym(f'{{"id": "1x2", "args": "{text}"}}'.encode())
    recorder.mark(RECEIVED, b'{"id":"1x2"}')
    assert (RECEIVED, text) in recorder.marks


def test_what_at_least_half_of_the_messages_pass_is_their_way() -> None:
    """A file helps only where nothing in it handles the message."""
    usual = [("a.py", "f", "handles"), ("a.py", "g", "helps"), ("b.py", "h", "helps")]
    rare = [("c.py", "seldom", "handles")]
    traces = [{"way": "push", "calls": calls} for calls in (usual, usual, [*usual[:1], *rare])]
    way = summarize(traces)["push"]
    assert (way.handling, way.helping, way.functions) == ({"a.py": ["f"]}, {"b.py": ["h"]}, 1)


def test_a_git_ref_is_read_without_touching_the_working_tree(tmp_path: Path, plant: Plant) -> None:
    """The figures of what was committed and of what stands there now stand side by side."""
    plant({"core/a.py": "def _look(): ...", "core/b.py": ""})
    for arguments in (["init", "-q"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)  # noqa: S603, S607
    plant({"core/a.py": "def _look_at_orders(): ...", "ltp/c.py": ""})
    old = report_tree(extract_ref(tmp_path, "HEAD", tmp_path / "old"), static=True)
    text = render(tables(old, names=True), tables(report_tree(tmp_path, static=True), names=True))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "core 2, 1, 0 -> 2, 1, 0" in lines
    assert "ltp - -> 1, 0, 0" in lines
    assert "core 1 of 1 = 100% -> 0 of 1 = 0%" in lines
    assert "core/a.py:1 _look one word -> -" in lines
