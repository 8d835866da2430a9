"""The table of metrics is what the code serves, and rules and dashboard ask for nothing else."""

import re

import pytest

from tests.alerts.metrics_page import PAGE, build_page, list_metrics
from tests.alerts.rules_file import find_metrics, read_dashboard, read_rules

_EXPRESSIONS = [*((rule.name, rule.expression) for rule in read_rules()), *read_dashboard()]
_OF_TARGETS = {"namespace", "job", "instance", "le", "alertname", "alertstate"}
"""Labels that Prometheus makes."""
_GROUPED = re.compile(r"\b(?:by|on|ignoring|without) \(([^)]*)\)")
_MATCHED = re.compile(r"(\w+)(?:=~|!~|!=|=)\\?\"")


def _served_names() -> set[str]:
    parts = {"histogram": ("_bucket", "_sum", "_count")}
    return {one.name + part for one in list_metrics() for part in parts.get(one.kind, ("",))}


def test_the_page_is_current() -> None:
    """`make schemas` writes it."""
    assert PAGE.read_text(encoding="utf-8") == build_page()


def test_every_metric_says_what_it_means_in_the_words_of_prometheus() -> None:
    """Counters end in _total and nothing else does; every one of the bridge's has an environment."""
    for one in list_metrics():
        assert (one.kind == "counter") == one.name.endswith("_total"), one.name
        assert one.meaning.endswith("."), one.name
        assert one.name.startswith("process_") or one.labels[0] == "environment", one.name


@pytest.mark.parametrize(("title", "expression"), _EXPRESSIONS)
def test_rules_and_dashboard_ask_for_metrics_that_are_served(title: str, expression: str) -> None:
    """Names and labels: a wrong one is no error for Prometheus, only an alert that never fires."""
    assert find_metrics(expression) <= _served_names(), title
    labels = {label.strip() for group in _GROUPED.findall(expression) for label in group.split(",")}
    labels |= set(_MATCHED.findall(expression))
    assert labels - _OF_TARGETS <= {label for one in list_metrics() for label in one.labels}
