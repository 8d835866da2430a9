"""Preflight: checking, before the start, that the promise can be kept on the topics, brokers and groups."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.errors import ClusterUnreachable
from bridge.kafka import aiokafka_internals
from bridge.kafka.broker_settings import find_broker_problems, list_brokers, read_broker_settings
from bridge.kafka.cluster import NO_ANSWER, client_options, find_likely_cause
from bridge.kafka.credentials import credential_gate
from bridge.kafka.grants import (
    Operation,
    find_missing_on_group,
    find_missing_on_topic,
    report_missing,
    report_refused_group,
)
from bridge.kafka.topic_making import create_topics, describe_when_led, read_configs
from bridge.kafka.topic_metadata import describe_topics
from bridge.kafka.topic_rules import Topic, command_that_creates, find_problems
from bridge.problem import Problem

_REACH_S: Final = 10.0
_REQUEST_TIMEOUT_MS: Final = 5000
_RETRY_S: Final = 0.25

_MISSING: Final = kafka_errors.UnknownTopicOrPartitionError


async def check_topics(kafka: Kafka, timing: Timing, accounts: Iterable[str]) -> list[Problem]:
    """Create missing topics where `kafka.create_topics` is set. Return every problem, each with what to do.

    Raises ClusterUnreachable when no broker answers within 10 s.
    """
    accounts = tuple(accounts)
    admin = await reach_cluster(kafka)
    try:
        problems = await find_topic_problems(admin, kafka, timing, accounts)
        first = (await list_brokers(admin))[0]
        problems += find_broker_problems(first, await read_broker_settings(admin, first), kafka, timing)
        problems += await find_group_problems(admin, kafka, accounts)
    except NO_ANSWER as error:
        raise ClusterUnreachable(
            f"the cluster stopped answering ({error!r}): {await find_likely_cause(kafka)}"
        ) from error
    else:
        return problems
    finally:
        await aiokafka_internals.close_admin(admin)


async def find_topic_problems(
    admin: AIOKafkaAdminClient, kafka: Kafka, timing: Timing, accounts: Iterable[str]
) -> list[Problem]:
    """Return the problems of the accounts' topics, after creating those that may be created. Raises KafkaError."""
    names = {topic_name(kafka.topic_prefix, one, stream): stream for one in accounts for stream in Stream}
    topics, problems = await _find_or_create_topics(admin, kafka, timing, names)
    configs, refused = await read_configs(admin, [topic.name for topic in topics])
    for topic, (code, text) in refused.items():
        found = f"its settings cannot be read ({kafka_errors.for_code(code).__name__}: {text})"
        problems.append(Problem("kafka.grants.topic", topic, found, "grant this principal DescribeConfigs"))
    for one in topics:
        if one.name in configs:
            problems += find_problems(one, configs[one.name].values, kafka, timing)
    return problems


async def _find_or_create_topics(
    admin: AIOKafkaAdminClient, kafka: Kafka, timing: Timing, names: Mapping[str, Stream]
) -> tuple[list[Topic], list[Problem]]:
    """Return the topics that exist, after creating those that may be created, and the problems of the others."""
    found = await describe_topics(aiokafka_internals.client_of(admin), names)
    problems: dict[str, Problem] = {}
    if kafka.create_topics:
        missing = {topic: stream for topic, stream in names.items() if found[topic].error is _MISSING}
        problems = await create_topics(admin, kafka, timing, missing)
        found = await describe_when_led(admin, names, missing.keys() - problems.keys())
    topics = []
    for topic, stream in names.items():
        one = found[topic]
        lacking = find_missing_on_topic(one, stream)
        if lacking:
            problems.setdefault(topic, report_missing(kafka, topic, stream, lacking))
        elif one.error is _MISSING:
            problems.setdefault(topic, _report_absence(topic, stream, kafka, timing))
        elif one.error is not kafka_errors.NoError and not one.replicas:
            found_out = f"cannot be described ({one.error.__name__})"
            problems.setdefault(topic, Problem("kafka.topics.unavailable", topic, found_out, "look at the brokers"))
        if one.error is kafka_errors.NoError and Operation.DESCRIBE_CONFIGS not in lacking:
            topics.append(Topic(topic, stream, one.replicas))
    return topics, list(problems.values())


def _report_absence(topic: str, stream: Stream, kafka: Kafka, timing: Timing) -> Problem:
    setting = "" if kafka.create_topics else "set kafka.create_topics, or "
    command = command_that_creates(topic, stream, kafka, timing)
    return Problem("kafka.topics.missing", topic, "does not exist", f"{setting}create it: {command}")


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


async def find_group_problems(admin: AIOKafkaAdminClient, kafka: Kafka, accounts: Iterable[str]) -> list[Problem]:
    """Return the groups of accounts that this principal may not join. Raises KafkaError."""
    problems = []
    for account in accounts:
        group = group_name(kafka.topic_prefix, account)
        try:
            coordinator = await admin.find_coordinator(group)
            problem = await find_missing_on_group(aiokafka_internals.client_of(admin), coordinator, kafka, group)
        except kafka_errors.GroupAuthorizationFailedError:
            problem = report_refused_group(kafka, group)
        except (kafka_errors.GroupCoordinatorNotAvailableError, kafka_errors.NotCoordinatorForGroupError):
            continue  # a new cluster makes the topic of the offsets at the first question
        problems += [problem] if problem is not None else []
    return problems
