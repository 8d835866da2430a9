"""The values that a state is made of. All are immutable and compare by value."""

from enum import IntEnum
from typing import Final, NamedTuple, TypeVar

from bridge.contract.results import Outcome
from bridge.core.commands.states import CommandState

from .trials import Saved, Trial

Item = TypeVar("Item")


class Phase(IntEnum):
    """How far a term has come."""

    FENCING = 0
    """The commit of its epoch is under way."""
    ANNOUNCING = 1
    """Its takeover record is not durable yet."""
    READING = 2
    """It may read what was answered, and then the commands."""
    ACTING = 3


class Commit(NamedTuple):
    """A commit under way: what it says, which commands it claims, and where it is.

    `stored`: the coordinator took it, the answer is on its way. `young`: handed over less than a lease ago.
    """

    saved: Saved
    claims: tuple[int, ...]
    stored: bool
    young: bool


class Said(NamedTuple):
    """A record for `results`: a terminal result, or the takeover record, which answers nothing.

    `put_off`: whether it is the answer to a command that was put off.
    """

    offset: int
    outcome: Outcome | None
    put_off: bool = False


TAKEOVER: Final = Said(-1, None)
DEFERRED: Final = None
"""In place of its state: a command that was read and put off, to be answered later."""
Lives = tuple[CommandState | None, ...]


class Term(NamedTuple):
    """One term of ownership, as it sees itself.

    `topic_id` is of the topic that it reads. `lives` holds every command that was read; what was answered before this
    term counts as recorded. `claimed` are the claims that the next commit repeats; `outbox` is what is said and not
    durable, oldest first. `for_memory` are commands that were put off for memory and have no durable answer.
    """

    phase: Phase
    epoch: int
    topic_id: str
    lives: Lives
    claimed: frozenset[int]
    claims_lost_below: int
    commit: Commit | None
    lease: bool
    outbox: tuple[Said, ...]
    for_memory: frozenset[int] = frozenset()


class Written(IntEnum):
    """What happened to a command at the venue."""

    NEVER = 0
    LOST = 1
    """Written, and never arrived; the owner cannot tell."""
    LANDED = 2


class World(NamedTuple):
    """One state of everything.

    `topic` counts the commands that are in the log, and `topic_id` tells it from one that it was before. `strays` are
    commits of this generation that nobody waits for. `top` and `answers` are what a reader of `results` knows: the
    highest epoch, and the terminal result of each command; `old_answers` are those of the topic before. `broken` says
    which promise was broken on the way here.
    """

    topic: int
    topic_id: str
    saved: Saved
    strays: tuple[Saved, ...]
    owner: Term | None
    predecessors: tuple[Term, ...]
    takeovers: int
    reset: bool
    top: int
    answers: tuple[Outcome | None, ...]
    old_answers: tuple[Outcome | None, ...]
    venue: tuple[Written, ...]
    broken: str


class Write(NamedTuple):
    """A command leaves for the venue; `landed` says whether it arrives."""

    offset: int
    landed: bool


class Move(NamedTuple):
    """What a term may do next, what it is then, and what the rest of the world gets to see of it.

    That is a record that becomes durable, a write, or a commit that nobody waits for any more.
    """

    words: str
    term: Term
    effect: Said | Write | Saved | None = None


def first(trial: Trial) -> World:
    """Return the state in which the group has never committed and nobody owns the account."""
    count = len(trial.commands)
    return World(
        topic=trial.present,
        topic_id="first" if trial.made_again else "",
        saved=Saved(None, ""),
        strays=(),
        owner=None,
        predecessors=(),
        takeovers=0,
        reset=False,
        top=0,
        answers=(None,) * count,
        old_answers=(None,) * count,
        venue=(Written.NEVER,) * count,
        broken="",
    )


def put(items: tuple[Item, ...], index: int, item: Item) -> tuple[Item, ...]:
    """Return a tuple with one item replaced."""
    return (*items[:index], item, *items[index + 1 :])


def without(items: tuple[Item, ...], index: int) -> tuple[Item, ...]:
    """Return a tuple with one item left out."""
    return (*items[:index], *items[index + 1 :])
