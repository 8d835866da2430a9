"""A broken rule: its name, why it is broken, and the smallest witness, as JSON."""

from typing import Any

Violation = dict[str, Any]


def violation(rule: str, why: str, *witness: dict[str, Any]) -> Violation:
    """Build a violation."""
    return {"rule": rule, "why": why, "witness": list(witness)}
