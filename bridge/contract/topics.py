"""The topics of an account: their names, and their clean-up policies.

To add a stream, touch:

- here: `Stream`, `CLEANUP_POLICY`, and `STATE_STREAMS` and `TAKEOVER_STREAMS` if it belongs there;
- contract: headers.py (`EVENT_TYPES`), pushes.py (its push), session.py (`Lost`, `Recovered`);
- contract/export: messages.py, pushes.py, samples.py, venue.py, asyncapi.py (its purpose); then write schemas/ again;
- core: odd_fields.py (the fields that it needs), topic_losses.py (`GONE`);
- core/stream: venue_record.py (`PARSERS`), route.py (its channels), reconciliation.py (its rows, `lost_streams`);
- ltp/wire.py and core/records.py, if most of its pushes are to be decoded in one pass;
- ltp/rest.py, ltp/rows.py, flow/ports.py and flow/sweep_lists.py, if REST lists its records;
- sandbox/venue (pushes.py, injection.py) and sandbox/demo/check.py (`STREAM_OF`).
"""

from enum import StrEnum
from typing import Final


class Stream(StrEnum):
    """The last part of a topic's name; it says what the topic carries."""

    # Every push is looked up by its stream several times; the hash of Enum is a function in Python.
    __hash__ = str.__hash__

    ORDERS = "orders"
    TRADES = "trades"
    ASSETS = "assets"
    POSITIONS = "positions"
    MARGIN_CALLS = "margin-calls"
    LIQUIDATIONS = "liquidations"
    SESSION = "session"
    UNRECOGNIZED = "unrecognized"
    COMMANDS = "commands"
    RESULTS = "results"
    DEAD_LETTERS = "dead-letters"


CLEANUP_POLICY: Final[dict[Stream, str]] = {
    Stream.ORDERS: "compact,delete",
    Stream.TRADES: "delete",
    Stream.ASSETS: "compact",
    Stream.POSITIONS: "compact",
    Stream.MARGIN_CALLS: "delete",
    Stream.LIQUIDATIONS: "delete",
    Stream.SESSION: "delete",
    Stream.UNRECOGNIZED: "delete",
    Stream.COMMANDS: "delete",
    Stream.RESULTS: "delete",
    Stream.DEAD_LETTERS: "delete",
}
"""`cleanup.policy` of each topic. A compacted topic keeps the last record of every key."""

STATE_STREAMS: Final = frozenset({Stream.ORDERS, Stream.ASSETS, Stream.POSITIONS})
"""Topics on which the last record of a key is its current state."""

TAKEOVER_STREAMS: Final = (
    *(Stream.RESULTS, Stream.DEAD_LETTERS, Stream.SESSION, Stream.TRADES),
    *sorted(STATE_STREAMS),
)
"""Topics that an owner reads when it takes over, to learn what earlier owners published."""


def topic_name(prefix: str, account: str, stream: Stream) -> str:
    """Return the topic's name of one stream of one account: `{prefix}.{account}.{stream}`."""
    return f"{prefix}.{account}.{stream.value}"


def group_name(prefix: str, account: str) -> str:
    """Return the name of the consumer group whose one partition decides who owns the account."""
    return f"{prefix}.{account}"
