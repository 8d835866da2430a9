"""Writes METRICS.md of the chart, every metric out of the code that serves it; `make schemas` runs this."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector

from bridge.admin.metrics import describe_gauges
from bridge.metrics import MetricDescription, Metrics
from tests.alerts.rules_file import CHART

PAGE: Final = CHART / "METRICS.md"

_HEAD: Final = """\
# Metrics

What the daemon serves at `/metrics` on its management port. `make schemas` writes this page from the code. A histogram
has the series `_bucket` (with the label `le`), `_sum` and `_count`. `environment` and `account` are those of the
settings; no label grows with orders or callers. Of an account that it does not own, a process serves what it has
counted, `ready`, `owner`, `producer_renewals`, `late_landing_seconds`, `oldest_record_seconds`, `buffer_bytes` and
`buffer_limit_bytes`.

| name | type | labels | unit | meaning |
|---|---|---|---|---|
"""
_UNITS: Final = {"seconds": "seconds", "bytes": "bytes", "info": "always 1", "fds": "file descriptors"}
"""By the last word of a name, without `_total`."""
_OWN_NAMES: Final = {"ready", "owner", "session_up", "recovered", "lease"}


def list_metrics() -> list[MetricDescription]:
    """Return what `/metrics` serves, in its order."""
    return [*_describe_process(), *Metrics("any").descriptions, *describe_gauges()]


def _describe_process() -> Iterator[MetricDescription]:
    """Return what prometheus_client tells of the process itself."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield MetricDescription(name, family.type, (), family.documentation)


def build_page() -> str:
    """Return the page."""
    return _HEAD + "".join(
        f"| `{one.name}` | {one.kind} | {', '.join(one.labels) or 'none'} | {_find_unit(one)} | {one.meaning} |\n"
        for one in list_metrics()
    )


def _find_unit(metric: MetricDescription) -> str:
    words = metric.name.removesuffix("_total").removeprefix("ltp_bridge_")
    if words in _OWN_NAMES:
        return "1 or 0"
    return _UNITS.get(words.rpartition("_")[2], "number")


if __name__ == "__main__":
    PAGE.write_text(build_page(), encoding="utf-8")
