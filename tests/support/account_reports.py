"""Reports of accounts, as the metrics and the status page get them."""

from typing import Any

from msgspec import structs

from bridge.admin.account_report import AccountReport
from bridge.admin.health import AccountHealth, MissingPart
from bridge.metrics import LatencyTotals
from tests.support.one_account import OneAccount

AT_MS = 1_796_000_000_000


def make_report(one: OneAccount | None, **changes: Any) -> AccountReport:  # noqa: ANN401 - any field of the report
    """Return the report of a ready account; without one it is not owned."""
    report = AccountReport(
        name="main",
        health=AccountHealth(ready=True, phase="owner" if one else "standby"),
        status=None if one is None else one.account.read_status(one.now),
        endpoint="AZ4",
        logged_in_ms=AT_MS,
        pending_bytes=100,
        buffer_bytes_max=1000,
        oldest_wait_s=0.5,
        renewals=2,
        late_landing_s=120,
        last_results=[],
        last_alarms=[],
        latencies=LatencyTotals(),
    )
    return structs.replace(report, **changes)


def make_stopped_report(detail: str, **changes: Any) -> AccountReport:  # noqa: ANN401 - any field of the report
    """Return the report of an account that has been given up."""
    health = AccountHealth(
        ready=False, phase="stopped", detail=detail, missing=[MissingPart("operator", AT_MS, detail)]
    )
    return make_report(None, health=health, endpoint="", logged_in_ms=0, **changes)
