"""Rendezvous hashing spreads accounts evenly, and moves no more than it must."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.placement import Candidate, Placement, choose_candidate, find_move

NAMES = st.lists(st.text(min_size=1, max_size=20), min_size=2, max_size=6, unique=True)
ACCOUNTS = [f"ltp.account-{number}.commands" for number in range(1200)]


def candidates_of(names: list[str]) -> list[Candidate]:
    """Return a member for each name."""
    return [Candidate(f"member-{number}", name) for number, name in enumerate(names)]


def spread_over(names: list[str]) -> dict[str, str]:
    """Return the instance that each account goes to."""
    members = candidates_of(names)
    return {account: choose_candidate(account, members).instance for account in ACCOUNTS}


@settings(max_examples=30, deadline=None)
@given(NAMES)
def test_accounts_spread_evenly(names: list[str]) -> None:
    """Each instance gets within half of its even share, whatever the names."""
    counts = Counter(spread_over(names).values())
    share = len(ACCOUNTS) / len(names)
    assert all(share * 0.5 <= counts[name] <= share * 1.5 for name in names)


@settings(max_examples=30, deadline=None)
@given(NAMES, st.data())
def test_only_the_accounts_of_a_lost_instance_move(names: list[str], data: st.DataObject) -> None:
    """When an instance is gone, every account of another stays where it is, and its own go to all the others."""
    lost = data.draw(st.sampled_from(names))
    left = [name for name in names if name != lost]
    before, after = spread_over(names), spread_over(left)
    assert all(after[account] == instance for account, instance in before.items() if instance != lost)
    moved = Counter(after[account] for account, instance in before.items() if instance == lost)
    assert set(moved) == set(left)


@given(NAMES, st.data())
def test_the_order_of_the_members_does_not_matter(names: list[str], data: st.DataObject) -> None:
    """Every leader gets the same answer."""
    members = candidates_of(names)
    shuffled = data.draw(st.permutations(members))
    assert choose_candidate("main", members) == choose_candidate("main", shuffled)


def test_the_score_never_changes() -> None:
    """Leaders of different versions and machines must agree: these are fixed for good."""
    members = candidates_of(["a", "b", "c"])
    chosen = [choose_candidate(f"ltp.{number}.commands", members).instance for number in range(12)]
    assert "bcaacbbbbcca" == "".join(chosen)


def test_account_and_instance_are_kept_apart() -> None:
    """The same letters, divided otherwise, have another score."""
    firsts = {choose_candidate(f"x{n}", candidates_of([f"y{n}", "z"])).instance == "z" for n in range(20)}
    assert firsts == {True, False}


def test_of_equal_names_the_least_member_id_is_chosen() -> None:
    """Two processes of one name share its accounts by their member ids, which differ in every group."""
    members = [Candidate("b", "same"), Candidate("a", "same")]
    assert Candidate("a", "same") == choose_candidate("main", members)


def test_nobody_can_be_chosen_of_nobody() -> None:
    """A group without a candidate has no holder."""
    with pytest.raises(ValueError, match="empty"):
        choose_candidate("main", [])


def test_an_account_moves_only_to_another_name() -> None:
    """An owner of the right name stays, even if a twin has the smaller member id."""
    right, twin, other = Candidate("b", "x"), Candidate("a", "x"), Candidate("c", "y")
    account = next(name for name in ACCOUNTS if choose_candidate(name, [right, other]) == right)
    assert find_move(account, Placement((twin, right, other), owner=right)) is None
    assert twin == find_move(account, Placement((twin, right, other), owner=other))
