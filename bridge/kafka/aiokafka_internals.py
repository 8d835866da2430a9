"""What the Kafka room does inside aiokafka (written against 0.14), because aiokafka has no public way to it.

- `commit()` retries for ever and with whatever generation the member has by then; a claim must belong to one
  generation, so the request is built and sent here.
- `stop()` of a consumer may raise CancelledError half-way, and leave a heartbeat behind that keeps the partition.
  So a consumer is ended here: within a bound, and with nothing left that acts for it.

Other rooms that look inside aiokafka: fetches.py, rebootstrap.py and connections.py beside this one;
producer_identity.py and forced_end.py, which the client uses too; client/writer.py and client/reader.py.
"""
# ruff: noqa: SLF001 - see above

import asyncio
from collections.abc import Awaitable, Collection
from functools import partial
from typing import Any, Final, NamedTuple

import aiokafka.client
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.metadata import MetadataRequest

from bridge.forced_end import end_tasks, finish_producer, release_metadata_waiters, run_within, stop_sending
from bridge.kafka.fetches import forget_fetches

_CLOSE_TIMEOUT_S: Final = 2.0
_RETRY_BACKOFF_S: Final = 0.05

_REPEATABLE: Final = (
    kafka_errors.GroupLoadInProgressError,
    kafka_errors.GroupCoordinatorNotAvailableError,
    kafka_errors.NotCoordinatorForGroupError,
    kafka_errors.RequestTimedOutError,
)


class Generation(NamedTuple):
    """One member in one generation of its group; a member that was put out comes back under another id."""

    member_id: str
    number: int


def create_no_topics() -> None:
    """Let no client of this process create a topic by asking for its metadata, even where the brokers allow it.

    Brokers would create it with their defaults: a deleted topic would come back, silently and with other settings.
    """
    aiokafka.client.MetadataRequest = partial(MetadataRequest, allow_auto_topic_creation=False)


def current_generation(consumer: AIOKafkaConsumer) -> Generation:
    """Return what the member would join, commit and send heartbeats with at this moment."""
    coordinator = consumer._coordinator
    if coordinator is None:
        return Generation("", OffsetCommitRequest.DEFAULT_GENERATION_ID)
    return Generation(coordinator.member_id, coordinator.generation)


def client_of(owner: AIOKafkaConsumer | AIOKafkaAdminClient) -> AIOKafkaClient:
    """Return the client by which a consumer with its coordinator, or an admin client, is connected with the cluster."""
    return owner._client


def find_least_version(client: AIOKafkaClient, api_key: int) -> int | None:
    """Return the least version of a request that all connected brokers know; None before the first connection."""
    versions = [conn._versions for conn in client._conns.values() if conn._versions]
    return min((known[api_key][0] for known in versions if api_key in known), default=None)


def request_rejoin(consumer: AIOKafkaConsumer) -> None:
    """Let the member join its group again, as after a heartbeat that was answered with a rebalance."""
    consumer._coordinator.request_rejoin()


async def commit_in_generation(
    consumer: AIOKafkaConsumer, generation: Generation, partition: TopicPartition, offset: int, metadata: str
) -> None:
    """Commit with the member id and generation given, and return once the coordinator has acknowledged.

    Tries again only where nothing was written, or where the answer is an error code: then the attempt is in the
    coordinator's log or will never be, and cannot overtake the next one.
    Raises the KafkaError of any other answer, and KafkaConnectionError or RequestTimedOutError (not from a code)
    when the request was written and not answered: the commit may then still arrive.
    """
    coordinator, client = consumer._coordinator, consumer._client
    request = OffsetCommitRequest(
        coordinator.group_id,
        generation.number,
        generation.member_id,
        OffsetCommitRequest.DEFAULT_RETENTION_TIME,
        [(partition.topic, [(partition.partition, offset, metadata)])],
    )
    while True:
        await coordinator.ensure_coordinator_known()
        node = coordinator.coordinator_id
        if node is None or not await client.ready(node, group=ConnectionGroup.COORDINATION):
            coordinator.coordinator_dead()
            await asyncio.sleep(_RETRY_BACKOFF_S)
            continue
        try:
            response = await client.send(node, request, group=ConnectionGroup.COORDINATION)
        except kafka_errors.NodeNotReadyError:
            continue
        except kafka_errors.KafkaError:
            coordinator.coordinator_dead()
            raise
        answer = kafka_errors.for_code(response.topics[0][1][0][1])
        if answer is kafka_errors.NoError:
            return
        if answer not in _REPEATABLE:
            raise answer
        if answer is not kafka_errors.GroupLoadInProgressError:
            coordinator.coordinator_dead()
        await asyncio.sleep(_RETRY_BACKOFF_S)


