"""One sweep of the venue's REST: what it has found, and its outcome."""

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
"""How far back executions and orders are asked for. The venue has 90 days by its own clock (LTP docs, Query Archive
Executions), which may be ahead of ours, and refuses queries that go back further."""
_NAMED_MAX: Final = 3
_MISSING_MAX: Final = 10_000
"""The names of missing records that are kept; the gap that follows recovers the others too."""


class Sweep(Struct):
    """One sweep that began at `began`, and asks for executions and ended orders since `since_ms`."""

    began: Now
    since_ms: int
    is_audit: bool
    recovered: Counter[Stream] = field(default_factory=Counter)
    missing: set[str] = field(default_factory=set)
    """Names of records that an audit finds, that were not pushed, and that are older than REST may lag."""
    undated: set[str] = field(default_factory=set)
    """Names of other records that were not pushed, of which no time says how long they have been missing."""
    absent: set[tuple[Stream, str]] = field(default_factory=set)
    """Keys that a whole list lacks for the first time."""
    disputed: dict[tuple[Stream, str, int], float] = field(default_factory=dict)
    """States that REST dates before the published ones, and when a sweep first found each, on the boot clock."""
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
    """The number of records that may have been published before: more records came since than are remembered."""
    concluded_ends: list[str] = field(default_factory=list)
    """Orders whose end the bridge concluded, because the venue does not report it."""

    def note_missing(self, name: str) -> None:
        """Note the name of a record that was not pushed."""
        if len(self.missing) < _MISSING_MAX:
            self.missing.add(name)


class SweepOutcome(Enum):
    """The outcome of a sweep."""

    NOTHING = auto()
    MAY_CLOSE = auto()
    """The gaps may close once everything that was recovered is durable."""
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
    """Return three of the names, and how many more there are, as text."""
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
