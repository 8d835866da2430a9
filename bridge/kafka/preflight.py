"""Preflight: checking, before the start, that the promise can be kept on the topics, brokers and groups."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from msgspec import Struct

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.errors import ClusterUnreachable, KafkaTrouble
from bridge.kafka import aiokafka_internals
from bridge.kafka.cluster import NO_ANSWER, client_options, find_likely_cause
from bridge.kafka.credentials import credential_gate
from bridge.kafka.grants import (
    Operation,
    describe_missing,
    describe_refused_group,
    find_missing_on_group,
    find_missing_on_topic,
)
from bridge.kafka.topic_making import create_topics, describe_when_led, read_configs
from bridge.kafka.topic_metadata import TopicMetadata, describe_topics
from bridge.kafka.topic_rules import Topic, find_problems

_REACH_S: Final = 10.0
_REQUEST_TIMEOUT_MS: Final = 5000
_RETRY_S: Final = 0.25
_METADATA_BYTES: Final = 4096

_NO_ERROR: Final = 0
_MISSING: Final = kafka_errors.UnknownTopicOrPartitionError


class BrokerFacts(Struct, frozen=True):
    """Settings of the brokers that matter to an operator; None where this principal may not read them."""

    brokers: int
    commit_linger_ms: str | None
    """`group.coordinator.append.linger.ms`; 10, the default of Kafka 4.0 to 4.2, makes every claim 12 ms slower."""
    commit_metadata_bytes_max: int | None
    session_timeout_ms_min: int | None
    session_timeout_ms_max: int | None


async def check_topics(kafka: Kafka, timing: Timing, accounts: Iterable[str]) -> list[str]:
    """Create missing topics where `kafka.create_topics` is set. Return every problem, each with what to do.

    Raises ClusterUnreachable when no broker answers within 10 s.
    """
    accounts = tuple(accounts)
    names = {topic_name(kafka.topic_prefix, one, stream): stream for one in accounts for stream in Stream}
    admin = await reach_cluster(kafka)
    try:
        topics, problems = await _find_or_create_topics(admin, kafka, timing, names)
        problems += await _find_topic_problems(admin, kafka, timing, topics)
        problems += _find_broker_problems(await _read_broker_facts(admin), timing)
        problems += await _find_group_problems(admin, kafka, accounts)
    except NO_ANSWER as error:
        raise ClusterUnreachable(
            f"the cluster stopped answering ({error!r}): {await find_likely_cause(kafka)}"
        ) from error
    else:
        return problems
    finally:
        await aiokafka_internals.close_admin(admin)


async def _find_or_create_topics(
    admin: AIOKafkaAdminClient, kafka: Kafka, timing: Timing, names: Mapping[str, Stream]
) -> tuple[list[Topic], list[str]]:
    """Return the topics that exist, after creating those that may be created, and the problems of the others."""
    found = await describe_topics(aiokafka_internals.client_of(admin), names)
    problems: dict[str, str] = {}
    if kafka.create_topics:
        missing = {topic: stream for topic, stream in names.items() if found[topic].error is _MISSING}
        problems = await create_topics(admin, kafka, timing, missing)
        found = await describe_when_led(admin, names, missing.keys() - problems.keys())
    topics = []
    for topic, stream in names.items():
        one = found[topic]
        lacking = find_missing_on_topic(one, stream)
        problem = describe_missing(kafka, topic, stream, lacking) if lacking else _describe_problem(kafka, one)
        if problem is not None:
            problems.setdefault(topic, problem)
        if one.error is kafka_errors.NoError and Operation.DESCRIBE_CONFIGS not in lacking:
            topics.append(Topic(topic, stream, one.replicas))
    return topics, list(problems.values())


async def _find_topic_problems(
    admin: AIOKafkaAdminClient, kafka: Kafka, timing: Timing, topics: list[Topic]
) -> list[str]:
    configs, refused = await read_configs(admin, [topic.name for topic in topics])
    problems = [
        f"{topic}: its settings cannot be read ({kafka_errors.for_code(code).__name__}: {text}); grant this principal "
        "DescribeConfigs"
        for topic, (code, text) in refused.items()
    ]
    for topic in topics:
        if topic.name in configs:
            problems += find_problems(topic, configs[topic.name].values, kafka, timing)
    return problems


async def broker_facts(kafka: Kafka) -> BrokerFacts:
    """Return what the command `check` shows of the cluster. Raises ClusterUnreachable, KafkaTrouble."""
    admin = await reach_cluster(kafka)
    try:
        return await _read_broker_facts(admin)
    except NO_ANSWER as error:
        raise KafkaTrouble(f"the brokers' settings could not be read: {error!r}") from error
    finally:
        await aiokafka_internals.close_admin(admin)


async def reach_cluster(kafka: Kafka) -> AIOKafkaAdminClient:
    """Return a client of the cluster, to be closed. Raises ClusterUnreachable when no broker answers within 10 s."""
    options = client_options(kafka)
    loop = asyncio.get_running_loop()
    until = loop.time() + _REACH_S
    while True:
        admin = AIOKafkaAdminClient(**options, request_timeout_ms=_REQUEST_TIMEOUT_MS)
        try:
            async with asyncio.timeout_at(until):
                await admin.start()
        except NO_ANSWER as error:
            await aiokafka_internals.close_admin(admin)
            if loop.time() + _RETRY_S >= until or credential_gate.describe_refusal() is not None:
                raise ClusterUnreachable(
                    f"no broker of {kafka.bootstrap_servers} gives access: {await find_likely_cause(kafka)}"
                ) from error
            await asyncio.sleep(_RETRY_S)
        else:
            return admin


def _describe_problem(kafka: Kafka, found: TopicMetadata) -> str | None:
    if found.error is _MISSING:
        return f"{found.name}: does not exist; create it" + (
            "" if kafka.create_topics else ", or set kafka.create_topics"
        )
    if found.error is not kafka_errors.NoError and not found.replicas:
        return f"{found.name}: cannot be described ({found.error.__name__}); look at the brokers"
    return None


async def _read_broker_facts(admin: AIOKafkaAdminClient) -> BrokerFacts:
    brokers = [one["node_id"] for one in (await admin.describe_cluster())["brokers"]]
    settings: dict[str, str | None] = {}
    resource = ConfigResource(ConfigResourceType.BROKER, str(min(brokers)))
    for response in await admin.describe_configs([resource]):
        for code, _, _, _, entries in response.resources:
            if code == _NO_ERROR:
                settings |= {entry[0]: entry[1] for entry in entries}

    def number(name: str) -> int | None:
        text = settings.get(name)
        return None if text is None else int(text)

    return BrokerFacts(
        brokers=len(brokers),
        commit_linger_ms=settings.get("group.coordinator.append.linger.ms"),
        commit_metadata_bytes_max=number("offset.metadata.max.bytes"),
        session_timeout_ms_min=number("group.min.session.timeout.ms"),
        session_timeout_ms_max=number("group.max.session.timeout.ms"),
    )


def _find_broker_problems(facts: BrokerFacts, timing: Timing) -> list[str]:
    problems = []
    session_ms = int(timing.session_timeout_s * 1000)
    least, most = facts.session_timeout_ms_min, facts.session_timeout_ms_max
    if (least is not None and session_ms < least) or (most is not None and session_ms > most):
        problems.append(
            f"brokers: group.min.session.timeout.ms is {least} and group.max.session.timeout.ms is {most}, but "
            f"session_timeout_s is {timing.session_timeout_s:g}; bring them together"
        )
    if facts.commit_metadata_bytes_max is not None and facts.commit_metadata_bytes_max < _METADATA_BYTES:
        problems.append(
            f"brokers: offset.metadata.max.bytes is {facts.commit_metadata_bytes_max}, wanted at least "
            f"{_METADATA_BYTES}: the claims would not fit; raise it"
        )
    return problems


async def _find_group_problems(admin: AIOKafkaAdminClient, kafka: Kafka, accounts: Iterable[str]) -> list[str]:
    problems = []
    for account in accounts:
        group = group_name(kafka.topic_prefix, account)
        try:
            coordinator = await admin.find_coordinator(group)
            problem = await find_missing_on_group(aiokafka_internals.client_of(admin), coordinator, kafka, group)
        except kafka_errors.GroupAuthorizationFailedError:
            problem = describe_refused_group(kafka, group)
        except (kafka_errors.GroupCoordinatorNotAvailableError, kafka_errors.NotCoordinatorForGroupError):
            continue  # a new cluster makes the topic of the offsets at the first question
        problems += [problem] if problem is not None else []
    return problems
