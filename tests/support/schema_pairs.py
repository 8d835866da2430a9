"""Two versions of one part of the contract, and what may differ between them."""

from dataclasses import dataclass, replace
from typing import Final

from tests.support.schema_forms import Node, text


@dataclass(frozen=True)
class Rule:
    """What may differ."""

    loosens: bool
    """More may be valid than was."""
    grows: bool
    """Optional fields, and what an open enumeration or union holds anyway, may be named."""
    drops: bool = False
    """Fields need not be named any more."""


WRITTEN: Final = Rule(loosens=False, grows=True)
"""The bridge writes it: readers of either version meet records of both, for a topic keeps the old ones."""
READ: Final = Rule(loosens=True, grows=True)
"""The bridge reads it: what was valid must be so still, and no field be forgotten."""
SAME: Final = Rule(loosens=False, grows=False)
WITHIN: Final = Rule(loosens=True, grows=True, drops=True)
"""Whatever is valid under one is valid under the other."""


@dataclass(frozen=True)
class Pair:
    """Two versions of one part of the contract: where it is, and which pairs the comparison is inside of."""

    old: Node
    new: Node
    at: str
    rule: Rule
    inside: frozenset[object] = frozenset()
    named: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    """The fields of the old object and of the new one, whichever of its keywords names them."""

    def to(self, old: object, new: object, step: str = "", rule: Rule | None = None) -> "Pair":
        """Return schemas of the same value as these."""
        return Pair(self.old.to(old), self.new.to(new), self.at + step, rule or self.rule, self.inside, self.named)

    def down(self, old: object, new: object, step: str) -> "Pair":
        """Return schemas of a part of the value."""
        return Pair(self.old.to(old), self.new.to(new), self.at + step, self.rule, self.inside)

    def turned(self, rule: Rule) -> "Pair":
        """Return the pair in the other direction."""
        return replace(self, old=self.new, new=self.old, rule=rule, named=self.named[::-1])

    def said(self, what: str) -> list[str]:
        """Name what changed."""
        return [f"{self.at}: {what}"]


def from_to(name: str, was: object, now: object) -> str:
    """Say what something was and is."""
    return f"{name} changed from {'none' if was is None else text(was)} to {'none' if now is None else text(now)}"
