"""Files, functions and ARCHITECTURE.md stay short, and ARCHITECTURE.md and README.md name what exists."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.one_account import OneAccount

ROOT = Path(__file__).parents[1]
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
ROOMS = sorted(ROOT.glob("bridge/**/*.py"))
LINES_MAX = 300
LINE_CHARS_MAX = 120
ARCHITECTURE_LINES_MAX = 250
FUNCTION_LINES_MAX = 70


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_small(room: Path) -> None:
    """No file has 300 lines or more, and no function 70 or more."""
    text = room.read_text(encoding="utf-8")
    assert len(text.splitlines()) < LINES_MAX
    long = [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert long == []


def test_the_architecture_is_short() -> None:
    """ARCHITECTURE.md has fewer than 250 lines, and none of more than 120 characters but for rows of tables."""
    lines = ARCHITECTURE.splitlines()
    assert len(lines) < ARCHITECTURE_LINES_MAX
    assert [line for line in lines if len(line) > LINE_CHARS_MAX and not line.startswith("|")] == []


def test_every_file_is_in_the_file_map() -> None:
    """The file map has one row for each folder of the package, which names the files of that folder and no others."""
    rows = [line for line in _read_section("File map").splitlines() if line.startswith("| `")]
    named = [(line.split("`")[1], sorted(re.findall(r"`(\w+\.py)`", line))) for line in rows]
    files: dict[str, list[str]] = {}
    for room in ROOMS:
        folder = room.parent.relative_to(ROOT / "bridge").as_posix()
        files.setdefault("bridge/" if folder == "." else f"{folder}/", []).append(room.name)
    assert sorted(named) == sorted((folder, sorted({*names} - {"__init__.py"})) for folder, names in files.items())


def test_every_path_in_the_architecture_exists() -> None:
    """Every file and folder that ARCHITECTURE.md names outside of its file map is there."""
    text = ARCHITECTURE.replace(_read_section("File map"), "")
    paths = set(re.findall(r"`([\w/]+(?:/|\.py))[`:]", text))
    assert len(paths) > 50
    places = [ROOT, ROOT / "bridge", *(path for path in ROOT.glob("tests/**/") if path.name != "__pycache__")]
    assert [path for path in paths if not any((place / path).exists() for place in places)] == []


def test_every_function_on_the_way_exists() -> None:
    """Each `file.py: name` is in that file, and each `Class.method` in a file that was named before."""
    known: set[str] = set()
    missing = []
    for title in ("The life of a push", "The life of a command", "Taking over"):
        for path, names in re.findall(r"`(?:([\w/]+\.py): )?(\w+(?:\.\w+)?(?:, [\w.]+)*)`", _read_section(title)):
            here = _find_names(ROOT / "bridge" / path) if path else known
            known |= here
            is_name = path or re.match(r"[A-Z]\w+\.", names)
            missing += [name for name in names.split(", ") if is_name and name not in here]
    assert len(known) > 100
    assert missing == []


def _read_section(title: str) -> str:
    """Return the text of one section of ARCHITECTURE.md."""
    return ARCHITECTURE.split(f"## {title}\n")[1].split("\n## ")[0]


def _find_names(file: Path) -> set[str]:
    """Return the functions and classes of a file, and the methods of its classes as `Class.method`."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = [node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, kinds)]
    return {node.name for node in found} | {
        f"{owner.name}.{node.name}" for owner in found for node in owner.body if isinstance(node, kinds)
    }


def test_every_test_that_the_readme_names_is_there() -> None:
    """Every test in the table of promises exists."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(named) > 10
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"


def test_no_class_name_is_used_twice() -> None:
    """Each class has a name of its own in the package; only a port of `flow` shares one with what implements it."""
    places: dict[str, list[str]] = {}
    for room in ROOMS:
        for node in ast.walk(ast.parse(room.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(room.relative_to(ROOT)))
    twice = {name: [path for path in paths if path != "bridge/flow/ports.py"] for name, paths in places.items()}
    assert {name: paths for name, paths in twice.items() if len(paths) > 1} == {}


TIME_WITHOUT_CLOCK = re.compile(r"(^|_)(at|until|since|deadline|due|now|mono|time|timeout|period|age|delay)$")
"""How the name of a time ends that says neither its clock nor its unit: `_at_ms`, `_boot_s`, `_s` would."""


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_time_says_its_clock_and_unit(room: Path) -> None:
    """No float that is a time is called just `at`, `until` or the like, be it a parameter, a field or a function."""
    named: list[tuple[str, ast.expr | None]] = []
    for node in ast.walk(ast.parse(room.read_text(encoding="utf-8"))):
        if isinstance(node, ast.arg):
            named.append((node.arg, node.annotation))
        elif isinstance(node, ast.AnnAssign):
            target = node.target
            name = target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")
            named.append((name, node.annotation))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            named.append((node.name, node.returns))
    floats = [name for name, kind in named if kind is not None and ast.unparse(kind) in {"float", "float | None"}]
    assert [name for name in floats if TIME_WITHOUT_CLOCK.search(name)] == []


def test_no_field_has_the_name_of_a_type_of_its_class() -> None:
    """From Python 3.14 on a field called `list` hides the type `list` in the annotations of its class."""
    hidden = []
    for room in ROOMS:
        for owner in ast.walk(ast.parse(room.read_text(encoding="utf-8"))):
            if isinstance(owner, ast.ClassDef):
                fields = [one for one in owner.body if isinstance(one, ast.AnnAssign)]
                names = {one.target.id for one in fields if isinstance(one.target, ast.Name)}
                used = {node.id for one in fields for node in ast.walk(one.annotation) if isinstance(node, ast.Name)}
                hidden += [f"{room.name}: {owner.name}.{name}" for name in names & used]
    assert hidden == []


PLAIN_VALUES_OF_ACCOUNT = {
    *("awaited_count", "deferred_span", "epoch", "is_reading_full", "other_login_boot_s", "first_sweep_done"),
    "sweep_due_boot_s",
}
"""What `flow` may read of an account without a call; its parts are none of these."""
HANDED_ON = {"forget_state", "on_durable", "remember_trades"}
"""Methods of an account that `flow` hands to others, which call them."""


def _is_account(node: ast.AST) -> bool:
    return (isinstance(node, ast.Name) and node.id == "account") or (
        isinstance(node, ast.Attribute) and node.attr in {"account", "_account"}
    )


@pytest.mark.parametrize("room", [room for room in ROOMS if room.parent.name == "flow"], ids=lambda path: path.name)
def test_flow_calls_the_account_and_reaches_nothing_behind_it(room: Path) -> None:
    """No `account.part.method`, and no part of an account kept or handed on: each step is one call of the account."""
    tree = ast.parse(room.read_text(encoding="utf-8"))
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    reached = [
        f"line {node.lineno}: account.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and _is_account(node.value)
        and id(node) not in called
        and node.attr not in PLAIN_VALUES_OF_ACCOUNT | HANDED_ON
    ]
    assert reached == []


def test_what_flow_may_read_of_an_account_is_plain() -> None:
    """The account that the guard lets `flow` read has values by these names, and methods by the others."""
    account = OneAccount().account
    plain = (bool, int, float, tuple, type(None))
    assert [name for name in PLAIN_VALUES_OF_ACCOUNT if not isinstance(getattr(account, name), plain)] == []
    assert all(callable(getattr(account, name)) for name in HANDED_ON)
