"""Taking over, in its order: read the commit, fence with the next epoch, announce it, read answers and commands."""

import re
from functools import cache, lru_cache
from itertools import chain, combinations
from typing import Final

from msgspec import structs

from bridge.contract.commands import CANCEL_ALL, PLACE
from bridge.contract.results import Outcome
from bridge.core.commands.claims import CommitMetadata, Origin, encode
from bridge.core.commands.states import CommandEvent, CommandState
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.replay import TopicEnd
from bridge.core.takeover_plan import TakeoverStart, TopicHistory, begin_without_claims, read_commit

from .lives import answered, taken_in
from .trials import Mistake, Saved, Trial
from .world import TAKEOVER, Commit, Move, Phase, Term, World

CLOCK: Final = 1000
"""Where the epoch goes on when the count was lost: seconds since 1970 are ahead of any number of terms."""


@cache
def stored_in(saved: Saved, topic_id: str) -> CommitMetadata | None:
    """Return what the code reads in a commit, about the topic of an id."""
    found = read_commit(saved.offset, saved.metadata, topic_id)
    return found.stored if isinstance(found, TakeoverStart) else None


def begun(trial: Trial, world: World) -> Term:
    """Return the term that begins with what is stored now; the commit that fences its predecessors is under way."""
    found = beginning(trial, world)
    offset, stored = found.offset, found.stored
    claims_lost_below = 0 if trial.mistake is Mistake.DOUBTFUL_FORGOTTEN else stored.claims_lost_below
    fence = CommitMetadata(
        stored.epoch + 1, 0, stored.claimed, claims_lost_below, origin=Origin(topic_id=world.topic_id)
    )
    term = Term(
        phase=Phase.FENCING,
        epoch=fence.epoch,
        topic_id=world.topic_id,
        lives=(CommandState.RECORDED,) * offset,
        claimed=frozenset(() if trial.mistake is Mistake.EMPTY_METADATA else stored.claimed),
        claims_lost_below=stored.claims_lost_below,
        commit=Commit(Saved(offset, encode(fence, offset)), (), stored=False, young=False),
        lease=False,
        outbox=(),
    )
    if trial.mistake is Mistake.OFFSET_EPOCH:
        return term._replace(phase=Phase.ANNOUNCING, commit=None, outbox=(TAKEOVER,))
    return term


def beginning(trial: Trial, world: World) -> TakeoverStart:
    """Return where a takeover begins, as the code finds it: by the commit, or by what `results` tells without it."""
    offset, metadata = world.saved
    if trial.mistake is Mistake.TRUSTS_COPY and offset is not None:
        metadata = re.sub(r"^((?:[^:]*:){6})[0-9]+", rf"\g<1>{offset}", metadata)
    found = read_commit(offset, metadata, "" if trial.mistake is Mistake.TRUSTS_OLD_TOPIC else world.topic_id)
    if isinstance(found, TakeoverStart):
        return found
    remains = TopicHistory((TopicEnd(world.top),), was_written=world.top > 0)
    found = begin_without_claims(
        remains, found, was_owned=offset is not None, begin=0, end=world.topic, now_ms=CLOCK * 1000, horizon_ms=0
    )
    stored = structs.replace(found.stored, durable_until_ms=0)
    if trial.mistake is Mistake.EPOCH_FROM_RESULTS:
        stored = structs.replace(stored, epoch=world.top)
    if trial.mistake is Mistake.DOUBTFUL_AS_EMPTY:
        stored = structs.replace(stored, claims_lost_below=0)
    begin = offset if trial.mistake is Mistake.TRUSTS_OFFSET and offset is not None else found.offset
    return TakeoverStart(begin, stored)


@lru_cache(maxsize=100_000)
def read(trial: Trial, term: Term, topic: int, answers: tuple[Outcome | None, ...]) -> tuple[Move, ...]:
    """Return how a takeover may end: every command is taken in, and what is new may be denied at once.

    That needs no lease: if another owner has begun by then, the answer is void.
    """
    news = [offset for offset in range(len(term.lives), topic) if past_of(term, offset, answers) is TakeoverStatus.READ]
    found = []
    for denied in chain.from_iterable(combinations(news, count) for count in range(len(news) + 1)):
        after = taken_over(trial, term, topic, answers, denied)
        if after is not None:
            found.append(Move(f"it reads answers and commands, and denies {list(denied)}", after))
    return tuple(found)


def taken_over(
    trial: Trial, term: Term, topic: int, answers: tuple[Outcome | None, ...], denied: tuple[int, ...] = ()
) -> Term | None:
    """Take every command in; None where one that should be denied has been superseded."""
    after = term._replace(phase=Phase.ACTING, claimed=frozenset())
    for offset in range(len(term.lives), topic):
        after = taken_in(trial, after, topic, past_of(term, offset, answers), answers[offset])
        if offset in denied:
            if after.lives[offset] is not CommandState.QUEUED:
                return None
            after = answered(after, offset, Outcome.DENIED, CommandEvent.DECIDED)
    return _without_places_above(trial, after)


def past_of(term: Term, offset: int, answers: tuple[Outcome | None, ...]) -> TakeoverStatus:
    """Return what a takeover knows of a command: its result, its claim, or nothing."""
    if answers[offset] is not None:
        return TakeoverStatus.ANSWERED
    if offset in term.claimed or offset < term.claims_lost_below:
        return TakeoverStatus.CLAIMED
    return TakeoverStatus.READ


def _without_places_above(trial: Trial, term: Term) -> Term:
    """Supersede, by a planted mistake, the places above a cancel_orders that a predecessor has sent."""
    if trial.mistake is not Mistake.SUPERSEDES_ABOVE:
        return term
    for offset, (command, state) in enumerate(zip(trial.commands, term.lives, strict=False)):
        before = zip(trial.commands[:offset], term.lives, strict=False)
        sent = any(other.action == CANCEL_ALL and life is CommandState.UNKNOWN for other, life in before)
        if command.action == PLACE and state is CommandState.QUEUED and sent:
            term = answered(term, offset, Outcome.SUPERSEDED, CommandEvent.DECIDED)
    return term
