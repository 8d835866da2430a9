"""Reads the growing ledger of the venue, entry by entry."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from bridge.contract.topics import Stream
from bridge.sandbox.venue.ledger import Ledger, LedgerEntry

STREAM_OF: Final[dict[str, Stream]] = {
    "Orders": Stream.ORDERS,
    "Trades": Stream.TRADES,
    "Assets": Stream.ASSETS,
    "Positions": Stream.POSITIONS,
    "MarginCall": Stream.MARGIN_CALLS,
}
"""The topic of each channel."""


class LedgerReader:
    """Yields the entries of one portfolio that were written since it was asked last."""

    def __init__(self, ledger: Ledger, portfolio_id: str) -> None:
        self._ledger = ledger
        self._portfolio_id = portfolio_id
        # The iterator of a growing list goes on, unless it has once reached the end.
        self._unread = iter(ledger)
        self._seen = 0

    def read_new(self) -> Iterator[LedgerEntry]:
        """Yield the new entries; the caller must take them all."""
        new = len(self._ledger) - self._seen
        self._seen += new
        return (entry for entry in islice(self._unread, new) if entry.portfolio_id == self._portfolio_id)
