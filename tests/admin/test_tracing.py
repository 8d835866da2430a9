"""Spans and their export: children lie within parents, and problems are logged rarely and without secrets."""

import logging
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from bridge.admin import spans
from bridge.admin.tracing import CommandTracing
from bridge.contract.results import Outcome, Reason, Result
from bridge.core.records import PublishedResult
from tests.support.collector import Collector
from tests.witness.waiting import until

TOPICS = spans.AccountTopics("main", "ltp.main", "ltp.main.commands", "ltp.main.results")
TIMES = st.integers(1_700_000_000_000, 1_700_000_010_000)
RESULTS = st.builds(
    Result,
    command_id=st.just("c"),
    command_offset=st.just(1),
    outcome=st.sampled_from(sorted(Outcome)),
    answered_at=TIMES,
    action=st.sampled_from([None, "place_order"]),
    code=st.sampled_from([None, 401018]),
    message=st.just("price 20123"),
    reason=st.sampled_from([None, Reason.OVER_BUDGET]),
    retry_after_ms=st.none(),
    order_id=st.none(),
    client_order_id=st.none(),
    body_digest=st.none(),
    sent_at=st.none() | TIMES,
)


@pytest.fixture(autouse=True)
def _restore_library_logging() -> Iterator[None]:
    """Leave OpenTelemetry's logging as it was."""
    library = logging.getLogger("opentelemetry")
    before = library.handlers, library.propagate
    yield
    library.handlers, library.propagate = before


def _open_tracing(collector: Collector) -> CommandTracing:
    return CommandTracing(collector.url, environment="sandbox", instance="here")


def _make_terminal_result() -> PublishedResult:
    now_ms = time.time_ns() // 1_000_000
    return PublishedResult(
        Result(command_id="c", command_offset=0, outcome=Outcome.ACCEPTED, answered_at=now_ms), now_ms
    )


@given(st.builds(PublishedResult, RESULTS, TIMES, st.none() | TIMES, st.booleans()), TIMES)
def test_no_span_leaves_its_parent(terminal: PublishedResult, durable_at_ms: int) -> None:
    """With any clocks of broker and daemon, no span ends before it begins or lasts longer than its root."""
    kept, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    spans.make_spans(provider.get_tracer("test"), TOPICS, terminal, (), durable_at_ms)
    *children, root = kept.get_finished_spans()
    moments = [moment for span in children for moment in _begin_and_end_of(span)]
    begin, end = _begin_and_end_of(root)
    assert [begin, *sorted(moments), end] == sorted([begin, *moments, end])
    assert all(begin <= event.timestamp <= end for event in root.events)
    assert "20123" not in str([span.attributes for span in (root, *children)])


def _begin_and_end_of(span: ReadableSpan) -> tuple[int, int]:
    """Return begin and end of a span that does not end before it begins."""
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.start_time <= span.end_time
    return span.start_time, span.end_time


async def test_a_problem_is_logged_once_and_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector's answer is logged; the headers of the request are not, well formed or not."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary,canary malformed")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    async with Collector() as collector:
        collector.status = 401
        with capture_logs() as told:
            tracing = _open_tracing(collector)
            for count in range(1, 4):
                tracing._queue_spans(TOPICS, _make_terminal_result(), ())
                await until(lambda count=count: collector.asked == count)  # type: ignore[misc] # mypy, a default
            await tracing.stop(5)
    assert [line["event"] for line in told] == ["tracing.troubled"] * 2
    assert "401, reason: Unauthorized" in str(told)
    assert "canary" not in str(told)


async def test_a_refused_header_is_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of the HTTP client's error shows the header that it refuses; the log has only the error's type."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=a%0D%0Acanary")
    async with Collector() as collector:
        with capture_logs() as told:
            tracing = _open_tracing(collector)
            tracing._queue_spans(TOPICS, _make_terminal_result(), ())
            await tracing.stop(5)
    assert "InvalidHeader" in str(told)
    assert "canary" not in str(told)


async def test_more_than_can_be_traced_is_dropped() -> None:
    """Publishing results never waits for spans."""
    async with Collector() as collector:
        with capture_logs() as told:
            tracing = _open_tracing(collector)
            for _ in range(12_000):
                tracing._queue_spans(TOPICS, _make_terminal_result(), ())
            await tracing.stop(0.1)
            await until(lambda: not tracing._thread.is_alive())
    assert [line["reason"] for line in told if "answered than" in line["reason"]] != []


async def test_the_last_spans_are_sent_at_the_end() -> None:
    """All queued spans are exported before the end, however many wait."""
    async with Collector() as collector:
        tracing = _open_tracing(collector)
        for _ in range(300):
            tracing._queue_spans(TOPICS, _make_terminal_result(), ())
        await tracing.stop(20)
    assert len(collector.spans) == 600


async def test_a_mistake_costs_no_more_than_its_spans() -> None:
    """The spans of the next command are made."""
    async with Collector() as collector:
        with capture_logs() as told:
            tracing = _open_tracing(collector)
            tracing._queue_spans(TOPICS, None, ())  # type: ignore[arg-type] # the mistake
            tracing._queue_spans(TOPICS, _make_terminal_result(), ())
            await tracing.stop(20)
    assert len(collector.spans) == 2
    assert [line["reason"] for line in told] == ["a mistake in the bridge: AttributeError"]
