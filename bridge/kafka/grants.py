"""The grants that the daemon needs, which of them are missing, and the command that grants each.

Brokers answer what a principal may do with a topic or group by a bit field (KIP-430). One without an authorizer answers
that everything may be done; an old one does not answer this, and then nothing counts as missing.
"""

import shlex
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, ClassVar, Final

from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct
from aiokafka.protocol.types import Array, Boolean, Schema, String

from bridge.config import Kafka
from bridge.contract.topics import TAKEOVER_STREAMS, Stream
from bridge.kafka.topic_metadata import OPERATIONS_UNKNOWN, TopicMetadata
from bridge.problem import Problem


class Operation(IntEnum):
    """An operation on a topic or a group: Kafka's AclOperation."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10

    @property
    def kafka_name(self) -> str:
        """Kafka's own name, as its command line tools take it."""
        return self.name.title().replace("_", "")


GROUP_OPERATIONS: Final = (Operation.READ,)
_READ_STREAMS: Final = frozenset({Stream.COMMANDS, *TAKEOVER_STREAMS})


def needed_operations(stream: Stream) -> tuple[Operation, ...]:
    """Return the operations on a stream's topic that the daemon must be granted."""
    return (
        Operation.DESCRIBE,
        Operation.DESCRIBE_CONFIGS,
        *((Operation.READ,) if stream in _READ_STREAMS else ()),
        *((Operation.WRITE,) if stream is not Stream.COMMANDS else ()),
    )


def find_missing_on_topic(found: TopicMetadata, stream: Stream) -> list[Operation]:
    """Return which operations on a topic are not granted; all where this principal may not describe it."""
    if found.error is kafka_errors.TopicAuthorizationFailedError:
        return list(needed_operations(stream))
    return _find_missing(found.operations, needed_operations(stream))


def _find_missing(granted: int, needed: Iterable[Operation]) -> list[Operation]:
    # A principal without Describe gets an empty field, which is no answer.
    if not granted & 1 << Operation.DESCRIBE or granted == OPERATIONS_UNKNOWN:
        return []
    return [one for one in needed if not granted & 1 << one]


def report_missing(kafka: Kafka, topic: str, stream: Stream, missing: Iterable[Operation]) -> Problem:
    """Return which operations on a topic are missing, what for, and the command that grants them."""
    missing = tuple(missing)
    reasons = {
        Operation.WRITE: "nothing can be published there",
        Operation.READ: "no takeover can end" if stream in TAKEOVER_STREAMS else "no command can be read",
        Operation.DESCRIBE_CONFIGS: "its settings cannot be checked",
    }
    why = ", and ".join(reason for operation, reason in reasons.items() if operation in missing)
    resource = f"--topic {shlex.quote(topic)}"
    return _report_lack(kafka, topic, missing, why or "nothing can be known of it", resource)


def _report_lack(kafka: Kafka, name: str, missing: Iterable[Operation], why: str, resource: str) -> Problem:
    words = [one.kafka_name for one in missing]
    return Problem(
        f"kafka.grants.{resource.removeprefix('--').partition(' ')[0]}",
        name,
        f"this principal lacks {' and '.join(words)}, so {why}",
        f"grant it, after removing what denies it: {command_that_grants(kafka, words, resource)}",
    )


def command_that_grants(kafka: Kafka, operations: Iterable[str], resource: str) -> str:
    """Return the command that grants this principal operations on a resource, as `--topic NAME`."""
    words = " ".join(f"--operation {one}" for one in operations)
    return (
        f"kafka-acls.sh --bootstrap-server {kafka.bootstrap_servers} --add --allow-principal "
        f"{shlex.quote(_name_principal(kafka))} {words} {resource}"
    )


def _name_principal(kafka: Kafka) -> str:
    if kafka.sasl_username is not None:
        return f"User:{kafka.sasl_username}"
    if kafka.ssl_certificate_file is None:
        return "User:ANONYMOUS"
    return "User:<subject of the client's certificate>"


class _DescribeGroups(RequestStruct):  # type: ignore[misc] # aiokafka publishes no types
    """Version 3, whose answer aiokafka 0.14 reads as if it were of version 2, without the operations."""

    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = Schema(("groups", Array(String("utf-8"))), ("include_authorized_operations", Boolean))


class _GroupOperationsRequest(Request[_DescribeGroups]):  # type: ignore[misc] # as above
    API_KEY: ClassVar[int] = _DescribeGroups.API_KEY

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_DescribeGroups]) -> Any:  # noqa: ANN401 - what aiokafka sends
        return request_struct_class([self._group], True)  # noqa: FBT003 - aiokafka's signature


async def find_missing_on_group(client: AIOKafkaClient, coordinator: int, kafka: Kafka, group: str) -> Problem | None:
    """Return what is missing by the group's coordinator; None where nothing is. Raises KafkaError."""
    try:
        response = await client.send(coordinator, _GroupOperationsRequest(group))
    except (NotImplementedError, kafka_errors.IncompatibleBrokerVersion):
        return None
    error_code, *_, granted = response.groups[0]
    if error_code == kafka_errors.GroupAuthorizationFailedError.errno:
        return report_refused_group(kafka, group)
    return report_refused_group(kafka, group) if not error_code and _find_missing(granted, GROUP_OPERATIONS) else None


def report_refused_group(kafka: Kafka, group: str) -> Problem:
    """Return that the group may not be joined, and the command that grants it."""
    resource = f"--group {shlex.quote(group)}"
    return _report_lack(kafka, f"group {group}", GROUP_OPERATIONS, "no owner can be agreed upon", resource)
