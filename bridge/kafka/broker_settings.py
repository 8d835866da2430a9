"""The brokers' own settings: which of them break the promise, and which put it at risk.

The commits of the groups, which hold the claims, are in a topic of the brokers' own, so what they have for all topics
counts for the claims too. Not here: the settings of the bridge's topics.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from bridge.config import Kafka, Timing
from bridge.kafka import aiokafka_internals
from bridge.kafka.topic_rules import RECORD_BYTES
from bridge.problem import Problem

METADATA_BYTES: Final = 4096
"""The size of a commit's metadata that the claims may need."""
_DAY_MINUTES: Final = 24 * 60
_NO_ERROR: Final = 0
_OFFSET_COMMIT: Final = 8
_OFFSET_COMMIT_LEAST: Final = 2


class BrokerSetting(NamedTuple):
    """A setting of a broker. A read-only one stands in its file, and needs its restart."""

    value: str | None
    is_read_only: bool


BrokerSettings = Mapping[str, BrokerSetting]


class BrokerNode(NamedTuple):
    """A broker as the cluster names it to its clients."""

    node_id: int
    host: str
    port: int

    @property
    def subject(self) -> str:
        """What a problem of this broker is about."""
        return f"broker {self.node_id}"


async def list_brokers(admin: AIOKafkaAdminClient) -> list[BrokerNode]:
    """Return the brokers of the cluster, by number. Raises KafkaError."""
    described = (await admin.describe_cluster())["brokers"]
    return sorted(BrokerNode(one["node_id"], one["host"], one["port"]) for one in described)


def is_before_kafka_4(admin: AIOKafkaAdminClient) -> bool | None:
    """Return whether the broker that was asked last is older than Kafka 4.0; None when none has said its versions.

    Kafka 4.0 removed the first two versions of OffsetCommit (KIP-896); a broker does not tell its own version.
    """
    least = aiokafka_internals.find_least_version(aiokafka_internals.client_of(admin), _OFFSET_COMMIT)
    return None if least is None else least < _OFFSET_COMMIT_LEAST


async def read_broker_settings(admin: AIOKafkaAdminClient, broker: BrokerNode) -> BrokerSettings:
    """Return the settings of a broker; none where this principal may not read them. Raises KafkaError."""
    found: dict[str, BrokerSetting] = {}
    resource = ConfigResource(ConfigResourceType.BROKER, str(broker.node_id))
    for response in await admin.describe_configs([resource]):
        for code, _, _, _, entries in response.resources:
            if code == _NO_ERROR:
                found |= {name: BrokerSetting(value, is_read_only) for name, value, is_read_only, *_ in entries}
    return found


def find_broker_problems(broker: BrokerNode, settings: BrokerSettings, kafka: Kafka, timing: Timing) -> list[Problem]:
    """Return the settings with which no account could be owned, or no claim committed."""
    session_ms = int(timing.session_timeout_s * 1000)
    problems = []
    least_ms = _read_number(settings, "group.min.session.timeout.ms")
    most_ms = _read_number(settings, "group.max.session.timeout.ms")
    for name, limit_ms, bound, is_broken in (
        ("group.min.session.timeout.ms", least_ms, "at least", least_ms is not None and session_ms < least_ms),
        ("group.max.session.timeout.ms", most_ms, "at most", most_ms is not None and session_ms > most_ms),
    ):
        if is_broken and limit_ms is not None:
            problems.append(
                Problem(
                    _name_id(name),
                    broker.subject,
                    f"{name} is {limit_ms}, but timing.session_timeout_s is {timing.session_timeout_s:g}: the group "
                    "could not be joined",
                    f"set timing.session_timeout_s to {bound} {limit_ms / 1000:g}, or "
                    f"{_describe_change(settings, name, session_ms, kafka)}",
                )
            )
    name = "offset.metadata.max.bytes"
    metadata_bytes = _read_number(settings, name)
    if metadata_bytes is not None and metadata_bytes < METADATA_BYTES:
        found = f"{name} is {metadata_bytes}, wanted at least {METADATA_BYTES}: the claims would not fit"
        problems.append(
            Problem(_name_id(name), broker.subject, found, _describe_change(settings, name, METADATA_BYTES, kafka))
        )
    return problems


def find_broker_risks(broker: BrokerNode, settings: BrokerSettings, kafka: Kafka, timing: Timing) -> list[Problem]:
    """Return the settings with which the bridge works, but more slowly or less safely than it could."""
    risks = [*_find_low_values(settings, kafka, timing)]
    linger, unclean = "group.coordinator.append.linger.ms", "unclean.leader.election.enable"
    linger_ms = _read_number(settings, linger)
    if linger_ms is not None and linger_ms > 0:
        risks.append((linger, 0, f"{linger} is {linger_ms}: each claim waits for it (Kafka 4.3 waits by itself)"))
    if unclean in settings and settings[unclean].value == "true":
        why = "a replica that missed claims could become the leader of __consumer_offsets"
        risks.append((unclean, "false", f"{unclean} is true: {why}"))
    return [
        Problem(_name_id(name), broker.subject, found, _describe_change(settings, name, wanted, kafka))
        for name, wanted, found in risks
    ]


def _find_low_values(settings: BrokerSettings, kafka: Kafka, timing: Timing) -> Iterator[tuple[str, object, str]]:
    """Yield each setting that is too low, the value that it should have, and what was found."""
    insync_why = "if __consumer_offsets has no other, one broker's loss could lose claims"
    wanted_values = {
        "min.insync.replicas": (kafka.min_insync_replicas, f"kafka.min_insync_replicas: {insync_why}"),
        "offsets.topic.replication.factor": (
            kafka.replication_factor,
            "kafka.replication_factor: if __consumer_offsets was made so, claims have fewer replicas than topics",
        ),
        "offsets.retention.minutes": (
            max(_DAY_MINUTES, int(timing.horizon_s // 60)),
            "a day: after a longer stop the claims are gone, and each command without a result is in doubt",
        ),
        "message.max.bytes": (RECORD_BYTES, "a topic without max.message.bytes of its own refuses a large record"),
    }
    for name, (wanted, why) in wanted_values.items():
        value = _read_number(settings, name)
        if value is not None and value < wanted:
            yield name, wanted, f"{name} is {value}, wanted at least {wanted} ({why})"


def _describe_change(settings: BrokerSettings, name: str, value: object, kafka: Kafka) -> str:
    """Return the command that sets it on all brokers; for a read-only setting the line of their file."""
    if settings[name].is_read_only:
        return f"set it in the file of each broker, and restart them one after the other: {name}={value}"
    return (
        f"set it on all brokers: kafka-configs.sh --bootstrap-server {kafka.bootstrap_servers} --alter "
        f"--entity-type brokers --entity-default --add-config {name}={value}"
    )


def _name_id(setting: str) -> str:
    return f"kafka.brokers.{setting.replace('.', '_')}"


def _read_number(settings: BrokerSettings, name: str) -> int | None:
    value = settings[name].value if name in settings else None
    return None if value is None else int(value)
