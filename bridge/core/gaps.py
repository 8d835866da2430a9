"""The gap ledger: every interval in which pushes may have been missed, from its opening to its end."""

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, field

from bridge.contract.session import Cause, GapClosed, GapOpened, Lost, Recovered
from bridge.contract.topics import Stream
from bridge.core.now import Now


class Gap(Struct):
    """An open gap."""

    gap_id: str
    from_ms: int
    cause: Cause
    to_ms: int = 0
    """The login that ended it; 0 before it."""
    recovered: Counter[Stream] = field(default_factory=Counter)


def in_numbers(counted: Counter[Stream]) -> Recovered:
    """Say how many records were recovered, by stream."""
    return Recovered(**{stream.value.replace("-", "_"): count for stream, count in counted.items()})


class GapLedger:
    """The open gaps of one account, the oldest first.

    A gap begins at the last point up to which everything received is durable, and pushes are missed until the next
    login. It stays open until what REST knows of it has been published; a link that is lost meanwhile opens another.
    """

    def __init__(self, durable_until_ms: int = 0) -> None:
        self.inherited_ms = durable_until_ms
        """Up to when the predecessor's events are durable; 0 without one."""
        self.first_ms = 0
        """From when on anybody listens, where this owner is the very first: what was before is nobody's; else 0."""
        self._open: list[Gap] = []
        self._opened = 0

    def __len__(self) -> int:
        return len(self._open)

    def inherit(self, left: Iterable[Gap]) -> None:
        """Take on the gaps that earlier owners left open, and with them what only their oldest start stood for.

        One number is kept for all of them. Where a gap explains it, nothing is sure from the login on that ended the
        first of them: no audit has looked since, and what was recovered besides has died with its owner.
        """
        self._open += left
        ends = [gap.to_ms for gap in self._open if gap.to_ms]
        if ends and self.start_ms <= self.inherited_ms:
            self.inherited_ms = max(self.inherited_ms, min(ends))

    @property
    def start_ms(self) -> int:
        """Where the oldest open gap begins; 0 without one."""
        return min((gap.from_ms for gap in self._open), default=0)

    def open(self, now: Now, epoch: int, from_ms: int, cause: Cause, detail: str) -> GapOpened:
        """Open a gap that begins at `from_ms`."""
        if cause is Cause.FIRST_START:
            self.first_ms = from_ms
        self._opened += 1
        gap = Gap(f"{epoch}-{self._opened}", from_ms, cause)
        self._open.append(gap)
        return GapOpened(at=now.wall_ms, gap_id=gap.gap_id, from_ms=from_ms, cause=cause, detail=detail)

    def logged_in(self, now: Now) -> None:
        """Let every gap end here: from now on pushes arrive."""
        for gap in self._open:
            gap.to_ms = gap.to_ms or now.wall_ms

    def since_ms(self, overlap_ms: int) -> int | None:
        """Return from when on rows matter: the earliest start, less the overlap; None without a gap."""
        return max(self.start_ms - overlap_ms, self.first_ms) if self._open else None

    def credit(self, stream: Stream, time_ms: int, *, missed: bool, sure_ms: int) -> None:
        """Count a recovered row to the gap it fell into. One that was `missed` outside it makes the gap longer.

        Before all gaps, others may have been missed that were overtaken by then: back to `sure_ms`, up to when it is
        known that nothing is missing.
        """
        gap = next((gap for gap in reversed(self._open) if gap.from_ms <= time_ms), self._open[0])
        gap.recovered[stream] += 1
        if missed and time_ms:
            if time_ms < gap.from_ms:
                gap.from_ms = min(time_ms, sure_ms)
            gap.to_ms = max(gap.to_ms, time_ms)

    def close(self, now: Now, lost: tuple[Lost, ...]) -> list[GapClosed]:
        """Close every gap that is open: what can be given back has been."""
        closed = [
            GapClosed(
                at=now.wall_ms,
                gap_id=gap.gap_id,
                from_ms=gap.from_ms,
                to_ms=gap.to_ms,
                cause=gap.cause,
                recovered=in_numbers(gap.recovered),
                lost=lost,
            )
            for gap in self._open
        ]
        self._open.clear()
        return closed

    def durable_until_ms(self, live_until_ms: int) -> int:
        """Return the start of the oldest open gap, else the point up to which the live stream is durable."""
        return self.start_ms if self._open else live_until_ms or self.inherited_ms
