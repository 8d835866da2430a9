"""What one sweep of the venue's REST has found, and what follows from it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from msgspec import Struct, field

from bridge.contract.topics import Stream
from bridge.core.clocks import UNMEASURED_MS
from bridge.core.now import Now
from bridge.core.rest_rows import OrderRow

ARCHIVE_REACH_MS: Final = 90 * 24 * 3600 * 1000 - UNMEASURED_MS
"""How far back executions and orders are asked for, and no further. The venue knows 90 days by its own clock (LTP docs,
Query Archive Executions), which may be ahead of ours, and refuses to speak of more."""
_NAMED_MAX: Final = 3
_MISSING_MAX: Final = 10_000
"""So many names of what is missing are kept; a gap gives back what else there is."""


class Sweep(Struct):
    """One sweep: when it began, from when on executions and ended orders matter to it, and what it has found."""

    began: Now
    since_ms: int
    is_audit: bool
    recovered: Counter[Stream] = field(default_factory=Counter)
    missing: set[str] = field(default_factory=set)
    """What an audit finds and was not pushed, and is older than REST may lag."""
    undated: set[str] = field(default_factory=set)
    """What it finds besides, and nothing tells how long it has been missing."""
    absent: set[tuple[Stream, str]] = field(default_factory=set)
    """Keys that a whole list lacks, which was not known before."""
    disputed: dict[tuple[Stream, str, int], float] = field(default_factory=dict)
    """States that REST tells otherwise and dates before what stands, and when a look first found them."""
    unreadable: int = 0
    listed: dict[Stream, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The keys that each whole list has."""
    broken_lists: set[Stream] = field(default_factory=set)
    """The lists with a row that was not understood: they prove nothing to be gone."""
    open_orders: int = 0
    """How many orders are open."""
    single_orders: dict[str, OrderRow | None] = field(default_factory=dict)
    """The orders to ask for one by one, and what the history tells of each; None where it does not."""
    possible_duplicates: int = 0
    """What was published and may have been before: more had come since than is remembered."""
    concluded_ends: list[str] = field(default_factory=list)
    """Orders that are over without a word of the venue's."""

    def note_missing(self, name: str) -> None:
        """Note something that was not pushed."""
        if len(self.missing) < _MISSING_MAX:
            self.missing.add(name)


class SweepOutcome(Enum):
    """What follows from a sweep."""

    NOTHING = auto()
    MAY_CLOSE = auto()
    """Once everything that was recovered is durable, the gaps may close."""
    MISSED = auto()
    """Pushes were missed on a link that seemed alive."""


class AfterSweep(Enum):
    """What the account has made of a sweep, once everything that was recovered is durable."""

    NOTHING = auto()
    GAPS_CLOSED = auto()
    RENEW_SESSION = auto()
    """Pushes were missed: the session is to be ended, and another begun."""
    PUSHES_MISSED = auto()
    """They were missed again and again: a gap is open on the session that goes on."""


def name_some(names: Sequence[str]) -> str:
    """Name three, and say how many more there are."""
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
