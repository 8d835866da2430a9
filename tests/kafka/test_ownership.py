"""Whether a member owns its account: every state and event, and what counts as one ownership without a break."""

import itertools

import pytest

from bridge.errors import TermEnded
from bridge.kafka.aiokafka_internals import Generation
from bridge.kafka.ownership import TRANSITIONS, MembershipEvent, MembershipState, Ownership


def owner_in(number: int, member_id: str = "me") -> Ownership:
    """Return the ownership of a member that was assigned the partition in a generation."""
    ownership = Ownership()
    assert ownership.assign(Generation(member_id, number))
    return ownership


def test_every_state_and_event_has_a_next_state() -> None:
    """The table has no holes, and a membership that has ended stays so."""
    assert set(TRANSITIONS) == set(itertools.product(MembershipState, MembershipEvent))
    after_the_end = {TRANSITIONS[MembershipState.ENDED, event] for event in MembershipEvent}
    assert after_the_end == {MembershipState.ENDED}


def test_only_an_assignment_makes_an_owner() -> None:
    """No other event leads to OWNER, and only an owner gets into REBALANCING."""
    to_owner = {event for (_, event), state in TRANSITIONS.items() if state is MembershipState.OWNER}
    assert to_owner == {MembershipEvent.ASSIGNED}
    before = {old for (old, _), new in TRANSITIONS.items() if new is MembershipState.REBALANCING}
    assert before == {MembershipState.OWNER, MembershipState.REBALANCING}


def test_a_standby_that_is_passed_over_stays_a_standby() -> None:
    """Whatever rebalances come; it is no owner, and nothing was revoked from it."""
    ownership = Ownership()
    for _ in range(2):
        assert not ownership.revoke()
        ownership.give_to_other()
        assert (ownership.state, ownership.owned_generation) == (MembershipState.STANDBY, None)
    assert ownership.assign(Generation("me", 3))
    assert (ownership.state, ownership.owned_generation) == (MembershipState.OWNER, Generation("me", 3))


def test_an_owner_whose_partition_goes_to_another_is_at_its_end() -> None:
    """During the rebalance it is not known; afterwards nothing may be done any more."""
    ownership = owner_in(1)
    assert ownership.revoke()
    assert (ownership.state, ownership.owned_generation) == (MembershipState.REBALANCING, None)
    ownership.give_to_other()
    assert ownership.state is MembershipState.ENDED
    assert "given to another member" in str(ownership.end_reason)


@pytest.mark.parametrize(
    ("epoch", "now", "is_kept"),
    [
        (0, Generation("me", 2), True),
        (0, Generation("me", 3), False),
        (5, Generation("me", 3), True),
        (0, Generation("me again", 2), False),
        (5, Generation("me again", 2), False),
    ],
    ids=["next", "one missed", "one missed, epoch announced", "put out", "put out with an epoch"],
)
def test_ownership_goes_on_where_no_other_can_have_had_it(*, epoch: int, now: Generation, is_kept: bool) -> None:
    """In the next generation, or in any to which this member announced its epoch under the same id."""
    ownership = owner_in(1)
    ownership.set_epoch(epoch, "me")
    ownership.revoke()
    assert ownership.assign(now) is is_kept
    assert ownership.state is (MembershipState.OWNER if is_kept else MembershipState.ENDED)
    assert (ownership.end_reason is None) is is_kept


def test_an_epoch_is_announced_under_its_own_member_id_only() -> None:
    """Not by a member that was put out since, nor by one without an id, nor after the end."""
    ownership = owner_in(1)
    ownership.set_epoch(5, "me")
    assert [ownership.epoch_to_announce(one) for one in ("me", "other", "")] == [5, 0, 0]
    ownership.end(TermEnded("over"))
    assert ownership.epoch_to_announce("me") == 0
