"""The gap ledger: every interval in which pushes may have been missed, from its opening to its end.

Frames arrive in order, and on a link that is alive a frame takes less than a second. So the bridge has received every
push that the venue made more than a second before the last frame arrived (a pong is a frame, too). The gap of a lost
session begins one second before the last frame, or one second before the oldest push that Kafka has not acknowledged,
if that is earlier. If an audit found that pushes were missed, the gap begins at the time up to which audits have
confirmed that none is missing. The commit's metadata contains the start of the oldest open gap, so a crash loses no
gap. Each lost session opens another gap, even while an earlier gap is open. The next login is the end of all gaps that
have no end yet. All open gaps close together, including those that earlier owners left open on `session`.

A sweep closes the gaps: `Reconciliation.judge_sweep` decides, and `AccountSweeps.apply_sweep_outcome` closes them.
A gap stays open while one of these holds:

- There is no login: the venue is away, or refuses the login; or Kafka has acknowledged no commit for
  `session_timeout_s`; or more events wait for Kafka than the memory limit allows, and brokers take none.
- Each session ends sooner than `rest_lag_s` after its login. Only a sweep that began later than that may close a gap.
- The sweeps fail: REST refuses a query, or does not answer, or a list is too long, or the bridge has a bug. A refusal
  or a bug raises the alarm `recovery_stalled` at once, the others after two minutes.
- Each sweep still publishes rows that were not pushed (margin calls do not count), or finds a key newly absent.
- The records of the sweep are not durable on the topics of trades, orders, assets and positions. The sweep waits, and
  raises no `recovery_stalled`; readiness reports `publishing` as missing.
- The session was lost or renewed before the sweep ended: the sweep is dropped, and the next login begins another one.
- The event `gap.closed` is not durable on `session`: after a crash the next owner inherits the gap.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Struct, field

from bridge.contract.session import Cause, GapClosed, GapOpened, Lost, Recovered
from bridge.contract.topics import Stream
from bridge.core.now import Now

_STEP_MS: Final = 1000
"""Two clocks are read one after the other, and one is slewed: a smaller difference does not mean that one was set."""


class Gap(Struct):
    """An open gap."""

    gap_id: str
    from_ms: int
    cause: Cause
    to_ms: int = 0
    """The end of the gap: the login after it; 0 before that. If pushes were missed on a session that goes on, the time
    at which the gap was opened. `count_recovered` moves the end to a later row."""
    recovered: Counter[Stream] = field(default_factory=Counter)
    from_boot_s: float | None = None
    to_boot_s: float | None = None
    """Both ends on the boot clock, where this owner saw them and no row of the venue has moved them."""

    def start_ms(self, now: Now) -> int:
        """Return its start in Unix ms by the wall clock as it is set now."""
        return _as_set_now(self.from_ms, self.from_boot_s, now)

    def end_ms(self, now: Now) -> int:
        """Return its end in Unix ms by the wall clock as it is set now; 0 while it has none."""
        return _as_set_now(self.to_ms, self.to_boot_s, now)


def _as_set_now(unix_ms: int, boot_s: float | None, now: Now) -> int:
    """Return a Unix time, corrected where the wall clock was set since."""
    now_ms = unix_ms if boot_s is None else now.unix_ms(boot_s)
    return now_ms if abs(now_ms - unix_ms) > _STEP_MS else unix_ms


def count_by_stream(counted: Counter[Stream]) -> Recovered:
    """Return how many records were recovered, by stream."""
    return Recovered(**{stream.value.replace("-", "_"): count for stream, count in counted.items()})


class GapLedger:
    """The open gaps of one account, the oldest first.

    The file's docstring lists what keeps a gap open. A session that is lost while a gap is open opens another gap.
    """

    def __init__(self, epoch: int, durable_until_ms: int = 0) -> None:
        self._epoch = epoch
        self.inherited_ms = durable_until_ms
        """The time up to which the predecessor's events are durable; 0 without a predecessor."""
        self._first: Gap | None = None
        self._open: list[Gap] = []
        self._opened = 0

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Gap]:
        return iter(self._open)

    def inherit_gaps(self, open_gaps: Iterable[Gap]) -> None:
        """Take over the gaps that earlier owners left open.

        The commit contains one time for all gaps, the oldest start; `inherited_ms` is that time. If one of these gaps
        begins there or earlier, that gap covers the time from there to its end. So `inherited_ms` moves on to the
        earliest end of these gaps. It moves no further, because no audit has checked the pushes after that end.
        """
        self._open += open_gaps
        self._first = next((gap for gap in self._open if gap.cause is Cause.FIRST_START), self._first)
        ends = [gap.to_ms for gap in self._open if gap.to_ms]
        if ends and min(gap.from_ms for gap in self._open) <= self.inherited_ms:
            self.inherited_ms = max(self.inherited_ms, min(ends))

    def first_ms(self, now: Now) -> int:
        """Return where the gap of the very first start begins, Unix ms.

        0 where this owner does not know it: only the very first owner does, and the owner that closes its gap.
        """
        return self._first.start_ms(now) if self._first is not None else 0

    def start_ms(self, now: Now) -> int:
        """Return where the oldest open gap begins; 0 without one."""
        return min((gap.start_ms(now) for gap in self._open), default=0)

    def open(self, now: Now, from_ms: int, cause: Cause, detail: str) -> GapOpened:
        """Open a gap that begins at `from_ms`."""
        self._opened += 1
        # A time of an earlier owner or of a setting is no instant that this owner saw on its boot clock.
        is_given = cause is Cause.OWNER_CHANGED or (cause is Cause.FIRST_START and from_ms < now.wall_ms)
        gap = Gap(
            f"{self._epoch}-{self._opened}", from_ms, cause, from_boot_s=None if is_given else now.boot_s_of(from_ms)
        )
        self._open.append(gap)
        if cause is Cause.FIRST_START:
            self._first = msgspec.structs.replace(gap)
        return GapOpened(at=now.wall_ms, gap_id=gap.gap_id, from_ms=from_ms, cause=cause, detail=detail)

    def repeat_open_gaps(self, now: Now) -> list[GapOpened]:
        """Return the event of every open gap once more, under the same name."""
        return [
            GapOpened(at=now.wall_ms, gap_id=gap.gap_id, from_ms=gap.from_ms, cause=gap.cause, detail="told once more")
            for gap in self._open
        ]

    def logged_in(self, now: Now) -> None:
        """Let every gap end now: pushes arrive from a login on."""
        for gap in self._open:
            if not gap.to_ms:
                gap.to_ms, gap.to_boot_s = now.wall_ms, now.boot_s

    def since_ms(self, overlap_ms: int, now: Now) -> int | None:
        """Return the time from which on rows matter: the earliest start, less the overlap; None without a gap."""
        return max(self.start_ms(now) - overlap_ms, self.first_ms(now)) if self._open else None

    def count_recovered(self, stream: Stream, time_ms: int, now: Now, *, missed: bool, sure_ms: int) -> None:
        """Count a recovered row in the gap that it fell into; a `missed` row outside of the gap makes it longer.

        A missed row from before all gaps moves the start of the oldest one back to `sure_ms`, or to the row's time if
        that is earlier. No push is missing up to `sure_ms`; after it, other pushes may be missing as well.
        """
        gap = next((gap for gap in reversed(self._open) if gap.start_ms(now) <= time_ms), self._open[0])
        gap.recovered[stream] += 1
        if missed and time_ms:
            if time_ms < gap.start_ms(now):
                gap.from_ms, gap.from_boot_s = min(time_ms, sure_ms), None
            if time_ms > gap.end_ms(now):
                gap.to_ms, gap.to_boot_s = time_ms, None

    def close(self, now: Now, lost: tuple[Lost, ...]) -> list[GapClosed]:
        """Close every open gap, and return the events of that: everything that REST has is published."""
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
