"""Creating missing topics, and changing the settings of topics that were created with others."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar, Final

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String
from msgspec import Struct

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream
from bridge.kafka import aiokafka_internals
from bridge.kafka.grants import command_that_grants
from bridge.kafka.topic_metadata import TopicMetadata, describe_topics
from bridge.kafka.topic_rules import wanted_configs
from bridge.problem import Problem

_RETRY_S: Final = 0.25
_APPEAR_S: Final = 5.0
_NO_ERROR: Final = 0
_EXISTS: Final = kafka_errors.TopicAlreadyExistsError.errno
_REFUSED: Final = (kafka_errors.TopicAuthorizationFailedError.errno, kafka_errors.ClusterAuthorizationFailedError.errno)
_SET_ON_TOPIC: Final = 1
"""The source of a setting that was set on the topic itself: DYNAMIC_TOPIC_CONFIG."""
_SET: Final = 0


async def create_topics(
    admin: AIOKafkaAdminClient, kafka: Kafka, timing: Timing, topics: Mapping[str, Stream]
) -> dict[str, Problem]:
    """Create topics, and return the problem of each that could not be. Raises KafkaError."""
    if not topics:
        return {}
    response = await admin.create_topics(
        [
            NewTopic(topic, 1, kafka.replication_factor, topic_configs=wanted_configs(stream, kafka, timing))
            for topic, stream in topics.items()
        ]
    )
    return {
        topic: Problem(
            "kafka.topics.missing",
            topic,
            f"could not be created ({kafka_errors.for_code(code).__name__}: {text or 'no reason given'}); wanted 1 "
            f"partition with replication_factor {kafka.replication_factor}",
            "create it by hand, or "
            + (
                f"grant it: {command_that_grants(kafka, ['Create'], f'--topic {topic}')}"
                if code in _REFUSED
                else "correct kafka.replication_factor"
            ),
        )
        for topic, code, text in response.topic_errors
        if code not in (_NO_ERROR, _EXISTS)
    }


async def describe_when_led(
    admin: AIOKafkaAdminClient, names: Collection[str], created: Iterable[str]
) -> dict[str, TopicMetadata]:
    """Describe topics once those just created are known to the broker that is asked. Raises KafkaError."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _APPEAR_S
    while True:
        found = await describe_topics(aiokafka_internals.client_of(admin), names)
        if all(found[topic].is_led for topic in created) or loop.time() > until:
            return found
        await asyncio.sleep(_RETRY_S)


class TopicConfigs(Struct, frozen=True):
    """The settings of a topic: the values in force, and the names of those that were set on the topic itself."""

    values: dict[str, str]
    own: frozenset[str]


async def read_configs(
    admin: AIOKafkaAdminClient, topics: Iterable[str]
) -> tuple[dict[str, TopicConfigs], dict[str, tuple[int, str]]]:
    """Return the settings of topics, and code and text of each refusal. Raises KafkaError."""
    found: dict[str, TopicConfigs] = {}
    refused: dict[str, tuple[int, str]] = {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
    for response in await admin.describe_configs(resources) if resources else ():
        for code, text, _, topic, entries in response.resources:
            if code == _NO_ERROR:
                own = frozenset(entry[0] for entry in entries if entry[3] == _SET_ON_TOPIC)
                found[topic] = TopicConfigs({entry[0]: entry[1] for entry in entries}, own)
            else:
                refused[topic] = code, text or ""
    return found, refused


class _AlterConfigsResponse(Response):  # type: ignore[misc] # aiokafka publishes no types
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "resources",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _AlterConfigsStruct(RequestStruct):  # type: ignore[misc] # as above
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _AlterConfigsResponse
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(("name", String("utf-8")), ("config_operation", Int8), ("value", String("utf-8"))),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class _AlterConfigsRequest(Request[_AlterConfigsStruct]):  # type: ignore[misc] # as above
    """Changes the settings that it names and no others (KIP-339); aiokafka's own puts all others back to defaults."""

    API_KEY: ClassVar[int] = _AlterConfigsStruct.API_KEY

    def __init__(self, topic: str, configs: Mapping[str, str]) -> None:
        entries = [(name, _SET, value) for name, value in configs.items()]
        self._resources = [(int(ConfigResourceType.TOPIC), topic, entries)]

    def build(self, request_struct_class: type[_AlterConfigsStruct]) -> Any:  # noqa: ANN401 - what aiokafka sends
        return request_struct_class(self._resources, False)  # noqa: FBT003 - aiokafka's signature


async def alter_configs(admin: AIOKafkaAdminClient, topic: str, configs: Mapping[str, str]) -> str | None:
    """Set some settings of a topic; return why they could not be set, None when they were. Raises KafkaError."""
    try:
        response = await aiokafka_internals.ask_any_broker(
            aiokafka_internals.client_of(admin), _AlterConfigsRequest(topic, configs)
        )
    except (NotImplementedError, kafka_errors.IncompatibleBrokerVersion) as error:
        return str(error)
    code, text, *_ = response.resources[0]
    return None if code == _NO_ERROR else f"{kafka_errors.for_code(code).__name__}: {text or 'no reason given'}"
