"""Log, metrics and the topic `session` call the same thing by the same name."""

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from bridge.contract.session import Alarm, AlarmCleared, AlarmRaised, Cause
from bridge.flow.alarm_log import log_alarm
from tests.support.one_account import place
from tests.support.outside import Outside
from tests.witness.waiting import until


def _read_labels(out: Outside, metric: str, label: str) -> set[str]:
    """Return the values of a label that have counted something."""
    text = generate_latest(out.all_metrics.registry).decode()
    families = text_string_to_metric_families(text)
    return {
        sample.labels[label]
        for family in families
        for sample in family.samples
        if sample.name == metric and sample.value and sample.labels.get(label)
    }


@pytest.mark.parametrize("alarm", Alarm)
def test_every_alarm_is_logged_by_its_name(alarm: Alarm) -> None:
    """When it is raised, as an error, and when it is cleared."""
    with capture_logs() as lines:
        log_alarm(AlarmRaised(at=1, alarm=alarm, detail="why", subject="of what"))
        log_alarm(AlarmCleared(at=2, alarm=alarm, detail="over", since=1, subject="of what"))
    assert [(line["event"], line["log_level"], line["alarm"], line["subject"]) for line in lines] == [
        ("alarm.raised", "error", alarm.value, "of what"),
        ("alarm.cleared", "info", alarm.value, "of what"),
    ]


async def test_log_metrics_and_topic_agree() -> None:
    """About alarms, the causes of lost sessions, and the outcomes of commands."""
    out = Outside()
    with capture_logs() as lines:
        async with out.running():
            out.venue.key_problem = "it does not exist"
            await until(lambda: out.topics.session_events("alarm.raised"))
            out.group.write(place("good"), place("bad", orderQty="junk"))
            await until(lambda: out.topics.outcomes("good") and out.topics.outcomes("bad"))
            out.venue.session.drop(Cause.LINK_FAILED, "cut")
            await until(lambda: out.topics.session_events("session.lost"))
    alarms = {event["alarm"] for event in out.topics.session_events("alarm.raised")}
    assert alarms == {"key_unusable"}
    assert {line["alarm"] for line in lines if line["event"] == "alarm.raised"} == alarms
    assert _read_labels(out, "ltp_bridge_alarms_total", "alarm") == alarms
    causes = {event["cause"] for event in out.topics.session_events("session.lost")}
    assert "link_failed" in causes
    assert {line["cause"] for line in lines if line["event"] == "session.lost"} == causes
    assert _read_labels(out, "ltp_bridge_sessions_lost_total", "cause") == causes
    outcomes = {line["event"].removeprefix("command.") for line in lines if line["event"].startswith("command.")}
    assert outcomes == {"accepted", "denied"}
    assert _read_labels(out, "ltp_bridge_results_total", "outcome") == outcomes
