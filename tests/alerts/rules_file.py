"""Reads the alert rules and their runbook as they are written; for the first a reader of all YAML is not needed."""

import json
import re
from typing import Final

from msgspec import Struct

from tests.witness.child_process import ROOT

CHART: Final = ROOT / "helm/ltp-kafka-bridge"
RULES: Final = CHART / "files/alerts.yaml"
DASHBOARD: Final = CHART / "files/dashboard.json"
RUNBOOK: Final = CHART / "RUNBOOK.md"

_RULE: Final = re.compile(r"^      - (alert|record): (\S+)\n(.*?)(?=^      - |^  - |\Z)", re.DOTALL | re.MULTILINE)
_EXPRESSION: Final = re.compile(r"^        expr: (?:\|\n((?:          .*\n)+)|(.+)\n)", re.MULTILINE)
_FIELD: Final = re.compile(r"^          (summary|description|runbook): \"?(.*?)\"?$", re.MULTILINE)
_SEVERITY: Final = re.compile(r"^        labels: \{severity: (\w+)\}$", re.MULTILINE)
_METRIC: Final = re.compile(r"\b(?:ltp_bridge_|process_)[a-z0-9_]+")
_ENTRY: Final = re.compile(r"^<a id=\"(.+)\"></a>\n\n### (\S+)$", re.MULTILINE)


class Rule(Struct, frozen=True):
    """An alert, or a recording rule, which has no severity and no annotations."""

    name: str
    is_alert: bool
    expression: str
    severity: str
    annotations: dict[str, str]


def read_rules() -> list[Rule]:
    """Return all rules. Raises AssertionError for one that is laid out otherwise than the others."""
    text = RULES.read_text(encoding="utf-8")
    rules = [_read_rule(kind == "alert", name, body) for kind, name, body in _RULE.findall(text)]
    assert len(rules) == len(re.findall(r"^\s*- (?:alert|record):", text, re.MULTILINE))
    return rules


def _read_rule(is_alert: bool, name: str, body: str) -> Rule:  # noqa: FBT001 - one of two kinds
    expression = _EXPRESSION.search(body)
    assert expression is not None, name
    severity = _SEVERITY.search(body)
    text = expression[1] or expression[2]
    return Rule(name, is_alert, text, severity[1] if severity else "", dict(_FIELD.findall(body)))


def read_runbook() -> list[tuple[str, str]]:
    """Return anchor and title of each entry of the runbook."""
    return _ENTRY.findall(RUNBOOK.read_text(encoding="utf-8"))


def find_metrics(expression: str) -> set[str]:
    """Return the names of the metrics in an expression, without those of recording rules."""
    return set(_METRIC.findall(expression))


def read_dashboard() -> list[tuple[str, str]]:
    """Return title and expression of every query of the dashboard's panels."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [(panel["title"], one["expr"]) for panel in dashboard["panels"] for one in panel.get("targets", ())]
