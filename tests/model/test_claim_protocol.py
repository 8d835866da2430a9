"""The claim protocol keeps its promises in every state that can be reached, and no mistake in it goes unnoticed."""

from pathlib import Path

import pytest

from .search import Search, report_of
from .trials import (
    CANCELLED_PLACE,
    MADE_AGAIN,
    OFFSETS_COPIED,
    OFFSETS_MOVED,
    OFFSETS_RESET,
    ONE_PLACE,
    PUT_OFF,
    PUT_OFF_FOR_MEMORY,
    REPLACE_PUT_OFF,
    REQUOTE,
    SOUND,
    TWO_PLACES,
    TWO_REPLACES,
    Mistake,
    Trial,
)

WATERMARK = "the watermark passed a command without a result"
TWICE_DENIED = "two terminal results: denied and denied"
OUT_OF_ORDER = "a cancel's result came before that of the place it removed"
TOO_EARLY = "a cancel_orders was sent after the place that should have survived it"
PLANTED = [
    (Mistake.RESEND, ONE_PLACE, "sent twice"),
    (Mistake.UNCERTAIN_CONTINUE, ONE_PLACE, "denied but sent"),
    (Mistake.NO_LEASE, CANCELLED_PLACE, "not_found but sent"),
    (Mistake.LEASE_FROM_ACK, CANCELLED_PLACE, "not_found but sent"),
    (Mistake.NO_EPOCH, TWO_PLACES, TWICE_DENIED),
    (Mistake.STALE_COMMIT, TWO_PLACES, WATERMARK),
    (Mistake.EMPTY_METADATA, TWO_PLACES, "denied but sent"),
    (Mistake.EARLY_READ, TWO_PLACES, TWICE_DENIED),
    (Mistake.OFFSET_EPOCH, TWO_PLACES, WATERMARK),
    (Mistake.GOES_ON_AFTER_LOSS, TWO_PLACES, WATERMARK),
    (Mistake.FENCES_AFTER_LOSS, ONE_PLACE._replace(takeovers=3), TWICE_DENIED),
    (Mistake.OLD_CLAIM, CANCELLED_PLACE, "denied but sent"),
    (Mistake.UNACKNOWLEDGED_CLAIM, CANCELLED_PLACE, "denied but sent"),
    (Mistake.EARLY_WATERMARK, TWO_PLACES, WATERMARK),
    (Mistake.CANCEL_FIRST, CANCELLED_PLACE, OUT_OF_ORDER),
    (Mistake.UNORDERED, CANCELLED_PLACE, OUT_OF_ORDER),
    (Mistake.SENDS_BELOW, REQUOTE, "a place was sent after the cancel_orders that should have ended it"),
    (Mistake.SUPERSEDES_ABOVE, REQUOTE, "superseded by nothing that came after it"),
    (Mistake.REQUOTE_FIRST, REQUOTE, TOO_EARLY),
    (Mistake.CLAIMS_ABOVE_REFUSAL, REQUOTE, TOO_EARLY),
    (Mistake.CLAIMS_ABOVE_REFUSAL, TWO_REPLACES, "the replaces of an order were sent out of turn"),
    (Mistake.DOUBTFUL_AS_EMPTY, OFFSETS_RESET, "denied but sent"),
    (Mistake.DOUBTFUL_FORGOTTEN, OFFSETS_RESET, "denied but sent"),
    (Mistake.EPOCH_FROM_RESULTS, OFFSETS_RESET, TWICE_DENIED),
    (Mistake.TRUSTS_OFFSET, OFFSETS_MOVED, WATERMARK),
    (Mistake.TRUSTS_COPY, OFFSETS_COPIED, WATERMARK),
    (Mistake.DEFERRED_PASSED, PUT_OFF, WATERMARK),
    (Mistake.DEFERRED_FORGOTTEN, REPLACE_PUT_OFF, "the replaces of an order were sent out of turn"),
    (Mistake.CLAIMS_ABOVE_PUT_OFF, PUT_OFF_FOR_MEMORY, "the replaces of an order were sent out of turn"),
    (Mistake.CLAIMED_DEFERRED, PUT_OFF, "denied but sent"),
    (Mistake.TRUSTS_OLD_TOPIC, MADE_AGAIN, WATERMARK),
    (Mistake.ANSWERED_BY_OFFSET, MADE_AGAIN, WATERMARK),
]


