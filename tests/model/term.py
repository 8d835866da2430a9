"""What one term of ownership may do next, by itself.

A term does not know whether it is still the owner; only a lease, an answer and a rebalance tell it. What it needs of
the world is the number of commands in the log, and what the venue says about those in doubt.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, combinations

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Outcome
from bridge.core.commands.states import IN_FLIGHT, CommandEvent, CommandState
from bridge.core.commands.takeover_status import TakeoverStatus

from .lives import after, answered, deferred_answered, may_be_claimed, put_off_for_memory, recorded, saved_by, taken_in
from .trials import Mistake, Trial
from .world import DEFERRED, TAKEOVER, Commit, Lives, Move, Phase, Term, Write, Written, without

_Venue = tuple[Written, ...]


@lru_cache(maxsize=100_000)
def moves(trial: Trial, term: Term, topic: int, venue: _Venue, *, owned: bool) -> tuple[Move, ...]:
    """Return everything that a term may do next, but for the end of its takeover.

    What only an owner can do with effect is left out for a predecessor: its commits are refused.
    """
    found = chain(
        _flushes(trial, term),
        _acknowledgements(trial, term),
        _writes(trial, term),
        _settles(trial, term, venue),
        _reads(trial, term, topic),
        _decides(term),
        _answers_deferred(term),
        _time(term),
    )
    if owned or trial.mistake is Mistake.STALE_COMMIT:
        found = chain(found, _commits(trial, term), _refusals(trial, term), _cancels(trial, term))
    if trial.mistake is Mistake.UNCERTAIN_CONTINUE:
        found = chain(found, _gives_up_waiting(term))
    return tuple(found)


def interrupted(term: Term) -> Term:
    """Give up the commit under way: what it claims waits again."""
    commit = term.commit
    if commit is None:
        return term
    term = term._replace(commit=None)
    for offset in commit.claims:
        term = after(term, offset, CommandEvent.CLAIM_DROPPED)
    return term


def _flushes(trial: Trial, term: Term) -> Iterator[Move]:
    """Let the oldest record of the buffer become durable, whoever owns the account by now."""
    unordered = trial.mistake is Mistake.UNORDERED
    for index, said in enumerate(term.outbox if unordered else term.outbox[:1]):
        rest = term._replace(outbox=without(term.outbox, index))
        if said == TAKEOVER:
            yield Move("its takeover record is durable", rest._replace(phase=max(term.phase, Phase.READING)), said)
        else:
            yield Move(f"{said.offset} {said.outcome} is durable", recorded(rest, said), said)


def _acknowledgements(trial: Trial, term: Term) -> Iterator[Move]:
    """Let the answer to the commit under way come in."""
    commit = term.commit
    if commit is None or not commit.stored:
        return
    term = term._replace(commit=None)
    if term.phase is Phase.FENCING:
        phase = Phase.READING if trial.mistake is Mistake.EARLY_READ else Phase.ANNOUNCING
        yield Move("its epoch is acknowledged", term._replace(phase=phase, outbox=(TAKEOVER,)))
        return
    for offset in commit.claims:
        term = after(term, offset, CommandEvent.CLAIM_STORED)
        if term.lives[offset] is CommandState.CLAIMED:
            term = term._replace(claimed=term.claimed | {offset})
    lease = commit.young or trial.mistake is Mistake.LEASE_FROM_ACK
    yield Move(f"its commit is acknowledged, {'in time' if lease else 'too late'}", term._replace(lease=lease))


def _writes(trial: Trial, term: Term) -> Iterator[Move]:
    """Let what is claimed pass the gate."""
    commit = term.commit
    for offset, state in enumerate(term.lives):
        if state is CommandState.CLAIMED and (term.lease or trial.mistake is Mistake.NO_LEASE):
            yield from _written(after(term, offset, CommandEvent.WRITTEN), offset)
        elif state is CommandState.CLAIMING and trial.mistake is Mistake.UNACKNOWLEDGED_CLAIM and commit and term.lease:
            others = tuple(other for other in commit.claims if other != offset)
            sent = after(term, offset, CommandEvent.CLAIM_STORED, CommandEvent.WRITTEN)
            sent = sent._replace(commit=commit._replace(claims=others), claimed=term.claimed | {offset})
            yield from _written(sent, offset)


def _written(sent: Term, offset: int) -> Iterator[Move]:
    yield Move(f"{offset} is written", sent, Write(offset, landed=True))
    yield Move(f"{offset} is written and lost", sent, Write(offset, landed=False))


def _refusals(trial: Trial, term: Term) -> Iterator[Move]:
    """Let the gate refuse what is claimed, for whatever reason: it waits again, unclaimed."""
    for offset, state in enumerate(term.lives):
        if state is CommandState.CLAIMED:
            refused = term._replace(claimed=term.claimed - {offset})
            if trial.mistake is not Mistake.OLD_CLAIM:
                refused = after(refused, offset, CommandEvent.CLAIM_DROPPED)
            yield Move(f"the gate refuses {offset}", refused)


def _cancels(trial: Trial, term: Term) -> Iterator[Move]:
    """Write a cancel_order, without a claim, and again while it is in doubt."""
    for offset, state in enumerate(term.lives):
        if trial.commands[offset].action == CANCEL and state in {CommandState.QUEUED, CommandState.UNKNOWN}:
            sent = after(term, offset, CommandEvent.WRITTEN)
            yield Move(f"the cancel {offset} is written", sent, Write(offset, landed=True))


def _settles(trial: Trial, term: Term, venue: _Venue) -> Iterator[Move]:
    """Let the venue say what became of what was written: by its ack, or when it is asked."""
    for offset, state in enumerate(term.lives):
        if state not in IN_FLIGHT:
            continue
        outcome = _word_of_the_venue(trial, term, offset, venue)
        if outcome is None:
            continue
        if state is CommandState.SENT and venue[offset] is Written.LANDED:
            events: tuple[CommandEvent, ...] = (CommandEvent.ACKED,)
        else:
            by = CommandEvent.NOT_FOUND if outcome is Outcome.NOT_FOUND else CommandEvent.SEEN_AT_VENUE
            events = (CommandEvent.BECAME_UNKNOWN, by) if state is CommandState.SENT else (by,)
        yield Move(f"{offset} turns out {outcome}", answered(term, offset, outcome, *events))


def _word_of_the_venue(trial: Trial, term: Term, offset: int, venue: _Venue) -> Outcome | None:
    """Return what became of a command; None while it cannot be told."""
    command = trial.commands[offset]
    if command.action == CANCEL_ALL:
        if term.lives[offset] is CommandState.SENT and venue[offset] is Written.LANDED:
            return Outcome.ACCEPTED
        # Finished by single cancels of what is older, once the places before it are settled.
        return None if any(state in IN_FLIGHT for state in term.lives[:offset]) else Outcome.ACCEPTED
    if command.action != CANCEL or command.of is None:
        return Outcome.ACCEPTED if venue[offset] is Written.LANDED else Outcome.NOT_FOUND
    if venue[offset] is Written.NEVER:
        return None
    if venue[command.of] is Written.LANDED:
        return Outcome.ACCEPTED
    return None if term.lives[command.of] in IN_FLIGHT else Outcome.REJECTED


def _time(term: Term) -> Iterator[Move]:
    """Let time pass, or the process be frozen: the lease runs out first, then the commit under way grows old."""
    if term.lease:
        yield Move("its lease is over", term._replace(lease=False))
    elif term.commit is not None and term.commit.young:
        yield Move("its commit grows old", term._replace(commit=term.commit._replace(young=False)))


def _reads(trial: Trial, term: Term, topic: int) -> Iterator[Move]:
    """Take a new command in; not without a lease, because it may have to be answered."""
    if term.phase is Phase.ACTING and term.lease and len(term.lives) < topic:
        offset = len(term.lives)
        yield Move(f"it reads {offset}", taken_in(trial, term, topic, TakeoverStatus.NEW))
        if trial.memory and trial.commands[offset].action in {PLACE, REPLACE}:
            yield Move(f"it puts {offset} off for memory", put_off_for_memory(term))


def _decides(term: Term) -> Iterator[Move]:
    """Deny what waits, or let it expire. That is for the owner to say, so it needs a lease."""
    for offset, state in enumerate(term.lives):
        if state is CommandState.QUEUED and term.lease:
            yield Move(f"it denies {offset}", answered(term, offset, Outcome.DENIED, CommandEvent.DECIDED))


def _answers_deferred(term: Term) -> Iterator[Move]:
    """Answer the first of what was put off, when there is time. That is for the owner to say as well."""
    if term.phase is Phase.ACTING and term.lease and DEFERRED in term.lives:
        offset = term.lives.index(DEFERRED)
        yield Move(f"it answers {offset}, which was put off", deferred_answered(term, offset))


def _commits(trial: Trial, term: Term) -> Iterator[Move]:
    """Hand a commit over: the whole state, and any of the commands that may be claimed."""
    gating = CommandState.CLAIMED in term.lives and trial.mistake not in {Mistake.OLD_CLAIM, Mistake.RESEND}
    if term.phase is not Phase.ACTING or term.commit is not None or gating:
        return
    ready = [offset for offset in range(len(term.lives)) if may_be_claimed(trial, term, offset)]
    for claims in chain.from_iterable(combinations(ready, count) for count in range(len(ready) + 1)):
        claiming = term
        for offset in claims:
            if may_be_claimed(trial, claiming, offset):
                claiming = after(claiming, offset, CommandEvent.CLAIM_REQUESTED)
        if any(claiming.lives[offset] is not CommandState.CLAIMING for offset in claims):
            continue  # one of them has to wait for another
        saved = saved_by(term, _passed(trial, term), claims)
        commit = Commit(saved, claims, stored=False, young=True)
        yield Move(f"it commits {saved.offset}, claims {list(claims)}", claiming._replace(commit=commit))


def _passed(trial: Trial, term: Term) -> Lives:
    """Return the lives as the watermark sees them."""
    early = {Mistake.EARLY_WATERMARK: CommandState.ANSWERED, Mistake.DEFERRED_PASSED: DEFERRED}
    if trial.mistake not in early:
        return term.lives
    return tuple(CommandState.RECORDED if state is early[trial.mistake] else state for state in term.lives)


def _gives_up_waiting(term: Term) -> Iterator[Move]:
    """Go on, by a planted mistake, as if a commit that has no answer could not arrive any more."""
    if term.phase is Phase.ACTING and term.commit is not None:
        stray = None if term.commit.stored else term.commit.saved
        yield Move("it waits no longer for its commit", interrupted(term), stray)
