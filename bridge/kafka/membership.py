"""Membership of one account's group: who is assigned its one partition owns the account.

A Membership is one membership at a time. It is continuous from `join` to the first sign that another member may have
owned the account: the partition was given to another member, or this member was put out and let back in under another
id. From then on everything raises TermEnded until `leave` and `join`.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors

from bridge.config import Kafka, Timing
from bridge.contract.topics import group_name
from bridge.core.records import CommandRecord, Committed
from bridge.errors import ClusterUnreachable, CommitInterrupted, ForeignMember, KafkaTrouble, OffsetLost, TermEnded
from bridge.kafka.assignor import StickyOwnerAssignor
from bridge.kafka.cluster import NO_ANSWER, find_likely_cause, require_one_partition
from bridge.kafka.grants import report_refused_group
from bridge.kafka.group_member import GroupMember, commands_partition
from bridge.kafka.ownership import MembershipState, Ownership

_ANSWER_S: Final = 10.0
_POLL_S: Final = 1.0

log = structlog.get_logger(__name__)


class Membership:
    """One member of one account's group; `instance` is the name of this process, by which hashing chooses.

    `on_revoked` is called when a rebalance begins and the partition was ours, after the commit in flight has ended;
    `on_assigned` when the partition is ours, for the first time or again. Both must return at once. After the partition
    was lost for good, the call that waits and every later one raise TermEnded.
    """

    def __init__(
        self,
        kafka: Kafka,
        timing: Timing,
        account: str,
        instance: str,
        *,
        on_revoked: Callable[[], None],
        on_assigned: Callable[[], None],
    ) -> None:
        self._kafka = kafka
        self._timing = timing
        self._account = account
        self._instance = instance
        self._on_revoked = on_revoked
        self._on_assigned = on_assigned
        self._group = group_name(kafka.topic_prefix, account)
        self._partition = commands_partition(kafka, account)
        self._ownership = Ownership()
        self._member: GroupMember | None = None
        self._poll_woken: asyncio.Future[None] | None = None
        self._hand_over_asked = asyncio.Event()

    async def join(self) -> None:
        """Join the group; returns once it has formed, with the partition or without (a hot standby).

        Raises ClusterUnreachable, TopicsUnfit unless there is one partition, KafkaTrouble when the group refuses us.
        """
        if self._member is not None:
            raise RuntimeError("already a member: leave first")
        self._ownership, self._hand_over_asked = Ownership(), asyncio.Event()
        assignor = StickyOwnerAssignor(self._account, self._instance, self._owned_epoch, self._hand_over_asked.set)
        member = self._member = GroupMember(self._kafka, self._timing, self._account, assignor)
        bound_s = self._timing.rebalance_timeout_s + self._timing.session_timeout_s + _ANSWER_S
        try:
            async with asyncio.timeout(bound_s):
                await member.start(self._on_partitions_revoked, self._on_partitions_assigned)
                while self._ownership.state is MembershipState.OUT:
                    await self._poll_member()
            member.start_watch(on_topic_replaced=self._on_topic_replaced, on_protocol_change=self._on_protocol_change)
        except NO_ANSWER as error:
            await self.leave()
            raise ClusterUnreachable(
                f"the group {self._group} could not be joined ({type(error).__name__}): "
                f"{await find_likely_cause(self._kafka)}"
            ) from error
        except BaseException:
            await self.leave()
            raise

    async def wait_owned(self) -> None:
        """Wait until the partition is ours. A standby waits here: this is what keeps it a member.

        Raises ForeignMember where a consumer that is no bridge is in the group: it may have the partition for ever.
        """
        while not self.owned:
            if not self._require_member().is_classic:
                raise ForeignMember(
                    f"a consumer of the new group protocol (KIP-848) is in the group {self._group} and has the "
                    "account's partition, or may get it: no command is read; stop it, or give it a group of its own"
                )
            await self._poll_member()

    async def wait_hand_over_asked(self) -> None:
        """Wait until the owner is asked to end its term in good order, leave and join again: another is to own."""
        await self._hand_over_asked.wait()

    @property
    def owned(self) -> bool:
        """Whether the partition is assigned to us at this moment; False while a rebalance runs."""
        owned_in = self._ownership.owned_generation
        return owned_in is not None and self._member is not None and owned_in == self._member.generation

    @property
    def generation(self) -> int:
        """The group's generation as far as this member knows; -1 when it is in none."""
        return self._member.generation.number if self._member is not None else -1

    def set_epoch(self, epoch: int) -> None:
        """Announce to the group, from its next rebalance on, which epoch we own: the highest keeps the partition."""
        self._ownership.set_epoch(epoch, self._member_id)

    def _owned_epoch(self) -> int:
        return self._ownership.epoch_to_announce(self._member_id)

    @property
    def _member_id(self) -> str:
        # The library may still be joining when this member has left already.
        return self._member.generation.member_id if self._member is not None else ""

    async def committed(self) -> Committed:
        """Ask the coordinator for what the group has committed. Raises ClusterUnreachable, KafkaTrouble."""
        return Committed(*(await self._require_member().read_committed() or (None, "")))

    async def commit(self, offset: int, metadata: str, timeout_s: float) -> None:
        """Commit once, as a member of the generation of this moment; returns when it is acknowledged.

        One at a time. Raises CommitInterrupted when a rebalance runs or ended the attempt: after `on_assigned`, commit
        the whole state again. Raises TermEnded when we are not the owner, or when it is uncertain whether the
        commit was stored (`timeout_s` passed, the connection broke, an earlier one was cut off); KafkaTrouble when
        the broker refuses what is committed.
        """
        member = self._require_member()
        if self._ownership.state is MembershipState.REBALANCING:
            raise CommitInterrupted("a rebalance is running; nothing was sent")
        owned_in = self._ownership.owned_generation
        if owned_in is None or not self.owned:
            raise TermEnded("the partition is not ours; nothing can be committed")
        await member.committer.commit(owned_in, offset, metadata, timeout_s)

    async def poll(self, timeout_s: float) -> list[CommandRecord]:
        """Return the records that have arrived, in the order of their offsets, each offset once.

        Nothing is read before `seek`. During a rebalance the list is empty. Raises TermEnded when the partition is
        another's or the consumer failed, OffsetLost when the log does not hold our next offset.
        """
        return await self._poll_member(timeout_s)

    async def _poll_member(self, timeout_s: float = _POLL_S) -> list[CommandRecord]:
        """Let the consumer work until it has records, a rebalance has its outcome, or the time is over."""
        member = self._require_member()
        self._poll_woken = asyncio.get_running_loop().create_future()
        try:
            records = await member.reader.poll(timeout_s, self._poll_woken)
        except OffsetLost:
            if await member.is_topic_replaced():
                self._on_topic_replaced()
            self._require_member()
            raise
        except kafka_errors.GroupAuthorizationFailedError as error:
            raise KafkaTrouble(report_refused_group(self._kafka, self._group).sentence) from error
        except kafka_errors.KafkaError as error:
            if self._ownership.state is MembershipState.OUT and not error.retriable:
                raise KafkaTrouble(f"the group {self._group} could not be joined: {error!r}") from error
            raise TermEnded(f"the consumer failed: {error!r}") from error
        self._require_member()
        require_one_partition(member.consumer, self._partition.topic)
        return records

    @property
    def position(self) -> int:
        """The offset that comes next: everything below it was returned by `poll`, or holds no record."""
        return self._require_member().reader.position

    @property
    def known_end(self) -> int:
        """The offset behind the last record, as of the last fetch; 0 before the first."""
        return self._require_member().known_end

    def seek(self, offset: int) -> None:
        """Go on with the record at `offset`; nothing is read before the first call."""
        self._require_member().reader.seek(offset)

    def pause(self) -> None:
        """Read no more until `resume`; `poll` must still be called."""
        self._require_member().reader.pause()

    def resume(self) -> None:
        """Read again."""
        self._require_member().reader.resume()

    async def topic_id(self) -> str:
        """Return the id of the commands topic, empty where the brokers know no ids; from now on another ends the term.

        Raises ClusterUnreachable, KafkaTrouble.
        """
        return await self._require_member().read_topic_id()

    async def begin_offset(self) -> int:
        """Return the first offset that the log holds. Raises ClusterUnreachable, KafkaTrouble."""
        return await self._require_member().read_begin_offset()

    async def end_offset(self) -> int:
        """Return the offset after the last record. Raises ClusterUnreachable, KafkaTrouble."""
        return await self._require_member().read_end_offset()

    async def leave(self) -> None:
        """Leave the group, so that a standby takes over at once. Never hangs, and may be called at any time."""
        member, self._member = self._member, None
        self._ownership.end(TermEnded("this member has left the group"))
        self._wake_poll()
        if member is not None:
            await member.end()

    def _require_member(self) -> GroupMember:
        if self._ownership.end_reason is not None:
            raise self._ownership.end_reason
        if self._member is None:
            raise TermEnded("this member has not joined the group")
        return self._member

    def _on_topic_replaced(self) -> None:
        """End the term: the offsets that it knows name other commands, or none."""
        self._ownership.end(TermEnded(f"{self._partition.topic} was deleted and made again"))
        self._wake_poll()

    def _on_protocol_change(self) -> None:
        if self._member is not None and not self._member.is_classic:
            log.error("membership.foreign_protocol", account=self._account, group=self._group)
        self._wake_poll()

    def _wake_poll(self) -> None:
        if self._poll_woken is not None and not self._poll_woken.done():
            self._poll_woken.set_result(None)

    async def _on_partitions_revoked(self) -> None:
        """End the commit and stop owning; the client waits for this before it joins the group again."""
        was_ours = self._ownership.revoke()
        if self._member is not None:
            self._member.reader.on_revoked()
            await self._member.committer.interrupt()
        if was_ours:
            self._call_back(self._on_revoked)

    def _on_partitions_assigned(self, partitions: set[TopicPartition]) -> None:
        """Get, keep or lose the partition; the client calls this after every rebalance."""
        if self._member is None or self._ownership.state is MembershipState.ENDED:
            return
        if self._partition not in partitions:
            self._ownership.give_to_other()
        elif self._ownership.assign(self._member.generation):
            self._member.reader.on_assigned()
            self._call_back(self._on_assigned)
        self._wake_poll()

    def _call_back(self, callback: Callable[[], None]) -> None:
        """Call back; a failure ends the membership, because the client would only log it and go on."""
        try:
            callback()
        except Exception as error:
            log.exception("membership.callback_failed", account=self._account)
            self._ownership.end(TermEnded(f"a callback failed: {error!r}"))
