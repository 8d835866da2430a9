"""What a topic must be like: the settings that it is created with, and the problems of one that exists."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from bridge.config import Kafka, Timing
from bridge.contract.topics import CLEANUP_POLICY, STATE_STREAMS, Stream
from bridge.kafka.batches import BATCH_BYTES_MAX
from bridge.kafka.producer import MAX_RECORD_BYTES
from bridge.problem import Problem

_DAY_MS: Final = 86_400_000
_RETENTION_MS: Final = 7 * _DAY_MS
_COMMANDS_RETENTION_MS: Final = _DAY_MS
RECORD_BYTES: Final = MAX_RECORD_BYTES + 512
"""What a topic must take: the largest record, and what a batch adds to it."""
_RETENTION_BYTES: Final = 1 << 30
_UNLIMITED: Final = -1
_BROKER_STAMPED: Final = {
    Stream.COMMANDS: "expiry must not depend on a caller's clock",
    Stream.RESULTS: "the broker's clock is measured by its answers, and a new owner must not read an earlier one's",
}
"""The streams whose records the broker must stamp, and why."""
COMMANDS_COMPRESSION: Final = "uncompressed"
"""The broker then decompresses each batch itself, and stores what it has read."""


class Topic(Struct, frozen=True):
    """A topic as it was found: the number of replicas of each partition."""

    name: str
    stream: Stream
    replicas: Sequence[int]


class _Fault(Struct, frozen=True):
    """What is wrong with a topic, by the `setting` that is, and what to do.

    `mending` is what that setting must be set to; empty where a setting is not enough.
    """

    setting: str
    found: str
    advice: str
    mending: str = ""


def wanted_configs(stream: Stream, kafka: Kafka, timing: Timing) -> dict[str, str]:
    """Return the settings with which a missing topic is created."""
    retention_ms = str(max(_RETENTION_MS, _to_ms(timing.horizon_s)))
    configs = {
        "cleanup.policy": CLEANUP_POLICY[stream],
        "min.insync.replicas": str(kafka.min_insync_replicas),
        "unclean.leader.election.enable": "false",
    }
    if "delete" in CLEANUP_POLICY[stream]:
        configs["retention.ms"] = retention_ms
        configs["retention.bytes"] = str(_UNLIMITED)
    if "compact" in CLEANUP_POLICY[stream]:
        configs["delete.retention.ms"] = str(max(_DAY_MS, _to_ms(timing.horizon_s)))
    if stream in _BROKER_STAMPED:
        configs["message.timestamp.type"] = "LogAppendTime"
    if stream is Stream.COMMANDS:
        configs["compression.type"] = COMMANDS_COMPRESSION
    return configs


def find_problems(topic: Topic, configs: Mapping[str, str], kafka: Kafka, timing: Timing) -> list[Problem]:
    """Return everything about an existing topic that breaks the promise, and what to do about it."""
    return [
        Problem(
            f"kafka.topics.{fault.setting.replace('.', '_')}",
            topic.name,
            fault.found,
            fault.advice + _describe_mending_command(topic, fault, kafka),
        )
        for fault in _check_topic(topic, configs, kafka, timing)
    ]


def find_mending_configs(
    topic: Topic, configs: Mapping[str, str], chosen: Collection[str], kafka: Kafka, timing: Timing
) -> dict[str, str]:
    """Return the settings that make a topic as it would have been created, but for those that were `chosen` for it.

    Of the chosen ones only those that break the promise. min.insync.replicas is left out where the topic has too few
    replicas: nothing could be written.
    """
    faults = _check_topic(topic, configs, kafka, timing)
    mend = {fault.setting: fault.mending.strip("[]") for fault in faults if fault.mending}
    wanted = wanted_configs(topic.stream, kafka, timing)
    if min(topic.replicas, default=0) < kafka.min_insync_replicas:
        del wanted["min.insync.replicas"]
    return {name: value for name, value in wanted.items() if name not in chosen} | mend


def takes_every_record(topic: Topic, configs: Mapping[str, str]) -> bool:
    """Return whether a record may be published to a topic as it is: the topic takes it and need not be deleted."""
    return len(topic.replicas) == 1 and _read_bytes_max(configs) >= RECORD_BYTES


def command_that_creates(topic: str, stream: Stream, kafka: Kafka, timing: Timing) -> str:
    """Return the command that creates a missing topic."""
    configs = wanted_configs(stream, kafka, timing).items()
    settings = " ".join(f"--config {name}={value}" for name, value in configs)
    return (
        f"kafka-topics.sh --bootstrap-server {kafka.bootstrap_servers} --create --topic {topic} --partitions 1 "
        f"--replication-factor {kafka.replication_factor} {settings}"
    )


def _check_topic(topic: Topic, configs: Mapping[str, str], kafka: Kafka, timing: Timing) -> Iterator[_Fault]:
    yield from _check_partitions(topic)
    yield from _check_replicas(topic, configs, kafka)
    yield from _check_log_settings(topic, configs, timing)


def _describe_mending_command(topic: Topic, fault: _Fault, kafka: Kafka) -> str:
    if not fault.mending:
        return ""
    return (
        f": kafka-configs.sh --bootstrap-server {kafka.bootstrap_servers} --alter --entity-type topics "
        f"--entity-name {topic.name} --add-config {fault.setting}={fault.mending}"
    )


def _check_partitions(topic: Topic) -> Iterator[_Fault]:
    if len(topic.replicas) != 1:
        yield _Fault(
            "partitions",
            f"partitions is {len(topic.replicas)}, wanted exactly 1: order and completeness are proved by one sequence",
            "delete the topic and create it anew",
        )


def _check_replicas(topic: Topic, configs: Mapping[str, str], kafka: Kafka) -> Iterator[_Fault]:
    replicas = min(topic.replicas, default=0)
    insync = int(configs.get("min.insync.replicas", "1"))
    wanted = kafka.min_insync_replicas
    if insync < wanted:
        lack = "" if replicas >= wanted else f"add replicas (it has {replicas}), then "
        yield _Fault(
            "min.insync.replicas",
            f"min.insync.replicas is {insync}, wanted at least {wanted} (kafka.min_insync_replicas): one broker's loss "
            "could lose what was acknowledged",
            f"{lack}raise it",
            "" if lack else str(wanted),
        )
    if insync > replicas:
        yield _Fault(
            "min.insync.replicas",
            f"min.insync.replicas is {insync}, wanted at most {replicas}, the number of its replicas: nothing could "
            "be written",
            "lower it, or add replicas",
        )
    if configs.get("unclean.leader.election.enable", "false") != "false":
        yield _Fault(
            "unclean.leader.election.enable",
            "unclean.leader.election.enable is true, wanted false: a replica that missed records could become the "
            "leader",
            "turn it off",
            "false",
        )


def _check_log_settings(topic: Topic, configs: Mapping[str, str], timing: Timing) -> Iterator[_Fault]:
    stream = topic.stream
    cleanup = configs.get("cleanup.policy", "delete")
    if _split_policy(cleanup) != _split_policy(CLEANUP_POLICY[stream]):
        found = f"cleanup.policy is {cleanup}, wanted {CLEANUP_POLICY[stream]}"
        yield _Fault("cleanup.policy", found, "set it", f"[{CLEANUP_POLICY[stream]}]")
    yield from _check_timestamps(stream, configs)
    if stream is Stream.COMMANDS:
        yield from _check_commands_settings(configs)
        yield from _check_at_least(
            "retention.ms", configs, _COMMANDS_RETENTION_MS, "24 h: a command must outlast a night"
        )
    elif _read_bytes_max(configs) < RECORD_BYTES:
        yield _Fault(
            "max.message.bytes",
            f"max.message.bytes is {_read_bytes_max(configs)}, wanted at least {RECORD_BYTES}: "
            "a large record would be refused",
            "raise it",
            str(RECORD_BYTES),
        )
    keeps_horizon = stream is Stream.RESULTS or stream in STATE_STREAMS
    if keeps_horizon and "delete" in _split_policy(cleanup):
        yield from _check_at_least("retention.ms", configs, _to_ms(timing.horizon_s), "horizon_s: a new owner reads it")
    if "compact" in _split_policy(cleanup):
        why = "horizon_s: readers must see what was removed"
        yield from _check_at_least("delete.retention.ms", configs, _to_ms(timing.horizon_s), why)
    if (keeps_horizon or stream is Stream.COMMANDS) and "delete" in _split_policy(cleanup):
        yield from _check_at_least(
            "retention.bytes", configs, _RETENTION_BYTES, "1 GiB: size must not cut the time short"
        )


def _read_bytes_max(configs: Mapping[str, str]) -> int:
    return int(configs.get("max.message.bytes", RECORD_BYTES))


def _check_timestamps(stream: Stream, configs: Mapping[str, str]) -> Iterator[_Fault]:
    found = configs.get("message.timestamp.type", "CreateTime")
    if stream in _BROKER_STAMPED and found != "LogAppendTime":
        yield _Fault(
            "message.timestamp.type",
            f"message.timestamp.type is {found}, wanted LogAppendTime: {_BROKER_STAMPED[stream]}",
            "set it",
            "LogAppendTime",
        )


def _check_commands_settings(configs: Mapping[str, str]) -> Iterator[_Fault]:
    compression = configs.get("compression.type", "producer")
    if compression != COMMANDS_COMPRESSION:
        yield _Fault(
            "compression.type",
            f"compression.type is {compression}, wanted {COMMANDS_COMPRESSION}: the broker must refuse a batch that "
            "cannot be decompressed, or only to more than it takes, before it stands in everybody's way; callers may "
            "go on compressing",
            "set it",
            COMMANDS_COMPRESSION,
        )
    bytes_max = int(configs.get("max.message.bytes", BATCH_BYTES_MAX))
    if bytes_max > BATCH_BYTES_MAX:
        yield _Fault(
            "max.message.bytes",
            f"max.message.bytes is {bytes_max}, wanted at most {BATCH_BYTES_MAX}: a larger batch would not be read, so "
            "that the memory of one fetch has a bound",
            "lower it",
            str(BATCH_BYTES_MAX),
        )


def _check_at_least(setting: str, configs: Mapping[str, str], wanted: int, why: str) -> Iterator[_Fault]:
    found = int(configs.get(setting, _UNLIMITED))
    if found != _UNLIMITED and found < wanted:
        yield _Fault(setting, f"{setting} is {found}, wanted at least {wanted} ({why})", "raise it", str(wanted))


def _split_policy(policy: str) -> set[str]:
    return {part.strip() for part in policy.split(",")}


def _to_ms(seconds: float) -> int:
    return int(seconds * 1000)
