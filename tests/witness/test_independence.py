"""What judges the daemon shares no code with it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith(("test_", "__")))
CHECKERS = ("tests.crash.checker", "tests.chaos.checker", "tests.records.checker")
OPEN = ("bridge.contract", "bridge.sandbox")
"""The words of the contract and the venue's side: neither is the daemon's."""


def imported(module: str) -> set[str]:
    """Return the modules that a module of the tests imports, those of its own imports among them."""
    found: set[str] = set()
    waiting = {module}
    while waiting:
        name = waiting.pop()
        path = ROOT / f"{name.replace('.', '/')}.py"
        if name in found:
            continue
        found.add(name)
        if name.startswith("tests.") and path.exists():
            waiting |= _names(ast.parse(path.read_text(encoding="utf-8")))
    return found


def _names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{one.name}" for one in node.names)}
    return names


def of_the_bridge(module: str) -> set[str]:
    """Return what a module reaches of the bridge."""
    return {name for name in imported(module) if name == "bridge" or name.startswith("bridge.")}


@pytest.mark.parametrize("name", SHARED)
def test_the_witness_knows_the_contract_and_the_venue_at_most(name: str) -> None:
    """Nothing that the harnesses share reaches the daemon's code."""
    assert {one for one in of_the_bridge(f"tests.witness.{name}") if not one.startswith(OPEN)} == set()


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_knows_nothing_of_the_bridge(checker: str) -> None:
    """It reads topics and ledger as anybody could."""
    assert of_the_bridge(checker) == set()


def test_the_daemons_code_would_be_found() -> None:
    """However far away it is imported."""
    assert "bridge.app" in of_the_bridge("tests.panic.pressed")
