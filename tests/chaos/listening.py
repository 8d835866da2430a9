"""The rules about gaps: what was not heard lies in one, none is longer than it must be, and each comes to its end."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.chaos.contents import Topics
from tests.chaos.gaps import (
    ALLOWANCE_MS,
    Gap,
    Outages,
    Stretch,
    Timing,
    inherited,
    merged,
    read_gaps,
    uncovered,
    without,
)
from tests.chaos.ledger import PushLedger
from tests.witness.epochs import valid
from tests.witness.ledger import Push
from tests.witness.record import STATES, Record
from tests.witness.violation import Violation, violation

_UNREADABLE = "unreadable_rows"
"""What a gap says it lost when rows of the venue's answers could not be read: a later audit may give it back."""


def unheard(topics: Topics, ledger: PushLedger) -> list[Push]:
    """Return the pushes that were never published as they were pushed; a void record is not published."""
    published = {
        topic: {record.text for record in (valid(records) if topic in STATES else records) if not record.is_recovered}
        for topic, records in topics.items()
    }
    return [event for event in ledger.pushes if event.text not in published[event.topic]]


def unheard_lies_in_a_gap(
    topics: Topics, ledger: PushLedger, gaps: dict[str, Gap], timing: Timing
) -> Iterator[Violation]:
    """Want every push that is on its topic only recovered, or not at all, to lie in a published gap."""
    missing = unheard(topics, ledger)
    of_key: dict[tuple[str, str], list[Push]] = defaultdict(list)
    for event in ledger.pushes:
        of_key[event.topic, event.key].append(event)
    lost = {event.number for event in missing}
    space_ms = ledger.space_ms
    for event in missing:
        if ledger.is_deleted(event) or _in_one(gaps, event, space_ms):
            continue
        known = [
            one for one in of_key[event.topic, event.key] if one.number not in lost or _in_one(gaps, one, space_ms)
        ]
        if event.is_muted and _overtaken(event, known, timing):
            continue
        how = "muted" if event.is_muted else "delivered" if event.number in ledger.delivered else "not delivered"
        near = sorted(gaps.values(), key=lambda gap: _distance(gap, event.at_ms))[:2]
        yield violation("in a gap", f"a push ({how}) that is missing outside every gap", event.witness(), *_all(near))


def _in_one(gaps: dict[str, Gap], event: Push, space_ms: int) -> bool:
    return any(gap.holds(event.at_ms, event.until_ms, space_ms) for gap in gaps.values())


def _overtaken(event: Push, known: list[Push], timing: Timing) -> bool:
    """Tell whether nobody could know: another state of its key was told before an audit could look for this one.

    `known` are those that were pushed, or that a gap explains.
    """
    until_ms = event.at_ms + timing.audit_ms
    return event.topic in STATES and any(event.number < one.number and one.at_ms <= until_ms for one in known)


def _distance(gap: Gap, at_ms: int) -> int:
    return min(abs(gap.from_ms - at_ms), abs(gap.to_ms - at_ms))


def _all(gaps: list[Gap]) -> list[dict[str, object]]:
    return [gap.witness() for gap in gaps]


def silence_lies_in_a_gap(gaps: dict[str, Gap], outages: Outages, end_ms: int) -> Iterator[Violation]:
    """Want every moment without a session at the venue, from the first on, to lie in a gap: whatever happened in it."""
    space_ms = outages.space_ms
    told = merged(Stretch(gap.from_ms - space_ms, gap.to_ms + space_ms) for gap in gaps.values())
    for silence in outages.without_session[1:]:
        for bare in without(Stretch(silence.from_ms, min(silence.to_ms, end_ms)), told):
            why = f"{bare.to_ms - bare.from_ms} ms without a session and without a gap"
            yield violation("in a gap", why, {"from_ms": bare.from_ms, "to_ms": bare.to_ms})


