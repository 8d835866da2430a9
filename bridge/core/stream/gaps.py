"""The gap ledger: every interval in which pushes may have been missed, from its opening to its end."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct, field

from bridge.contract.session import Cause, GapClosed, GapOpened, Lost, Recovered
from bridge.contract.topics import Stream
from bridge.core.now import Now

_STEP_MS: Final = 1000
"""Two clocks are read one after the other, and one is slewed: what differs by less was not set."""


class Gap(Struct):
    """An open gap."""

    gap_id: str
    from_ms: int
    cause: Cause
    to_ms: int = 0
    """The login that ended it; 0 before it."""
    recovered: Counter[Stream] = field(default_factory=Counter)
    from_boot_s: float | None = None
    to_boot_s: float | None = None
    """Both ends on the clock that never steps, where this owner saw them, and no row of the venue's has moved them."""

    def start_ms(self, now: Now) -> int:
        """Return its start in Unix ms by the wall clock as it is set now."""
        return _as_set_now(self.from_ms, self.from_boot_s, now)

    def end_ms(self, now: Now) -> int:
        """Return the login that ended it in Unix ms by the wall clock as it is set now; 0 before it."""
        return _as_set_now(self.to_ms, self.to_boot_s, now)


def _as_set_now(unix_ms: int, boot_s: float | None, now: Now) -> int:
    """Return a time as it was told, or by the wall clock as it is set now where that was set since."""
    told_now_ms = unix_ms if boot_s is None else now.unix_ms(boot_s)
    return told_now_ms if abs(told_now_ms - unix_ms) > _STEP_MS else unix_ms


def count_by_stream(counted: Counter[Stream]) -> Recovered:
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
        self._first: Gap | None = None
        self._open: list[Gap] = []
        self._opened = 0

    def __len__(self) -> int:
        return len(self._open)

    def inherit_gaps(self, left: Iterable[Gap]) -> None:
        """Take on the gaps that earlier owners left open, and with them what only their oldest start stood for.

        One number is kept for all of them. Where a gap explains it, nothing is sure from the login on that ended the
        first of them: no audit has looked since, and what was recovered besides has died with its owner.
        """
        self._open += left
        self._first = next((gap for gap in self._open if gap.cause is Cause.FIRST_START), self._first)
        ends = [gap.to_ms for gap in self._open if gap.to_ms]
        if ends and min(gap.from_ms for gap in self._open) <= self.inherited_ms:
            self.inherited_ms = max(self.inherited_ms, min(ends))

    def first_ms(self, now: Now) -> int:
        """Return where the gap of the very first start begins, Unix ms; 0 where this owner does not know it.

        The very first owner knows it, and the owner that closes its gap.
        """
        return self._first.start_ms(now) if self._first is not None else 0

    def start_ms(self, now: Now) -> int:
        """Return where the oldest open gap begins; 0 without one."""
        return min((gap.start_ms(now) for gap in self._open), default=0)

    def open(self, now: Now, epoch: int, from_ms: int, cause: Cause, detail: str) -> GapOpened:
        """Open a gap that begins at `from_ms`."""
        self._opened += 1
        # What an earlier owner's clock or a setting says is a time, and no instant that this owner saw.
        is_told = cause is Cause.OWNER_CHANGED or (cause is Cause.FIRST_START and from_ms < now.wall_ms)
        gap = Gap(f"{epoch}-{self._opened}", from_ms, cause, from_boot_s=None if is_told else now.boot_s_of(from_ms))
        self._open.append(gap)
        if cause is Cause.FIRST_START:
            self._first = msgspec.structs.replace(gap)
        return GapOpened(at=now.wall_ms, gap_id=gap.gap_id, from_ms=from_ms, cause=cause, detail=detail)

    def repeat_open_gaps(self, now: Now) -> list[GapOpened]:
        """Return every open gap as it stands, to be told once more under its name."""
        return [
            GapOpened(at=now.wall_ms, gap_id=gap.gap_id, from_ms=gap.from_ms, cause=gap.cause, detail="told once more")
            for gap in self._open
        ]

    def logged_in(self, now: Now) -> None:
        """Let every gap end here: from now on pushes arrive."""
        for gap in self._open:
            if not gap.to_ms:
                gap.to_ms, gap.to_boot_s = now.wall_ms, now.boot_s

    def since_ms(self, overlap_ms: int, now: Now) -> int | None:
        """Return from when on rows matter: the earliest start, less the overlap; None without a gap."""
        return max(self.start_ms(now) - overlap_ms, self.first_ms(now)) if self._open else None

    def count_recovered(self, stream: Stream, time_ms: int, now: Now, *, missed: bool, sure_ms: int) -> None:
        """Count a recovered row to the gap it fell into. One that was `missed` outside it makes the gap longer.

        Before all gaps, others may have been missed that were overtaken by then: back to `sure_ms`, up to when it is
        known that nothing is missing.
        """
        gap = next((gap for gap in reversed(self._open) if gap.start_ms(now) <= time_ms), self._open[0])
        gap.recovered[stream] += 1
        if missed and time_ms:
            if time_ms < gap.start_ms(now):
                gap.from_ms, gap.from_boot_s = min(time_ms, sure_ms), None
            if time_ms > gap.end_ms(now):
                gap.to_ms, gap.to_boot_s = time_ms, None

    def close(self, now: Now, lost: tuple[Lost, ...]) -> list[GapClosed]:
        """Close every gap that is open: what can be given back has been."""
        closed = [
            GapClosed(
                at=now.wall_ms,
                gap_id=gap.gap_id,
                from_ms=gap.start_ms(now),
                to_ms=gap.end_ms(now),
                cause=gap.cause,
                recovered=count_by_stream(gap.recovered),
                lost=lost,
            )
            for gap in self._open
        ]
        self._open.clear()
        return closed

    def durable_until_ms(self, live_until_ms: int, now: Now) -> int:
        """Return the start of the oldest open gap, else the point up to which the live stream is durable."""
        return self.start_ms(now) if self._open else live_until_ms or self.inherited_ms