@pytest.mark.parametrize("trial", SOUND.values(), ids=SOUND.keys())
def test_the_protocol_is_sound(trial: Trial, shared_searches: Path) -> None:
    """Every state was looked at, none breaks a promise, and from each all commands can still be answered."""
    report = report_of(trial, shared_searches)
    assert not report.broken, str(report)
    assert report.complete
    assert report.settled > 0
    assert 0 == report.stuck


@pytest.mark.parametrize(("mistake", "trial", "broken"), PLANTED, ids=lambda one: getattr(one, "name", ""))
def test_a_planted_mistake_is_found(mistake: Mistake, trial: Trial, broken: str) -> None:
    """A protocol with one mistake in it breaks the promise that is to be expected."""
    report = report_of(trial._replace(mistake=mistake))
    assert broken == report.broken, str(report)


def test_every_mistake_is_planted() -> None:
    """No mistake is described and never tried."""
    assert set(Mistake) == {mistake for mistake, _, _ in PLANTED}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("two places", "owner 1: it commits 0, claims [0, 1]"),
        ("two places", "owner 2: its commit is acknowledged, too late"),
        ("two places", "the gate refuses 1"),
        ("two places", "a rebalance leaves the partition where it is"),
        ("two places", "a rebalance leaves the partition where it is, the epoch is committed again"),
        ("two places", "predecessor 1: 0 not_found is durable"),
        ("two places", "predecessor 2: it reads answers and commands, and denies [0, 1]"),
        ("two places", "owner 3: 1 turns out accepted"),
        ("a place and its cancel", "predecessor 1: 0 superseded is durable"),
        ("a place and its cancel", "owner 3: the cancel 1 is written"),
        ("place, cancel_orders, place", "owner 2: 0 superseded is durable"),
        ("place, cancel_orders, place", "owner 2: 2 is written"),
        ("two places, the first put off", "owner 2: it answers 0, which was put off"),
        ("two places, the first put off", "owner 1: 1 is written"),
        ("place, cancel_orders, place, the first put off", "owner 1: 1 is written"),
        ("two replaces of an order, any put off for memory", "owner 1: it puts 0 off for memory"),
        ("two replaces of an order, any put off for memory", "owner 2: 1 is written"),
        ("two places, the topic made again", "the topic is made again and holds 2 commands, a standby takes over"),
        ("two places, the topic made again", "owner 1001: 1 turns out not_found"),
        (
            "two places, offsets reset",
            "the coordinator stores 1, CommitMetadata(epoch=1003, durable_until_ms=0, claimed=()",
        ),
    ],
)
def test_rare_steps_are_met(name: str, words: str, shared_searches: Path) -> None:
    """The search comes to where it hurts: late answers, refused writes, buffers flushed after the loss."""
    assert any(words in met for met in report_of(SOUND[name], shared_searches).words)


def test_a_predecessor_that_is_left_out_changes_nothing() -> None:
    """With predecessors kept to the end, the coordinator, the reader and the venue come to see the very same."""
    seen = []
    for keep_spent in (False, True):
        search = Search(CANCELLED_PLACE._replace(takeovers=2, keep_spent=keep_spent))
        assert not search.run().broken
        seen.append({(world.topic, world.saved, world.top, world.answers, world.venue) for world in search.worlds})
    assert seen[0] == seen[1]


def test_a_model_that_can_do_nothing_is_noticed() -> None:
    """Without any takeover nothing is ever answered: the first state is stuck."""
    report = report_of(TWO_PLACES._replace(takeovers=0))
    assert (report.complete, report.settled, report.stuck) == (True, 0, 1)
