"""The id of a topic, which it gets anew when it is deleted and made again under its name (KIP-516).

aiokafka 0.14 asks for metadata in versions that tell no ids, so the request is written here: Metadata of version 12,
which brokers know from Kafka 3.1 on.
"""

import base64
from io import BytesIO
from typing import Any, ClassVar, Final

from aiokafka import errors as kafka_errors
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

_API_KEY: Final = 3
_VERSION: Final = 12
_NO_ID: Final = bytes(16)


class _Uuid(AbstractType):  # type: ignore[misc] # aiokafka publishes no types
    """16 bytes."""

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        """Read one."""
        return data.read(16)

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """Write one."""
        return value


class _Response(Response):  # type: ignore[misc] # as above
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


class _RequestStruct(RequestStruct):  # type: ignore[misc] # as above
    API_KEY = _API_KEY
    API_VERSION = _VERSION
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicIdRequest(Request[_RequestStruct]):  # type: ignore[misc] # as above
    """Asks for the metadata of one topic, and creates none."""

    API_KEY: ClassVar[int] = _API_KEY

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_RequestStruct]) -> Any:  # noqa: ANN401 - what aiokafka sends
        """Build what is sent."""
        return request_struct_class([(_NO_ID, self._topic, {})], False, False, {})  # noqa: FBT003 - aiokafka's signature


def topic_id_in(response: Any) -> str:  # noqa: ANN401 - what aiokafka received
    """Return the topic's id; empty where the broker tells none. Raises the KafkaError that it answers with."""
    (topic,) = response.topics
    error = kafka_errors.for_code(topic[0])
    if error is not kafka_errors.NoError:
        raise error
    return "" if topic[2] == _NO_ID else base64.urlsafe_b64encode(topic[2]).decode().rstrip("=")
