"""Preflight: what is missing is made right, what is wrong is named with its setting and what to do."""

import time
from collections.abc import Awaitable, Callable

import pytest

from bridge.config import Kafka, Timing
from bridge.contract.topics import CLEANUP_POLICY, Stream, topic_name
from bridge.errors import ClusterUnreachable
from bridge.kafka.preflight import check_topics
from bridge.kafka.topic_rules import Topic, command_that_creates, find_problems, wanted_configs

MakeTopics = Callable[..., Awaitable[None]]
SettingsFor = Callable[..., Kafka]


async def problems_with(kafka: Kafka, timing: Timing, stream: Stream) -> list[str]:
    """Check, and keep what is said about one existing topic, without its name."""
    name = topic_name(kafka.topic_prefix, "main", stream)
    problems = await check_topics(kafka, timing, ["main"])
    return [f"{one.found}; {one.remedy}" for one in problems if one.subject == name]


async def test_missing_topics_are_named(kafka: Kafka, timing: Timing) -> None:
    """Every missing topic of every account is named, and none comes into being by the question."""
    for _ in range(2):
        problems = await check_topics(kafka, timing, ["main", "other"])
        topics = {topic_name(kafka.topic_prefix, one, stream): stream for one in ("main", "other") for stream in Stream}
        assert [
            f"{topic}: does not exist; set kafka.create_topics, or create it: "
            f"{command_that_creates(topic, stream, kafka, timing)}"
            for topic, stream in topics.items()
        ] == [one.sentence for one in problems]


async def test_created_topics_are_fit(bootstrap: str, settings_for: SettingsFor, timing: Timing) -> None:
    """What preflight creates has no problems, at once and when looked at again without the right to create."""
    creating = settings_for(bootstrap, create_topics=True)
    assert [] == await check_topics(creating, timing, ["main", "other"])
    assert [] == await check_topics(
        creating.model_copy(update={"create_topics": False}), timing, iter(["main", "other"])
    )


async def test_impossible_replication_is_named(bootstrap: str, settings_for: SettingsFor, timing: Timing) -> None:
    """Topics that cannot be created are named with the broker's reason and the setting."""
    kafka = settings_for(bootstrap, create_topics=True, replication_factor=3, min_insync_replicas=2)
    problems = await check_topics(kafka, timing, ["main"])
    assert any("InvalidReplicationFactor" in one.found and "kafka.replication_factor" in one.remedy for one in problems)


@pytest.mark.parametrize(
    ("stream", "configs", "expected"),
    [
        (Stream.COMMANDS, {"message_timestamp_type": "CreateTime"}, "message.timestamp.type is CreateTime"),
        (Stream.COMMANDS, {"compression_type": "producer"}, "compression.type is producer, wanted uncompressed"),
        (Stream.COMMANDS, {"compression_type": "zstd"}, "compression.type is zstd, wanted uncompressed"),
        (Stream.COMMANDS, {"max_message_bytes": "16777217"}, "max.message.bytes is 16777217, wanted at most 16777216"),
        (Stream.COMMANDS, {"retention_ms": "3600000"}, "retention.ms is 3600000, wanted at least 86400000"),
        (Stream.COMMANDS, {"retention_bytes": "1000"}, "retention.bytes is 1000"),
        (Stream.COMMANDS, {"cleanup_policy": "compact"}, "cleanup.policy is compact, wanted delete"),
        (Stream.RESULTS, {"retention_ms": "3599999"}, "retention.ms is 3599999, wanted at least 3600000"),
        (Stream.RESULTS, {"max_message_bytes": "65536"}, "max.message.bytes is 65536"),
        (Stream.ORDERS, {"cleanup_policy": "compact"}, "cleanup.policy is compact, wanted compact,delete"),
        (Stream.ORDERS, {"delete_retention_ms": "1000"}, "delete.retention.ms is 1000"),
        (Stream.TRADES, {"min_insync_replicas": "2"}, "min.insync.replicas is 2, wanted at most 1"),
        (Stream.ASSETS, {"unclean_leader_election_enable": "true"}, "unclean.leader.election.enable is true"),
    ],
)
async def test_wrong_setting_is_named(
    *, kafka: Kafka, timing: Timing, make_topics: MakeTopics, stream: Stream, configs: dict[str, str], expected: str
) -> None:
    """One wrong setting gives one problem, which names it, what was found, and what to do."""
    good = {name.replace(".", "_"): value for name, value in wanted_configs(stream, kafka, timing).items()}
    await make_topics(kafka, stream, **(good | configs))
    (problem,) = await problems_with(kafka, timing, stream)
    assert problem.startswith(expected)
    assert problem.split("; ")[-1].split()[0] in {"set", "raise", "lower", "turn"}


