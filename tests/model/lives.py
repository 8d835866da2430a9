"""What happens to the commands of one term, decided by the code's own table of lives and its own claims."""

from functools import cache

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Outcome
from bridge.core.commands.claims import Claims, CommitMetadata, Origin, encode
from bridge.core.commands.states import FINISHED, UNSENT, CommandEvent, CommandState, step
from bridge.core.commands.takeover_status import TakeoverStatus

from .trials import Command, Mistake, Saved, Trial
from .world import DEFERRED, Lives, Said, Term, put


def saved_by(term: Term, lives: Lives, more: tuple[int, ...] = ()) -> Saved:
    """Return what a commit of a term says, as the code writes it; it claims `more` than was claimed before."""
    said = CommitMetadata(
        term.epoch, 0, tuple(sorted(term.claimed)), term.claims_lost_below, origin=Origin(topic_id=term.topic_id)
    )
    return _saved_by(said, lives, more)


@cache
def _saved_by(said: CommitMetadata, lives: Lives, more: tuple[int, ...]) -> Saved:
    claims = Claims(0, claims_lost_below=said.claims_lost_below, origin=said.origin)
    for offset, state in enumerate(lives):
        if state is DEFERRED:
            claims.deferred.end_range()
            claims.defer(offset, offset + 1)
        elif state is CommandState.RECORDED:
            claims.mark_skipped(offset)
        else:
            claims.mark_read(offset)
    claims.claimed.update(said.claimed)
    return Saved(
        claims.committable_offset, encode(claims.build_metadata(said.epoch, 0, more), claims.committable_offset)
    )


def after(term: Term, offset: int, *events: CommandEvent) -> Term:
    """Let something happen to a command. Raises IllegalTransition for what the code's table does not hold."""
    state = term.lives[offset]
    assert state is not DEFERRED
    for event in events:
        state = step(state, event)
    return term._replace(lives=put(term.lives, offset, state))


def answered(term: Term, offset: int, outcome: Outcome, *events: CommandEvent) -> Term:
    """Let a command have its last word, which is not durable yet."""
    return after(term, offset, *events)._replace(outbox=(*term.outbox, Said(offset, outcome)))


def deferred_answered(term: Term, offset: int) -> Term:
    """Deny a command that was put off."""
    taken = answered(
        term._replace(lives=put(term.lives, offset, CommandState.QUEUED)), offset, Outcome.DENIED, CommandEvent.DECIDED
    )
    *earlier, said = taken.outbox
    return taken._replace(outbox=(*earlier, said._replace(put_off=True)))


def recorded(term: Term, said: Said) -> Term:
    """Note that a last word is durable: its claim is over."""
    after_it = after(term, said.offset, CommandEvent.RESULT_DURABLE)
    return after_it._replace(claimed=term.claimed - {said.offset}, for_memory=term.for_memory - {said.offset})


def taken_in(trial: Trial, term: Term, topic: int, past: TakeoverStatus, outcome: Outcome | None = None) -> Term:
    """Take the next command in; `outcome` is the durable one of a command that was answered before."""
    offset = len(term.lives)
    if _is_put_off(trial, offset, topic, past):
        return term._replace(lives=(*term.lives, DEFERRED))
    if past is TakeoverStatus.ANSWERED:
        term = term._replace(lives=(*term.lives, CommandState.RECORDED))
        return term if outcome is None or outcome.unsent else _way_cleared(trial, term, offset, past)
    term = term._replace(lives=(*term.lives, CommandState.QUEUED))
    if past is TakeoverStatus.CLAIMED:
        return _inherited(trial, term, offset)
    cleared = _way_cleared(trial, term, offset, past)
    command = trial.commands[offset]
    if command.action == CANCEL and command.of is not None and term.lives[command.of] in UNSENT:
        return _removed_with_its_place(trial, cleared, offset)
    return cleared


def put_off_for_memory(term: Term) -> Term:
    """Put the next command off because too many answers wait."""
    offset = len(term.lives)
    return term._replace(lives=(*term.lives, DEFERRED), for_memory=term.for_memory | {offset})


