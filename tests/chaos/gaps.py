"""What `session` tells of gaps, and where there was truly nobody who listened."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.chaos.ledger import PushLedger
from tests.witness.record import Record
from tests.witness.request import Entry

_FOR_EVER_MS = 1 << 62
_OWNER_CHANGED = "owner_changed"
ALLOWANCE_MS = 1500
"""What a busy machine may add to either end of a gap: a frame that is read late, records that wait for a broker."""


_KAFKA_BACK_MS = 5000
"""How long after an outage of Kafka nothing new need be durable: clients look again every two seconds, and a member
that was put out takes the account over anew."""


class Stretch(NamedTuple):
    """A stretch of time, both ends within it."""

    from_ms: int
    to_ms: int


@dataclass
class Gap:
    """One gap as it was published."""

    gap_id: str
    opened: Record
    from_ms: int
    cause: str
    closed: Record | None = None
    to_ms: int = _FOR_EVER_MS
    taken_over_by: str = ""
    """The gap of a later owner that stands for it, where its own owner could not close it."""

    @property
    def is_over(self) -> bool:
        """Whether something told its end."""
        return self.to_ms < _FOR_EVER_MS

    def was_open_at(self, record: Record) -> bool:
        """Tell whether it had been opened, and not closed, when a record of `session` was written."""
        return self.opened.offset < record.offset and (self.closed is None or record.offset < self.closed.offset)

    def holds(self, from_ms: int, to_ms: int, slack_ms: int) -> bool:
        """Tell whether some moment between two lies in the gap."""
        return self.from_ms - slack_ms <= to_ms and from_ms <= self.to_ms + slack_ms

    def witness(self) -> Entry:
        """Name the gap for a person."""
        to_ms = self.to_ms if self.is_over else None
        return {"gap": self.gap_id, "cause": self.cause, "from_ms": self.from_ms, "to_ms": to_ms}


def read_gaps(session: Iterable[Record]) -> dict[str, Gap]:
    """Return every gap by its id; what was told twice counts once."""
    gaps: dict[str, Gap] = {}
    for record in session:
        told = record.fields
        if told.get("type") == "gap.opened" and told["gapId"] not in gaps:
            gaps[told["gapId"]] = Gap(told["gapId"], record, int(told["fromMs"]), str(told["cause"]))
        elif told.get("type") == "gap.closed" and told["gapId"] in gaps:
            gap = gaps[told["gapId"]]
            gap.closed, gap.to_ms = record, int(told["toMs"])
            gap.from_ms = min(gap.from_ms, int(told["fromMs"]))
    _take_over(gaps)
    return gaps


def _take_over(gaps: dict[str, Gap]) -> None:
    """End each gap that its owner left open with a later owner's that begins no later, once that one ends."""
    for gap in sorted(gaps.values(), key=lambda one: one.opened.epoch, reverse=True):
        for later in gaps.values():
            begins_no_later = later.opened.epoch > gap.opened.epoch and later.from_ms <= gap.from_ms
            if gap.closed is None and begins_no_later and later.to_ms < gap.to_ms:
                gap.to_ms, gap.taken_over_by = later.to_ms, later.gap_id


@dataclass(frozen=True)
class Timing:
    """The settings on which it depends how soon what is missed is noticed."""

    ping_interval_s: float
    pong_deadline_s: float
    commit_period_s: float
    audit_period_s: float
    rest_lag_s: float
    recovery_s: float
    """How long a first sweep may take, whatever it has to find."""
    sweep_s: float
    """How long a sweep mostly takes."""

    @property
    def audit_ms(self) -> int:
        """How long a push may be missed on a healthy link.

        The gap before must be closed; then what is missed must be old enough, be looked for, and be looked for again.
        """
        return int((2 * self.rest_lag_s + 2 * self.audit_period_s + 5 * self.sweep_s) * 1000)

    @property
    def before_ms(self) -> int:
        """By how much a gap may begin before its outage: the last frame was a pong, the last commit a period old."""
        return int((self.ping_interval_s + self.commit_period_s) * 1000) + ALLOWANCE_MS


