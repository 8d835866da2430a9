"""Where a takeover begins, and whose the account is."""

from math import inf

import pytest

from bridge.contract import headers as names
from bridge.core.clocks import UNMEASURED_MS
from bridge.core.commands.claims import CommitMetadata, Origin, TermStart, encode, key_fingerprint
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.now import Now
from bridge.core.records import CommandRecord
from bridge.core.replay import ReplayedResults, TopicEnd
from bridge.core.stream.sweep import ARCHIVE_REACH_MS
from bridge.core.takeover_plan import (
    EarlierCommands,
    ReplaySpans,
    TakeoverStart,
    TopicHistory,
    begin_without_claims,
    bound_commit,
    describe_other_environment,
    describe_other_portfolio,
    describe_takeover,
    key_has_changed,
    plan_replay,
    plan_term,
    read_commit,
)
from tests.support.outside import Tail

NOW_MS = 1_795_000_000_000
HOUR_MS = 3_600_000
OURS = Origin("production", "aa", "topic")


def begin(remains: TopicHistory, *, was_owned: bool = False) -> TakeoverStart:
    """Begin without claims on a log from 5 to 9."""
    return begin_without_claims(remains, "why", was_owned=was_owned, begin=5, end=9, now_ms=NOW_MS, horizon_ms=HOUR_MS)


def test_a_commit_about_this_log_counts() -> None:
    """Offset, topic and text fit; a topic's id that one side does not know contradicts nothing."""
    stored = CommitMetadata(3, 7, (5,), origin=OURS)
    assert TakeoverStart(4, stored) == read_commit(4, encode(stored, 4), "topic")
    assert TakeoverStart(4, stored) == read_commit(4, encode(stored, 4), "")
    old = CommitMetadata(3, 7, (5,))
    assert TakeoverStart(4, old) == read_commit(4, encode(old, 4), "topic")


@pytest.mark.parametrize(
    ("offset", "metadata", "topic_id", "why"),
    [
        (None, "", "topic", "no offset any more"),
        (4, "", "topic", "set by a tool"),
        (3, encode(CommitMetadata(3, 7, (5,), origin=OURS), 4), "topic", "a mirror"),
        (4, encode(CommitMetadata(3, 7, (5,), origin=OURS), 4), "another", "made again"),
    ],
)
def test_a_commit_about_another_log_does_not_count(offset: int | None, metadata: str, topic_id: str, why: str) -> None:
    """Missing, foreign, copied to another offset, or about a topic that was made again: the reason is returned."""
    found = read_commit(offset, metadata, topic_id)
    assert isinstance(found, str)
    assert why in found


def test_an_account_without_an_owner_before() -> None:
    """Where no topic ever held a record and the group never committed, nothing is in doubt; the epoch is the first."""
    found = begin(TopicHistory((), was_written=False))
    assert (found.offset, found.stored, found.why_in_doubt, found.is_first) == (5, CommitMetadata(0, 0, ()), "", True)
    assert "nobody has committed before: 0 commands" in describe_takeover(found, 0, 2)