def _is_put_off(trial: Trial, offset: int, topic: int, past: TakeoverStatus) -> bool:
    """Whether a command is put off that was read with so many in the log: that only grows, so a successor does too."""
    if trial.behind_max is None or topic - offset <= trial.behind_max:
        return False
    if past is TakeoverStatus.READ and trial.mistake is Mistake.DEFERRED_FORGOTTEN:
        return False
    may_have_been_sent = past is TakeoverStatus.CLAIMED and trial.mistake is not Mistake.CLAIMED_DEFERRED
    return (
        trial.commands[offset].action in {PLACE, REPLACE}
        and not may_have_been_sent
        and past is not TakeoverStatus.ANSWERED
    )


def _inherited(trial: Trial, term: Term, offset: int) -> Term:
    term = term._replace(claimed=term.claimed | {offset})
    if trial.mistake is Mistake.RESEND and trial.commands[offset].action != CANCEL:
        return after(term, offset, CommandEvent.CLAIM_REQUESTED, CommandEvent.CLAIM_STORED)
    return _way_cleared(trial, after(term, offset, CommandEvent.INHERITED), offset, TakeoverStatus.CLAIMED)


def _removed_with_its_place(trial: Trial, term: Term, offset: int) -> Term:
    """Answer a cancel that removed its own place, behind the answer of the place."""
    term = answered(term, offset, Outcome.SUPERSEDED, CommandEvent.DECIDED)
    if trial.mistake is Mistake.CANCEL_FIRST:
        *earlier, place, cancel = term.outbox
        return term._replace(outbox=(*earlier, cancel, place))
    return term


def _way_cleared(trial: Trial, term: Term, offset: int, past: TakeoverStatus) -> Term:
    """Let a cancel end what waits before it."""
    if trial.mistake is Mistake.SENDS_BELOW and past in {TakeoverStatus.CLAIMED, TakeoverStatus.ANSWERED}:
        return term
    for earlier, command in enumerate(trial.commands[:offset]):
        if ends(trial.commands[offset], earlier, command) and term.lives[earlier] in UNSENT:
            term = answered(term, earlier, Outcome.SUPERSEDED, CommandEvent.DECIDED)
    return term


def ends(cancel: Command, offset: int, earlier: Command) -> bool:
    """Whether a cancel makes an earlier command pointless."""
    if cancel.action == CANCEL_ALL:
        return earlier.action in {PLACE, REPLACE}
    return cancel.action == CANCEL and cancel.of == offset


def may_be_claimed(trial: Trial, term: Term, offset: int) -> bool:
    """Whether a command that waits may be claimed now: nothing that has to go before it is left."""
    command = trial.commands[offset]
    if term.lives[offset] is not CommandState.QUEUED or command.action == CANCEL:
        return False
    if any(_is_refused_first(trial, said, offset) for said in term.outbox):
        return False
    if command.action != CANCEL_ALL and min(term.for_memory, default=offset) < offset:
        return trial.mistake is Mistake.CLAIMS_ABOVE_PUT_OFF
    before = zip(trial.commands[:offset], term.lives, strict=False)
    return not any(_goes_first(trial, earlier, state, command) for earlier, state in before)


def _is_refused_first(trial: Trial, said: Said, offset: int) -> bool:
    """Whether an earlier command was refused that would have gone first, and the refusal may still be lost.

    A successor that does not see it decides anew, perhaps otherwise, and sends the earlier one after the later one;
    but what was put off it puts off too.
    """
    if said.put_off or said.outcome is not Outcome.DENIED or trial.mistake is Mistake.CLAIMS_ABOVE_REFUSAL:
        return False
    return said.offset < offset and _precedes(trial.commands[said.offset], trial.commands[offset])


def _goes_first(trial: Trial, earlier: Command, state: CommandState | None, later: Command) -> bool:
    """Whether a command has to wait for an earlier one that was not written, or, of the same order, not answered."""
    if state is DEFERRED or not _precedes(earlier, later):
        return False
    if earlier.action == CANCEL_ALL:
        return state in UNSENT and trial.mistake is not Mistake.REQUOTE_FIRST
    return state not in FINISHED


def _precedes(earlier: Command, later: Command) -> bool:
    """Whether the order of two commands matters: a quote follows a cancel_orders, a replace one of the same order."""
    if earlier.action == CANCEL_ALL:
        return later.action != CANCEL_ALL
    return earlier.action == REPLACE and earlier == later
