"""Ownership on a real broker: which member is assigned the partition, keeps it, loses it, and learns of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream
from bridge.core.records import Committed
from bridge.errors import ClusterUnreachable, KafkaTrouble, TermEnded, TopicsUnfit
from bridge.kafka.membership import Membership

Members = Callable[..., Membership]
MakeTopics = Callable[..., Awaitable[None]]
Until = Callable[..., Awaitable[None]]


async def test_first_member_owns(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> None:
    """The only member owns the partition, and a group that never committed has no offset."""
    await make_topics(kafka, Stream.COMMANDS)
    events: list[str] = []
    member = member_of(kafka, events=events)
    await member.join()
    await member.wait_owned()
    assert ["assigned"] == events
    assert member.owned
    assert Committed(None, "") == await member.committed()
    assert (0, 0) == (await member.begin_offset(), await member.end_offset())


async def test_commit_is_read_back(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> None:
    """What was committed last is what the next owner reads, metadata and all."""
    await make_topics(kafka, Stream.COMMANDS)
    first, second = member_of(kafka), member_of(kafka)
    await first.join()
    await first.commit(0, "epoch 1", 5)
    await first.commit(0, "é" * 2048, 5)
    await first.leave()
    await second.join()
    await second.wait_owned()
    assert Committed(0, "é" * 2048) == await second.committed()


async def test_owner_stays_when_standbys_come_and_go(
    kafka: Kafka, make_topics: MakeTopics, member_of: Members, until: Until
) -> None:
    """Three members: the owner of the epoch keeps the partition through every join and leave of the others."""
    await make_topics(kafka, Stream.COMMANDS)
    events: list[str] = []
    owner, *standbys = (member_of(kafka, events=events), *(member_of(kafka) for _ in range(2)))
    await owner.join()
    owner.set_epoch(1)
    for count, standby in enumerate(standbys, start=1):
        await asyncio.gather(standby.join(), until(lambda count=count: events.count("assigned") == 1 + count))
        assert (True, False) == (owner.owned, standby.owned)
    await standbys[0].leave()
    await until(lambda: events.count("assigned") == 4)
    assert ["assigned", *["revoked", "assigned"] * 3] == events
    await owner.commit(0, "still mine", 5)
    assert not standbys[1].owned


async def test_leave_hands_over_at_once(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> None:
    """A standby owns the account within a heartbeat or two of the owner's leaving, long before a session ends."""
    slow = Timing(session_timeout_s=6, heartbeat_s=0.1, rebalance_timeout_s=6)
    await make_topics(kafka, Stream.COMMANDS)
    owner, standby = member_of(kafka, times=slow), member_of(kafka, times=slow)
    await owner.join()
    owner.set_epoch(1)
    await standby.join()
    begun = time.monotonic()
    _, _ = await asyncio.gather(owner.leave(), standby.wait_owned())
    assert time.monotonic() - begun < 2
    assert (False, True) == (owner.owned, standby.owned)
    with pytest.raises(TermEnded):
        await owner.poll(0)


async def test_an_owner_that_loses_the_partition_learns_of_it(
    kafka: Kafka, make_topics: MakeTopics, member_of: Members
) -> None:
    """An owner whose partition goes to a higher epoch gets TermEnded, and cannot commit."""
    await make_topics(kafka, Stream.COMMANDS)
    events: list[str] = []
    owner, other = member_of(kafka, events=events), member_of(kafka)
    await owner.join()
    owner.set_epoch(1)
    other._owned_epoch = lambda: 2  # type: ignore[method-assign] # as a member of a later term would say
    joining = asyncio.create_task(other.join())
    with pytest.raises(TermEnded, match="given to another member"):
        await _poll_for_ever(owner)
    await joining
    assert ["assigned", "revoked"] == events
    await other.wait_owned()
    assert not owner.owned
    with pytest.raises(TermEnded):
        await owner.commit(0, "stale", 5)


async def _poll_for_ever(member: Membership) -> None:
    while True:
        await member.poll(1)


async def test_evicted_owner_does_not_go_on(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> None:
    """An owner that was put out and let back in must take over anew, even when there is no other member."""
    await make_topics(kafka, Stream.COMMANDS)
    events: list[str] = []
    owner = member_of(kafka, events=events)
    await owner.join()
    owner.set_epoch(1)
    assert owner._member is not None
    owner._member.consumer._coordinator.reset_generation()  # as after a heartbeat of an unknown member
    with pytest.raises(TermEnded, match="another member may have owned"):
        await _poll_for_ever(owner)
    assert ["assigned", "revoked"] == events
    await owner.leave()
    await owner.join()
    await owner.wait_owned()
    assert owner.owned


async def test_frozen_owner_is_replaced(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> None:
    """When the owner's heartbeats stop, the standby owns the account after the session timeout."""
    await make_topics(kafka, Stream.COMMANDS)
    owner, standby = member_of(kafka), member_of(kafka)
    await owner.join()
    owner.set_epoch(1)
    await standby.join()
    await owner.poll(0.3)
    assert owner._member is not None
    owner._member.consumer._coordinator._heartbeat_task.cancel()
    async with asyncio.timeout(30):
        await standby.wait_owned()
    with pytest.raises(TermEnded):
        await owner.commit(0, "zombie", 5)
    assert Committed(None, "") == await standby.committed()


async def test_several_partitions_are_refused(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> None:
    """A commands topic with two partitions cannot be joined."""
    await make_topics(kafka, Stream.COMMANDS, partitions=2)
    with pytest.raises(TopicsUnfit, match="exactly one"):
        await member_of(kafka).join()


async def test_missing_topic_is_refused(kafka: Kafka, member_of: Members) -> None:
    """Without its commands topic an account cannot be joined."""
    with pytest.raises(TopicsUnfit, match="does not exist"):
        await member_of(kafka).join()


async def test_no_broker(settings_for: Callable[..., Kafka], member_of: Members) -> None:
    """Joining without a broker says at once where none answers; leaving does no harm."""
    member = member_of(settings_for("127.0.0.1:1"))
    with pytest.raises(ClusterUnreachable, match=r"127\.0\.0\.1:1"):
        await member.join()
    await member.leave()
    with pytest.raises(KafkaTrouble):
        await member.committed()
