"""What is explored: small sets of commands, the bounds, and the mistakes that can be planted.

To look further, raise `TAKEOVERS`, write a trial with more commands, or run one of `LARGER`:

    python -c "from tests.model.search import Search; from tests.model.trials import LARGER
    for name, trial in LARGER.items(): print(name, Search(trial).run())"

A further takeover costs four times the states and more, a further command about ten times.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.core.commands.claims import CommitMetadata, encode

TAKEOVERS: Final = 3


class Mistake(StrEnum):
    """A planted mistake; the value says what is done wrong."""

    RESEND = "a takeover writes what a predecessor has claimed"
    UNCERTAIN_CONTINUE = "the term goes on in the same generation after a written commit has no answer"
    NO_LEASE = "the gate does not look at the lease"
    LEASE_FROM_ACK = "the lease runs from the acknowledgement instead of the hand-over"
    NO_EPOCH = "readers take every result, whatever its epoch"
    STALE_COMMIT = "a live member that lost the partition may still commit"
    EMPTY_METADATA = "a takeover does not look at the claims"
    EARLY_READ = "a takeover reads the results before its own record is among them"
    OFFSET_EPOCH = "the epoch is the place of the takeover record, not fenced by a commit"
    GOES_ON_AFTER_LOSS = "a member that lost the partition and gets it back goes on with its old term"
    FENCES_AFTER_LOSS = "a takeover that lost the partition and gets it back commits its epoch again"
    OLD_CLAIM = "what the gate refused is written on its old claim, which no later commit holds"
    UNACKNOWLEDGED_CLAIM = "a command is written while its claim is still on the way"
    EARLY_WATERMARK = "the watermark passes what is answered before the answer is durable"
    CANCEL_FIRST = "a cancel's own result comes before that of the place it removed"
    UNORDERED = "a result does not wait for those before it"
    SENDS_BELOW = "a takeover writes the place below a claimed or answered cancel_orders"
    SUPERSEDES_ABOVE = "a takeover supersedes the place above a claimed or answered cancel_orders"
    REQUOTE_FIRST = "a place does not wait for the cancel_orders before it"
    CLAIMS_ABOVE_REFUSAL = "a command is claimed while the refusal of one that goes before it is not durable"
    DOUBTFUL_AS_EMPTY = "unreadable metadata counts as no claims"
    DOUBTFUL_FORGOTTEN = "that claims were lost is not told to the next owner"
    EPOCH_FROM_RESULTS = "after the metadata was lost the epoch goes on from the highest on results"
    TRUSTS_OFFSET = "after the metadata was lost a takeover begins at the offset that a tool has set"
    DEFERRED_PASSED = "the watermark does not wait for what was put off"
    DEFERRED_FORGOTTEN = "a takeover takes in what its predecessor has put off"
    CLAIMS_ABOVE_PUT_OFF = "a command is claimed above one that a successor may not put off again"
    CLAIMED_DEFERRED = "a takeover puts off what its predecessor has claimed"
    TRUSTS_OLD_TOPIC = "a commit about a topic that was made again since is read as if it were about the new one"
    ANSWERED_BY_OFFSET = "a result from before the topic was made again answers what stands at its offset now"
    TRUSTS_COPY = "claims that were copied to another offset are read as if they had been made there"


class Command(NamedTuple):
    """One record of the commands topic; its offset is its place in the trial.

    `of` is the place that a cancel names, or the order of a replace.
    """

    action: str
    of: int | None = None


class Saved(NamedTuple):
    """A committed offset and its metadata, as the coordinator keeps them; no offset before the first commit."""

    offset: int | None
    metadata: str


class Trial(NamedTuple):
    """Commands and how many of them are there from the start, bounds, and what is done wrong.

    `reset`: what a tool may once set the group's offset to. `made_again`: whether the topic may once be deleted and
    made again, with other commands on it. `behind_max`: with more behind it, itself counted, a place or replace is put
    off. `memory`: any of them may be put off, because too many answers wait, which a successor does not have.
    `keep_spent`: predecessors that cannot change anything any more stay in the model.
    """

    commands: tuple[Command, ...]
    present: int
    takeovers: int = TAKEOVERS
    reset: Saved | None = None
    made_again: bool = False
    behind_max: int | None = None
    memory: bool = False
    mistake: Mistake | None = None
    keep_spent: bool = False


_PLACE: Final = Command(PLACE)
_CANCEL_ORDERS: Final = Command(CANCEL_ALL)
_FOREIGN_ORDER: Final = -1

TWO_PLACES: Final = Trial((_PLACE, _PLACE), present=2)
CANCELLED_PLACE: Final = Trial((_PLACE, Command(CANCEL, of=0)), present=1)
TWO_REPLACES: Final = Trial((Command(REPLACE, _FOREIGN_ORDER), Command(REPLACE, _FOREIGN_ORDER)), present=2)
REQUOTE: Final = Trial((_PLACE, _CANCEL_ORDERS, _PLACE), present=1, takeovers=2)
OFFSETS_MOVED: Final = Trial((_PLACE, _PLACE), present=1, reset=Saved(1, ""))
OFFSETS_COPIED: Final = Trial(
    (_PLACE, _PLACE), present=2, takeovers=2, reset=Saved(1, encode(CommitMetadata(7, 0, (0,)), 0))
)
OFFSETS_RESET: Final = Trial((_PLACE, _PLACE), present=1, reset=Saved(0, ""))
RESET_AND_CANCEL_ORDERS: Final = Trial((_PLACE, _CANCEL_ORDERS), present=1, reset=Saved(0, ""))
RESET_AND_CANCEL: Final = Trial((_PLACE, Command(CANCEL, of=0)), present=1, reset=Saved(0, ""))
MADE_AGAIN: Final = Trial((_PLACE, _PLACE), present=1, takeovers=2, made_again=True)
PUT_OFF: Final = Trial((_PLACE, _PLACE), present=1, behind_max=1)
REPLACE_PUT_OFF: Final = TWO_REPLACES._replace(present=0, behind_max=1)
PUT_OFF_FOR_MEMORY: Final = TWO_REPLACES._replace(present=0, memory=True)
PUT_OFF_AND_CANCEL_ORDERS: Final = REQUOTE._replace(behind_max=1)
ONE_PLACE: Final = Trial((_PLACE,), present=1, takeovers=5)

SOUND: Final = {
    "two places": TWO_PLACES,
    "a place and its cancel": CANCELLED_PLACE,
    "two replaces of an order": TWO_REPLACES,
    "place, cancel_orders, place": REQUOTE,
    "two places, offsets reset": OFFSETS_RESET,
    "two places, the offset moved on": OFFSETS_MOVED,
    "two places, a commit copied to another offset": OFFSETS_COPIED,
    "place, cancel_orders, offsets reset": RESET_AND_CANCEL_ORDERS,
    "a place and its cancel, offsets reset": RESET_AND_CANCEL,
    "two places, the topic made again": MADE_AGAIN,
    "two places, the first put off": PUT_OFF,
    "two replaces of an order, the first put off": REPLACE_PUT_OFF,
    "two replaces of an order, any put off for memory": PUT_OFF_FOR_MEMORY,
    "place, cancel_orders, place, the first put off": PUT_OFF_AND_CANCEL_ORDERS,
    "one place, many takeovers": ONE_PLACE,
}

LARGER: Final = {
    "three places": Trial((_PLACE, _PLACE, _PLACE), present=3, takeovers=2),
    "place, cancel_orders, place": REQUOTE._replace(takeovers=3),
    "a place, its cancel, a place": Trial((_PLACE, Command(CANCEL, of=0), _PLACE), present=1, takeovers=2),
    "two places, many takeovers": TWO_PLACES._replace(takeovers=4),
}
