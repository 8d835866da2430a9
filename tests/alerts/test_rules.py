"""The alert rules, their runbook and the alarms of the contract agree."""

import re

from bridge.contract.session import Alarm
from tests.alerts.rules_file import CHART, RULES, RUNBOOK, read_rules, read_runbook
from tests.witness.child_process import ROOT

_ALARM = re.compile(r"alarm=\"(\w+)\"")


def _alarms_of_alerts() -> dict[str, str]:
    return {rule.name: found[1] for rule in read_rules() if rule.is_alert and (found := _ALARM.search(rule.expression))}


def test_every_alarm_has_exactly_one_alert() -> None:
    """It bears the name of the alarm, and no alert is about an alarm that the contract does not have."""
    expected = {"LtpBridge" + "".join(map(str.capitalize, alarm.split("_"))): alarm.value for alarm in Alarm}
    assert expected == _alarms_of_alerts()
    assert len([rule for rule in read_rules() if "alarm=" in rule.expression]) == len(Alarm)


def test_alarms_that_last_are_asked_for_as_such() -> None:
    """Those that README names as lasting are gauges; the others have no end, so their rise is what is seen."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (names,) = re.findall(r"^The alarms of a lasting condition \((.*?)\)", text, re.DOTALL | re.MULTILINE)
    lasting = {
        found[1]
        for rule in read_rules()
        if "alarm_active" in rule.expression and (found := _ALARM.search(rule.expression))
    }
    assert set(re.findall(r"`(\w+)`", names)) == lasting


def test_every_alert_has_exactly_one_entry_in_the_runbook() -> None:
    """And every entry an alert, in the same order."""
    alerts = [(rule.annotations["runbook"], rule.name) for rule in read_rules() if rule.is_alert]
    assert alerts == read_runbook()
    assert len(set(alerts)) == len(alerts)
    assert {f"alarm-{alarm}" for alarm in Alarm} == {anchor for anchor, _ in alerts if anchor.startswith("alarm-")}


def test_every_link_of_the_runbook_leads_somewhere() -> None:
    """To an entry, or to a file."""
    links = set(re.findall(r"\]\((.*?)\)", RUNBOOK.read_text(encoding="utf-8")))
    anchors = {f"#{anchor}" for anchor, _ in read_runbook()}
    assert links
    assert [link for link in links - anchors if not (CHART / link).exists()] == []


def test_every_alert_says_what_a_person_needs() -> None:
    """How urgent it is, which account, and what it means."""
    for rule in read_rules():
        if not rule.is_alert:
            continue
        assert rule.severity in {"page", "ticket"}, rule.name
        assert set(rule.annotations) == {"summary", "description", "runbook"}, rule.name
        assert "{{ $labels." in rule.annotations["summary"], rule.name


def test_the_rules_are_no_template_of_helm() -> None:
    """Prometheus takes the file as it is; the braces in it are Prometheus' own."""
    braces = re.findall(r"\{\{(.*?)\}\}", RULES.read_text(encoding="utf-8"))
    assert braces
    assert {found.split()[0].partition(".")[0] for found in braces} <= {"$labels", "$value"}
