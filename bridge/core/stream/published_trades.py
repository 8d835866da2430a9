"""The trades that were published: which are known, and which of them contradict another one of the same identity."""

from enum import Enum, auto
from typing import Final

from bridge.core.packed import RecentNumbers, digest
from bridge.core.stream.venue_record import VenueRecord

_TRADES_MAX: Final = 240_000
"""The latest trades, by their identity; a sweep asks for those since the last clean audit, and more."""
_CONFLICTS_MAX: Final = 10_000
_CONTENT_MASK: Final = (1 << 32) - 1


class TradeMatch(Enum):
    """How a trade compares with the published trades of its identity."""

    NEW = auto()
    KNOWN = auto()
    CONFLICT = auto()
    """Another trade was published under its identity."""
    KNOWN_CONFLICT = auto()
    """Another trade was published under its identity, and this one as well."""


class PublishedTrades:
    """The latest trades by their identity, with a digest of what each of them says."""

    def __init__(self) -> None:
        self._contents = RecentNumbers(_TRADES_MAX, "I")
        self._conflicts: set[int] = set()
        """Digests of trades whose identity another trade had before."""

    @property
    def forgotten_ms(self) -> int:
        """The latest time of a trade that is no longer remembered; 0 when all are."""
        return self._contents.forgotten_ms

    def has(self, trade: VenueRecord) -> bool:
        """Whether a trade was published, alone or beside another one of its identity."""
        content = self._contents.get(digest(trade.identity))
        if content == _content_digest(trade):
            return True
        return bool(self._conflicts) and _full_digest(trade) in self._conflicts

    def add(self, trade: VenueRecord, published_ms: int) -> TradeMatch:
        """Add a trade that is published, and return how it compares with what was published before."""
        identity = digest(trade.identity)
        known, content = self._contents.get(identity), _content_digest(trade)
        if known is None:
            self._contents.put(identity, content, min(trade.time_ms or published_ms, published_ms))
            return TradeMatch.NEW
        if known == content:
            return TradeMatch.KNOWN
        conflict = _full_digest(trade)
        if conflict in self._conflicts:
            return TradeMatch.KNOWN_CONFLICT
        if len(self._conflicts) >= _CONFLICTS_MAX:
            self._conflicts.clear()
        self._conflicts.add(conflict)
        return TradeMatch.CONFLICT


def _content_digest(trade: VenueRecord) -> int:
    return digest(trade.compared_fields) & _CONTENT_MASK


def _full_digest(trade: VenueRecord) -> int:
    return digest((trade.identity, *trade.compared_fields))
