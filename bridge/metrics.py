"""What is counted and timed while the daemon works, as Prometheus counts it; `admin/metrics.py` serves it.

No label grows with orders or callers. What can be read at any moment (budgets, gaps, alarms) is not here: it is read
when somebody asks.
"""

import time
from collections import deque
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final, NamedTuple

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics

from bridge.contract.results import Outcome
from bridge.contract.session import (
    Alarm,
    AlarmCleared,
    AlarmRaised,
    Cause,
    GapClosed,
    GapOpened,
    SessionEvent,
    SessionLost,
)
from bridge.contract.topics import Stream
from bridge.core.records import PublishedResult

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PREFIX: Final = "ltp_bridge_"
_MS_PER_S: Final = 1000
_LAST_ALARMS_MAX: Final = 20
"""So many alarms are kept to be looked at."""


class DurableBatch(NamedTuple):
    """A batch that brokers have acknowledged. `waited_s` is how long its oldest record has waited for that.

    `oldest_push_ms` is the venue's time of its first record, Unix ms; 0 where that is no push.
    """

    stream: Stream
    records: int
    value_bytes: int
    recovered: int
    waited_s: float
    oldest_push_ms: int


class MetricDescription(NamedTuple):
    """What a metric is called on `/metrics`, and what it says. `kind` is counter, gauge or histogram."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


class Metrics:
    """The counters and histograms of a process; all but that of the event loop have the account as a label.

    Each has the environment too: one Prometheus may see two, with accounts of the same name.
    """

    def __init__(self, environment: str) -> None:
        self.environment = environment
        self.descriptions: list[MetricDescription] = []
        # They double the series, and Prometheus does not use them.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=True)
        # Memory, CPU and the start: a counter of a process that has just begun is read as what has happened since.
        ProcessCollector(registry=self.registry)
        by_stream = ("account", "stream")
        self.records = self._counter("records", "Records that brokers have acknowledged.", by_stream)
        self.record_bytes = self._counter("record_bytes", "Bytes of their values.", by_stream)
        self.recovered = self._counter("recovered_records", "Those of them that came from REST.", by_stream)
        self.publish = self._histogram(
            "publish_seconds", "From the queue to the acknowledgement, of the oldest record of each batch.", by_stream
        )
        self.push_age = self._histogram(
            "push_age_seconds", "From the venue's time of a push to its acknowledgement by the brokers.", by_stream
        )
        labels = ("account", "action", "outcome", "reason")
        self.results = self._counter("results", "Terminal results; those of repeated commands are not counted.", labels)
        self.stages = self._histogram(
            "command_stage_seconds",
            "Stages of a command: read (since its append), claim, write, answer, and total (append to result).",
            ("account", "action", "stage"),
        )
        self.commits = self._histogram("commit_seconds", "Offset commits: from hand-over to answer.", ("account",))
        self.rebalances = self._counter("rebalances", "Rebalances that gave the account to this process.", ("account",))
        self.sweeps = self._counter("sweeps", "Sweeps of REST that ended, by what followed.", ("account", "outcome"))
        self.sessions_lost = self._counter("sessions_lost", "Sessions that were lost.", ("account", "cause"))
        self.gaps = self._counter("gaps", "Gaps that were opened.", ("account", "cause"))
        self.gap_seconds = self._counter("gap_seconds", "The length of gaps that were closed.", ("account",))
        self.gap_losses = self._counter(
            "gap_losses", "Gaps that were closed, by what the venue no longer knew of them.", ("account", "lost")
        )
        self.alarms = self._counter("alarms", "Alarms that were raised.", ("account", "alarm"))
        self.loop_lag: Histogram = self._histogram(
            "loop_lag_seconds", "By how much a timer of the event loop was late.", ()
        ).labels(environment)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        all_labels = self._add_description(f"{name}_total", "counter", text, labels)
        return Counter(PREFIX + name, text, all_labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: tuple[str, ...]) -> Histogram:
        all_labels = self._add_description(name, "histogram", text, labels)
        return Histogram(PREFIX + name, text, all_labels, registry=self.registry, buckets=BUCKETS_S)

    def _add_description(self, name: str, kind: str, text: str, labels: tuple[str, ...]) -> tuple[str, ...]:
        described = MetricDescription(PREFIX + name, kind, ("environment", *labels), text)
        self.descriptions.append(described)
        return described.labels


class LatencyTotals(Struct):
    """Sums (s) and counts since the start of three of the histograms, over all their labels: a mean is a quotient.

    They are counted apart, because reading them out of the histograms costs a millisecond an account.
    """

    publish_s: float = 0.0
    publish_count: int = 0
    commit_s: float = 0.0
    commit_count: int = 0
    command_s: float = 0.0
    """Of the whole way of commands with a terminal result, from append to result."""
    command_count: int = 0


_Series = Callable[..., Any]
"""Returns the series of some labels: prometheus_client gives its types no common name."""


def _find_series(metric: Counter | Histogram, environment: str, account: str) -> _Series:
    """Return what finds the series of an account, each only once: that costs more than to count in it."""
    return cache(partial(metric.labels, environment, account))


class AccountMetrics:
    """What is counted for one account."""

    def __init__(self, metrics: Metrics, account: str) -> None:
        find = partial(_find_series, environment=metrics.environment, account=account)
        self._records, self._record_bytes, self._recovered = map(
            find, (metrics.records, metrics.record_bytes, metrics.recovered)
        )
        self._publish, self._push_age = find(metrics.publish), find(metrics.push_age)
        self._results, self._stages = find(metrics.results), find(metrics.stages)
        self._commits = metrics.commits.labels(metrics.environment, account)
        self._rebalances = metrics.rebalances.labels(metrics.environment, account)
        self._sweeps, self._sessions_lost = find(metrics.sweeps), find(metrics.sessions_lost)
        self._gaps, self._gap_losses = find(metrics.gaps), find(metrics.gap_losses)
        self._gap_seconds = metrics.gap_seconds.labels(metrics.environment, account)
        self._alarms = find(metrics.alarms)
        self.latencies = LatencyTotals()
        self.last_alarms: deque[AlarmRaised] = deque(maxlen=_LAST_ALARMS_MAX)
        """The last alarms that were raised and not cleared, the oldest first: those of occurrences have no end."""
        # A rise from nothing to 1 is none for Prometheus: what alerts ask for is there from the start, with 0.
        for alarm in Alarm:
            self._alarms(alarm.value)
        for cause in Cause:
            self._sessions_lost(cause.value)

    def note_batch(self, batch: DurableBatch) -> None:
        """Count a batch that brokers have acknowledged."""
        stream = batch.stream.value
        self._records(stream).inc(batch.records)
        self._record_bytes(stream).inc(batch.value_bytes)
        self._publish(stream).observe(batch.waited_s)
        self.latencies.publish_s += batch.waited_s
        self.latencies.publish_count += 1
        if batch.recovered:
            self._recovered(stream).inc(batch.recovered)
        if batch.oldest_push_ms:
            self._push_age(stream).observe(max(time.time() - batch.oldest_push_ms / _MS_PER_S, 0.0))

    def note_result(self, answer: PublishedResult) -> None:
        """Count a result, and time the stages of its command; an `unknown` or a repeated one is none."""
        result = answer.result
        if answer.repeated or result.outcome is Outcome.UNKNOWN:
            return
        action, reason = result.action or "", result.reason.value if result.reason else ""
        self._results(action, result.outcome.value, reason).inc()
        for stage, seconds in answer.stages_s.items():
            self._stages(action, stage).observe(max(seconds, 0.0))
        if "total" in answer.stages_s:
            self.latencies.command_s += max(answer.stages_s["total"], 0.0)
            self.latencies.command_count += 1

    def note_session_event(self, event: SessionEvent) -> None:
        """Count what is told on `session`: gaps, alarms, lost sessions."""
        match event:
            case GapOpened(cause=cause):
                self._gaps(cause.value).inc()
            case GapClosed(from_ms=from_ms, to_ms=to_ms, lost=losses):
                self._gap_seconds.inc(max(to_ms - from_ms, 0) / _MS_PER_S)
                for lost in losses:
                    self._gap_losses(lost.value).inc()
            case AlarmRaised(alarm=alarm):
                self._alarms(alarm.value).inc()
                self.last_alarms.append(event)
            case AlarmCleared(alarm=alarm, subject=subject):
                for one in [one for one in self.last_alarms if (one.alarm, one.subject) == (alarm, subject)]:
                    self.last_alarms.remove(one)
            case SessionLost(cause=cause):
                self._sessions_lost(cause.value).inc()
            case _:
                pass

    def note_commit(self, seconds: float) -> None:
        """Note how long an offset commit took."""
        self._commits.observe(seconds)
        self.latencies.commit_s += seconds
        self.latencies.commit_count += 1

    def note_rebalance(self) -> None:
        """Count a rebalance that gave the account to this process, or left it there."""
        self._rebalances.inc()

    def note_sweep(self, outcome: str) -> None:
        """Count a sweep by what followed it."""
        self._sweeps(outcome).inc()
