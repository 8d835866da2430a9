"""Membership of one account's group: who is assigned its one partition owns the account.

One object is one membership at a time. It is continuous from `join` to the first sign that somebody else may have
owned the account: the partition given to another member, or this member put out and let back in under another
id. From then on everything raises TermEnded until `leave` and `join`.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as kafka_errors

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.core.records import CommandRecord, Committed
from bridge.errors import ClusterUnreachable, CommitInterrupted, ForeignMember, KafkaTrouble, OffsetLost, TermEnded
from bridge.kafka import aiokafka_internals, fetches
from bridge.kafka.assignor import StickyOwnerAssignor
from bridge.kafka.cluster import ask, likely_cause, member_options, require_one_partition, require_topic
from bridge.kafka.command_reader import CommandReader
from bridge.kafka.commits import FencedCommitter
from bridge.kafka.grants import describe_refused_group
from bridge.kafka.group_watch import GroupWatch, topic_id
from bridge.kafka.ownership import Ownership
from bridge.kafka.rebootstrap import follow_bootstrap_servers

_LEAVE_TIMEOUT_S: Final = 5.0
_ANSWER_S: Final = 10.0
_WATCH_S: Final = 1.0

log = structlog.get_logger(__name__)


class Membership:
    """One member of one account's group.

    `on_revoked` is called when a rebalance begins and the partition was ours, after the commit in flight has ended;
    `on_assigned` when the partition is ours, for the first time or again. Both must return at once. A partition that
    is lost for good is told by TermEnded from whatever is called or waited for next.
    """

    def __init__(
        self,
        kafka: Kafka,
        timing: Timing,
        account: str,
        *,
        on_revoked: Callable[[], None],
        on_assigned: Callable[[], None],
    ) -> None:
        self._kafka = kafka
        self._timing = timing
        self._account = account
        self._on_revoked = on_revoked
        self._on_assigned = on_assigned
        self._group = group_name(kafka.topic_prefix, account)
        self._partition = TopicPartition(topic_name(kafka.topic_prefix, account, Stream.COMMANDS), 0)
        self._consumer: AIOKafkaConsumer | None = None
        self._begin()

    def _begin(self) -> None:
        self._ownership = Ownership()
        self._turn: asyncio.Future[None] | None = None
        self._intake: CommandReader | None = None
        self._commits: FencedCommitter | None = None
        self._watch_group: GroupWatch | None = None
        self.is_classic = True
        """Whether the group is of the classic protocol: False while a consumer of the new one is in it."""

    async def join(self) -> None:
        """Join the group; returns once it has formed, with the partition or without (a hot standby).

        Raises ClusterUnreachable, TopicsUnfit unless there is one partition, KafkaTrouble when the group refuses us.
        """
        if self._consumer is not None:
            raise RuntimeError("already a member: leave first")
        self._begin()
        consumer = self._consumer = AIOKafkaConsumer(
            **member_options(self._kafka, self._timing),
            group_id=self._group,
            partition_assignment_strategy=[StickyOwnerAssignor(self._owned_epoch)],
        )
        follow_bootstrap_servers(aiokafka_internals.client_of(consumer), self._kafka)
        self._intake = CommandReader(consumer, self._partition)
        self._commits = FencedCommitter(consumer, self._partition, self._kafka, self._group)
        bound_s = self._timing.rebalance_timeout_s + self._timing.session_timeout_s + _ANSWER_S
        try:
            async with asyncio.timeout(bound_s):
                await consumer.start()
                fetches.decode_fetches_within_bounds(consumer)
                await require_topic(consumer, self._partition.topic)
                consumer.subscribe([self._partition.topic], listener=_Listener(self))
                while not self._ownership.has_joined:
                    await self._watch()
            self._watch_group = GroupWatch(
                consumer, self._partition.topic, on_remade=self._remade, on_protocol=self._protocol_seen
            )
        except (kafka_errors.KafkaError, TimeoutError, OSError) as error:
            await self.leave()
            raise ClusterUnreachable(
                f"the group {self._group} could not be joined ({type(error).__name__}): "
                f"{await likely_cause(self._kafka)}"
            ) from error
        except BaseException:
            await self.leave()
            raise

    async def wait_owned(self) -> None:
        """Wait until the partition is ours. A standby waits here: it is what keeps it a member.

        Raises ForeignMember where a consumer that is no bridge is in the group: it may have the partition for ever.
        """
        while not self.owned:
            self._require_membership()
            if not self.is_classic:
                raise ForeignMember(
                    f"a consumer of the new group protocol (KIP-848) is in the group {self._group} and has the "
                    "account's partition, or may get it: no command is read; stop it, or give it a group of its own"
                )
            await self._watch()

    @property
    def owned(self) -> bool:
        """Whether the partition is assigned to us at this moment; False while a rebalance runs."""
        ownership = self._ownership
        return (
            ownership.over is None
            and self._consumer is not None
            and ownership.assigned_in is not None
            and ownership.assigned_in == aiokafka_internals.current_generation(self._consumer)
        )

    @property
    def generation(self) -> int:
        """The group's generation as far as this member knows; -1 when it is in none."""
        return aiokafka_internals.current_generation(self._consumer).number if self._consumer is not None else -1

    def set_epoch(self, epoch: int) -> None:
        """Tell the group, from its next rebalance on, which epoch we own: the highest keeps the partition."""
        self._ownership.set_epoch(epoch, self._member_id)

    def _owned_epoch(self) -> int:
        return self._ownership.epoch_told(self._member_id)

    @property
    def _member_id(self) -> str:
        # The library may still be joining when this member has left already.
        return aiokafka_internals.current_generation(self._consumer).member_id if self._consumer is not None else ""

    async def committed(self) -> Committed:
        """Ask the coordinator for what the group has committed. Raises ClusterUnreachable, KafkaTrouble."""
        consumer, _, _ = self._require_membership()
        found = await ask(aiokafka_internals.committed_offset(consumer, self._partition), f"the group {self._group}")
        return Committed(*(found or (None, "")))

    async def commit(self, offset: int, metadata: str, timeout_s: float) -> None:
        """Commit once, as a member of the generation of this moment; returns when it is acknowledged.

        One at a time. Raises CommitInterrupted when a rebalance runs or ended the attempt: after `on_assigned`, commit
        the whole state again. Raises TermEnded when we are not the owner, or when it is uncertain whether the
        commit was stored (`timeout_s` passed, the connection broke, an earlier one was cut off); KafkaTrouble when
        the broker refuses what is committed.
        """
        _, _, commits = self._require_membership()
        assigned_in = self._ownership.assigned_in
        if assigned_in is None and self._ownership.was_held:
            raise CommitInterrupted("a rebalance is running; nothing was sent")
        if assigned_in is None or not self.owned:
            raise TermEnded("the partition is not ours; nothing can be committed")
        await commits.commit(assigned_in, offset, metadata, timeout_s)

    async def poll(self, timeout_s: float) -> list[CommandRecord]:
        """Return the records that have arrived, in the order of their offsets, each offset once.

        Nothing is read before `seek`. During a rebalance the list is empty. Raises TermEnded when the partition is
        another's or the consumer died, OffsetLost when the log does not hold our next offset.
        """
        self._require_membership()
        return await self._watch(timeout_s)

    async def _watch(self, timeout_s: float = _WATCH_S) -> list[CommandRecord]:
        """Let the consumer work until it has records, a rebalance has its outcome, or the time is over."""
        consumer, intake, _ = self._require_membership()
        self._turn = asyncio.get_running_loop().create_future()
        try:
            records = await intake.poll(timeout_s, self._turn)
        except OffsetLost:
            if self._watch_group is not None and await self._watch_group.is_remade():
                self._remade()
            self._require_membership()
            raise
        except kafka_errors.GroupAuthorizationFailedError as error:
            raise KafkaTrouble(describe_refused_group(self._kafka, self._group)) from error
        except kafka_errors.KafkaError as error:
            if not self._ownership.has_joined and not error.retriable:
                raise KafkaTrouble(f"the group {self._group} could not be joined: {error!r}") from error
            raise TermEnded(f"the consumer failed: {error!r}") from error
        self._require_membership()
        require_one_partition(consumer, self._partition.topic)
        return records

    @property
    def position(self) -> int:
        """The offset that comes next: everything below it was returned by `poll`, or holds no record."""
        _, intake, _ = self._require_membership()
        return intake.position

    @property
    def known_end(self) -> int:
        """The offset behind the last record, as of the last fetch; 0 before the first."""
        consumer, _, _ = self._require_membership()
        return fetches.known_end(consumer, self._partition)

    def seek(self, offset: int) -> None:
        """Go on with the record at `offset`; the first call lets the reading begin."""
        _, intake, _ = self._require_membership()
        intake.seek(offset)

    def pause(self) -> None:
        """Read no more until `resume`; `poll` must still be called."""
        _, intake, _ = self._require_membership()
        intake.pause()

    def resume(self) -> None:
        """Read again."""
        _, intake, _ = self._require_membership()
        intake.resume()

    async def topic_id(self) -> str:
        """Return the id of the commands topic, empty where the brokers tell none; from now on another ends the term.

        Raises ClusterUnreachable, KafkaTrouble.
        """
        consumer, _, _ = self._require_membership()
        found = await ask(topic_id(consumer, self._partition.topic), self._partition.topic)
        if self._watch_group is not None:
            self._watch_group.expect(found)
        return found

    async def begin_offset(self) -> int:
        """Return the first offset that the log holds. Raises ClusterUnreachable, KafkaTrouble."""
        consumer, _, _ = self._require_membership()
        return int((await ask(consumer.beginning_offsets([self._partition]), self._partition.topic))[self._partition])

    async def end_offset(self) -> int:
        """Return the offset after the last record. Raises ClusterUnreachable, KafkaTrouble."""
        consumer, _, _ = self._require_membership()
        return int((await ask(consumer.end_offsets([self._partition]), self._partition.topic))[self._partition])

    async def leave(self) -> None:
        """Leave the group, so that a standby takes over at once. Never hangs, and may be called at any time."""
        consumer, self._consumer = self._consumer, None
        self._ownership.revoke()
        self._ownership.over = TermEnded("this member has left the group")
        self._wake()
        watch, self._watch_group = self._watch_group, None
        if watch is not None:
            await watch.end()
        if consumer is None or self._commits is None or self._intake is None:
            return
        try:
            await self._commits.interrupt()
            await aiokafka_internals.end_consumer(consumer, _LEAVE_TIMEOUT_S)
        finally:
            self._intake.end()

    def _require_membership(self) -> tuple[AIOKafkaConsumer, CommandReader, FencedCommitter]:
        if self._ownership.over is not None:
            raise self._ownership.over
        if self._consumer is None or self._intake is None or self._commits is None:
            raise TermEnded("this member has not joined the group")
        return self._consumer, self._intake, self._commits

    def _remade(self) -> None:
        """End the term: the offsets that it knows name other commands, or none."""
        self._ownership.over = TermEnded(f"{self._partition.topic} was deleted and made again")
        self._wake()

    def _protocol_seen(self, is_classic: bool) -> None:  # noqa: FBT001 - it is the news itself
        if is_classic == self.is_classic:
            return
        if not is_classic:
            log.error("membership.foreign_protocol", account=self._account, group=self._group)
        self.is_classic = is_classic
        self._wake()

    def _wake(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    async def revoked(self) -> None:
        """End the commit and stop owning; called by the client, which waits for it before it joins again."""
        was_ours = self._ownership.revoke()
        if self._intake is not None and self._commits is not None:
            self._intake.revoked()
            await self._commits.interrupt()
        if was_ours:
            self._call(self._on_revoked)

    def assigned(self, partitions: set[TopicPartition]) -> None:
        """Take, keep or lose the partition; called by the client after every rebalance."""
        if self._consumer is None or self._intake is None or self._ownership.over is not None:
            return
        self._ownership.has_joined = True
        if self._partition not in partitions:
            self._ownership.lose()
        elif self._ownership.assign(aiokafka_internals.current_generation(self._consumer)):
            self._intake.assigned()
            self._call(self._on_assigned)
        self._wake()

    def _call(self, callback: Callable[[], None]) -> None:
        """Call back; a failure ends the membership, because the client would only log it and go on."""
        try:
            callback()
        except Exception as error:
            log.exception("membership.callback_failed", account=self._account)
            self._ownership.over = TermEnded(f"a callback failed: {error!r}")


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka publishes no types
    def __init__(self, membership: Membership) -> None:
        self._membership = membership

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        del revoked
        await self._membership.revoked()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._membership.assigned(assigned)
