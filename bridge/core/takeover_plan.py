"""Where a takeover begins: what the group's commit says of this log, or what follows from the topics where it does not.

A commit says nothing of this log where it never was, was lost (the group expired, was deleted, or reset by a tool),
was made by another consumer of the group, or names another offset or topic than the one it stands for (copied by a
mirroring tool; the topic deleted and made again). Then everything in the log that has no result is in doubt, from its
first record on: the offset may have been moved past commands that were never answered.
"""

from typing import Final

from msgspec import Struct, structs

from bridge.core.commands.claims import UNKNOWN_ORIGIN, CommitMetadata, Origin, decode
from bridge.core.replay import TopicEnd
from bridge.core.stream.sweep import ARCHIVE_REACH_MS

_NAMED_MAX: Final = 3


class Beginning(Struct, frozen=True):
    """Where to begin: at `offset`, with what is known of the predecessor.

    `why_in_doubt` says why its claims are not known; empty where they are.
    """

    offset: int
    stored: CommitMetadata
    why_in_doubt: str = ""

    @property
    def is_first(self) -> bool:
        """Whether nobody has owned the account before."""
        return self.stored.epoch == 0

    def is_unread(self, offset: int) -> bool:
        """Whether no earlier owner has read the command at an offset, and so none has written it."""
        read_to = self.stored.read_to
        return self.is_first or (read_to is not None and read_to <= offset)


def read_commit(offset: int | None, metadata: str, topic_id: str) -> Beginning | str:
    """Return where a takeover begins by the group's commit; else why the commit says nothing of this log."""
    if offset is None:
        return "the group has no offset any more"
    stored = decode(metadata, offset)
    if stored is None:
        return "the group's offset was set by a tool, a mirror or another consumer"
    if stored.origin.topic_id and topic_id and stored.origin.topic_id != topic_id:
        return "the topic was made again since the group's commit"
    return Beginning(offset, stored)


class Remains(Struct, frozen=True):
    """What the topics tell of earlier owners.

    `ends`: of every topic. `was_written`: whether any of them ever held a record. `owner`: for whom the last one
    wrote, where it says so.
    """

    ends: tuple[TopicEnd, ...]
    was_written: bool
    last_login_ms: int = 0
    owner: Origin | None = None


def begin_without_claims(
    remains: Remains, why: str, *, was_owned: bool, begin: int, end: int, now_ms: int, horizon_ms: int
) -> Beginning:
    """Return where a takeover begins whose predecessor's claims are not known; `begin` to `end` is the log.

    The account had no owner before only if no topic ever held a record, and nothing else tells of one. Else the epoch
    goes on from the highest there is, and not behind the clock: a term that was cut off before it announced itself left
    no trace, and records may have expired with their epochs; in seconds since 1970, the clock is ahead of any number of
    terms.
    """
    if not remains.was_written and not was_owned:
        return Beginning(begin, CommitMetadata(0, 0, ()))
    epoch = max([now_ms // 1000, *(one.epoch for one in remains.ends)])
    stored = CommitMetadata(
        epoch, _durable_until_ms(remains, now_ms, horizon_ms), (), end, origin=remains.owner or UNKNOWN_ORIGIN
    )
    return Beginning(begin, stored, why)


def _durable_until_ms(remains: Remains, now_ms: int, horizon_ms: int) -> int:
    """Return up to when events are durable for sure, Unix ms.

    At the last login they were, but for the gaps that `session` tells of. Where `session` does not reach back so far,
    the newest record of any topic says that somebody listened then; as every state is published once a horizon, not
    much longer. Where nothing is left at all, the venue's archive is as far back as can be asked.
    """
    if remains.last_login_ms:
        return min(remains.last_login_ms, now_ms)
    newest_ms = max((one.newest_ms for one in remains.ends), default=0)
    if newest_ms:
        return min(newest_ms, now_ms) - horizon_ms
    return now_ms - ARCHIVE_REACH_MS


def in_words(begin: Beginning, in_doubt: int, passed_over: int) -> str:
    """Say what a takeover without its predecessor's claims makes of the commands."""
    first = "nobody has committed before" if begin.is_first else "an earlier owner's claims were lost"
    return (
        f"{begin.why_in_doubt or first}: {in_doubt} commands below offset {begin.stored.doubtful_below} have no result "
        f"and are in doubt, because they may have been sent; {passed_over} commands were passed over, so old that "
        "their results may have been removed"
    )


def other_environment(stored: CommitMetadata, own: Origin) -> str | None:
    """Say that the account belongs to another environment; None where it does not, or nothing says so."""
    theirs = stored.origin.environment
    if not theirs or not own.environment or theirs == own.environment:
        return None
    return (
        f"the group and the topics belong to environment {theirs!r}, and this process is of {own.environment!r}: two "
        "environments must not share a topic_prefix and an account's name; give one of them another topic_prefix"
    )


def key_has_changed(stored: CommitMetadata, own: Origin) -> bool:
    """Whether the account was owned with another API key: a new one of the same portfolio, or another account's."""
    theirs = stored.origin.key_fingerprint
    return bool(theirs and own.key_fingerprint) and theirs != own.key_fingerprint


def other_portfolio(stored: CommitMetadata, own: Origin, theirs: frozenset[str], ours: frozenset[str]) -> str | None:
    """Say that a changed API key is not of the account that the topics are about; None where it surely is.

    `theirs` are the portfolios that the state topics name, `ours` those that the venue shows to our key.
    """
    if theirs & ours or not theirs:
        return None
    keys = f"(key {stored.origin.key_fingerprint}; ours is {own.key_fingerprint})"
    if not ours:
        return (
            f"the API key has changed {keys}, and the venue shows no balance or position that tells whether it is of "
            f"the same portfolio, {_some(theirs)}; use a key of that portfolio, or give the account another name"
        )
    return (
        f"the group and the topics belong to portfolio {_some(theirs)} {keys}, and this API key is of portfolio "
        f"{_some(ours)}: two accounts must not share a topic_prefix and a name; give one of them another name"
    )


def _some(portfolios: frozenset[str]) -> str:
    return ", ".join(sorted(portfolios)[:_NAMED_MAX])


def clamp(stored: CommitMetadata, end: int, now_ms: int, horizon_ms: int) -> CommitMetadata:
    """Return what a commit says, without what cannot be.

    Nobody can have claimed commands that do not exist yet. What is durable until a time to come was told by a clock
    that was ahead of ours: then it is for one horizon back that nobody knows.
    """
    durable_until_ms = stored.durable_until_ms
    if durable_until_ms > now_ms:
        durable_until_ms = now_ms - horizon_ms
    return structs.replace(stored, doubtful_below=min(stored.doubtful_below, end), durable_until_ms=durable_until_ms)