@pytest.mark.parametrize(
    ("stream", "found", "mend"),
    [
        (Stream.COMMANDS, {"compression.type": "producer"}, "compression.type=uncompressed"),
        (Stream.COMMANDS, {"max.message.bytes": "99999999"}, "max.message.bytes=16777216"),
        (Stream.RESULTS, {"message.timestamp.type": "CreateTime"}, "message.timestamp.type=LogAppendTime"),
        (Stream.RESULTS, {"min.insync.replicas": "0"}, "min.insync.replicas=1"),
        (Stream.ORDERS, {"cleanup.policy": "compact"}, "cleanup.policy=[compact,delete]"),
        (Stream.ORDERS, {"retention.ms": "1000"}, "retention.ms=3600000"),
        (Stream.TRADES, {"unclean.leader.election.enable": "true"}, "unclean.leader.election.enable=false"),
    ],
)
def test_a_problem_names_the_command_that_mends_it(
    kafka: Kafka, timing: Timing, stream: Stream, found: dict[str, str], mend: str
) -> None:
    """For an existing topic the words hold the whole command, with the cluster's address and the topic's name."""
    configs = wanted_configs(stream, kafka, timing)
    topic = Topic(f"p.main.{stream.value}", stream, [1])
    (problem,) = find_problems(topic, configs | found, kafka, timing)
    assert problem.remedy.endswith(
        f"it{' off' if 'unclean' in mend else ''}: kafka-configs.sh --bootstrap-server {kafka.bootstrap_servers} "
        f"--alter --entity-type topics --entity-name {topic.name} --add-config {mend}"
    )
    assert problem.id == f"kafka.topics.{mend.partition('=')[0].replace('.', '_')}"
    name, _, value = mend.partition("=")
    assert find_problems(topic, configs | {name: value.strip("[]")}, kafka, timing) == []


async def test_compacted_state_needs_no_retention(kafka: Kafka, timing: Timing, make_topics: MakeTopics) -> None:
    """The time for which a topic that is only compacted would keep records does not matter."""
    await make_topics(kafka, Stream.POSITIONS, cleanup_policy=CLEANUP_POLICY[Stream.POSITIONS], retention_ms="1000")
    assert [] == await problems_with(kafka, timing, Stream.POSITIONS)


async def test_too_few_in_sync(
    bootstrap: str, kafka: Kafka, timing: Timing, make_topics: MakeTopics, settings_for: SettingsFor
) -> None:
    """A topic that acknowledges with fewer replicas than configured is named."""
    await make_topics(kafka, Stream.TRADES)
    strict = kafka.model_copy(update={"replication_factor": 3, "min_insync_replicas": 2})
    (problem,) = await problems_with(strict, timing, Stream.TRADES)
    assert problem.startswith("min.insync.replicas is 1, wanted at least 2")


async def test_several_partitions(kafka: Kafka, timing: Timing, make_topics: MakeTopics) -> None:
    """More than one partition is refused."""
    await make_topics(kafka, Stream.TRADES, partitions=3)
    (problem,) = await problems_with(kafka, timing, Stream.TRADES)
    assert problem.startswith("partitions is 3, wanted exactly 1")


async def test_session_timeout_out_of_range(kafka: Kafka, timing: Timing) -> None:
    """A session timeout that the brokers would refuse at every join is named."""
    beyond = Timing(session_timeout_s=3600, rebalance_timeout_s=6)
    (problem,) = await check_topics(kafka, beyond, [])
    assert problem.id == "kafka.brokers.group_max_session_timeout_ms"
    assert problem.remedy.startswith("set timing.session_timeout_s to at most 1800, or set it in the file of each")


async def test_no_broker(settings_for: SettingsFor, timing: Timing) -> None:
    """Without a broker the error comes within 10 s or so, and names the address and the likely cause."""
    begun = time.monotonic()
    with pytest.raises(ClusterUnreachable, match=r"127\.0\.0\.1:1.*check kafka\.bootstrap_servers"):
        await check_topics(settings_for("127.0.0.1:1"), timing, ["main"])
    assert time.monotonic() - begun < 12
