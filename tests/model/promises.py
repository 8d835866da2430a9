"""What must never happen, said where it would: at a write, at a result that a reader takes, at a stored commit."""

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Outcome

from .lives import ends
from .trials import Command, Trial
from .world import World, Written


def broken_by_write(trial: Trial, world: World, offset: int) -> str:
    """Say why a command must not be written now; empty for one that may. A cancel_order may always be repeated."""
    command, answer = trial.commands[offset], world.answers[offset]
    if command.action == CANCEL:
        return ""
    if world.venue[offset] is not Written.NEVER:
        return "sent twice"
    if answer is not None:
        return f"{answer} but sent"
    for later in range(offset + 1, len(trial.commands)):
        if why := _comes_too_late(trial, world, command, later):
            return why
        if ends(trial.commands[later], offset, command) and world.answers[later] is Outcome.SUPERSEDED:
            return "a place was sent after its cancel was superseded"
    return ""


def _comes_too_late(trial: Trial, world: World, command: Command, later: int) -> str:
    """Say what is wrong with writing a command after a later one has had its effect."""
    other, answer = trial.commands[later], world.answers[later]
    written = world.venue[later] is not Written.NEVER
    if other.action == CANCEL_ALL and (written or (answer is not None and not answer.unsent)):
        return "a place was sent after the cancel_orders that should have ended it"
    if command.action == CANCEL_ALL and written:
        return "a cancel_orders was sent after the place that should have survived it"
    if command.action == REPLACE and command == other and written:
        return "the replaces of an order were sent out of turn"
    return ""


def broken_by_result(trial: Trial, world: World, offset: int, outcome: Outcome) -> str:
    """Say what is wrong with a result that a reader takes; empty for a true one."""
    before, command = world.answers[offset], trial.commands[offset]
    if before is not None:
        return f"two terminal results: {before} and {outcome}"
    if command.action == CANCEL:
        waits = command.of is not None and world.answers[command.of] is None
        early = outcome is Outcome.SUPERSEDED and waits
        return "a cancel's result came before that of the place it removed" if early else ""
    later = trial.commands[offset + 1 :]
    if outcome is Outcome.SUPERSEDED and not any(ends(cancel, offset, command) for cancel in later):
        return "superseded by nothing that came after it"
    return _untrue(command, outcome, world.venue[offset])


def _untrue(command: Command, outcome: Outcome, written: Written) -> str:
    """Say how a result contradicts what the venue has seen."""
    if outcome.unsent and written is not Written.NEVER:
        return f"{outcome} but sent"
    if outcome is Outcome.NOT_FOUND and written is Written.LANDED:
        return "not_found but at the venue"
    if outcome is Outcome.ACCEPTED and written is not Written.LANDED and command.action in {PLACE, REPLACE}:
        return "accepted but not at the venue"
    return ""


def broken_by_commit(world: World) -> str:
    """Say what is wrong with what the coordinator holds; empty for a watermark with a result for all below it."""
    passed = world.answers[: world.saved.offset or 0]
    return "the watermark passed a command without a result" if None in passed else ""


def is_settled(world: World) -> bool:
    """Whether every command has its result, and the watermark has passed it."""
    return None not in world.answers and world.saved.offset == len(world.answers)
