"""Files and functions stay small, and ARCHITECTURE.md and README.md name what exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = sorted(ROOT.glob("bridge/**/*.py"))
LINES_MAX = 400
FUNCTION_LINES_MAX = 70


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_small(room: Path) -> None:
    """No file has 400 lines or more, and no function 70 or more."""
    text = room.read_text(encoding="utf-8")
    assert len(text.splitlines()) < LINES_MAX
    long = [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert long == []


def test_every_file_is_in_the_file_map() -> None:
    """ARCHITECTURE.md names every folder and file of the package, and no others."""
    told = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    file_map = told[told.index("## File map") : told.index("## Sending")]
    folders = {f"{path.parent.name}/" for path in ROOMS if path.parent.name != "bridge"}
    files = {path.name for path in ROOMS if path.name != "__init__.py"}
    assert set(re.findall(r"`([a-z_]+\.py|[a-z_]+/)`", file_map)) - {"schemas/"} == folders | files


def test_every_test_that_the_readme_names_is_there() -> None:
    """Every test in the table of promises exists."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(named) > 10
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"


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
