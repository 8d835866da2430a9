"""The gap ledger: every interval in which pushes may have been missed, from its opening on."""

from bridge.contract.session import Cause, GapOpened
from bridge.core.now import Now


class GapLedger:
    """The open gaps of one account. A gap begins at the last point up to which everything received is durable."""

    def __init__(self, durable_until_ms: int = 0) -> None:
        self.inherited_ms = durable_until_ms
        """Up to when the predecessor's events are durable; 0 without one."""
        self._open: dict[str, int] = {}

    def open(self, now: Now, epoch: int, from_ms: int, cause: Cause, detail: str) -> GapOpened:
        """Open a gap that begins at `from_ms`."""
        gap_id = f"{epoch}-{len(self._open) + 1}"
        self._open[gap_id] = from_ms
        return GapOpened(at=now.wall_ms, gap_id=gap_id, from_ms=from_ms, cause=cause, detail=detail)

    def durable_until_ms(self, live_until_ms: int) -> int:
        """Return the start of the oldest open gap, else the point up to which the live stream is durable."""
        return min(self._open.values(), default=live_until_ms or self.inherited_ms)
