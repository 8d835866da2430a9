"""The assignor keeps the account where it is."""

from functools import partial

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from bridge.kafka.assignor import StickyOwnerAssignor

TOPIC = "ltp.main.commands"


class OnePartition(ClusterMetadata):  # type: ignore[misc] # aiokafka publishes no types
    """A cluster that has the topic, with one partition."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Answer as a cluster would."""
        return {0} if topic == TOPIC else None


def owner_among(**epochs: int) -> list[str]:
    """Assign among members that own the given epochs, and name who got the partition."""
    members = {name: StickyOwnerAssignor(partial(int, epoch)).metadata([TOPIC]) for name, epoch in epochs.items()}
    given = StickyOwnerAssignor(lambda: 0).assign(OnePartition(), members)
    assert set(epochs) == set(given)
    return [name for name, assignment in given.items() if assignment.partitions()]


def test_highest_epoch_keeps_the_partition() -> None:
    """The member that owns the highest epoch keeps the partition, whatever its id."""
    assert ["c"] == owner_among(a=0, b=6, c=7)


def test_smallest_id_begins() -> None:
    """Where no member owns an epoch, the smallest member id gets the partition."""
    assert ["a"] == owner_among(c=0, a=0, b=0)


def test_foreign_user_data_owns_nothing() -> None:
    """A member whose user data is no epoch owns none, and the partitions are assigned."""
    members = {
        "a": ConsumerProtocolMemberMetadata(0, [TOPIC], b"?"),
        "b": StickyOwnerAssignor(lambda: 1).metadata([TOPIC]),
        "c": ConsumerProtocolMemberMetadata(0, ["other"], b""),
    }
    given = StickyOwnerAssignor(lambda: 0).assign(OnePartition(), members)
    assert {"a": 0, "b": 1, "c": 0} == {name: len([p for _, p in one.assignment if p]) for name, one in given.items()}
