"""Where a takeover begins: by the group's commit, or by the topics where the commit does not apply to this log.

A commit does not apply where there is none, where it was lost (the group expired, was deleted, or reset by a tool),
where another consumer of the group made it, or where it names another offset or topic (a mirroring tool copied it; the
topic was deleted and made again). Then every command in the log without a result is unknown, from the first record on:
the offset may have been moved past commands that were never answered.

A command with a result answers for itself: a result belongs to a command if both commandId and offset are the same,
since an offset alone names another command once the topic was made again or mirrored. A dead letter answers the record
that it quotes. Where claims were lost, `results` is read whole, and commands that are older than results are sure to
reach back (one horizon) are passed over: their results may have been removed. The alarm counts both.
"""

from math import inf
from typing import Final

from msgspec import Struct, structs

from bridge.core.clocks import UNMEASURED_MS
from bridge.core.commands.claims import UNKNOWN_ORIGIN, CommitMetadata, Origin, TermStart, decode
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.now import Now
from bridge.core.records import CommandRecord
from bridge.core.replay import ReplayedResults, TopicEnd
from bridge.core.stream.sweep import ARCHIVE_REACH_MS

_NAMED_MAX: Final = 3


class TakeoverStart(Struct, frozen=True):
    """The start of a takeover: the offset, and the predecessor's last commit.

    `why_in_doubt` is why the predecessor's claims are not known; empty where they are.
    """

    offset: int
    stored: CommitMetadata
    why_in_doubt: str = ""

    @property
    def is_first(self) -> bool:
        """Whether the account had no owner before."""
        return self.stored.epoch == 0

    @property
    def ended_in_good_order(self) -> bool:
        """Whether no predecessor can still act: there was none, or it has released the account."""
        return self.is_first or self.stored.released

    def is_unread(self, offset: int) -> bool:
        """Whether no earlier owner has read the command at an offset, and so none has written it."""
        read_to = self.stored.read_to
        return self.is_first or (read_to is not None and read_to <= offset)


def read_commit(offset: int | None, metadata: str, topic_id: str) -> TakeoverStart | str:
    """Return the start of a takeover by the group's commit; else why the commit does not apply to this log."""
    if offset is None:
        return "the group has no offset any more"
    stored = decode(metadata, offset)
    if stored is None:
        return "the group's offset was set by a tool, a mirror or another consumer"
    if stored.origin.topic_id and topic_id and stored.origin.topic_id != topic_id:
        return "the topic was made again since the group's commit"
    return TakeoverStart(offset, stored)


class TopicHistory(Struct, frozen=True):
    """What earlier owners left on the topics: the end of every topic, and their last login.

    `was_written`: whether any topic ever had a record. `owner`: the origin of the last owner, where one is named.
    """

    ends: tuple[TopicEnd, ...]
    was_written: bool
    last_login_ms: int = 0
    owner: Origin | None = None


