"""Reading the clock of the cluster's controller: the one clock of a cluster that can be read without writing a record.

The leader of the quorum says of itself that it has caught up at the moment of its answer (DescribeQuorum, KIP-836).
Brokers stamp records by their own clocks, so this says how the cluster is set, and not each of its machines.
"""

from typing import Any, ClassVar, Final

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields
from msgspec import Struct

from bridge.core.skew import ClockReading
from bridge.kafka import aiokafka_internals
from bridge.kafka.broker_clock import read_boot_s

_API_KEY: Final = 55
_VERSION: Final = 1
_TOPIC: Final = "__cluster_metadata"
_REPLICAS: Final = CompactArray(
    ("replica_id", Int32),
    ("log_end_offset", Int64),
    ("last_fetch_timestamp", Int64),
    ("last_caught_up_timestamp", Int64),
    ("tags", TaggedFields),
)


class _QuorumResponse(Response):  # type: ignore[misc] # aiokafka publishes no types
    API_KEY = _API_KEY
    API_VERSION = _VERSION
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "topics",
            CompactArray(
                ("name", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("high_watermark", Int64),
                        ("voters", _REPLICAS),
                        ("observers", _REPLICAS),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _QuorumStruct(RequestStruct):  # type: ignore[misc] # as above
    API_KEY = _API_KEY
    API_VERSION = _VERSION
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _QuorumResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("partitions", CompactArray(("partition", Int32), ("tags", TaggedFields))),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _QuorumRequest(Request[_QuorumStruct]):  # type: ignore[misc] # as above
    API_KEY: ClassVar[int] = _API_KEY

    def build(self, request_struct_class: type[_QuorumStruct]) -> Any:  # noqa: ANN401 - what aiokafka sends
        return request_struct_class([(_TOPIC, [(0, {})], {})], {})


class ControllerClock(Struct, frozen=True):
    """The reading of the clock of the controller with this number."""

    node_id: int
    reading: ClockReading


async def read_controller_clock(admin: AIOKafkaAdminClient) -> ControllerClock | None:
    """Return what the controller's clock reads; None where this principal may not ask for it. Raises KafkaError."""
    asked_boot_s = read_boot_s()
    try:
        response = await aiokafka_internals.ask_any_broker(aiokafka_internals.client_of(admin), _QuorumRequest())
    except (NotImplementedError, kafka_errors.IncompatibleBrokerVersion):
        return None
    answered_boot_s = read_boot_s()
    for _, partitions, _ in response.topics if not response.error_code else ():
        for _, error_code, leader, _, _, voters, *_ in partitions:
            stamps_ms = [caught_up_ms for replica, _, _, caught_up_ms, _ in voters if replica == leader]
            if not error_code and stamps_ms and stamps_ms[0] > 0:
                return ControllerClock(leader, ClockReading(asked_boot_s, answered_boot_s, stamps_ms[0]))
    return None