def gaps_have_a_reason(
    gaps: dict[str, Gap], logins_ms: list[int], outages: Outages, timing: Timing, *, begin_ms: int, end_ms: int
) -> Iterator[Violation]:
    """Want each gap to lie where nobody listened, but for the time that noticing takes, and their sum too."""
    excuses, taken_over = outages.excuses(timing), list[Stretch]()
    for gap in gaps.values():
        before = inherited(gap, gaps.values(), logins_ms)
        taken_over += [before] if before else []
        # One that never ended is told of as such; one that was taken over ends where its successor does.
        ended = gap.closed is not None
        bare = uncovered(gap, merged([*excuses, *([before] if before else [])]), end_ms) if ended else []
        if gap.from_ms < begin_ms - ALLOWANCE_MS:
            yield violation("gap length", "begins before there was anything", gap.witness(), {"begin_ms": begin_ms})
        elif bare:
            over_ms = sum(one.to_ms - one.from_ms for one in bare)
            where = [{"from_ms": one.from_ms, "to_ms": one.to_ms} for one in bare]
            yield violation("gap length", f"{over_ms} ms of it had no reason", gap.witness(), *where)
    most_ms = outages.true_ms(end_ms) + len(gaps) * (timing.before_ms + ALLOWANCE_MS + 2 * outages.space_ms)
    most_ms += (len(outages.muted) + len(outages.odd)) * 2 * (timing.audit_ms + ALLOWANCE_MS)
    most_ms += sum(one.to_ms - one.from_ms for one in merged(taken_over))
    if total_ms(gaps, end_ms) > most_ms:
        yield violation("gap length", f"{total_ms(gaps, end_ms)} ms altogether, where {most_ms} had a reason")


def total_ms(gaps: dict[str, Gap], end_ms: int) -> int:
    """Return for how long altogether something may be missing, by the gaps that have ended."""
    told = merged(Stretch(gap.from_ms, min(gap.to_ms, end_ms)) for gap in gaps.values() if gap.is_over)
    return sum(one.to_ms - one.from_ms for one in told)


def gaps_end(session: list[Record], gaps: dict[str, Gap]) -> Iterator[Violation]:
    """Want each gap opened under an id of its own, closed once, and its ends where they belong."""
    opened = Counter((one.fields["gapId"], one.sequence, one.epoch) for one in session if _is(one, "gap.opened"))
    times = Counter(gap_id for gap_id, _, _ in opened)
    for record in session:
        if _is(record, "gap.opened") and times[record.fields["gapId"]] > 1:
            yield violation("gaps end", "an id that two gaps have", record.witness(), dict(record.fields))
        if _is(record, "gap.closed"):
            gap = gaps.get(record.fields["gapId"])
            if gap is None or gap.opened.offset > record.offset:
                yield violation("gaps end", "closed, but never opened", record.witness(), dict(record.fields))
            elif int(record.fields["fromMs"]) > int(gap.opened.fields["fromMs"]):
                yield violation("gaps end", "closed with a later beginning", record.witness(), gap.witness())
            elif gap.to_ms < gap.from_ms:
                yield violation("gaps end", "ends before it begins", record.witness(), gap.witness())
    for gap in gaps.values():
        if not gap.is_over:
            yield violation("gaps end", "never closed", gap.witness(), gap.opened.witness())


def closed_when_whole(topics: Topics, ledger: PushLedger, gaps: dict[str, Gap]) -> Iterator[Violation]:
    """Want every trade of a gap on its topic before the gap is said to be closed."""
    first: dict[str, int] = {}
    for record in topics["trades"]:
        first[record.fields.get("transactionId", "")] = min(
            first.get(record.fields.get("transactionId", ""), record.timestamp_ms), record.timestamp_ms
        )
    for gap in gaps.values():
        if gap.closed is None or _UNREADABLE in gap.closed.fields.get("lost", ()):
            continue
        closed_ms = gap.closed.timestamp_ms + ledger.space_ms
        for event in ledger.of_topic("trades"):
            there_ms = first.get(str(event.row["transactionId"]))
            if ledger.is_deleted(event):
                continue  # it may have been there, and what is there now is told once more
            if gap.from_ms <= event.at_ms <= gap.to_ms and there_ms is not None and there_ms > closed_ms:
                late_ms = there_ms - gap.closed.timestamp_ms
                why = f"closed {late_ms} ms before a trade of it was there"
                yield violation("gaps end", why, gap.witness(), event.witness())


def _is(record: Record, kind: str) -> bool:
    return record.fields.get("type") == kind


def published_gaps(topics: Topics) -> dict[str, Gap]:
    """Return what `session` tells of gaps."""
    return read_gaps(topics["session"])
