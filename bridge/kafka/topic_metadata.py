"""Metadata of topics that aiokafka does not ask for: their ids, and what this principal may do with them.

A topic gets another id when it is deleted and made again under its name (KIP-516). aiokafka 0.14 asks for metadata in
versions without either, so the request is written here: Metadata of version 12, known to brokers from Kafka 3.1 on.
"""

import base64
from collections.abc import Collection, Iterable, Sequence
from io import BytesIO
from typing import Any, ClassVar, Final

from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields
from msgspec import Struct

from bridge.kafka import aiokafka_internals

OPERATIONS_UNKNOWN: Final = -(2**31)
"""The field of operations where the broker has not filled it."""

_API_KEY: Final = 3
_VERSION: Final = 12
_NO_ID: Final = bytes(16)


class _Uuid(AbstractType):  # type: ignore[misc] # aiokafka publishes no types
    """A UUID: 16 bytes."""

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        """Return the next 16 bytes."""
        return data.read(16)

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """Return the bytes as they are."""
        return value


class _MetadataResponse(Response):  # type: ignore[misc] # as above
    API_KEY = _API_KEY
    API_VERSION = _VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataStruct(RequestStruct):  # type: ignore[misc] # as above
    API_KEY = _API_KEY
    API_VERSION = _VERSION
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicMetadataRequest(Request[_MetadataStruct]):  # type: ignore[misc] # as above
    """Asks for the metadata of topics, and creates none."""

    API_KEY: ClassVar[int] = _API_KEY

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics: list[tuple[bytes, str, dict[int, bytes]]] = [(_NO_ID, topic, {}) for topic in topics]

    def build(self, request_struct_class: type[_MetadataStruct]) -> Any:  # noqa: ANN401 - what aiokafka sends
        """Build what is sent."""
        return request_struct_class(self._topics, False, True, {})  # noqa: FBT003 - aiokafka's signature


class TopicMetadata(Struct, frozen=True):
    """One topic as a broker describes it.

    `id` is empty where the broker knows no ids. `replicas` are the numbers of replicas of each partition. `operations`
    is Kafka's bit field of what this principal may do; OPERATIONS_UNKNOWN where the broker has not filled it.
    """

    name: str
    error_code: int = 0
    id: str = ""
    replicas: tuple[int, ...] = ()
    is_led: bool = False
    operations: int = OPERATIONS_UNKNOWN

    @property
    def error(self) -> type[Exception]:
        """What the broker answered; NoError for a topic that is there."""
        error: type[Exception] = kafka_errors.for_code(self.error_code)
        return error


async def describe_topics(client: AIOKafkaClient, topics: Collection[str]) -> dict[str, TopicMetadata]:
    """Return the metadata of topics by any broker; no topic is created by this. Raises KafkaError."""
    try:
        response = await aiokafka_internals.ask_any_broker(client, TopicMetadataRequest(topics))
    except (NotImplementedError, kafka_errors.IncompatibleBrokerVersion):
        return await _describe_by_old_brokers(client, topics)
    return {topic[1]: _parse_topic(topic) for topic in response.topics}


def _parse_topic(topic: Sequence[Any]) -> TopicMetadata:
    error_code, name, topic_id, _, partitions, operations, _ = topic
    return TopicMetadata(
        name,
        error_code,
        "" if topic_id == _NO_ID else base64.urlsafe_b64encode(topic_id).decode().rstrip("="),
        tuple(len(replicas) for _, _, _, _, replicas, *_ in partitions),
        error_code == 0 and all(leader >= 0 for _, _, leader, *_ in partitions),
        operations,
    )


async def _describe_by_old_brokers(client: AIOKafkaClient, topics: Collection[str]) -> dict[str, TopicMetadata]:
    """Return the metadata without ids and operations."""
    request = MetadataRequest(list(topics), allow_auto_topic_creation=False)
    response = await aiokafka_internals.ask_any_broker(client, request)
    return {
        one["topic"]: TopicMetadata(
            one["topic"],
            one["error_code"],
            replicas=tuple(len(partition["replicas"]) for partition in one["partitions"]),
            is_led=not one["error_code"] and all(partition["leader"] >= 0 for partition in one["partitions"]),
        )
        for one in response.to_object()["topics"]
    }
