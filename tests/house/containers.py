"""Containers in `bridge/core` that a command in flight can be in, or that are keyed by one of its names.

A container is an attribute of a class whose annotation, or whose value where it has none, is a dict, list, set, deque
or tuple. It is counted for one of two reasons, which is told with it:

- by type: the annotation names the class of a command in flight, the record it is read from, or a class of core that
  has a field of such a type, at any depth;
- by key: a method of the class looks up, adds or removes an element under an expression called like a name of a
  command: its offset, commandId, clientOrderId, request id or the slot of its request, alone or in a tuple.

What is found and is no index of commands is left out by the name of its class, with the reason, and is told as well.
A heap is a list. A container that stands inside another one's value (a dict of deques) counts as one.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from tests.house.source import Module, dotted_name, is_data_class, names_in

COMMAND_CLASSES: Final = frozenset({"Pending", "TrackedCommand"})
"""The class of a command in flight, as it was called and is called."""
RECORD_CLASSES: Final = frozenset({"CommandRecord"})
NO_INDEX: Final = {
    "Orders": "orders of the venue by their names, whoever placed them",
    "ReplayedResults": "results of earlier owners while topics are read back",
    "OwnCancels": "cancels that the bridge sends of its own accord, which are no commands",
    "BridgeCancels": "cancels that the bridge sends of its own accord, which are no commands",
}
"""Classes whose containers are no index of commands, and why."""
_CONTAINERS: Final = frozenset({"dict", "list", "set", "frozenset", "deque", "tuple", "defaultdict", "OrderedDict"})
_KEYS: Final = frozenset(
    {"offset", "command_offset", "command_id", "client_order_id", "request_id", "token", "slot_key"}
)
_METHODS: Final = frozenset(
    {"add", "append", "appendleft", "discard", "get", "heappush", "insort", "pop", "remove", "setdefault"}
)


class Container(Struct, frozen=True):
    """One attribute that holds commands or their names."""

    path: str
    owner: str
    attribute: str
    annotation: str
    reason: str
    """`by type` or `by key`; for one that is left out, why it is."""


class Containers(Struct, frozen=True):
    """What was found: those that count, and those that are left out."""

    counted: list[Container]
    left_out: list[Container]


def find_containers(modules: Sequence[Module]) -> Containers:
    """Return every container of commands in `bridge/core`, sorted by file, class and name."""
    core = [module for module in modules if module.folder.split("/")[0] == "core"]
    holders = _classes_that_hold_commands(core)
    found = Containers([], [])
    for module in core:
        for owner in module.classes():
            keyed = _keyed_attributes(owner)
            for attribute, annotation in _containers_of(owner).items():
                names = names_in(ast.parse(annotation, mode="eval").body)
                reason = "by type" if names & holders else "by key" if attribute in keyed else ""
                if not reason:
                    continue
                why_not = NO_INDEX.get(owner.name, "")
                one = Container(module.path, owner.name, attribute, annotation, why_not or reason)
                (found.left_out if why_not else found.counted).append(one)
    return found


def _classes_that_hold_commands(core: Sequence[Module]) -> set[str]:
    """Return the classes of a command and of its record, and the data classes with a field of one of them."""
    fields = {
        owner.name: set().union(*(names_in(annotation) for _, annotation in _class_fields(owner)))
        for module in core
        for owner in module.classes()
        if is_data_class(owner)
    }
    holders = set(COMMAND_CLASSES | RECORD_CLASSES)
    before = 0
    while len(holders) != before:
        before = len(holders)
        holders |= {name for name, names in fields.items() if names & holders}
    return holders


def _containers_of(owner: ast.ClassDef) -> dict[str, str]:
    """Return the attributes that are containers, with their types as text."""
    found = {name: ast.unparse(annotation) for name, annotation in _class_fields(owner) if _is_container(annotation)}
    for node in ast.walk(owner):
        if isinstance(node, ast.AnnAssign) and (name := _own_attribute(node.target)) and _is_container(node.annotation):
            found[name] = ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign) and (shown := _value_type(node.value)):
            for target in node.targets:
                if name := _own_attribute(target):
                    found.setdefault(name, shown)
    return found


def _class_fields(owner: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for node in owner.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.annotation


def _is_container(annotation: ast.expr) -> bool:
    if isinstance(annotation, ast.BinOp):
        return _is_container(annotation.left) or _is_container(annotation.right)
    return dotted_name(annotation) in _CONTAINERS


def _value_type(value: ast.expr) -> str:
    """Return the type that a value without an annotation shows: `deque` for `deque()`; empty for no container."""
    literals = {ast.Dict: "dict", ast.List: "list", ast.Set: "set"}
    if type(value) in literals:
        return literals[type(value)]
    called = value.func if isinstance(value, ast.Call) else None
    if called is None or dotted_name(called) not in _CONTAINERS:
        return ""
    return ast.unparse(called)


def _own_attribute(node: ast.expr) -> str:
    """Return the name of `self.name`, else nothing."""
    is_own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return node.attr if is_own and isinstance(node, ast.Attribute) else ""


def _keyed_attributes(owner: ast.ClassDef) -> set[str]:
    """Return the attributes that a method looks into by the name of a command."""
    keyed = set[str]()
    for node in ast.walk(owner):
        if isinstance(node, ast.Subscript) and _is_key(node.slice):
            keyed |= _attributes_behind(node.value)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn) and _is_key(node.left):
            keyed |= _attributes_behind(node.comparators[0])
        elif isinstance(node, ast.Call) and dotted_name(node.func) in _METHODS and node.args:
            # `self.x.add(offset)`, or a function of heapq or bisect: `heappush(self.x, offset)`.
            is_method = isinstance(node.func, ast.Attribute)
            if _is_key(node.args[0 if is_method else -1]):
                held = node.func.value if isinstance(node.func, ast.Attribute) else node.args[0]
                keyed |= _attributes_behind(held)
    return keyed


def _attributes_behind(node: ast.expr) -> set[str]:
    """Return the own attributes that an expression takes a container from: `x` for `self.x` and for `self.x[key]`."""
    if isinstance(node, ast.IfExp):
        return _attributes_behind(node.body) | _attributes_behind(node.orelse)
    while isinstance(node, ast.Subscript):
        node = node.value
    return {_own_attribute(node)} - {""}


def _is_key(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple):
        return any(_is_key(element) for element in node.elts)
    if isinstance(node, ast.BoolOp):
        return any(_is_key(value) for value in node.values)
    return isinstance(node, ast.Name | ast.Attribute) and dotted_name(node) in _KEYS