async def read_committed_offset(consumer: AIOKafkaConsumer, partition: TopicPartition) -> tuple[int, str] | None:
    """Return the committed offset and its metadata; aiokafka's public method leaves the metadata out.

    None when the group never committed. Tries for ever while brokers are away.
    """
    found = await consumer._coordinator.fetch_committed_offsets([partition])
    if partition not in found:
        return None
    return found[partition].offset, found[partition].metadata or ""


async def ask_any_broker(client: AIOKafkaClient, request: object) -> Any:  # noqa: ANN401 - aiokafka has no types
    """Return the answer of any broker. Raises KafkaError; NotImplementedError for a request that no broker knows."""
    node = client.get_random_node()
    if node is None:
        raise kafka_errors.NodeNotReadyError("no broker is known yet")
    return await client.send(node, request)


async def read_group_state(consumer: AIOKafkaConsumer) -> str:
    """Return the state of the group by its coordinator, which knows only groups of the classic protocol."""
    coordinator = consumer._coordinator
    await coordinator.ensure_coordinator_known()
    request = DescribeGroupsRequest([coordinator.group_id])
    response = await consumer._client.send(coordinator.coordinator_id, request, group=ConnectionGroup.COORDINATION)
    error, _, state, *_ = response.groups[0]
    if error:
        raise kafka_errors.for_code(error)
    return str(state)


def known_partitions(producer: AIOKafkaProducer, topic: str) -> Collection[int] | None:
    """Return the topic's partitions without waiting; None when the cluster has not named the topic."""
    partitions: set[int] | None = producer.client.cluster.partitions_for_topic(topic)
    return partitions


def is_unauthorized(producer: AIOKafkaProducer, topic: str) -> bool:
    """Return whether the cluster refuses this principal the topic."""
    return topic in producer.client.cluster.unauthorized_topics


def learn_topics(producer: AIOKafkaProducer, topics: Collection[str]) -> Awaitable[bool]:
    """Have the producer ask for the topics' partitions now; the result may be waited for."""
    producer.client.set_topics(topics)
    update: Awaitable[bool] = producer.client.force_metadata_update()
    return update


async def abandon_producer(producer: AIOKafkaProducer) -> None:
    """End a producer at once without sending what it still holds."""
    stop_sending(producer)
    await finish_producer(producer)


async def end_consumer(consumer: AIOKafkaConsumer, timeout_s: float) -> None:
    """Stop a consumer (and leave its group) within `timeout_s`; past it, end what is left of it."""
    try:
        await run_within(consumer.stop(), timeout_s)
    finally:
        consumer._closed = True
        await end_tasks(_tasks_of(consumer))
        forget_fetches(consumer)
        await release_metadata_waiters(consumer._client)
        await run_within(consumer._client.close(), _CLOSE_TIMEOUT_S)


async def close_admin(admin: AIOKafkaAdminClient) -> None:
    """Close an admin client, whether brokers answer or not."""
    await run_within(admin.close(), _CLOSE_TIMEOUT_S)


def _tasks_of(consumer: AIOKafkaConsumer) -> set[asyncio.Task[Any]]:
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")
    tasks = {getattr(coordinator, name, None) for name in names}
    if fetcher is not None:
        tasks |= {fetcher._fetch_task, *fetcher._pending_tasks}
    return {task for task in tasks if task is not None}
