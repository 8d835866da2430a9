"""Who gets the account's one partition: who has it, else the smallest member id.

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

    One instance per consumer: aiokafka's own assignors keep their state in the class. `owned_epoch` is asked at
    every join and returns 0 for none.
    """

    name = "ltp-bridge-keep-owner"

    def __init__(self, owned_epoch: Callable[[], int]) -> None:
        self._owned_epoch = owned_epoch

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Tell the group which topics this member wants and which epoch it owns."""
        return ConsumerProtocolMemberMetadata(_VERSION, list(topics), _EPOCH.pack(self._owned_epoch()))

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Divide the partitions; called on the group's leader only."""
        given: dict[str, list[tuple[str, list[int]]]] = {member_id: [] for member_id in members}
        for topic in sorted({topic for member in members.values() for topic in member.subscription}):
            owner = min(
                (member_id for member_id, member in members.items() if topic in member.subscription),
                key=lambda member_id: (-_epoch(members[member_id].user_data), member_id),
            )
            given[owner].append((topic, sorted(cluster.partitions_for_topic(topic) or ())))
        return {
            member_id: ConsumerProtocolMemberAssignment(_VERSION, partitions, b"")
            for member_id, partitions in given.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Do nothing: what is owned is known by its epoch."""


def _epoch(user_data: bytes | None) -> int:
    """Read a member's epoch; a member of another make owns none."""
    if user_data is None or len(user_data) != _EPOCH.size:
        return 0
    epoch: int = _EPOCH.unpack(user_data)[0]
    return max(epoch, 0)
