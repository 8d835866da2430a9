"""Asking the owner of an account to hand it over: through the account's group, whose leader passes it on.

One who asks joins the group for a moment, wants no topic, and names the member that is to hand over. The leader tells
that member, if it owns the account; a member of that id has one term at most, so the question cannot reach a later one.
"""

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as kafka_errors

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.errors import ClusterUnreachable, KafkaTrouble
from bridge.kafka import aiokafka_internals
from bridge.kafka.assignor import HandOverAssignor
from bridge.kafka.cluster import find_likely_cause, member_options
from bridge.kafka.grants import report_refused_group
from bridge.kafka.rebootstrap import follow_bootstrap_servers

_LEAVE_TIMEOUT_S: Final = 5.0
_ANSWER_S: Final = 10.0
_POLL_MS: Final = 50
_LINGER_S: Final = 0.1
"""A leave begins the next rebalance, after which the broker does not give the members their assignments any more."""


async def ask_to_hand_over(kafka: Kafka, timing: Timing, account: str, owner_member_id: str) -> float:
    """Ask a member to hand an account over. Returns when it was told, in seconds of the event loop's clock.

    A member that is slow to fetch its assignment may not hear it: ask again where nothing follows. The one who asks
    leaves the group soon, so that nothing which comes after has to wait for this process. Raises KafkaTrouble.
    """
    group = group_name(kafka.topic_prefix, account)
    formed = _GroupFormed()
    consumer = AIOKafkaConsumer(
        **member_options(kafka, timing),
        group_id=group,
        partition_assignment_strategy=[HandOverAssignor(account, owner_member_id)],
    )
    follow_bootstrap_servers(aiokafka_internals.client_of(consumer), kafka)
    try:
        async with asyncio.timeout(timing.rebalance_timeout_s + timing.session_timeout_s + _ANSWER_S):
            await consumer.start()
            consumer.subscribe([topic_name(kafka.topic_prefix, account, Stream.COMMANDS)], listener=formed)
            while formed.told_s is None:
                await consumer.getmany(timeout_ms=_POLL_MS)  # raises what keeps it from joining
            await asyncio.sleep(_LINGER_S)
            return formed.told_s
    except kafka_errors.GroupAuthorizationFailedError as error:
        raise KafkaTrouble(report_refused_group(kafka, group).sentence) from error
    except kafka_errors.InconsistentGroupProtocolError as error:
        raise KafkaTrouble(
            f"the group {group} has a member that is no bridge, or of the new group protocol (KIP-848); stop it"
        ) from error
    except (TimeoutError, OSError, kafka_errors.KafkaError) as error:
        raise ClusterUnreachable(
            f"the group {group} could not be joined ({type(error).__name__}): {await find_likely_cause(kafka)}"
        ) from error
    finally:
        await aiokafka_internals.end_consumer(consumer, _LEAVE_TIMEOUT_S)


class _GroupFormed(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka publishes no types
    def __init__(self) -> None:
        self.told_s: float | None = None

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Do nothing: this member never has any."""

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        del assigned
        self.told_s = asyncio.get_running_loop().time()