def begin_without_claims(
    history: TopicHistory, why: str, *, was_owned: bool, begin: int, end: int, now_ms: int, horizon_ms: int
) -> TakeoverStart:
    """Return the start of a takeover whose predecessor's claims are not known; `begin` to `end` is the log.

    The account had no owner before only if no topic ever had a record and `was_owned` is False. Else the epoch is at
    least the highest on the topics, and the clock in seconds since 1970: a term that ended before it announced itself
    left no record, and records may have expired with their epochs, but the clock is ahead of any number of terms.
    """
    if not history.was_written and not was_owned:
        return TakeoverStart(begin, CommitMetadata(0, 0, ()))
    epoch = max([now_ms // 1000, *(one.epoch for one in history.ends)])
    stored = CommitMetadata(
        epoch, _durable_until_ms(history, now_ms, horizon_ms), (), end, origin=history.owner or UNKNOWN_ORIGIN
    )
    return TakeoverStart(begin, stored, why)


def _durable_until_ms(history: TopicHistory, now_ms: int, horizon_ms: int) -> int:
    """Return the time up to which events are surely durable, Unix ms.

    They were at the last login, but for the gaps on `session`. Where `session` does not reach back so far, an owner
    listened until one horizon before the newest record of any topic: every state is published once a horizon. Without
    any record it is as far back as the venue's archive goes.
    """
    if history.last_login_ms:
        return min(history.last_login_ms, now_ms)
    newest_ms = max((one.newest_ms for one in history.ends), default=0)
    if newest_ms:
        return min(newest_ms, now_ms) - horizon_ms
    return now_ms - ARCHIVE_REACH_MS


def plan_term(begin: TakeoverStart, origin: Origin, now: Now) -> TermStart:
    """Return where the term begins that follows, and in which epoch. `origin` is whose this process is."""
    stored = begin.stored
    return TermStart(
        stored.epoch + 1,
        begin.offset,
        stored.durable_until_ms,
        stored.claims_lost_below,
        # Until the venue has taken our key, it is not known to be this account's.
        structs.replace(origin, key_fingerprint=stored.origin.key_fingerprint),
        -inf if begin.ended_in_good_order else now.boot_s,
    )


class ReplaySpans(Struct, frozen=True):
    """From when on a takeover reads each topic, Unix ms.

    `results_since_ms` is the time from which on answers matter; `answers_since_ms` is earlier where claims were lost.
    """

    results_since_ms: int
    answers_since_ms: int
    dead_letters_since_ms: int
    states_since_ms: int
    session_since_ms: int
    horizon_since_ms: int
    """One horizon ago, by the clock of the brokers."""


def plan_replay(
    begin: TakeoverStart, first_command_ms: int | None, *, now_ms: int, horizon_ms: int, skew_bound_ms: int
) -> ReplaySpans:
    """Return what to read of the topics. `first_command_ms` is when the first command to read was stamped.

    None stands for no command. `now_ms` is the brokers' time: they stamp commands and results.
    """
    horizon_since_ms = since_ms = now_ms - horizon_ms
    if first_command_ms is not None:  # an unknown command may hold the offset for longer
        since_ms = min(since_ms, first_command_ms - skew_bound_ms)
    durable_ms, are_claims_lost = begin.stored.durable_until_ms, begin.stored.claims_lost_below > begin.offset
    answers_since_ms = 0 if are_claims_lost else since_ms
    # While nobody owned the account, no state was published again.
    states_since_ms = min(since_ms, durable_ms - horizon_ms) if durable_ms else since_ms
    return ReplaySpans(
        since_ms,
        answers_since_ms,
        # These two are stamped by the clocks of earlier owners.
        answers_since_ms - UNMEASURED_MS,
        states_since_ms - UNMEASURED_MS,
        min(since_ms, durable_ms),
        horizon_since_ms,
    )


class EarlierCommands:
    """What a takeover makes of the commands from the time before it, by what is known of their answers.

    Where claims were lost, a command without a result counts as claimed; unless it is so old that its result may have
    been removed: then nothing tells whether it was answered. `horizon_since_ms` is one horizon ago.
    """

    def __init__(self, begin: TakeoverStart, answers: ReplayedResults, horizon_since_ms: int) -> None:
        self._begin = begin
        self._claimed = frozenset(begin.stored.claimed)
        self._answers = answers
        self._complete_since_ms = answers.complete_since_ms(horizon_since_ms)
        self.passed_over = 0
        """How many were so old that nothing is known of them."""
        self.in_doubt = 0
        """How many may have been sent, because the claims were lost."""

    def status_of(self, record: CommandRecord) -> TakeoverStatus:
        """Return what is known of a command; each is to be asked about once."""
        are_claims_lost = record.offset < self._begin.stored.claims_lost_below
        if self._answers.has_answer(record):
            return TakeoverStatus.ANSWERED
        if (are_claims_lost or self._begin.is_first) and record.timestamp_ms < self._complete_since_ms:
            self.passed_over += 1
            return TakeoverStatus.ANSWERED
        if are_claims_lost or record.offset in self._claimed:
            self.in_doubt += are_claims_lost
            return TakeoverStatus.CLAIMED
        return TakeoverStatus.UNREAD if self._begin.is_unread(record.offset) else TakeoverStatus.READ

    def answered_elsewhere(self) -> list[str]:
        """Return the commandIds of answers that belong to none of the commands, after the last of them."""
        return self._answers.unmatched_command_ids()

    def describe_doubts(self) -> str:
        """Say to a person what was made of them without their claims; empty where these were known."""
        if self._begin.stored.claims_lost_below <= self._begin.offset and not self.passed_over:
            return ""
        return describe_takeover(self._begin, self.in_doubt, self.passed_over)


def describe_takeover(begin: TakeoverStart, in_doubt: int, passed_over: int) -> str:
    """Return what happens to the commands at a takeover without its predecessor's claims, as text."""
    first = "nobody has committed before" if begin.is_first else "an earlier owner's claims were lost"
    return (
        f"{begin.why_in_doubt or first}: {in_doubt} commands below offset {begin.stored.claims_lost_below} have no "
        f"result and are in doubt, because they may have been sent; {passed_over} commands were passed over, so old "
        "that their results may have been removed"
    )


def describe_other_environment(stored: CommitMetadata, own: Origin) -> str | None:
    """Return a text if the account belongs to another environment; None if it does not, or that is not known."""
    theirs = stored.origin.environment
    if not theirs or not own.environment or theirs == own.environment:
        return None
    return (
        f"the group and the topics belong to environment {theirs!r}, and this process is of {own.environment!r}: two "
        "environments must not share a topic_prefix and an account's name; give one of them another topic_prefix"
    )


def key_has_changed(stored: CommitMetadata, own: Origin) -> bool:
    """Whether the last owner used another API key: an older one of the same portfolio, or another account's."""
    theirs = stored.origin.key_fingerprint
    return bool(theirs and own.key_fingerprint) and theirs != own.key_fingerprint


def describe_other_portfolio(
    stored: CommitMetadata, own: Origin, theirs: frozenset[str], ours: frozenset[str]
) -> str | None:
    """Return a text unless a changed API key is surely of the portfolio that the topics are about; None if it is.

    `theirs` are the portfolios that the state topics name, `ours` those of the venue's answers to our key.
    """
    if theirs & ours or not theirs:
        return None
    keys = f"(key {stored.origin.key_fingerprint}; ours is {own.key_fingerprint})"
    if not ours:
        return (
            f"the API key has changed {keys}, and the venue shows no balance or position that tells whether it is of "
            f"the same portfolio, {_join_some(theirs)}; use a key of that portfolio, or give the account another name"
        )
    return (
        f"the group and the topics belong to portfolio {_join_some(theirs)} {keys}, and this API key is of portfolio "
        f"{_join_some(ours)}: two accounts must not share a topic_prefix and a name; give one of them another name"
    )


def _join_some(portfolios: frozenset[str]) -> str:
    return ", ".join(sorted(portfolios)[:_NAMED_MAX])


def bound_commit(stored: CommitMetadata, end: int, now_ms: int, horizon_ms: int) -> CommitMetadata:
    """Return a commit without values that cannot be true.

    Commands that do not exist yet cannot be claimed. A time in the future up to which events are durable comes from a
    clock that was ahead of ours: then it is set to one horizon ago.
    """
    durable_until_ms = stored.durable_until_ms
    if durable_until_ms > now_ms:
        durable_until_ms = now_ms - horizon_ms
    return structs.replace(
        stored, claims_lost_below=min(stored.claims_lost_below, end), durable_until_ms=durable_until_ms
    )
