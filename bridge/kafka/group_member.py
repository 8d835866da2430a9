"""One consumer in the group of an account, with what reads and what commits through it.

All that is of the classic group protocol is here, in assignor.py, member_metadata.py and handover.py. Membership, and
through it all of flow, knows only who owns the account and with which epoch: a member id and a generation that grows.
With the next protocol (KIP-848) these are the member id and its member epoch, the broker assigns, and a stale commit
has another error code.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.kafka import aiokafka_internals, fetches
from bridge.kafka.aiokafka_internals import Generation
from bridge.kafka.assignor import StickyOwnerAssignor
from bridge.kafka.cluster import await_answer, member_options, require_topic
from bridge.kafka.command_reader import CommandReader
from bridge.kafka.commits import FencedCommitter
from bridge.kafka.group_watch import GroupWatch, read_topic_id
from bridge.kafka.rebootstrap import follow_bootstrap_servers

_LEAVE_TIMEOUT_S: Final = 5.0


def commands_partition(kafka: Kafka, account: str) -> TopicPartition:
    """Return the one partition of an account's commands."""
    return TopicPartition(topic_name(kafka.topic_prefix, account, Stream.COMMANDS), 0)


class GroupMember:
    """A consumer that subscribes the commands of one account; `assignor` speaks for it at every join of the group."""

    def __init__(self, kafka: Kafka, timing: Timing, account: str, assignor: StickyOwnerAssignor) -> None:
        self._partition = commands_partition(kafka, account)
        self._group = group_name(kafka.topic_prefix, account)
        self.consumer = AIOKafkaConsumer(
            **member_options(kafka, timing),
            group_id=self._group,
            partition_assignment_strategy=[assignor],
        )
        follow_bootstrap_servers(aiokafka_internals.client_of(self.consumer), kafka)
        self.reader = CommandReader(self.consumer, self._partition)
        self.committer = FencedCommitter(self.consumer, self._partition, kafka, self._group)
        self.watch: GroupWatch | None = None
        """What looks after the topic and the group; None until the group has formed."""

    async def start(
        self, on_revoked: Callable[[], Awaitable[None]], on_assigned: Callable[[set[TopicPartition]], None]
    ) -> None:
        """Connect and ask to be let into the group. Raises KafkaError, and TopicsUnfit without the topic."""
        await self.consumer.start()
        fetches.decode_fetches_within_bounds(self.consumer)
        await require_topic(self.consumer, self._partition.topic)
        self.consumer.subscribe([self._partition.topic], listener=_RebalanceListener(on_revoked, on_assigned))

    def start_watch(self, *, on_topic_replaced: Callable[[], None], on_protocol_change: Callable[[], None]) -> None:
        """Watch the topic and the group from now on."""
        self.watch = GroupWatch(
            self.consumer,
            self._partition.topic,
            on_topic_replaced=on_topic_replaced,
            on_protocol_change=on_protocol_change,
        )

    @property
    def is_classic(self) -> bool:
        """Whether the group is of the classic protocol, as far as the watch knows."""
        return self.watch is None or self.watch.is_classic

    @property
    def generation(self) -> Generation:
        """The member's id and its generation of the group, at this moment."""
        return aiokafka_internals.current_generation(self.consumer)

    @property
    def known_end(self) -> int:
        """The offset behind the last record, as of the last fetch; 0 before the first."""
        return fetches.known_end(self.consumer, self._partition)

    async def read_committed(self) -> tuple[int, str] | None:
        """Return the committed offset and its metadata; None when the group never committed."""
        return await await_answer(
            aiokafka_internals.read_committed_offset(self.consumer, self._partition), f"the group {self._group}"
        )

    async def read_topic_id(self) -> str:
        """Return the id of the topic, empty where the brokers know no ids; the watch expects it from now on."""
        found = await await_answer(read_topic_id(self.consumer, self._partition.topic), self._partition.topic)
        if self.watch is not None:
            self.watch.expect_topic(found)
        return found

    async def read_begin_offset(self) -> int:
        """Return the first offset that the log holds."""
        found = await await_answer(self.consumer.beginning_offsets([self._partition]), self._partition.topic)
        return int(found[self._partition])

    async def read_end_offset(self) -> int:
        """Return the offset after the last record."""
        found = await await_answer(self.consumer.end_offsets([self._partition]), self._partition.topic)
        return int(found[self._partition])

    async def is_topic_replaced(self) -> bool:
        """Ask whether the topic was deleted and made again; False where no broker answers."""
        return self.watch is not None and await self.watch.is_topic_replaced()

    async def end(self) -> None:
        """Leave the group and end the consumer, within a bound."""
        if self.watch is not None:
            await self.watch.end()
        try:
            await self.committer.interrupt()
            await aiokafka_internals.end_consumer(self.consumer, _LEAVE_TIMEOUT_S)
        finally:
            self.reader.end()


class _RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka publishes no types
    def __init__(
        self, on_revoked: Callable[[], Awaitable[None]], on_assigned: Callable[[set[TopicPartition]], None]
    ) -> None:
        self._on_revoked = on_revoked
        self._on_assigned = on_assigned

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        del revoked
        await self._on_revoked()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._on_assigned(assigned)
