"""The document of the status page: this process and its accounts at one moment, as people look at them.

Names end in their units. Times are Unix ms, and 0 stands for none. What others wrote is cut to a bounded length.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from bridge.admin.account_report import AccountReport
from bridge.admin.health import MissingPart
from bridge.contract.session import Alarm, Cause
from bridge.core.account_status import AccountStatus, BudgetStatus, GapStatus
from bridge.core.alarms import ActiveAlarm
from bridge.core.records import PublishedResult
from bridge.core.skew import Skew
from bridge.metrics import LatencyTotals

ROWS_MAX: Final = 20
"""So many gaps and alarms of an account are listed, the oldest; all are counted."""
DETAIL_CHARS_MAX: Final = 500
WORD_CHARS_MAX: Final = 128
_RUNBOOK_BY_MISSING: Final = {
    "kafka": "no-owner",
    "takeover": "no-owner",
    "operator": "no-owner",
    "session": "no-session",
    "sweep": "gap-open",
    "commits": "alarm-commits_slow",
    "publishing": "records-not-durable",
    "topics": "alarm-topic_lost",
}


RECENT_MS: Final = 900_000
"""The alert rules look back as far."""
_STOPPED: Final = "stopped"


class ProcessFacts(Struct, frozen=True):
    """Which process this is, and since when it runs."""

    instance: str
    version: str
    environment: str
    started_ms: int


class ShownMissingPart(Struct, frozen=True):
    """What the account needs and does not have, and the name of its entry in the runbook."""

    what: str
    runbook: str
    since_ms: int
    detail: str


class ShownAlarm(Struct, frozen=True):
    """An alarm, what it means, and the name of its entry in the runbook."""

    alarm: Alarm
    meaning: str
    runbook: str
    subject: str
    detail: str
    since_ms: int


class ShownGap(Struct, frozen=True):
    """An open gap, what its cause means, and the name of its entry in the runbook. Its end is 0 before the login."""

    gap_id: str
    cause: Cause
    meaning: str
    runbook: str
    from_ms: int
    to_ms: int
    recovered: int


class ShownResult(Struct, frozen=True):
    """The result of a command. `total_s` is the time from its append, None where it was not taken."""

    at_ms: int
    action: str
    outcome: str
    reason: str
    code: int | None
    message: str
    command_id: str
    order_id: str
    total_s: float | None
    repeated: bool


class OwnedAccount(Struct, frozen=True):
    """What only the owner of an account knows of it."""

    epoch: int
    endpoint: str
    logged_in_ms: int
    is_recovered: bool
    has_lease: bool
    open_orders: int
    budgets: Sequence[BudgetStatus]
    waiting: int
    oldest_waiting_s: float
    in_flight: int
    oldest_in_flight_s: float
    unknown: int
    oldest_unknown_s: float
    gap_count: int
    gaps: Sequence[ShownGap]
    alarm_count: int
    alarms: Sequence[ShownAlarm]
    venue_skew: Skew | None
    broker_skew: Skew | None


class ShownAccount(Struct, frozen=True):
    """One account in this process; `owned` is None where it is a standby, stopped or on its way."""

    name: str
    ready: bool
    phase: str
    detail: str
    missing: Sequence[ShownMissingPart]
    owned: OwnedAccount | None
    buffer_bytes: int
    buffer_bytes_max: int
    oldest_record_s: float
    producer_renewals: int
    latencies: LatencyTotals
    recent_alarms: Sequence[ShownAlarm]
    """Of occurrences, which have no end: those of the last quarter of an hour, and all of a stopped account."""
    results: Sequence[ShownResult]
    """The newest first."""


class StatusDocument(Struct, frozen=True):
    """This process at one moment. It is ready when every account is."""

    at_ms: int
    ready: bool
    process: ProcessFacts
    accounts: Sequence[ShownAccount]


def build_document(process: ProcessFacts, reports: Sequence[AccountReport], now_ms: int) -> StatusDocument:
    """Return the document of this moment."""
    accounts = [_show_account(report, now_ms) for report in reports]
    return StatusDocument(now_ms, bool(accounts) and all(one.ready for one in accounts), process, accounts)


def _show_account(report: AccountReport, now_ms: int) -> ShownAccount:
    health = report.health
    return ShownAccount(
        name=report.name,
        ready=health.ready,
        phase=health.phase,
        detail=_shorten_text(health.detail),
        missing=[_show_missing(one) for one in health.missing],
        owned=None if report.status is None else _show_owned(report, report.status),
        buffer_bytes=report.pending_bytes,
        buffer_bytes_max=report.buffer_bytes_max,
        oldest_record_s=report.oldest_wait_s,
        producer_renewals=report.renewals,
        latencies=report.latencies,
        recent_alarms=[_show_alarm(alarm) for alarm in _list_recent_alarms(report, now_ms)],
        results=[_show_result(answer) for answer in reversed(report.last_results)],
    )


def _show_missing(part: MissingPart) -> ShownMissingPart:
    runbook = _RUNBOOK_BY_MISSING.get(part.what, "not-ready")
    return ShownMissingPart(part.what, runbook, part.since_ms, _shorten_text(part.detail))


def _show_owned(report: AccountReport, status: AccountStatus) -> OwnedAccount:
    return OwnedAccount(
        epoch=status.epoch,
        endpoint=report.endpoint,
        logged_in_ms=report.logged_in_ms,
        is_recovered=status.is_recovered,
        has_lease=status.has_lease,
        open_orders=status.open_orders,
        budgets=status.budgets,
        waiting=sum(budget.waiting for budget in status.budgets),
        oldest_waiting_s=status.oldest_waiting_s,
        in_flight=status.awaiting_ack,
        oldest_in_flight_s=status.oldest_awaiting_s,
        unknown=status.unknown,
        oldest_unknown_s=status.oldest_unknown_s,
        gap_count=len(status.gaps),
        gaps=[_show_gap(gap) for gap in status.gaps[:ROWS_MAX]],
        alarm_count=len(status.alarms),
        alarms=[_show_alarm(alarm) for alarm in status.alarms[:ROWS_MAX]],
        venue_skew=status.venue_skew,
        broker_skew=status.broker_skew,
    )


def _show_gap(gap: GapStatus) -> ShownGap:
    meaning = gap.cause.__doc__ or ""
    return ShownGap(gap.gap_id, gap.cause, meaning, "gap-open", gap.from_ms, gap.to_ms, gap.recovered)


def _list_recent_alarms(report: AccountReport, now_ms: int) -> list[ActiveAlarm]:
    """Return the alarms that were raised not long ago and are not active."""
    active = [] if report.status is None else [(one.alarm, one.subject) for one in report.status.alarms]
    since_ms = 0 if report.health.phase == _STOPPED else now_ms - RECENT_MS
    return [
        ActiveAlarm(one.alarm, one.subject, one.detail, one.at)
        for one in report.last_alarms
        if one.at >= since_ms and (one.alarm, one.subject) not in active
    ]


def _show_alarm(active: ActiveAlarm) -> ShownAlarm:
    return ShownAlarm(
        alarm=active.alarm,
        meaning=active.alarm.__doc__ or "",
        runbook=f"alarm-{active.alarm.value}",
        subject=_shorten_text(active.subject, WORD_CHARS_MAX),
        detail=_shorten_text(active.detail),
        since_ms=active.since_ms,
    )


def _show_result(answer: PublishedResult) -> ShownResult:
    result = answer.result
    return ShownResult(
        at_ms=result.answered_at,
        action=_shorten_text(result.action, WORD_CHARS_MAX),
        outcome=result.outcome.value,
        reason=result.reason.value if result.reason is not None else "",
        code=result.code,
        message=_shorten_text(result.message),
        command_id=_shorten_text(result.command_id, WORD_CHARS_MAX),
        order_id=_shorten_text(result.order_id, WORD_CHARS_MAX),
        total_s=answer.stages_s.get("total"),
        repeated=answer.repeated,
    )


def _shorten_text(text: str | None, chars_max: int = DETAIL_CHARS_MAX) -> str:
    """Return a text in at most so many characters; empty for None."""
    text = text or ""
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"
