"""The claim's fence: a commit belongs to one generation, or it is refused."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors

from bridge.config import Kafka
from bridge.contract.topics import Stream
from bridge.core.records import Committed
from bridge.errors import CommitInterrupted, KafkaTrouble, TermEnded
from bridge.kafka import aiokafka_internals
from bridge.kafka.membership import Membership

Members = Callable[..., Membership]
MakeTopics = Callable[..., Awaitable[None]]
Until = Callable[..., Awaitable[None]]


async def owner_of(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> Membership:
    """Return the owner of a new account, with epoch 1."""
    await make_topics(kafka, Stream.COMMANDS)
    member = member_of(kafka)
    await member.join()
    await member.wait_owned()
    member.set_epoch(1)
    await member.commit(0, "first", 5)
    return member


async def raw_commit(member: Membership, generation: aiokafka_internals.Generation, metadata: str) -> None:
    """Commit as the given generation, whatever the member knows by now."""
    assert member._member is not None
    await aiokafka_internals.commit_in_generation(member._member.consumer, generation, member._partition, 0, metadata)


async def test_old_generation_is_refused(
    kafka: Kafka, make_topics: MakeTopics, member_of: Members, until: Until
) -> None:
    """A commit of the generation before is refused by the coordinator, and what is stored does not change."""
    owner = await owner_of(kafka, make_topics, member_of)
    assert owner._member is not None
    before = owner._member.generation
    await asyncio.gather(member_of(kafka).join(), until(lambda: owner.generation > before.number))
    await until(lambda: owner.owned)
    with pytest.raises(kafka_errors.IllegalGenerationError):
        await raw_commit(owner, before, "of an old generation")
    with pytest.raises(kafka_errors.UnknownMemberIdError):
        await raw_commit(owner, aiokafka_internals.Generation("unknown", owner.generation), "of a stranger")
    assert Committed(0, "first") == await owner.committed()


async def test_a_member_that_lost_the_partition_cannot_overwrite(
    kafka: Kafka, make_topics: MakeTopics, member_of: Members, until: Until
) -> None:
    """A live member that lost the partition is stopped before the broker, which would have let it overwrite."""
    owner = await owner_of(kafka, make_topics, member_of)
    other = member_of(kafka)
    other._owned_epoch = lambda: 2  # type: ignore[method-assign] # as a member of a later term would say
    await other.join()
    await other.wait_owned()
    await other.commit(0, "claims of the new owner", 5)
    await until(lambda: owner.generation == other.generation)
    with pytest.raises(TermEnded):
        await owner.commit(0, "stale", 5)
    assert Committed(0, "claims of the new owner") == await other.committed()


async def rejoin_during_a_commit(owner: Membership, until: Until) -> None:
    """Let a member join its group again while its commit waits for the coordinator; the commit is interrupted."""
    lost = asyncio.Event()
    member = owner._member
    assert member is not None
    coordinator = member.consumer._coordinator

    async def never_known() -> None:
        await lost.wait()

    known, coordinator.ensure_coordinator_known = coordinator.ensure_coordinator_known, never_known
    commit = asyncio.create_task(owner.commit(0, "interrupted", 10))
    await until(lambda: member.committer._attempt is not None)
    coordinator.ensure_coordinator_known = known
    coordinator.request_rejoin()
    with pytest.raises(CommitInterrupted):
        await commit
    await until(lambda: owner.owned)


async def test_revoke_ends_the_commit_in_flight(
    kafka: Kafka, make_topics: MakeTopics, member_of: Members, until: Until
) -> None:
    """A commit that waits for its coordinator ends before the member joins again, and can be made anew after."""
    owner = await owner_of(kafka, make_topics, member_of)
    generation = owner.generation
    await rejoin_during_a_commit(owner, until)
    assert owner.generation == generation + 1
    assert Committed(0, "first") == await owner.committed()
    await owner.commit(0, "again", 5)
    assert Committed(0, "again") == await owner.committed()


async def test_a_rejoin_may_leave_the_generation_as_it_is(
    kafka: Kafka, make_topics: MakeTopics, member_of: Members, until: Until
) -> None:
    """A follower that joins again with nothing new is in the same generation, which fences no commit cut off before."""
    await make_topics(kafka, Stream.COMMANDS)
    leader, owner = member_of(kafka), member_of(kafka)
    await leader.join()
    owner._owned_epoch = lambda: 2  # type: ignore[method-assign] # as it has announced since an earlier rebalance
    await owner.join()
    await owner.wait_owned()
    owner.set_epoch(2)
    generation = owner.generation
    await rejoin_during_a_commit(owner, until)
    assert owner.generation == generation
    with pytest.raises(TermEnded, match="never answered"):
        await owner.commit(0, "again", 5)


async def test_no_commit_during_a_rebalance(
    kafka: Kafka, make_topics: MakeTopics, member_of: Members, until: Until
) -> None:
    """While a rebalance runs nothing is sent and the term goes on; a member that never owned has nothing to commit."""
    owner, standby = await owner_of(kafka, make_topics, member_of), member_of(kafka)
    seen: list[type[Exception]] = []

    def commit_now() -> None:
        attempt = owner.commit(0, "in between", 5)
        try:
            attempt.send(None)  # runs up to its first wait, or to its refusal
        except KafkaTrouble as error:
            seen.append(type(error))

    owner._on_revoked = commit_now
    await asyncio.gather(standby.join(), until(lambda: bool(seen) and owner.owned))
    assert [CommitInterrupted] == seen
    await owner.commit(0, "after", 5)
    with pytest.raises(TermEnded):
        await standby.commit(0, "never owned", 5)


async def test_unanswered_commit_ends_the_term(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> None:
    """After a commit without an answer nothing is committed any more until the member has joined anew."""
    owner = await owner_of(kafka, make_topics, member_of)
    with pytest.raises(TermEnded, match="not acknowledged"):
        await owner.commit(0, "too late", 0)
    with pytest.raises(TermEnded, match="never answered"):
        await owner.commit(0, "next", 5)
    await owner.leave()
    await owner.join()
    await owner.wait_owned()
    await owner.commit(0, "anew", 5)
    assert Committed(0, "anew") == await owner.committed()


async def test_cancelled_commit_counts_as_unanswered(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> None:
    """A caller that is cancelled while it commits leaves a commit behind that may still arrive."""
    owner = await owner_of(kafka, make_topics, member_of)
    commit = asyncio.create_task(owner.commit(0, "cancelled", 5))
    await asyncio.sleep(0)
    commit.cancel()
    await asyncio.wait({commit})
    with pytest.raises(TermEnded):
        await owner.commit(0, "next", 5)


async def test_one_commit_at_a_time(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> None:
    """A second commit while one is in flight is a mistake of the caller, and raises RuntimeError."""
    owner = await owner_of(kafka, make_topics, member_of)
    first = asyncio.create_task(owner.commit(0, "one", 5))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        await owner.commit(0, "two", 5)
    await first


async def test_metadata_that_does_not_fit(kafka: Kafka, make_topics: MakeTopics, member_of: Members) -> None:
    """Metadata that the broker has no room for is refused with the setting's name; the term goes on."""
    owner = await owner_of(kafka, make_topics, member_of)
    with pytest.raises(KafkaTrouble, match=r"offset\.metadata\.max\.bytes"):
        await owner.commit(0, "x" * 4097, 5)
    await owner.commit(0, "x" * 4096, 5)
    assert TopicPartition(owner._partition.topic, 0) == owner._partition
