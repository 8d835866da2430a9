"""Assigning the account's one partition: to the member that has it, else to the smallest member id.

A round-robin assignor may move the partition whenever a standby joins, and every move is a takeover.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

_VERSION: Final = 0
_EPOCH: Final = struct.Struct(">q")


class StickyOwnerAssignor(AbstractPartitionAssignor):  # type: ignore[misc] # aiokafka publishes no types
    """Gives every partition of a topic to the member that owns the highest epoch.

    One instance per consumer: aiokafka's own assignors keep their state in the class. `owned_epoch` is called at
    every join and returns 0 for none.
    """

    name = "ltp-bridge-keep-owner"

    def __init__(self, owned_epoch: Callable[[], int]) -> None:
        self._owned_epoch = owned_epoch

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Return what this member sends when it joins: which topics it wants and which epoch it owns."""
        return ConsumerProtocolMemberMetadata(_VERSION, list(topics), _EPOCH.pack(self._owned_epoch()))

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Return each member's partitions; aiokafka calls this on the leader of the group only."""
        given: dict[str, list[tuple[str, list[int]]]] = {member_id: [] for member_id in members}
        for topic in sorted({topic for member in members.values() for topic in member.subscription}):
            owner = min(
                (member_id for member_id, member in members.items() if topic in member.subscription),
                key=lambda member_id: (-_read_epoch(members[member_id].user_data), member_id),
            )
            given[owner].append((topic, sorted(cluster.partitions_for_topic(topic) or ())))
        return {
            member_id: ConsumerProtocolMemberAssignment(_VERSION, partitions, b"")
            for member_id, partitions in given.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Do nothing: the epoch says what this member owns."""


def _read_epoch(user_data: bytes | None) -> int:
    """Return a member's epoch; 0 for a member that is no bridge."""
    if user_data is None or len(user_data) != _EPOCH.size:
        return 0
    epoch: int = _EPOCH.unpack(user_data)[0]
    return max(epoch, 0)