class Outages:
    """When nobody listened, by the ledger and by what was done to the wires."""

    def __init__(self, ledger: PushLedger, done: list[Entry], begin_ms: int) -> None:
        self.kafka = _of_kind(done, "kafka")
        self.muted = _of_kind(done, "mute")
        self.late = _of_kind(done, "muddle")
        self.rest = _of_kind(done, "rest")
        self.odd = merged([*_of_kind(done, "odd"), *_of_kind(done, "redated")])
        self.space_ms = ledger.space_ms
        heard = [Stretch(one.login_ms, one.drop_ms) for one in ledger.sessions]
        cut = _of_kind(done, "wire")
        whole = Stretch(begin_ms, _FOR_EVER_MS)
        self.deaf = without(whole, _minus(heard, cut))
        self.without_session = without(whole, heard)

    def excuses(self, timing: Timing) -> list[Stretch]:
        """Return where gaps may be."""
        before, after = timing.before_ms + self.space_ms, ALLOWANCE_MS + self.space_ms
        grown = [Stretch(one.from_ms - before, one.to_ms + after) for one in (*self.deaf, *self.kafka, *self.late)]
        grown += [Stretch(one.to_ms, one.to_ms + _KAFKA_BACK_MS) for one in self.kafka]
        # A gap that the audit found begins no earlier than what the audit before could vouch for.
        audit = timing.audit_ms + after
        grown += [Stretch(one.from_ms - audit, one.to_ms + audit) for one in (*self.muted, *self.odd)]
        return merged(grown)

    def true_ms(self, until_ms: int) -> int:
        """Return for how long altogether nobody listened, or not everything could be heard or kept."""
        everything = merged([*self.deaf, *self.kafka, *self.muted, *self.odd])
        return sum(min(one.to_ms, until_ms) - one.from_ms for one in everything if one.from_ms < until_ms)


def merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Join what overlaps."""
    found: list[Stretch] = []
    for one in sorted(stretches):
        if found and one.from_ms <= found[-1].to_ms:
            found[-1] = Stretch(found[-1].from_ms, max(found[-1].to_ms, one.to_ms))
        else:
            found.append(one)
    return found


def without(whole: Stretch, taken: Iterable[Stretch]) -> list[Stretch]:
    """Return what is left of a stretch when others are taken away."""
    left, at_ms = [], whole.from_ms
    for one in merged(taken):
        if min(one.from_ms, whole.to_ms) > at_ms:
            left.append(Stretch(at_ms, min(one.from_ms, whole.to_ms)))
        at_ms = max(at_ms, one.to_ms)
    if at_ms < whole.to_ms:
        left.append(Stretch(at_ms, whole.to_ms))
    return left


def _minus(stretches: Iterable[Stretch], taken: list[Stretch]) -> Iterator[Stretch]:
    for one in stretches:
        yield from without(one, taken)


def inherited(gap: Gap, gaps: Iterable[Gap], logins_ms: Iterable[int]) -> Stretch | None:
    """Return what a later owner's gap takes over where gaps were left open: all since the login after the oldest."""
    left = [one for one in gaps if one.opened.epoch < gap.opened.epoch and one.was_open_at(gap.opened)]
    if gap.cause != _OWNER_CHANGED or not left:
        return None
    oldest_ms = min(one.from_ms for one in left)
    login_ms = min((at_ms for at_ms in logins_ms if at_ms >= oldest_ms), default=oldest_ms)
    return Stretch(login_ms - ALLOWANCE_MS, gap.to_ms) if login_ms < gap.to_ms else None


def uncovered(gap: Gap, excuses: list[Stretch], until_ms: int) -> list[Stretch]:
    """Return the parts of a gap for which there was no reason; an open one is looked at up to `until_ms`."""
    return without(Stretch(gap.from_ms, min(gap.to_ms, until_ms)), excuses)


def _of_kind(done: list[Entry], kind: str) -> list[Stretch]:
    return merged(Stretch(int(one["from_ms"]), int(one["to_ms"])) for one in done if one["kind"] == kind)
