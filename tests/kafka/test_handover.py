"""Handing an account over, on a real broker: who is asked, who gets it, and members of an earlier version."""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream
from bridge.core.placement import Candidate, choose_candidate
from bridge.errors import ClusterUnreachable
from bridge.kafka import membership
from bridge.kafka.handover import ask_to_hand_over
from bridge.kafka.membership import Membership
from bridge.kafka.owners import GroupView, read_groups
from tests.kafka.conftest import ACCOUNT

Members = Callable[..., Membership]
MakeTopics = Callable[..., Awaitable[None]]
_EPOCH = struct.Struct(">q")


class AssignorOfEarlierVersion(AbstractPartitionAssignor):  # type: ignore[misc] # aiokafka publishes no types
    """The assignor of earlier versions: an epoch in eight bytes, and the smallest member id where nobody owns."""

    name = "ltp-bridge-keep-owner"

    def __init__(
        self, _account: str, _instance: str, owned_epoch: Callable[[], int], _on_asked: Callable[[], None]
    ) -> None:
        self._owned_epoch = owned_epoch

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Send the epoch."""
        return ConsumerProtocolMemberMetadata(0, list(topics), _EPOCH.pack(self._owned_epoch()))

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Give each topic to the highest epoch."""
        given: dict[str, list[tuple[str, list[int]]]] = {member_id: [] for member_id in members}
        for topic in sorted({topic for member in members.values() for topic in member.subscription}):
            owner = min(
                (member_id for member_id, member in members.items() if topic in member.subscription),
                key=lambda member_id: (-self._read_epoch(members[member_id].user_data), member_id),
            )
            given[owner].append((topic, sorted(cluster.partitions_for_topic(topic) or ())))
        return {one: ConsumerProtocolMemberAssignment(0, partitions, b"") for one, partitions in given.items()}

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Do nothing."""

    def _read_epoch(self, user_data: bytes | None) -> int:
        if user_data is None or len(user_data) != _EPOCH.size:
            return 0
        return max(int(_EPOCH.unpack(user_data)[0]), 0)


async def group_at_rest(kafka: Kafka, members: int) -> GroupView:
    """Return the group as soon as it has so many members and an owner."""
    async with asyncio.timeout(20):
        while True:
            view = (await read_groups(kafka, [ACCOUNT]))[ACCOUNT]
            if view.placement is not None and len(view.placement.candidates) == members:
                return view
            await asyncio.sleep(0.05)


def names_by_score() -> list[str]:
    """Return three names, the one first that hashing would choose for the account, then the next."""
    left = {"x", "y", "z"}
    found: list[str] = []
    while left:
        found.append(choose_candidate(ACCOUNT, [Candidate(name, name) for name in left]).instance)
        left.remove(found[-1])
    return found


async def own(member: Membership, epoch: int = 1) -> None:
    """Join and own the account."""
    await member.join()
    await member.wait_owned()
    member.set_epoch(epoch)


async def test_an_account_goes_where_hashing_says(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> None:
    """The owner keeps it whoever joins; when it leaves, the standby of the highest score owns, not the first one."""
    await make_topics(kafka, Stream.COMMANDS)
    first, second, third = names_by_score()
    owner, standby, chosen = (member_of(kafka, instance=name) for name in (second, third, first))
    await own(owner)
    await standby.join()
    await chosen.join()
    view = await group_at_rest(kafka, 3)
    assert view.placement is not None
    assert {first, second, third} == {one.instance for one in view.placement.candidates}
    assert (second, True) == (view.placement.owner.instance, owner.owned)
    await owner.leave()
    await asyncio.wait_for(chosen.wait_owned(), 10)
    assert not standby.owned


async def test_the_owner_is_asked_through_its_group(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> None:
    """It hears the question, keeps the partition and may commit until it leaves; then hashing decides."""
    await make_topics(kafka, Stream.COMMANDS)
    first, second, _ = names_by_score()
    owner, standby = member_of(kafka, instance=second), member_of(kafka, instance=first)
    await own(owner)
    await standby.join()
    view = await group_at_rest(kafka, 2)
    assert view.placement is not None
    asked = asyncio.create_task(owner.wait_hand_over_asked())
    await ask_to_hand_over(kafka, Timing(), ACCOUNT, view.placement.owner.member_id)
    await asyncio.wait_for(asked, 5)
    assert not standby.owned
    await owner.commit(0, "the last", 5)
    await owner.leave()
    await owner.join()
    await asyncio.wait_for(standby.wait_owned(), 10)
    assert not owner.owned
    assert (await group_at_rest(kafka, 2)).is_asked is False


async def test_nobody_else_is_asked(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> None:
    """A standby, or an owner that has gone, is not told anything; and who owns goes on."""
    await make_topics(kafka, Stream.COMMANDS)
    first, second, _ = names_by_score()
    owner, standby = member_of(kafka, instance=second), member_of(kafka, instance=first)
    await own(owner)
    await standby.join()
    view = await group_at_rest(kafka, 2)
    assert view.placement is not None
    (other,) = set(view.placement.candidates) - {view.placement.owner}
    heard = [asyncio.create_task(one.wait_hand_over_asked()) for one in (owner, standby)]
    for member_id in (other.member_id, "a member that has left"):
        await ask_to_hand_over(kafka, Timing(), ACCOUNT, member_id)
    view = await group_at_rest(kafka, 2)
    assert view.placement is not None
    assert (second, [False, False]) == (view.placement.owner.instance, [one.done() for one in heard])
    await owner.commit(0, "still mine", 5)
    for one in heard:
        one.cancel()


@pytest.mark.parametrize("leads", ["earlier", "this"])
async def test_versions_mix_in_one_group(
    kafka: Kafka, make_topics: MakeTopics, member_of: Members, monkeypatch: pytest.MonkeyPatch, leads: str
) -> None:
    """Whichever version leads, a live owner of either keeps the account, and it moves when the owner leaves."""
    await make_topics(kafka, Stream.COMMANDS)
    earlier, this = member_of(kafka), member_of(kafka, instance="x")

    async def join_earlier() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(membership, "StickyOwnerAssignor", AssignorOfEarlierVersion)
            await earlier.join()

    if leads == "earlier":
        await join_earlier()
        owner, standby = earlier, this
        owner.set_epoch(4)
        await this.join()
    else:
        await own(this, 4)
        owner, standby = this, earlier
        await join_earlier()
    view = await group_at_rest(kafka, 2)
    assert (True, False) == (owner.owned, standby.owned)
    assert len(view.unnamed) == 1
    await owner.leave()
    await asyncio.wait_for(standby.wait_owned(), 10)


async def test_a_group_without_members_has_no_owner(kafka: Kafka, make_topics: MakeTopics) -> None:
    """Before anybody has joined there is nothing to hand over."""
    await make_topics(kafka, Stream.COMMANDS)
    assert {ACCOUNT: GroupView(None)} == await read_groups(kafka, [ACCOUNT])


async def test_without_a_broker_nothing_is_asked(settings_for: Callable[..., Kafka]) -> None:
    """It says so at once where none answers."""
    with pytest.raises(ClusterUnreachable, match=r"127\.0\.0\.1:1"):
        await ask_to_hand_over(settings_for("127.0.0.1:1"), Timing(), ACCOUNT, "x")
