"""Figures that are counted from the source alone: sizes, one-word names, twins among classes, large constructors."""

import ast
import io
import tokenize
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from tests.house.source import Function, Module, dotted_name, is_data_class

PARAMETERS_MAX: Final = 6
ONE_WORD_SHARE_MAX: Final = 0.25
_NO_CODE: Final = frozenset(
    {
        *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
        *(tokenize.ENCODING, tokenize.ENDMARKER),
    }
)


class Size(Struct):
    """How large a folder is. A line counts as code if it holds a token that is neither a comment nor a docstring.

    A docstring is every statement that is a string alone: of a module, class or function, and behind an attribute.
    """

    files: int = 0
    code_lines: int = 0
    docstring_lines: int = 0


class PrivateNames(Struct):
    """The private functions and methods of a folder: names with one leading underscore, counted once a definition.

    One word is a name without a further underscore.
    """

    functions: int = 0
    one_word: list[str] = []

    @property
    def share(self) -> float:
        """Which share of the private functions is named with one word; 0 where there is none."""
        return len(self.one_word) / self.functions if self.functions else 0.0


class Constructor(Struct, frozen=True):
    """A constructor and how many parameters it has, `self` left out."""

    path: str
    owner: str
    parameters: int


class TwinClasses(Struct, frozen=True):
    """Class names that are defined more than once, each with the files; `ports` are Protocols with their class."""

    twins: dict[str, list[str]]
    ports: dict[str, list[str]]


def count_sizes(modules: Sequence[Module]) -> dict[str, Size]:
    """Return the size of each folder."""
    sizes: dict[str, Size] = defaultdict(Size)
    for module in modules:
        size = sizes[module.folder]
        docstring_lines = _docstring_lines(module.syntax)
        size.files += 1
        size.docstring_lines += len(docstring_lines)
        size.code_lines += len(_token_lines(module.text) - docstring_lines)
    return dict(sizes)


def _docstring_lines(syntax: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(syntax):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
            and node.end_lineno is not None
        ):
            lines.update(range(node.lineno, node.end_lineno + 1))
    return lines


def _token_lines(text: str) -> set[int]:
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines


def count_private_names(modules: Sequence[Module]) -> dict[str, PrivateNames]:
    """Return the private functions of each folder, and which of them have a name of one word."""
    names: dict[str, PrivateNames] = defaultdict(PrivateNames)
    for module in modules:
        of_folder = names[module.folder]
        for function in module.functions():
            if not _is_private(function.name):
                continue
            of_folder.functions += 1
            if "_" not in function.name[1:]:
                of_folder.one_word.append(f"{module.path}:{function.lineno} {function.name}")
    return dict(names)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def find_twin_classes(modules: Sequence[Module]) -> TwinClasses:
    """Return the class names that exist more than once.

    One Protocol and one class that implements it may share their name; they are told apart from the others.
    """
    protocols: dict[str, list[str]] = defaultdict(list)
    others: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        for owner in module.classes():
            is_protocol = any(dotted_name(base) == "Protocol" for base in owner.bases)
            (protocols if is_protocol else others)[owner.name].append(f"{module.path}:{owner.lineno}")
    twins, ports = {}, {}
    for name in sorted(protocols.keys() | others.keys()):
        places = sorted(protocols[name] + others[name])
        if len(protocols[name]) > 1 or len(others[name]) > 1:
            twins[name] = places
        elif len(places) > 1:
            ports[name] = places
    return TwinClasses(twins, ports)


def find_large_constructors(modules: Sequence[Module]) -> list[Constructor]:
    """Return the constructors with more than six parameters, the largest first.

    Of an explicit `__init__` all parameters count, `*` and `**` too. Of a dataclass or Struct that has methods the
    fields of its own without a default count, not those of a base class; one without methods is a mere value.
    """
    found = []
    for module in modules:
        for owner in module.classes():
            parameters = _parameters(owner)
            if parameters > PARAMETERS_MAX:
                found.append(Constructor(module.path, owner.name, parameters))
    return sorted(found, key=lambda one: (-one.parameters, one.path, one.owner))


def _parameters(owner: ast.ClassDef) -> int:
    methods = [node for node in owner.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for method in methods:
        if method.name == "__init__":
            return _parameters_of(method)
    has_behaviour = any(not method.name.startswith("__") for method in methods)
    if not has_behaviour or not is_data_class(owner):
        return 0
    return sum(1 for node in owner.body if isinstance(node, ast.AnnAssign) and _is_required(node))


def _parameters_of(method: Function) -> int:
    given = method.args
    named = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs) - 1
    return named + (given.vararg is not None) + (given.kwarg is not None)


def _is_required(field: ast.AnnAssign) -> bool:
    if dotted_name(field.annotation) == "ClassVar":
        return False
    if isinstance(field.value, ast.Call) and dotted_name(field.value.func) == "field":
        return not {keyword.arg for keyword in field.value.keywords} & {"default", "default_factory"}
    return field.value is None
