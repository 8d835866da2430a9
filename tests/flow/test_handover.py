"""Handing an account over: the owner ends in good order, as at a stop, and is a standby afterwards."""

from collections.abc import Callable

from bridge.core.commands.claims import decode
from bridge.flow.supervisor import AccountPhase
from tests.support.one_account import place
from tests.support.outside import Outside
from tests.witness.waiting import until


async def test_an_owner_that_is_asked_ends_in_good_order_and_stands_by() -> None:
    """Everything is answered and committed, the group is left, and the account joins again and is ready."""
    outside = Outside()
    async with outside.running():
        outside.group.write(place("p1"))
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"])
        outside.group.given.clear()
        outside.group.hand_over_asked.set()
        await until(lambda: outside.group.left == 1)
        stored = decode(outside.group.committed.metadata, outside.group.committed.offset or 0)
        assert stored is not None
        assert (1, True, ()) == (outside.group.committed.offset, stored.released, stored.claimed)
        await until(lambda: outside.flow.ready)
        assert outside.flow.phase is AccountPhase.STANDBY
        assert len(outside.members) == 2
    assert ["owner.released"] == [event["type"] for event in outside.topics.session_events("owner.released")]
    (lost,) = outside.topics.session_events("session.lost")
    assert ("stopped", "the account is handed over") == (lost["cause"], lost["detail"])


async def test_it_may_own_again() -> None:
    """Where nobody else is there, the one that handed over takes over again, and trades with the next epoch."""
    outside = Outside()
    async with outside.running():
        outside.group.hand_over_asked.set()
        await until(lambda: outside.group.left == 1)
        outside.group.hand_over_asked.clear()
        await until(lambda: outside.trading)
        outside.group.write(place("p1"))
        await until(lambda: outside.topics.outcomes("p1") == ["accepted"])
    assert [1, 2] == [event["epoch"] for event in outside.topics.session_events("owner.acquired")]


def once(holds: Callable[[str], bool]) -> Callable[[str], bool]:
    """Return what holds for the first commit of a kind, and for no other."""
    seen: list[str] = []

    def holds_once(metadata: str) -> bool:
        seen.extend([metadata] if holds(metadata) else [])
        return seen == [metadata]

    return holds_once


def is_last(metadata: str) -> bool:
    """Whether a commit is the last one of a term that ends in good order."""
    return (stored := decode(metadata, 0)) is not None and stored.released


async def test_a_rebalance_does_not_cost_the_last_commit() -> None:
    """One that cuts it off, as the one who asked leaves the group, is waited for, and the commit is made again."""
    outside = Outside()
    outside.group.cuts_off = once(is_last)
    async with outside.running():
        outside.group.given.clear()
        outside.group.hand_over_asked.set()
        await until(lambda: outside.group.left == 1)
        assert is_last(outside.group.committed.metadata)
        await until(lambda: outside.flow.phase is AccountPhase.STANDBY)


async def test_a_rebalance_that_does_not_end_costs_the_last_commit_and_no_more() -> None:
    """The end of a term has its bounds: then the account is left without it, and joined again."""
    outside = Outside()
    outside.group.cuts_off, outside.group.rebalance_s = is_last, 60
    async with outside.running():
        outside.group.given.clear()
        outside.group.hand_over_asked.set()
        await until(lambda: outside.group.left == 1)
        assert not is_last(outside.group.committed.metadata)
        await until(lambda: outside.flow.phase is AccountPhase.STANDBY)


async def test_a_rebalance_in_a_takeover_does_not_begin_it_anew() -> None:
    """Where the partition stays, the commit of the epoch is made again."""
    outside = Outside()
    outside.group.cuts_off = once(lambda _: True)
    async with outside.running():
        assert [outside.member] == outside.members
    assert [1] == [event["epoch"] for event in outside.topics.session_events("owner.acquired")]


async def test_a_takeover_that_loses_the_partition_begins_anew() -> None:
    """A member that loses it in that rebalance owns nothing; the next term is another."""
    outside = Outside()
    outside.group.cuts_off, outside.group.rebalance_s = once(lambda _: True), 60
    async with outside.running(ready=False):
        await until(lambda: outside.members and outside.member.polls > 2)
        outside.group.give_away()
        await until(lambda: outside.group.left == 1)
        assert [] == outside.topics.session_events("owner.acquired")
        outside.group.trouble = None
        await until(lambda: outside.trading)
    assert [1] == [event["epoch"] for event in outside.topics.session_events("owner.acquired")]
