"""Whether topics can be read at all: the errors that say what is missing, and the command that gives it."""

import shlex
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka_errors

from bridge.config import Kafka
from bridge.contract.topics import Stream
from bridge.errors import KafkaTrouble
from bridge.kafka import aiokafka_internals
from bridge.kafka.grants import Operation, command_that_grants
from bridge.kafka.topic_metadata import OPERATIONS_UNKNOWN, TopicMetadata, describe_topics


async def require_readable(consumer: AIOKafkaConsumer, kafka: Kafka, topics: Mapping[Stream, str]) -> None:
    """Raise KafkaTrouble unless every topic exists, has one partition, and may be read. Raises KafkaError."""
    found = await describe_topics(aiokafka_internals.client_of(consumer), topics.values())
    missing = [name for name, one in found.items() if one.error is kafka_errors.UnknownTopicOrPartitionError]
    refused = [name for name, one in found.items() if _is_refused(one)]
    several = [name for name, one in found.items() if len(one.replicas) > 1]
    problems = [
        *([describe_missing(missing, len(missing) == len(topics))] if missing else []),
        *([describe_refused(kafka, refused)] if refused else []),
        *(f"{name} has several partitions; a topic of the bridge has one" for name in several),
    ]
    if problems:
        raise KafkaTrouble("; ".join(problems))


def describe_missing(topics: Sequence[str], has_none: bool) -> str:  # noqa: FBT001 - the one thing that changes
    """Return in words that topics are missing, and what to do."""
    cause = "check --account and kafka.topic_prefix" if has_none else "make them, or set kafka.create_topics"
    return f"{', '.join(topics)}: no such topic; {cause}"


def describe_refused(kafka: Kafka, topics: Sequence[str]) -> str:
    """Return in words that topics may not be read, and the command that grants it."""
    resources = " ".join(f"--topic {shlex.quote(topic)}" for topic in topics)
    command = command_that_grants(kafka, (Operation.READ.kafka_name,), resources)
    return f"{', '.join(topics)}: this principal may not read there; grant it Read: {command}"


def _is_refused(found: TopicMetadata) -> bool:
    if found.error is kafka_errors.TopicAuthorizationFailedError:
        return True
    granted = found.operations
    may_describe = granted != OPERATIONS_UNKNOWN and bool(granted & 1 << Operation.DESCRIBE)
    return may_describe and not granted & 1 << Operation.READ
