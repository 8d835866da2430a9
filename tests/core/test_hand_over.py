"""What `session` tells of a change of owner: the gap, what is missing, and which accounts are changing hands."""

import pytest

from bridge.contract.session import (
    Cause,
    OwnerAcquired,
    OwnerReleased,
    Recovered,
    RecoveryComplete,
    SessionEvent,
    SessionLost,
    SessionOpened,
)
from bridge.core.hand_over import ON_ITS_WAY_MS, HandOver, OwnerChanges

LOST = SessionLost(at=1, endpoint="here", cause=Cause.STOPPED, detail="the account is handed over")
RELEASED = OwnerReleased(at=1, epoch=1, instance="a")
ACQUIRED = OwnerAcquired(at=1, epoch=2, instance="b")
OPENED = SessionOpened(at=1, endpoint="here")
COMPLETE = RecoveryComplete(at=1, endpoint="here", open_orders=0, recovered=Recovered(), took_ms=1)


def told(*events: SessionEvent) -> HandOver:
    """Return a hand-over whose events arrived a second apart, the first a second after the owner was told."""
    hand_over = HandOver(10.0)
    for second, event in enumerate(events, start=11):
        hand_over.note_event(event, second)
    return hand_over


def test_the_gap_is_told() -> None:
    """From the lost session to the next, and from the question to the complete recovery."""
    assert (
        "no session 3.00 s, commands waited 5.00 s at most"
        == told(LOST, RELEASED, ACQUIRED, OPENED, COMPLETE).describe()
    )


def test_an_account_without_a_session_has_no_gap_to_tell() -> None:
    """One that had none before lost none."""
    assert "commands waited 4.00 s at most" == told(RELEASED, ACQUIRED, OPENED, COMPLETE).describe()
    assert "commands waited 0.00 s at most" == told().describe()


@pytest.mark.parametrize(
    ("events", "lack"),
    [
        ((), "its owner has not handed it over"),
        ((LOST, RELEASED), "its owner has not handed it over"),
        ((LOST, RELEASED, ACQUIRED), "its new owner b has no session yet"),
        ((LOST, RELEASED, ACQUIRED, OPENED), "its new owner b has not compared everything"),
        ((LOST, RELEASED, ACQUIRED, OPENED, ACQUIRED), "its new owner b has no session yet"),
    ],
)
def test_what_is_missing_is_told(events: tuple[SessionEvent, ...], lack: str) -> None:
    """It names the replica that a person should look at."""
    assert told(*events).describe_lack().startswith(lack)


def test_what_the_owner_does_before_it_has_heard_is_not_the_end() -> None:
    """A login and a recovery of the owner before belong to no hand-over."""
    hand_over = told(OPENED, COMPLETE)
    assert (None, None, False) == (hand_over.opened_s, hand_over.complete_s, hand_over.has_begun)
    hand_over = told(ACQUIRED, LOST)
    assert (None, True) == (hand_over.lost_s, hand_over.has_begun)


def test_an_account_changes_hands_until_its_owner_carries_out_everything() -> None:
    """From the release on, for a minute at most: then it has another trouble."""
    changes = OwnerChanges()
    changes.note_event("second", ACQUIRED, 500)
    changes.note_event("main", RELEASED, 1000)
    changes.note_event("main", OPENED, 1000)
    assert {"main", "second"} == changes.find_changing(1000)
    changes.note_event("second", COMPLETE, 1100)
    changes.note_event("third", COMPLETE, 1100)
    assert {"main"} == changes.find_changing(999 + ON_ITS_WAY_MS)
    assert set() == changes.find_changing(1000 + ON_ITS_WAY_MS)
