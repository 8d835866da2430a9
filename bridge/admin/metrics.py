"""`/metrics`: what `bridge/metrics.py` has counted, and how every account is at the moment of the question."""

import asyncio
import platform
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.admin.account_report import AccountReport, ReadReports
from bridge.core.account_status import AccountStatus
from bridge.core.now import Now
from bridge.metrics import PREFIX, MetricDescription, Metrics

_LAG_PERIOD_S: Final = 1.0
_MS_PER_S: Final = 1000

_GAUGES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "ready": ("Whether this process does its part for the account.", ()),
    "owner": ("Whether this process owns the account; without it, it is a standby or on its way.", ()),
    "session_up": ("Whether the venue has accepted the login of the session that is open.", ("endpoint",)),
    "recovered": ("Whether everything that REST knows was published since the login: then all commands go out.", ()),
    "lease": ("Whether a commit was acknowledged recently enough to send commands.", ()),
    "epoch": ("The number of the term in which this process owns the account.", ()),
    "buffer_bytes": ("What records that are not durable take in memory.", ()),
    "buffer_limit_bytes": ("What they may take before the session ends.", ()),
    "oldest_record_seconds": ("For how long the oldest record that is not durable has waited.", ()),
    "producer_renewals": ("How often a producer was given up since the start.", ()),
    "budget_limit": ("Requests that the venue allows in a window, less the margin.", ("action",)),
    "budget_usable": ("Those of them in use; fewer for a while after the venue refused one.", ("action",)),
    "budget_free": ("Requests that could be written now.", ("action",)),
    "commands_waiting": ("Commands that have not been written.", ("action",)),
    "commands_in_flight": ("Requests whose answers are awaited.", ()),
    "commands_unknown": ("Commands that were perhaps written and whose outcome is not known.", ()),
    "oldest_unknown_seconds": ("For how long the oldest of them has been in doubt.", ()),
    "late_landing_seconds": ("For how long after its write the venue may carry a command out.", ()),
    "commands_remembered": ("Commands of the horizon that are known again if they are submitted again.", ()),
    "open_orders": ("Orders that are not known to have ended.", ()),
    "gaps_open": ("Intervals in which pushes may be missing and have not been recovered.", ("cause",)),
    "oldest_gap_seconds": ("How long ago the oldest open gap began; 0 without one.", ()),
    "alarm_active": ("Conditions that were raised as alarms and last.", ("alarm",)),
    "clock_skew_low_seconds": ("The least by which this machine's clock is ahead of another.", ("clock",)),
    "clock_skew_high_seconds": ("The most by which this machine's clock is ahead of another.", ("clock",)),
}
"""Name, meaning and labels beside `environment` and `account`."""


class ReportCollector(Collector):
    """Reads the reports of all accounts whenever it is asked for metrics."""

    def __init__(self, environment: str, read_reports: ReadReports, clock: Callable[[], Now]) -> None:
        self._environment = environment
        self._read_reports = read_reports
        self._clock = clock

    def describe(self) -> Iterator[Metric]:
        """Name no metric: to find the names, the registry would ask for reports before there are any."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of this moment."""
        families = {
            one.name.removeprefix(PREFIX): GaugeMetricFamily(one.name, one.meaning, labels=one.labels)
            for one in describe_gauges()
        }
        families["build_info"].add_metric((self._environment, __version__, platform.python_version()), 1)
        now_ms = self._clock().wall_ms
        for report in self._read_reports():
            for name, labels, value in _list_values(report, now_ms):
                families[name].add_metric((self._environment, report.name, *labels), value)
        yield from families.values()


def describe_gauges() -> list[MetricDescription]:
    """Return what is read at the moment of the question."""
    of_accounts = [
        MetricDescription(PREFIX + name, "gauge", ("environment", "account", *labels), text)
        for name, (text, labels) in _GAUGES.items()
    ]
    build_labels = ("environment", "version", "python")
    return [
        MetricDescription(f"{PREFIX}build_info", "gauge", build_labels, "The bridge that runs; always 1."),
        *of_accounts,
    ]


def _list_values(report: AccountReport, now_ms: int) -> Iterator[tuple[str, tuple[str, ...], float]]:
    status = report.status
    yield "ready", (), report.health.ready
    yield "owner", (), status is not None
    yield "buffer_bytes", (), report.pending_bytes
    yield "buffer_limit_bytes", (), report.buffer_bytes_max
    yield "oldest_record_seconds", (), report.oldest_wait_s
    yield "producer_renewals", (), report.renewals
    yield "late_landing_seconds", (), report.late_landing_s
    if status is None:
        return
    yield "session_up", (report.endpoint,), report.logged_in_ms > 0
    yield "recovered", (), status.is_recovered
    yield "lease", (), status.has_lease
    yield "epoch", (), status.epoch
    yield from _list_command_values(status)
    yield from _list_gap_values(status, now_ms)
    for alarm, count in Counter(one.alarm for one in status.alarms).items():
        yield "alarm_active", (alarm.value,), count
    for clock, skew in (("venue", status.venue_skew), ("broker", status.broker_skew)):
        if skew is not None:
            yield "clock_skew_low_seconds", (clock,), skew.low_ms / _MS_PER_S
            yield "clock_skew_high_seconds", (clock,), skew.high_ms / _MS_PER_S


def _list_command_values(status: AccountStatus) -> Iterator[tuple[str, tuple[str, ...], float]]:
    for budget in status.budgets:
        yield "budget_limit", (budget.action,), budget.limit
        yield "budget_usable", (budget.action,), budget.usable
        yield "budget_free", (budget.action,), budget.free
        yield "commands_waiting", (budget.action,), budget.waiting
    yield "commands_in_flight", (), status.awaiting_ack
    yield "commands_unknown", (), status.unknown
    yield "oldest_unknown_seconds", (), status.oldest_unknown_s
    yield "commands_remembered", (), status.remembered_commands
    yield "open_orders", (), status.open_orders


def _list_gap_values(status: AccountStatus, now_ms: int) -> Iterator[tuple[str, tuple[str, ...], float]]:
    for cause, count in Counter(gap.cause for gap in status.gaps).items():
        yield "gaps_open", (cause.value,), count
    begins_ms = [gap.from_ms for gap in status.gaps]
    yield "oldest_gap_seconds", (), max(now_ms - min(begins_ms, default=now_ms), 0) / _MS_PER_S


def make_metrics_routes(metrics: Metrics) -> list[web.RouteDef]:
    """Return the route of `/metrics`, in the text format of Prometheus."""

    async def read(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/metrics", read)]


async def measure_loop_lag(histogram: Histogram) -> None:
    """Note once a second how late a timer of the event loop is, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + _LAG_PERIOD_S
        await asyncio.sleep(_LAG_PERIOD_S)
        histogram.observe(max(loop.time() - due_s, 0.0))
