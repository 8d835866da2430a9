"""Assigning the account's one partition: to the member that owns it, else to the one that hashing chooses.

A round-robin assignor may move the partition whenever a standby joins, and every move is a takeover. Here an owner
keeps it until it ends or is asked to hand over. Without an owner the leader of each group chooses by the same hashing,
so many accounts spread over the instances although no process coordinates their groups.
"""

from collections.abc import Callable, Iterable, Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from bridge.core.placement import Candidate, choose_candidate
from bridge.kafka.member_metadata import (
    HAND_OVER,
    VERSION,
    MemberMetadata,
    MemberNote,
    build_metadata,
    read_epoch,
    read_note,
)


class StickyOwnerAssignor(AbstractPartitionAssignor):  # type: ignore[misc] # aiokafka publishes no types
    """Gives every partition of a topic to the member that owns the highest epoch, or to the one of the highest score.

    One for each consumer: aiokafka's own assignors keep their state in the class. `instance` names this process.
    `owned_epoch` is called at every join and returns 0 for none. `on_asked` is called when this member, the owner, is
    asked to hand the account over.
    """

    name = "ltp-bridge-keep-owner"

    def __init__(
        self, account: str, instance: str, owned_epoch: Callable[[], int], on_asked: Callable[[], None]
    ) -> None:
        self._account = account
        self._note = MemberNote(instance)
        self._owned_epoch = owned_epoch
        self._on_asked = on_asked

    def metadata(self, topics: Iterable[str]) -> MemberMetadata:
        """Return what this member sends when it joins: its topics, the epoch that it owns, and its name."""
        return build_metadata(topics, self._owned_epoch(), self._note)

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Return each member's partitions; aiokafka calls this on the leader of the group only."""
        given: dict[str, list[tuple[str, list[int]]]] = {member_id: [] for member_id in members}
        asked = {read_note(member).hand_over for member in members.values()}
        told: set[str] = set()
        for topic in sorted({topic for member in members.values() for topic in member.subscription}):
            interested = {member_id: one for member_id, one in members.items() if topic in one.subscription}
            holder = _choose_holder(self._account, interested)
            given[holder].append((topic, sorted(cluster.partitions_for_topic(topic) or ())))
            if holder in asked and read_epoch(members[holder]):
                told.add(holder)
        return {
            member_id: ConsumerProtocolMemberAssignment(VERSION, partitions, HAND_OVER if member_id in told else b"")
            for member_id, partitions in given.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Pass on that this member is asked to hand over; what it owns, the epoch says."""
        if assignment.user_data == HAND_OVER:
            self._on_asked()


class HandOverAssignor(StickyOwnerAssignor):
    """Of one who only asks a member to hand over: it wants no topic, so no leader of any version gives it one."""

    def __init__(self, account: str, owner_member_id: str) -> None:
        super().__init__(account, "", lambda: 0, lambda: None)
        self._note = MemberNote(hand_over=owner_member_id)

    def metadata(self, topics: Iterable[str]) -> MemberMetadata:
        """Return what is sent at the join: no topic, no epoch, and who is asked."""
        del topics
        return build_metadata((), 0, self._note)


def candidate_of(member_id: str, metadata: ConsumerProtocolMemberMetadata) -> Candidate:
    """Return a member as hashing sees it; one of an earlier version has no name but its member id."""
    return Candidate(member_id, read_note(metadata).instance or member_id)


def _choose_holder(account: str, members: Mapping[str, ConsumerProtocolMemberMetadata]) -> str:
    """Return which of the members that want a topic gets it."""
    owners = [(-epoch, member_id) for member_id, one in members.items() if (epoch := read_epoch(one))]
    if owners:
        return min(owners)[1]
    return choose_candidate(account, [candidate_of(*member) for member in members.items()]).member_id
