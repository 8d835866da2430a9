"""Spans of commands to an OpenTelemetry collector, beside the daemon's work and never in its way.

What last words tell is queued, and a thread of this room makes spans of it; a thread of OpenTelemetry's exports them.
What does not fit in the queues is dropped. Only `app.py` imports this, and only where `tracing.otlp_endpoint` is set:
OpenTelemetry is an extra.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

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
from bridge.core.records import PublishedResult
from bridge.kafka.publisher import Publisher
from bridge.kafka.topic_queue import SequencedRecord

_SERVICE: Final = "ltp-kafka-bridge"
_TOLD_MAX: Final = 10_000
"""Last words that wait for their spans: some seconds' worth, when a whole lane is denied at once."""
_PAUSE_S: Final = 0.001
"""Between the spans of two commands, so that whatever else this process does need not wait for longer than one."""
_LOOK_S: Final = 0.02
_SELDOM_S: Final = 60.0
_HARMLESS: Final = ("spans", *(status.phrase for status in HTTPStatus))

_log = structlog.get_logger(__name__)
_Item = tuple[spans.AccountTopics, PublishedResult, Headers, int]


class CommandTracing:
    """Makes and exports the spans of every account's commands. `end` ends it.

    Raises ValueError or RuntimeError for variables (OTEL_…) that OpenTelemetry refuses.
    """

    def __init__(self, endpoint: str, *, environment: str, instance: str) -> None:
        self._complaints = TracingProblems()
        self._exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")
        self._provider = TracerProvider(resource=_resource(environment, instance), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer(_SERVICE, __version__)
        self._told: queue.Queue[_Item | None] = queue.Queue(_TOLD_MAX)
        self._ending = False
        self._thread = threading.Thread(target=self._work, name="tracing", daemon=True)
        self._thread.start()

    def make_publisher(self, kafka: Kafka, *, account: str, **options: Any) -> Publisher:  # noqa: ANN401 - Publisher's own
        """Return a publisher of an account whose last words are traced when they are durable."""
        commands, results = (
            topic_name(kafka.topic_prefix, account, stream) for stream in (Stream.COMMANDS, Stream.RESULTS)
        )
        topics = spans.AccountTopics(account, group_name(kafka.topic_prefix, account), commands, results)
        return _TracedPublisher(kafka, trace=partial(self._trace, topics), account=account, **options)

    def _trace(self, topics: spans.AccountTopics, told: PublishedResult, headers: Headers) -> None:
        try:
            self._told.put_nowait((topics, told, headers, time.time_ns() // 1_000_000))
        except queue.Full:
            self._complaints.report("more commands are answered than spans can be made of; some have none")

    def _work(self) -> None:
        while not (self._ending and self._told.empty()):
            item = self._told.get()
            if item is None:
                continue
            try:
                spans.make_spans(self._tracer, *item)
            except Exception as error:  # noqa: BLE001 - a mistake here costs this command's spans and no more
                self._complaints.report("a mistake in the bridge: %s", error)
            if not self._ending:
                time.sleep(_PAUSE_S)
        self._provider.shutdown()

    async def stop(self, timeout_s: float) -> None:
        """Export what there is, but for no longer than this: a collector that hangs is left behind."""
        self._ending = True
        if not self._told.full():
            self._told.put_nowait(None)
        until = time.monotonic() + timeout_s
        while self._thread.is_alive() and time.monotonic() < until:  # noqa: ASYNC110 - a thread has no event for us
            await asyncio.sleep(_LOOK_S)
        if self._thread.is_alive():
            self._complaints.report("not all of the last spans could be sent within %g s", timeout_s)
            self._complaints.silent = True
            self._exporter.shutdown()  # type: ignore[no-untyped-call] # its own annotation is missing


class _TracedPublisher(Publisher):
    """Tells of every last word that has become durable."""

    def __init__(self, kafka: Kafka, *, trace: Callable[[PublishedResult, Headers], None], **options: Any) -> None:  # noqa: ANN401
        super().__init__(kafka, **options)
        self._trace = trace

    def _notify_durable(self, numbered: SequencedRecord) -> None:
        super()._notify_durable(numbered)
        answer = numbered.record.answer
        if answer is not None and answer.result.outcome.terminal:
            self._call(self._trace, answer, numbered.record.headers)


class TracingProblems(logging.Handler):
    """Tells what goes wrong with spans, the same at most once a minute, in place of OpenTelemetry's own logging.

    Of what OpenTelemetry fills into its words only numbers, kinds of errors and HTTP's own phrases are told: the rest
    may be a header's content, and with it a secret.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.silent = False
        self._quiet_until: dict[str, float] = {}
        library = logging.getLogger("opentelemetry")
        library.handlers, library.propagate = [self], False

    def report(self, text: str, *given: object) -> None:
        """Tell of a trouble, unless it was told of late; `given` is filled into the text."""
        now = time.monotonic()
        if self.silent or now < self._quiet_until.get(text, 0.0):
            return
        self._quiet_until[text] = now + _SELDOM_S
        with contextlib.suppress(TypeError, ValueError):  # the text wants a number, and there is none
            text %= tuple(_harmless(one) for one in given)
        _log.warning("tracing.troubled", reason=text)

    def emit(self, record: logging.LogRecord) -> None:
        """Take in what OpenTelemetry says."""
        self.report(str(record.msg), *(record.args if isinstance(record.args, tuple) else ()))


def _harmless(given: object) -> object:
    if isinstance(given, BaseException):
        return type(given).__name__
    return given if isinstance(given, int | float) or given in _HARMLESS else "…"


def _resource(environment: str, instance: str) -> Resource:
    """Name this daemon; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win."""
    ours = {
        "service.name": _SERVICE,
        "service.version": __version__,
        "service.instance.id": instance,
        "deployment.environment.name": environment,
    }
    theirs = OTELResourceDetector().detect().attributes
    return Resource.create({name: value for name, value in ours.items() if name not in theirs})
