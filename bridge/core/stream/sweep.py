"""One sweep of the venue's REST: what it has found, and its outcome.

A sweep asks for the open orders, for those that have ended (the pages of the history, then one by one the orders that
are live here and in neither), for executions since the oldest gap less an overlap, for positions and balances. Its
queries run side by side; the risk is asked for afterwards, once in a session. While a gap is open, a sweep publishes
the rows from before the login that are not published yet. It leaves rows from after the login to the stream. The
overlap is 60 s, an audit period and `rest_lag_s`. It finds pushes that the venue did not send on the old link although
the link was alive. Such a row moves the gap's start back to the time up to which no push is missing, because the venue
may have left out other pushes since then.

Until the first sweep of a session has ended, the bridge sends single cancels only; then it sends every claimed command.
Further sweeps begin 1/8, 1/4 and 1/2 of `rest_lag_s` after the end of the one before. Later than `rest_lag_s` after the
login, the pause is 1/6 of it. A sweep closes the gaps if it began that late, recovered no row but margin calls, found
no key newly absent, and everything that it published is durable. gaps.py lists everything that keeps a gap open.

A list is compared, published and made durable as its rows come, a hundred at a time: no more of it than one answer is
in memory. What needs the whole list (what it lacks) is decided by its keys. Of its rows only a digest of the name and
the date is kept (`ltp/rest_pages.py`), so that a list that changed meanwhile can be read again and an older row is
skipped.

What was published is known by digests (packed.py): the last 240,000 trades with their content, as many ended orders,
5,000 ended orders in full, and 25,000 packed for the sake of commands. A sweep asks for what came since the last clean
audit, less two and a half minutes. What is forgotten of that time is published again rather than lost, under its
`ce_id`, and told: by the gap's detail where an audit finds it, and by the alarm `perhaps_repeated`.
"""

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
    """Open gaps stay open; an audit has not confirmed that pushes are missing."""
    MAY_CLOSE = auto()
    """The gaps may close: everything that was recovered is durable."""
    MISSED = auto()
    """Pushes were missed on a link that seemed alive."""


class AfterSweep(Enum):
    """What the account has made of a sweep, once everything that was recovered is durable."""

    NOTHING = auto()
    """No gap was opened or closed, and the session goes on."""
    GAPS_CLOSED = auto()
    RENEW_SESSION = auto()
    """Pushes were missed: the session is to be ended, and another begun."""
    PUSHES_MISSED = auto()
    """They were missed again and again: a gap is open on the session that goes on."""


def name_some(names: Sequence[str]) -> str:
    """Return three of the names, and how many more there are, as text."""
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
