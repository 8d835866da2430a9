"""Every step of the whole: the terms' own moves, and those of the coordinator, the network and the group."""

from collections.abc import Iterator
from typing import Final

from bridge.contract.results import Outcome

from .promises import broken_by_commit, broken_by_result, broken_by_write
from .takeover import begun, read, stored_in
from .term import interrupted, moves
from .trials import Mistake, Saved, Trial
from .world import TAKEOVER, Move, Phase, Said, Term, World, Write, Written, put, without

Step = tuple[str, World]

_NOT_SPENT: Final = frozenset(
    {
        Mistake.NO_EPOCH,
        Mistake.NO_LEASE,
        Mistake.LEASE_FROM_ACK,
        Mistake.STALE_COMMIT,
        Mistake.GOES_ON_AFTER_LOSS,
        Mistake.FENCES_AFTER_LOSS,
    }
)
"""Mistakes with which a predecessor does harm even when its records are void."""


def steps(trial: Trial, world: World) -> Iterator[Step]:
    """Return every step that may come next, with words for it."""
    if world.topic < len(trial.commands):
        yield f"command {world.topic} is in the log", world._replace(topic=world.topic + 1)
    if world.owner is not None:
        yield from _owner_steps(trial, world, world.owner)
        yield from _coordinator_steps(trial, world, world.owner)
    for index, term in enumerate(world.predecessors):
        yield from _predecessor_steps(trial, world, index, term)
    if world.takeovers < trial.takeovers and (world.owner is None or _is_over(world.owner)):
        yield from _takeovers(trial, world)


def _owner_steps(trial: Trial, world: World, owner: Term) -> Iterator[Step]:
    for move in _moves(trial, world, owner, owned=True):
        if not _is_idle(world, owner, move.term):
            moved = world._replace(owner=move.term)
            yield f"owner {owner.epoch}: {move.words}", _seen(trial, moved, owner, move)


def _predecessor_steps(trial: Trial, world: World, index: int, term: Term) -> Iterator[Step]:
    for move in _moves(trial, world, term, owned=False):
        moved = world._replace(predecessors=put(world.predecessors, index, move.term))
        yield f"predecessor {term.epoch}: {move.words}", _seen(trial, moved, term, move)
    goes_on = trial.mistake is Mistake.GOES_ON_AFTER_LOSS and term.phase is Phase.ACTING
    fences = trial.mistake is Mistake.FENCES_AFTER_LOSS and term.phase is Phase.FENCING
    if (goes_on or fences) and world.owner is not None and _is_over(world.owner):
        others = put(world.predecessors, index, world.owner)
        back = _fencing_again(term) if fences else interrupted(term)
        again = world._replace(owner=back, predecessors=others, strays=())
        yield f"predecessor {term.epoch} has the partition again", again


def _moves(trial: Trial, world: World, term: Term, *, owned: bool) -> Iterator[Move]:
    yield from moves(trial, term, world.topic, world.venue, owned=owned)
    if term.phase is Phase.READING:
        yield from read(trial, term, world.topic, _known(trial, world))


def _known(trial: Trial, world: World) -> tuple[Outcome | None, ...]:
    """Return the answers that a takeover finds: by a planted mistake also those of the topic before."""
    if trial.mistake is not Mistake.ANSWERED_BY_OFFSET:
        return world.answers
    return tuple(now or before for now, before in zip(world.answers, world.old_answers, strict=True))


def _is_idle(world: World, before: Term, after: Term) -> bool:
    """Whether a commit was handed over that would change nothing: not what is stored, and not the lease."""
    commit = after.commit
    if commit is None or before.commit is not None or commit.claims:
        return False
    return before.lease and commit.saved == world.saved and not world.strays


def _seen(trial: Trial, world: World, before: Term, move: Move) -> World:
    """Return the world after a move, with what it lets the world see."""
    effect = move.effect
    if effect is None:
        return world
    if isinstance(effect, Write):
        written = Written.LANDED if effect.landed else Written.LOST
        broken = broken_by_write(trial, world, effect.offset)
        return world._replace(venue=put(world.venue, effect.offset, written), broken=broken)
    if isinstance(effect, Saved):
        return world._replace(strays=tuple(sorted({*world.strays, effect})))
    if trial.mistake is Mistake.OFFSET_EPOCH and effect == TAKEOVER:
        return _announced_by_offset(world, move.term)
    return _without_spent(trial, published(trial, world, before.epoch, effect))


def published(trial: Trial, world: World, epoch: int, said: Said) -> World:
    """Append a record to `results`, as a reader takes it: one of a lower epoch than one before it is void."""
    if epoch < world.top and trial.mistake is not Mistake.NO_EPOCH:
        return world
    world = world._replace(top=max(epoch, world.top))
    if said.outcome is None:
        return world
    broken = broken_by_result(trial, world, said.offset, said.outcome)
    return world._replace(answers=put(world.answers, said.offset, said.outcome), broken=broken)


