"""The runbook's operations are complete, and name only what there is."""

import re

import click
import pytest

from bridge.cli import main
from bridge.contract.session import Alarm
from tests.alerts.metrics_page import list_metrics
from tests.alerts.rules_file import RUNBOOK, find_metrics, read_rules

_TEXT = RUNBOOK.read_text(encoding="utf-8")
_OPERATIONS = dict(
    re.findall(r"^### (.+? .+?)\n(.*?)(?=^### |\Z)", _TEXT.partition("\n## Operations\n")[2], re.DOTALL | re.MULTILINE)
)
_KAFKA_TOOLS = {"acls", "configs", "consumer-groups", "topics"}


def test_there_is_an_operation_for_each_plan_and_disaster() -> None:
    """In the order in which they are likely."""
    assert list(_OPERATIONS) == [
        "Upgrade to a newer version",
        "Roll back to the older version",
        "Change the API key",
        "Reset the group's offset",
        "A topic was deleted or made again",
        "Kafka is lost",
        "The venue's maintenance",
        "Trouble with clocks",
    ]


@pytest.mark.parametrize("title", _OPERATIONS)
def test_an_operation_has_steps_a_proof_and_what_must_not_be_done(title: str) -> None:
    """Each in its form."""
    text = _OPERATIONS[title]
    assert re.search(r"^1\. .*^2\. ", text, re.DOTALL | re.MULTILINE)
    assert text.count("- **It worked when**") == text.count("- **Do not**") == 1


def test_every_alert_says_what_to_check_to_do_and_not_to_do() -> None:
    """A person at night looks for these words."""
    entries = re.split(r"^<a id=.*$", _TEXT.partition("\n## Operations\n")[0], flags=re.MULTILINE)[1:]
    assert len(entries) == sum(rule.is_alert for rule in read_rules())
    for entry in entries:
        assert [entry.count(part) for part in ("- **Check:**", "- **Do:**", "- **Do not**")] == [1, 1, 1], entry[:60]


def test_the_runbook_names_commands_metrics_and_alerts_that_are_there() -> None:
    """A command that is not there costs minutes at the wrong time."""
    text = " ".join(_TEXT.split())
    assert isinstance(main, click.Group)
    named = re.findall(r"ltp-bridge ((?:[a-z]+ ?)?)((?:[^`]*?--[a-z-]+)*)", text)
    for command, rest in named:
        if command:
            options = {name for one in main.commands[command.strip()].params for name in one.opts}
            assert set(re.findall(r"--[a-z-]+", rest)) <= options, (command, rest)
    served = {one.name + part for one in list_metrics() for part in ("", "_bucket", "_count", "_sum")}
    assert find_metrics(text) <= served
    assert set(re.findall(r"LtpBridge\w+", text)) == {rule.name for rule in read_rules() if rule.is_alert}
    assert set(re.findall(r"kafka-([a-z-]+)\.sh", text)) <= _KAFKA_TOOLS
    assert {f"alarm-{alarm}" for alarm in Alarm} <= set(re.findall(r'<a id="(.*?)">', text))
