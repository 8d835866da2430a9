"""The source of a tree: the modules of `bridge/`, read from a folder or from a git ref."""

import ast
import subprocess
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final, TypeAlias

from msgspec import Struct

PACKAGE: Final = "bridge"
TOP_LEVEL: Final = "top-level"
FOLDERS: Final = (
    *("core", "core/commands", "core/in_flight", "core/stream", "flow", "kafka", "ltp"),
    *("contract", "contract/export", "config", "admin", "client"),
    *("sandbox/venue", "sandbox/broker", "sandbox/demo", TOP_LEVEL),
)
"""The order in which folders are listed; a folder that is not named here comes after them."""

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Module(Struct, frozen=True):
    """One file of the package: its path below `bridge/`, its text and its syntax tree."""

    path: str
    text: str
    syntax: ast.Module

    @property
    def folder(self) -> str:
        """The folder that the file stands in, as the report calls it."""
        parent, _, _ = self.path.rpartition("/")
        return parent or TOP_LEVEL

    def functions(self) -> Iterator[Function]:
        """Yield every function and method, nested ones too."""
        for node in ast.walk(self.syntax):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def classes(self) -> Iterator[ast.ClassDef]:
        """Yield every class, nested ones too."""
        for node in ast.walk(self.syntax):
            if isinstance(node, ast.ClassDef):
                yield node


def read_modules(tree: Path) -> list[Module]:
    """Return the modules of the package in a tree, sorted by path. Raises FileNotFoundError where there is none."""
    package = tree / PACKAGE
    if not package.is_dir():
        raise FileNotFoundError(f"{tree} has no folder {PACKAGE}/")
    modules = []
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        modules.append(Module(path.relative_to(package).as_posix(), text, ast.parse(text)))
    return modules


def extract_ref(repository: Path, ref: str, folder: Path) -> Path:
    """Write the package as it is at a git ref into a folder and return it. Raises CalledProcessError."""
    archive = subprocess.run(  # noqa: S603 - no shell, and the caller's own ref
        ["git", "-C", str(repository), "archive", "--format=tar", ref, PACKAGE],  # noqa: S607 - the caller's git
        check=True,
        capture_output=True,
    )
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def order_folders(folders: set[str]) -> list[str]:
    """Return folders in the order of the report."""
    rank = {name: index for index, name in enumerate(FOLDERS)}
    return sorted(folders, key=lambda name: (rank.get(name, len(rank)), name))


def dotted_name(node: ast.expr) -> str:
    """Return the last part of the name that an expression refers to: `Struct` for `msgspec.Struct`, else nothing."""
    if isinstance(node, ast.Call | ast.Subscript):
        return dotted_name(node.func if isinstance(node, ast.Call) else node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def names_in(annotation: ast.expr) -> set[str]:
    """Return every name that an annotation mentions; a quoted one is read as well."""
    names = set()
    for node in ast.walk(annotation):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= names_in(ast.parse(node.value, mode="eval").body) if node.value.isidentifier() else set()
        elif isinstance(node, ast.Name | ast.Attribute):
            names.add(dotted_name(node))
    return names


def is_data_class(owner: ast.ClassDef) -> bool:
    """Whether the class is a dataclass or a msgspec Struct, whose fields are the parameters of its constructor."""
    is_struct = any(dotted_name(base) == "Struct" for base in owner.bases)
    return is_struct or any(dotted_name(decorator) == "dataclass" for decorator in owner.decorator_list)
