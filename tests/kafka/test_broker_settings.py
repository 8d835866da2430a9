"""The brokers' settings: what keeps the bridge from working is a problem, what puts its claims at risk is told."""

import pytest

from bridge.config import Kafka, Timing
from bridge.kafka import aiokafka_internals
from bridge.kafka.broker_settings import (
    BrokerNode,
    BrokerSetting,
    find_broker_problems,
    find_broker_risks,
    is_before_kafka_4,
    list_brokers,
    read_broker_settings,
)
from bridge.kafka.preflight import reach_cluster

BROKER = BrokerNode(3, "kafka-3", 9092)
GOOD = {
    "group.min.session.timeout.ms": "6000",
    "group.max.session.timeout.ms": "1800000",
    "offset.metadata.max.bytes": "4096",
    "group.coordinator.append.linger.ms": "-1",
    "unclean.leader.election.enable": "false",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "offsets.retention.minutes": "10080",
    "message.max.bytes": "1048588",
}
DYNAMIC = {"message.max.bytes", "min.insync.replicas", "unclean.leader.election.enable"}


def _settings(changes: dict[str, str]) -> dict[str, BrokerSetting]:
    return {name: BrokerSetting(value, name not in DYNAMIC) for name, value in (GOOD | changes).items()}


@pytest.fixture
def strict() -> Kafka:
    """Return settings with three replicas."""
    return Kafka(bootstrap_servers="kafka-1:9092")


def test_the_defaults_are_good(strict: Kafka) -> None:
    """Those of Kafka 4.3 with three brokers; and nothing is said of settings that may not be read."""
    for settings in (_settings({}), {}):
        assert find_broker_problems(BROKER, settings, strict, Timing()) == []
        assert find_broker_risks(BROKER, settings, strict, Timing()) == []


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("group.min.session.timeout.ms", "60000", "session_timeout_s to at least 60"),
        ("group.max.session.timeout.ms", "1000", "session_timeout_s to at most 1"),
        ("offset.metadata.max.bytes", "1024", "restart them one after the other: offset.metadata.max.bytes=4096"),
    ],
)
def test_what_cannot_work_is_a_problem(strict: Kafka, name: str, value: str, wanted: str) -> None:
    """With the setting's own id, and what to set."""
    (problem,) = find_broker_problems(BROKER, _settings({name: value}), strict, Timing())
    assert (problem.id, problem.subject) == (f"kafka.brokers.{name.replace('.', '_')}", "broker 3")
    assert f"{name} is {value}" in problem.found
    assert wanted in problem.remedy


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("group.coordinator.append.linger.ms", "10", "one after the other: group.coordinator.append.linger.ms=0"),
        (
            "unclean.leader.election.enable",
            "true",
            "--entity-default --add-config unclean.leader.election.enable=false",
        ),
        ("min.insync.replicas", "1", "--entity-default --add-config min.insync.replicas=2"),
        ("offsets.topic.replication.factor", "1", "one after the other: offsets.topic.replication.factor=3"),
        ("offsets.retention.minutes", "60", "one after the other: offsets.retention.minutes=1440"),
        ("message.max.bytes", "1000", "--entity-default --add-config message.max.bytes="),
    ],
)
def test_what_is_less_safe_is_a_risk(strict: Kafka, name: str, value: str, remedy: str) -> None:
    """With the command for a setting that can be changed while the brokers run, else with the line of their file."""
    settings = _settings({name: value})
    assert find_broker_problems(BROKER, settings, strict, Timing()) == []
    (risk,) = find_broker_risks(BROKER, settings, strict, Timing())
    assert risk.id == f"kafka.brokers.{name.replace('.', '_')}"
    assert f"{name} is {value}" in risk.found
    assert remedy in risk.remedy


async def test_the_settings_of_a_real_broker_are_read(kafka: Kafka, timing: Timing) -> None:
    """Its number, its settings and its version."""
    admin = await reach_cluster(kafka)
    try:
        (broker,) = await list_brokers(admin)
        settings = await read_broker_settings(admin, broker)
        is_old = is_before_kafka_4(admin)
    finally:
        await aiokafka_internals.close_admin(admin)
    assert BrokerSetting("4096", is_read_only=True) == settings["offset.metadata.max.bytes"]
    assert not settings["message.max.bytes"].is_read_only
    assert find_broker_problems(broker, settings, kafka, timing) == []
    assert is_old is False
