"""Export spans of commands to an OpenTelemetry collector without delaying the daemon.

Terminal results are queued, a thread of this module makes their spans, and a thread of OpenTelemetry exports them.
What does not fit in the queues is dropped. Only `app.py` imports this module, and only where `tracing.otlp_endpoint` is
set: OpenTelemetry is an extra.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Final

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from bridge import __version__
from bridge.admin import spans
from bridge.config import Kafka
from bridge.contract.headers import Headers
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.core.records import OutgoingRecord, PublishedResult

_SERVICE: Final = "ltp-kafka-bridge"
_TERMINAL_RESULTS_MAX: Final = 10_000
"""How many terminal results may wait for their spans: those of some seconds, when a whole lane is denied at once."""
_PAUSE_S: Final = 0.001
"""A pause between the spans of two commands, so that other work of this process waits for one command at most."""
_POLL_S: Final = 0.02
_REPORT_PERIOD_S: Final = 60.0
_SAFE_WORDS: Final = ("spans", *(status.phrase for status in HTTPStatus))

_log = structlog.get_logger(__name__)
_QueuedResult = tuple[spans.AccountTopics, PublishedResult, Headers, int]


class CommandTracing:
    """Makes and exports the spans of every account's commands, until `stop`.

    Raises ValueError or RuntimeError for variables (OTEL_…) that OpenTelemetry refuses.
    """

    def __init__(self, endpoint: str, *, environment: str, instance: str) -> None:
        self._problems = TracingProblems()
        self._exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")
        self._provider = TracerProvider(resource=_build_resource(environment, instance), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer(_SERVICE, __version__)
        self._terminal_results: queue.Queue[_QueuedResult | None] = queue.Queue(_TERMINAL_RESULTS_MAX)
        self._ending = False
        self._thread = threading.Thread(target=self._make_queued_spans, name="tracing", daemon=True)
        self._thread.start()

    def durable_record_observer(self, kafka: Kafka, account: str) -> Callable[[Iterable[OutgoingRecord]], None]:
        """Return what a publisher of the account calls for the records that are durable; it traces terminal results."""
        commands, results = (
            topic_name(kafka.topic_prefix, account, stream) for stream in (Stream.COMMANDS, Stream.RESULTS)
        )
        topics = spans.AccountTopics(account, group_name(kafka.topic_prefix, account), commands, results)
        return partial(self._on_durable, topics)

    def _on_durable(self, topics: spans.AccountTopics, records: Iterable[OutgoingRecord]) -> None:
        for record in records:
            answer = record.answer
            if answer is not None and answer.result.outcome.terminal:
                self._queue_spans(topics, answer, record.headers)

    def _queue_spans(self, topics: spans.AccountTopics, terminal: PublishedResult, headers: Headers) -> None:
        try:
            self._terminal_results.put_nowait((topics, terminal, headers, time.time_ns() // 1_000_000))
        except queue.Full:
            self._problems.report("more commands are answered than spans can be made of; some have none")

    def _make_queued_spans(self) -> None:
        while not (self._ending and self._terminal_results.empty()):
            item = self._terminal_results.get()
            if item is None:
                continue
            try:
                spans.make_spans(self._tracer, *item)
            except Exception as error:  # noqa: BLE001 - a mistake here loses the spans of this command only
                self._problems.report("a mistake in the bridge: %s", error)
            if not self._ending:
                time.sleep(_PAUSE_S)
        self._provider.shutdown()

    async def stop(self, timeout_s: float) -> None:
        """Export what is queued, for at most `timeout_s`: a collector that hangs does not delay the end."""
        self._ending = True
        if not self._terminal_results.full():
            self._terminal_results.put_nowait(None)
        deadline_monotonic_s = time.monotonic() + timeout_s
        while self._thread.is_alive() and time.monotonic() < deadline_monotonic_s:  # noqa: ASYNC110 - a thread has no event for us
            await asyncio.sleep(_POLL_S)
        if self._thread.is_alive():
            self._problems.report("not all of the last spans could be sent within %g s", timeout_s)
            self._problems.silent = True
            self._exporter.shutdown()  # type: ignore[no-untyped-call] # its own annotation is missing


class TracingProblems(logging.Handler):
    """Logs what goes wrong with spans, each text at most once a minute, in place of OpenTelemetry's own logging.

    Of the values in OpenTelemetry's messages only numbers, names of error types and phrases of HTTP are logged. Any
    other value may be the content of a header, and so a secret.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.silent = False
        self._quiet_until_monotonic_s: dict[str, float] = {}
        library = logging.getLogger("opentelemetry")
        library.handlers, library.propagate = [self], False

    def report(self, text: str, *given: object) -> None:
        """Log a problem, unless it was logged within the last minute; `given` is filled into the text."""
        now_monotonic_s = time.monotonic()
        if self.silent or now_monotonic_s < self._quiet_until_monotonic_s.get(text, 0.0):
            return
        self._quiet_until_monotonic_s[text] = now_monotonic_s + _REPORT_PERIOD_S
        with contextlib.suppress(TypeError, ValueError):  # the text wants a number and gets none
            text %= tuple(_redact_value(one) for one in given)
        _log.warning("tracing.troubled", reason=text)

    def emit(self, record: logging.LogRecord) -> None:
        """Report a log record of OpenTelemetry."""
        self.report(str(record.msg), *(record.args if isinstance(record.args, tuple) else ()))


def _redact_value(given: object) -> object:
    if isinstance(given, BaseException):
        return type(given).__name__
    return given if isinstance(given, int | float) or given in _SAFE_WORDS else "…"


def _build_resource(environment: str, instance: str) -> Resource:
    """Return the attributes of this daemon; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence."""
    ours = {
        "service.name": _SERVICE,
        "service.version": __version__,
        "service.instance.id": instance,
        "deployment.environment.name": environment,
    }
    theirs = OTELResourceDetector().detect().attributes
    return Resource.create({name: value for name, value in ours.items() if name not in theirs})
