"""The rules about terms and sessions: contiguous numbers, recovery after each login, its gate, alarms with a cause."""

from collections.abc import Iterator
from typing import Any

from tests.chaos.contents import Topics
from tests.chaos.gaps import Stretch, Timing
from tests.chaos.ledger import PushLedger
from tests.witness.ledger import Session
from tests.witness.record import Record
from tests.witness.request import Entry
from tests.witness.violation import Violation, violation

_FOR_EVER_MS = 1 << 62
_DIED_MS = 2000
"""What was said so long before a SIGKILL may be lost with it."""


_ON_ITS_WAY_MS = 1000
"""How long a request that was written in time may take to the venue."""


def numbers_are_contiguous(topics: Topics, deleted: set[str]) -> Iterator[Violation]:
    """Want the sequence of a topic and epoch to begin at 1 and leave out none; a repeat is the same record.

    A topic that was deleted may begin anywhere.
    """
    for topic, records in topics.items():
        top: dict[int, int] = {}
        ids: dict[tuple[int, int], str] = {}
        for record in records:
            before = top.get(record.epoch, record.sequence - 1 if topic in deleted else 0)
            name = ids.setdefault((record.epoch, record.sequence), record.event_id)
            if record.sequence > before + 1:
                yield violation("sequence", f"a hole after {before}: {record.sequence}", record.witness())
            elif record.sequence < 1 or record.epoch < 1:
                yield violation("sequence", "no epoch or no sequence", record.witness())
            elif name != record.event_id:
                yield violation("sequence", f"{record.sequence} was {name} before", record.witness())
            top[record.epoch] = max(before, record.sequence)


def recovered_after_login(
    session: list[Record], ledger: PushLedger, timing: Timing, done: list[Entry], end_ms: int
) -> Iterator[Violation]:
    """Want `session.opened`, and then `recovery.complete`, in each session that lived long enough for it.

    While REST or the brokers failed nothing could be recovered or said, and what was said right before a SIGKILL may
    be lost with it.
    """
    told, space_ms = [record.fields for record in session], ledger.space_ms
    for one in ledger.sessions:
        until_ms = min(one.drop_ms, end_ms)
        if until_ms - one.login_ms - _hindered_ms(one, done, until_ms) < timing.recovery_s * 1000:
            continue
        if any(_died(at_ms, one) for at_ms in _deaths(done)) and until_ms - one.login_ms < _DIED_MS:
            continue
        since_ms = one.login_ms - space_ms
        for kind in ("session.opened", "recovery.complete"):
            if not any(row["type"] == kind and since_ms <= row["at"] <= until_ms + space_ms for row in told):
                yield violation("recovery", f"no {kind} within {timing.recovery_s:g} s", one.witness())


def _hindered_ms(session: Session, done: list[Entry], until_ms: int) -> int:
    hindered = [one for one in done if one["kind"] in {"rest", "kafka", "wire"}]
    parts = (Stretch(max(one["from_ms"], session.login_ms), min(one["to_ms"], until_ms)) for one in hindered)
    return sum(max(0, part.to_ms - part.from_ms) for part in parts)


def _deaths(done: list[Entry]) -> list[int]:
    return [int(one["from_ms"]) for one in done if one["kind"] == "death"]


def _died(at_ms: int, session: Session) -> bool:
    return session.login_ms <= at_ms <= session.drop_ms


def gated_until_recovered(session: list[Record], ledger: PushLedger, done: list[Entry]) -> Iterator[Violation]:
    """Want no place or replace on a session before its recovery was complete, nor after it was told to be lost."""
    complete = [(one.epoch, int(one.fields["at"])) for one in session if one.fields.get("type") == "recovery.complete"]
    lost = [(one.epoch, int(one.fields["at"])) for one in session if one.fields.get("type") == "session.lost"]
    for request in ledger.gated:
        own = ledger.session_of(request.connection)
        if own is None:
            yield violation("gate", f"{request.action} without a login", request.witness())
            continue
        since_ms, until_ms = own.login_ms - ledger.space_ms, request.at_ms + ledger.space_ms
        opened = [at for epoch, at in complete if epoch == request.epoch and since_ms <= at <= until_ms]
        if not opened:
            if not any(request.at_ms <= at_ms <= request.at_ms + _DIED_MS for at_ms in _deaths(done)):
                why = f"{request.action} before recovery.complete"
                yield violation("gate", why, request.witness(), own.witness())
            continue
        written_ms = _written_ms(request.at_ms, done) - ledger.space_ms
        own_ms = max(opened[0], own.login_ms + ledger.space_ms)
        if any(epoch == request.epoch and own_ms <= at < written_ms for epoch, at in lost):
            yield violation("gate", f"{request.action} after session.lost", request.witness(), own.witness())


def _written_ms(arrived_ms: int, done: list[Entry]) -> int:
    """Return when a request may have been written at the earliest: a dead wire keeps it until it is well again."""
    kept = [int(one["from_ms"]) for one in done if one["kind"] == "wire" and _holds(one, arrived_ms)]
    return min([arrived_ms, *kept]) - _ON_ITS_WAY_MS


def _holds(one: Entry, at_ms: int) -> bool:
    return bool(one["from_ms"] <= at_ms <= one["to_ms"] + _ON_ITS_WAY_MS)


def alarms_have_a_cause(session: list[Record], ledger: PushLedger, done: list[Entry]) -> Iterator[Violation]:
    """Want no alarm for what did not happen."""
    wire = any(one["kind"] == "wire" for one in done)
    refused = any(one["kind"] == "rest" for one in done)
    possible: dict[str, Any] = {
        "commits_slow": True,  # the machine may be busy, or the brokers
        "commands_behind": True,  # the same
        "rate_rejected": ledger.limited or ledger.faults["shrink_limit"],
        "login_refused": ledger.limited or ledger.faults["reject_login"] or ledger.faults["refuse_connection"],
        "login_stopped": ledger.faults["reject_login"],
        # What waited in a dead wire may still arrive.
        "late_landed": wire or ledger.faults["hold_request"],
        "recovery_stalled": refused or ledger.limited or ledger.faults["change_rows"],
        "audit_disagrees": any(one["kind"] in {"mute", "redated", "odd"} for one in done),
        "executions_short": any(one["kind"] == "odd" for one in done),
        "order_end_untold": any(one["kind"] == "odd" for one in done),
        "topic_lost": any(one["kind"] == "deleted" for one in done),
        "clock_skew": any(one["kind"] == "clock" for one in done),
        "broker_clock_skew": any(one["kind"] == "clock" for one in done),
    }
    for record in session:
        if record.fields.get("type") == "alarm.raised" and not possible.get(record.fields["alarm"]):
            yield violation(
                "alarms", f"{record.fields['alarm']} without a cause", record.witness(), dict(record.fields)
            )