def _announced_by_offset(world: World, term: Term) -> World:
    """Give, by a planted mistake, the later takeover record the higher epoch, whoever wrote it."""
    later = term._replace(epoch=world.top + 1)
    world = world._replace(top=later.epoch)
    if world.owner is term:
        return world._replace(owner=later)
    return world._replace(predecessors=tuple(later if other is term else other for other in world.predecessors))


def _coordinator_steps(trial: Trial, world: World, owner: Term) -> Iterator[Step]:
    """Let a commit arrive; or a standby join or leave: the owner gives its commit up, and keeps the partition."""
    for saved, arrived in _arrivals(trial, world, owner):
        stored = arrived._replace(saved=saved)
        words = f"the coordinator stores {saved.offset}, {stored_in(saved, world.topic_id)}"
        yield words, stored._replace(broken=broken_by_commit(stored))
    if owner.phase is Phase.FENCING:
        again = world._replace(owner=_fencing_again(owner))
        yield "a rebalance leaves the partition where it is, the epoch is committed again", again
    elif owner.commit is not None or world.strays:
        yield "a rebalance leaves the partition where it is", world._replace(owner=interrupted(owner), strays=())


def _arrivals(trial: Trial, world: World, owner: Term) -> Iterator[tuple[Saved, World]]:
    if owner.commit is not None and not owner.commit.stored:
        stored = owner._replace(commit=owner.commit._replace(stored=True))
        yield owner.commit.saved, world._replace(owner=stored)
    for index, stray in enumerate(world.strays):
        yield stray, world._replace(strays=without(world.strays, index))
    if trial.mistake is Mistake.STALE_COMMIT:
        for index, term in enumerate(world.predecessors):
            if term.commit is not None and not term.commit.stored:
                stored = term._replace(commit=term.commit._replace(stored=True))
                yield term.commit.saved, world._replace(predecessors=put(world.predecessors, index, stored))


def _fencing_again(term: Term) -> Term:
    """Return what a takeover is after a rebalance: the commit of its epoch is on the way again, as it was."""
    assert term.commit is not None
    return term._replace(commit=term.commit._replace(stored=False))


def _is_over(owner: Term) -> bool:
    """Whether the coordinator may have put an owner out: its session is longer than a lease."""
    return not owner.lease and not (owner.commit is not None and owner.commit.stored and owner.commit.young)


def _takeovers(trial: Trial, world: World) -> Iterator[Step]:
    """Assign the partition anew; before that, a tool may have reset what is stored, or the topic was made again."""
    put_out = () if world.owner is None else (_put_out(trial, world.owner),)
    predecessors = (*world.predecessors, *put_out)
    vacant = world._replace(predecessors=predecessors, strays=(), takeovers=world.takeovers + 1)
    yield "a standby takes over", _without_spent(trial, vacant._replace(owner=begun(trial, vacant)))
    if trial.reset is not None and not world.reset:
        vacant = vacant._replace(saved=trial.reset, reset=True)
        taken = _without_spent(trial, vacant._replace(owner=begun(trial, vacant)))
        yield "a tool resets the offset, a standby takes over", taken
    if trial.made_again and not world.reset:
        yield from _made_again(trial, vacant)


def _made_again(trial: Trial, vacant: World) -> Iterator[Step]:
    """Delete the topic and make it again: other commands stand at the offsets, and some before a standby takes over.

    What predecessors still do is about the commands that are gone, so they are left out.
    """
    count = len(trial.commands)
    for present in range(count + 1):
        again = vacant._replace(
            topic=present,
            topic_id="second",
            predecessors=(),
            reset=True,
            answers=(None,) * count,
            old_answers=vacant.answers,
            venue=(Written.NEVER,) * count,
        )
        words = f"the topic is made again and holds {present} commands, a standby takes over"
        yield words, again._replace(owner=begun(trial, again))


def _put_out(trial: Trial, owner: Term) -> Term:
    """Return what an owner is that has lost the partition without noticing: its commit on the way is refused."""
    fences = owner.phase is Phase.FENCING and trial.mistake is Mistake.FENCES_AFTER_LOSS
    if owner.commit is None or owner.commit.stored or trial.mistake is Mistake.STALE_COMMIT or fences:
        return owner
    return interrupted(owner)


def _without_spent(trial: Trial, world: World) -> World:
    """Leave out predecessors that cannot change anything any more: what they say is void, and they have no lease."""
    if not world.predecessors or trial.keep_spent or trial.mistake in _NOT_SPENT:
        return world
    left = tuple(term for term in world.predecessors if term.epoch >= world.top)
    return world if len(left) == len(world.predecessors) else world._replace(predecessors=left)
