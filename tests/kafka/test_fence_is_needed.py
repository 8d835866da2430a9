"""Why commits are sent as they are: what the client library's own `commit()` does to a new owner on a real broker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiokafka import AIOKafkaConsumer, OffsetAndMetadata
from aiokafka.errors import CommitFailedError

from bridge.config import Kafka
from bridge.contract.topics import Stream
from bridge.core.records import Committed
from bridge.errors import TermEnded
from bridge.kafka.membership import Membership
from tests.support.proxy import OFFSET_COMMIT, KafkaProxy

Members = Callable[..., Membership]
MakeTopics = Callable[..., Awaitable[None]]
Until = Callable[..., Awaitable[None]]


@pytest.fixture
async def proxy(bootstrap: str) -> AsyncIterator[KafkaProxy]:
    """Return the first owner's way to the broker."""
    async with KafkaProxy(bootstrap) as running:
        yield running


@pytest.fixture
async def owner(kafka: Kafka, proxy: KafkaProxy, make_topics: MakeTopics, member_of: Members) -> Membership:
    """Return the owner of epoch 1, whose commits do not reach the broker from now on."""
    await make_topics(kafka, Stream.COMMANDS)
    member = member_of(kafka.model_copy(update={"bootstrap_servers": proxy.bootstrap}))
    await member.join()
    await member.wait_owned()
    member.set_epoch(1)
    await member.commit(0, "claims of epoch 1", 5)
    proxy.cut_at(lambda kind, _: kind == OFFSET_COMMIT)
    return member


async def displace(owner: Membership, kafka: Kafka, member_of: Members, until: Until) -> Membership:
    """Let a second member own the partition, and commit; the first is a live member of the same generation."""
    other = member_of(kafka)
    other._owned_epoch = lambda: 2  # type: ignore[method-assign] # as a member of a later term would say
    await other.join()
    await other.wait_owned()
    await until(lambda: owner.generation == other.generation)
    await other.commit(0, "claims of epoch 2", 5)
    return other


async def test_the_library_overwrites_the_new_owner(
    kafka: Kafka, owner: Membership, proxy: KafkaProxy, member_of: Members, until: Until
) -> None:
    """Aiokafka's own `commit()`, begun by the owner, goes on when another owns the partition; the broker takes it.

    So a claim must not be left to it. Should this fail one day, the library or the broker has learnt to refuse.
    """
    assert owner._member is not None
    library: AIOKafkaConsumer = owner._member.consumer
    claims = {owner._partition: OffsetAndMetadata(0, "stale claims of epoch 1")}
    commit = asyncio.create_task(library.commit(claims))
    await until(lambda: proxy.cut > 0)
    other = await displace(owner, kafka, member_of, until)
    cut = proxy.cut
    await until(lambda: proxy.cut > cut or commit.done())  # what comes after it was begun in the new generation
    proxy.cut_at(None)
    try:
        await asyncio.wait_for(commit, 10)
    except CommitFailedError:
        pytest.skip("yet another rebalance came in between and refused the request, which proves nothing")
    assert Committed(0, "stale claims of epoch 1") == await other.committed()


async def test_our_commit_is_not_tried_again(
    kafka: Kafka, owner: Membership, proxy: KafkaProxy, member_of: Members, until: Until
) -> None:
    """Our commit on the same way ends at the first cut, as one that may still arrive, and is not tried again."""
    with pytest.raises(TermEnded, match="may still arrive"):
        await owner.commit(0, "stale claims of epoch 1", 10)
    other = await displace(owner, kafka, member_of, until)
    proxy.cut_at(None)
    with pytest.raises(TermEnded):
        await owner.commit(0, "stale claims of epoch 1", 10)
    assert 1 == proxy.cut
    assert Committed(0, "claims of epoch 2") == await other.committed()


async def test_the_new_generation_refuses_a_commit_that_was_on_its_way(
    kafka: Kafka, owner: Membership, proxy: KafkaProxy, member_of: Members, until: Until
) -> None:
    """A commit that hangs in the network until its sender was put out, and then arrives, changes nothing."""
    proxy.cut_at(None)
    other = member_of(kafka)
    await other.join()
    await until(lambda: owner.owned)
    proxy.hold(lambda kind, _: kind == OFFSET_COMMIT)
    commit = asyncio.create_task(owner.commit(0, "late claims of epoch 1", 10))
    async with asyncio.timeout(30):
        await other.wait_owned()
    await other.commit(0, "claims of epoch 2", 5)
    proxy.release()
    with pytest.raises(TermEnded):
        await commit
    assert Committed(0, "claims of epoch 2") == await other.committed()
