"""What `bridge/flow` uses of `Account`, and where it reaches through it to a part.

An expression stands for the account if its last name is one that flow annotates with `Account`: a parameter, a field
or a variable, or what such a one is assigned to. Of it every attribute counts that the class `Account` has, or a base
of it at any depth.
`account.part.member` is an access that reaches through. A part that is taken out and used under another name is told
as a part that was handed over, since its uses can no longer be seen.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from tests.house.source import Function, Module, dotted_name, names_in

_ACCOUNT: Final = "Account"
_CORE: Final = "core"
_FLOW: Final = "flow"


class AccountUse(Struct, frozen=True):
    """How often each name is used; `reaching` are of the shape `part.member`."""

    members: dict[str, int]
    """Methods and attributes of the account that flow names."""
    reaching: dict[str, int]
    handed_over: dict[str, int]
    """Parts that are taken out of the account, neither called nor reached through."""


def count_account_use(modules: Sequence[Module]) -> AccountUse:
    """Return what flow uses of the account; nothing where there is no class `Account`."""
    flow = [module.syntax for module in modules if module.folder.split("/")[0] == _FLOW]
    methods, attributes = _members_of_account(modules)
    names = _account_names(flow)
    members, reaching, handed_over = Counter[str](), Counter[str](), Counter[str]()
    for syntax in flow:
        parents = {child: node for node in ast.walk(syntax) for child in ast.iter_child_nodes(node)}
        for node in ast.walk(syntax):
            if not isinstance(node, ast.Attribute) or _last_name(node.value) not in names:
                continue
            if node.attr not in methods | attributes:
                continue
            members[node.attr] += 1
            parent = parents.get(node)
            if isinstance(parent, ast.Attribute):
                reaching[f"{node.attr}.{parent.attr}"] += 1
            elif node.attr in attributes and isinstance(node.ctx, ast.Load):
                handed_over[node.attr] += 1
    return AccountUse(*({name: uses[name] for name in sorted(uses)} for uses in (members, reaching, handed_over)))


def _members_of_account(modules: Sequence[Module]) -> tuple[set[str], set[str]]:
    """Return the names of the account's methods, and those of its attributes and properties; those of its bases too."""
    methods, attributes = set[str](), set[str]()
    for owner in _account_and_bases(modules):
        for node in ast.walk(owner):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                (attributes if _is_property(node) else methods).add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                attributes.add(node.attr)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                attributes.add(node.target.id)
    return methods, attributes


def _account_and_bases(modules: Sequence[Module]) -> Iterator[ast.ClassDef]:
    """Yield the class `Account` and every class that it inherits from; all of them are in the folder `core`."""
    owners = {owner.name: owner for module in modules if module.folder == _CORE for owner in module.classes()}
    names, seen = [_ACCOUNT], set[str]()
    while names:
        name = names.pop()
        if name in owners and name not in seen:
            seen.add(name)
            yield owners[name]
            names += [dotted_name(base) for base in owners[name].bases]


def _account_names(flow: Sequence[ast.Module]) -> set[str]:
    """Return the names under which flow has the account."""
    names = {name for syntax in flow for name, annotation in _annotated(syntax) if _ACCOUNT in names_in(annotation)}
    assigned = [node for syntax in flow for node in ast.walk(syntax) if isinstance(node, ast.Assign)]
    before = -1
    while len(names) != before:
        before = len(names)
        for node in assigned:
            value = node.value.value if isinstance(node.value, ast.Await) else node.value
            if _last_name(value) in names:
                names |= {_last_name(target) for target in node.targets} - {""}
    return names


def _annotated(syntax: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(syntax):
        if isinstance(node, ast.arg) and node.annotation is not None:
            yield node.arg, node.annotation
        elif isinstance(node, ast.AnnAssign):
            yield _last_name(node.target), node.annotation
        elif isinstance(node, ast.FunctionDef) and node.returns is not None and _is_property(node):
            yield node.name, node.returns


def _is_property(function: Function) -> bool:
    return any(_last_name(decorator) == "property" for decorator in function.decorator_list)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
