"""The topics of an account: one rule for their names, and what each is for."""

from enum import StrEnum
from typing import Final


class Stream(StrEnum):
    """What a topic carries; the last part of its name."""

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
"""`cleanup.policy` of each topic. A topic that is compacted holds the last state of every key."""

STATE_STREAMS: Final = frozenset({Stream.ORDERS, Stream.ASSETS, Stream.POSITIONS})
"""Topics whose last record of a key is the truth about it."""

TAKEOVER_STREAMS: Final = (
    *(Stream.RESULTS, Stream.DEAD_LETTERS, Stream.SESSION, Stream.TRADES),
    *sorted(STATE_STREAMS),
)
"""Topics that an owner reads when it takes over: they tell of the owners before it."""


def topic_name(prefix: str, account: str, stream: Stream) -> str:
    """Name the topic of one stream of one account: `{prefix}.{account}.{stream}`."""
    return f"{prefix}.{account}.{stream.value}"


def group_name(prefix: str, account: str) -> str:
    """Name the consumer group whose one partition decides who owns the account."""
    return f"{prefix}.{account}"