def test_the_epoch_goes_on_from_the_highest_there_is() -> None:
    """That of any topic, or the clock's: terms that left no trace cannot have come so far."""
    ends = (TopicEnd(7, NOW_MS - 9), TopicEnd(NOW_MS, NOW_MS - 8), TopicEnd())
    assert begin(TopicHistory(ends, was_written=True)).stored.epoch == NOW_MS
    found = begin(TopicHistory(ends[:1], was_written=True))
    assert (found.stored.epoch, found.stored.claims_lost_below, found.why_in_doubt) == (NOW_MS // 1000, 9, "why")
    assert begin(TopicHistory((), was_written=False), was_owned=True).stored.epoch == NOW_MS // 1000


@pytest.mark.parametrize(
    ("remains", "durable_ms"),
    [
        (TopicHistory((TopicEnd(1, NOW_MS - 5),), was_written=True, last_login_ms=NOW_MS - 500), NOW_MS - 500),
        (TopicHistory((TopicEnd(1, NOW_MS - 5),), was_written=True, last_login_ms=NOW_MS + 500), NOW_MS),
        (TopicHistory((TopicEnd(1, NOW_MS - 5), TopicEnd()), was_written=True), NOW_MS - 5 - HOUR_MS),
        (TopicHistory((TopicEnd(1, NOW_MS + 5),), was_written=True), NOW_MS - HOUR_MS),
        (TopicHistory((TopicEnd(), TopicEnd()), was_written=True), NOW_MS - ARCHIVE_REACH_MS),
    ],
    ids=["a login", "a login to come", "a record", "a record to come", "nothing"],
)
def test_the_gap_begins_where_an_owner_surely_listened(remains: TopicHistory, durable_ms: int) -> None:
    """At the last login; else one horizon before the newest record; else as far back as the venue can be asked."""
    assert begin(remains).stored.durable_until_ms == durable_ms


def test_whose_the_account_is_stays_known_without_the_commit() -> None:
    """The last takeover on `results` counts where the commit is lost."""
    assert begin(TopicHistory((), was_written=True, owner=OURS)).stored.origin == OURS
    assert begin(TopicHistory((), was_written=True)).stored.origin == Origin()


def test_an_old_doubt_ends_with_the_log() -> None:
    """Below an offset that no command has yet, nothing can have been claimed."""
    assert CommitMetadata(1, 0, (), 9) == bound_commit(CommitMetadata(1, 0, (), 10**18), 9, NOW_MS, HOUR_MS)
    assert "an earlier owner's claims were lost: 3" in describe_takeover(
        TakeoverStart(0, CommitMetadata(1, 0, (), 9)), 3, 0
    )


def test_a_durable_time_in_the_future_is_of_a_clock_that_was_ahead() -> None:
    """Then it is not known since when something is missing, and it is set to one horizon ago."""
    times_ms = (NOW_MS + 10_800_000, NOW_MS + 1, NOW_MS)
    durable = [bound_commit(CommitMetadata(1, ms, ()), 0, NOW_MS, HOUR_MS).durable_until_ms for ms in times_ms]
    assert durable == [NOW_MS - HOUR_MS, NOW_MS - HOUR_MS, NOW_MS]


def test_another_environment_is_described() -> None:
    """Two environments under one prefix and name: each is named. What is not known contradicts nothing."""
    why = describe_other_environment(CommitMetadata(1, 0, (), origin=Origin("staging")), OURS)
    assert why is not None
    assert ("'staging'" in why, "'production'" in why, "topic_prefix" in why) == (True, True, True)
    assert describe_other_environment(CommitMetadata(1, 0, (), origin=OURS), OURS) is None
    assert describe_other_environment(CommitMetadata(1, 0, ()), OURS) is None
    assert describe_other_environment(CommitMetadata(1, 0, (), origin=OURS), Origin()) is None


def test_another_key_is_noticed() -> None:
    """By its fingerprint, which does not reveal the key."""
    assert key_has_changed(CommitMetadata(1, 0, (), origin=Origin("production", "bb")), OURS)
    assert not key_has_changed(CommitMetadata(1, 0, (), origin=OURS), OURS)
    assert not key_has_changed(CommitMetadata(1, 0, ()), OURS)
    assert not key_has_changed(CommitMetadata(1, 0, (), origin=OURS), Origin())
    assert len(key_fingerprint("a-long-and-random-key")) == 12
    assert key_fingerprint("one") != key_fingerprint("another")


def test_a_key_of_the_same_portfolio_is_the_same_accounts() -> None:
    """Keys are rotated; a key of another portfolio, or of an unknown one, is another account's."""
    stored = CommitMetadata(1, 0, (), origin=Origin("production", "bb"))
    assert describe_other_portfolio(stored, OURS, frozenset("12"), frozenset("2")) is None
    assert describe_other_portfolio(stored, OURS, frozenset(), frozenset("2")) is None
    for ours, words in ((frozenset("3"), "of portfolio 3"), (frozenset(), "no balance or position")):
        why = describe_other_portfolio(stored, OURS, frozenset("12"), ours)
        assert why is not None
        assert (words in why, "1, 2" in why, "key bb" in why) == (True, True, True)


def test_the_commit_of_an_owner_that_ended_in_good_order_has_what_is_unread() -> None:
    """It has the offset up to which the owner had read; after a crash it has none. Without an owner all is unread."""
    commits = (
        CommitMetadata(3, 0, (), read_to=9),
        CommitMetadata(3, 0, (), read_to=0),
        CommitMetadata(3, 0, ()),
        _NOTHING,
    )
    ended, idle, died, first = (TakeoverStart(0, stored) for stored in commits)
    assert [ended.is_unread(offset) for offset in (8, 9, 10)] == [False, True, True]
    assert idle.is_unread(0)
    assert [one.is_unread(10) for one in (died, first)] == [False, True]


_NOTHING = CommitMetadata(0, 0, ())


@pytest.mark.parametrize(
    ("stored", "other_login_boot_s"),
    [
        (CommitMetadata(0, 0, ()), -inf),
        (CommitMetadata(3, 7, (5,), released=True), -inf),
        (CommitMetadata(3, 7, (5,), 9), 20.0),
    ],
    ids=["the first owner", "released", "cut off"],
)
def test_a_term_begins_where_the_one_before_it_ended(stored: CommitMetadata, other_login_boot_s: float) -> None:
    """In the next epoch; the key is not ours before a login, and one that was cut off may have logged in until now."""
    start = plan_term(TakeoverStart(5, stored), OURS, Now(20.0, NOW_MS))
    origin = Origin("production", stored.origin.key_fingerprint, "topic")
    expected = TermStart(
        stored.epoch + 1, 5, stored.durable_until_ms, stored.claims_lost_below, origin, other_login_boot_s
    )
    assert start == expected


@pytest.mark.parametrize(
    ("stored", "first_ms", "since_ms"),
    [
        (CommitMetadata(0, 0, ()), None, (-HOUR_MS, -HOUR_MS, -HOUR_MS, -NOW_MS)),
        (CommitMetadata(1, NOW_MS - 10, ()), -1, (-HOUR_MS, -HOUR_MS, -HOUR_MS - 10, -HOUR_MS)),
        (CommitMetadata(1, NOW_MS, ()), 5 - 2 * HOUR_MS, (-2 * HOUR_MS,) * 4),
        (CommitMetadata(1, NOW_MS, (), 9), None, (-HOUR_MS, -NOW_MS, -HOUR_MS, -HOUR_MS)),
    ],
    ids=["the first owner", "nothing old", "an old command", "claims were lost"],
)
def test_a_takeover_reads_as_far_back_as_it_must(
    stored: CommitMetadata, first_ms: int | None, since_ms: tuple[int, int, int, int]
) -> None:
    """One horizon; all answers where claims were lost; states since a horizon before the last owner ended."""
    first_command_ms = None if first_ms is None else NOW_MS + first_ms
    spans = plan_replay(TakeoverStart(5, stored), first_command_ms, now_ms=NOW_MS, horizon_ms=HOUR_MS, skew_bound_ms=5)
    results, answers, states, session = (NOW_MS + one for one in since_ms)
    letters, states = answers - UNMEASURED_MS, states - UNMEASURED_MS
    assert spans == ReplaySpans(results, answers, letters, states, session, NOW_MS - HOUR_MS)


def _command(offset: int, timestamp_ms: int = NOW_MS) -> CommandRecord:
    return CommandRecord(offset, timestamp_ms, b"key", b"{}", ())


def _earlier(stored: CommitMetadata) -> EarlierCommands:
    return EarlierCommands(TakeoverStart(4, stored), ReplayedResults(), NOW_MS - HOUR_MS)


def test_what_is_known_of_each_earlier_command() -> None:
    """Claimed or not, read or not."""
    earlier = _earlier(CommitMetadata(3, 7, (5,), released=True, read_to=6))
    found = [earlier.status_of(_command(offset)) for offset in (4, 5, 6)]
    assert found == [TakeoverStatus.READ, TakeoverStatus.CLAIMED, TakeoverStatus.UNREAD]
    assert earlier.describe_doubts() == ""
    assert earlier.answered_elsewhere() == []


def test_where_claims_were_lost_everything_may_have_been_sent() -> None:
    """But for what is so old that its result may have been removed: that is passed over."""
    earlier = _earlier(CommitMetadata(3, 7, (), 6))
    found = [earlier.status_of(one) for one in (_command(4, NOW_MS - HOUR_MS - 1), _command(5), _command(6))]
    assert found == [TakeoverStatus.ANSWERED, TakeoverStatus.CLAIMED, TakeoverStatus.READ]
    assert (earlier.passed_over, earlier.in_doubt) == (1, 1)
    assert "an earlier owner's claims were lost: 1 commands below offset 6" in earlier.describe_doubts()


def test_the_first_owner_passes_over_what_is_older_than_any_result() -> None:
    """Another tool may have answered it; all others were never read."""
    earlier = _earlier(CommitMetadata(0, 0, ()))
    found = [earlier.status_of(one) for one in (_command(4, NOW_MS - HOUR_MS - 1), _command(5))]
    assert found == [TakeoverStatus.ANSWERED, TakeoverStatus.UNREAD]
    assert "nobody has committed before" in earlier.describe_doubts()


def test_a_dead_letter_is_an_answer() -> None:
    """The command that it quotes needs no other."""
    answers = ReplayedResults()
    answers.read_dead_letters([Tail(NOW_MS, b"{}", [(names.ERROR_OFFSET, b"5")])])
    earlier = EarlierCommands(TakeoverStart(4, CommitMetadata(3, 7, (5,))), answers, NOW_MS - HOUR_MS)
    assert earlier.status_of(_command(5)) is TakeoverStatus.ANSWERED
