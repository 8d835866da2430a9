"""Wires the parts into the daemon and decides nothing."""

import asyncio
import contextlib
import gc
import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import structlog

from bridge import __version__
from bridge.account_parts import AccountParts, clock
from bridge.admin import management
from bridge.admin.account_report import AccountReport
from bridge.admin.health import make_probe_routes
from bridge.admin.metrics import ReportCollector, make_metrics_routes, measure_loop_lag
from bridge.admin.status_document import ProcessFacts
from bridge.admin.status_page import make_status_routes
from bridge.config import Settings
from bridge.config.warnings import find_warnings
from bridge.core.backoff import full_jitter
from bridge.errors import ClusterUnreachable, ConfigError, TopicsUnfit
from bridge.flow.supervisor import AccountSupervisor, stopped_before
from bridge.kafka.cluster import require_c_extension
from bridge.kafka.preflight import check_topics
from bridge.kafka.record_sender import PublisherCallbacks
from bridge.metrics import AccountMetrics, Metrics

_log = structlog.get_logger()
_random = random.SystemRandom().random
_GARBAGE_MIN = 50_000
"""Objects between two looks of the collector. By far the most are freed without it; a takeover makes many that stay."""
_SPANS_SHARE = 0.05
"""The part of it that is left to the last spans."""


async def _topics_fit(settings: Settings, stop: asyncio.Event, flows: Sequence[AccountSupervisor]) -> None:
    """Wait for a broker, which the accounts say meanwhile, and check the topics. Raises TopicsUnfit."""
    attempt = 0
    while not stop.is_set():
        checking = asyncio.ensure_future(check_topics(settings.kafka, settings.timing, settings.accounts))
        try:
            if await stopped_before(stop, checking):
                return
        except ClusterUnreachable as error:
            _log.warning("kafka.unreachable", detail=str(error))
            for flow in flows:
                flow.wait_for_kafka(str(error))
            attempt += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(full_jitter(attempt, _random(), base_s=0.5, cap_s=10, floor_s=0.2)):
                    await stop.wait()
            continue
        if problems := checking.result():
            raise TopicsUnfit([problem.sentence for problem in problems])
        return


@contextlib.asynccontextmanager
async def _publisher_callbacks(settings: Settings, instance: str) -> AsyncIterator[Callable[[str], PublisherCallbacks]]:
    """Yield what makes the callbacks of an account's publisher, which trace its commands where that is wanted."""
    endpoint = settings.tracing.otlp_endpoint
    if endpoint is None:
        yield lambda _: PublisherCallbacks()
        return
    from bridge.admin.tracing import CommandTracing  # noqa: PLC0415 - needs an extra, and nobody should wait for it unasked

    try:
        tracing = CommandTracing(endpoint, environment=settings.environment, instance=instance)
    except (ValueError, RuntimeError) as error:
        raise ConfigError([f"the environment: OpenTelemetry refuses a variable of its own (OTEL_…): {error}"]) from None
    try:
        yield lambda account: PublisherCallbacks(on_durable=tracing.durable_record_observer(settings.kafka, account))
    finally:
        await tracing.stop(settings.timing.stop_deadline_s * _SPANS_SHARE)


@contextlib.contextmanager
def _stopping_on_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def _management_port(
    settings: Settings, instance: str, parts: Sequence[AccountParts], metrics: Metrics
) -> AsyncIterator[int]:
    """Serve the status page, the probes and the metrics; yield the port that was bound."""
    process = ProcessFacts(instance, __version__, settings.environment, clock().wall_ms)

    def read_reports() -> list[AccountReport]:
        return [part.read_report() for part in parts]

    metrics.registry.register(ReportCollector(settings.environment, read_reports, clock))
    routes = [
        *make_probe_routes(lambda: {report.name: report.health for report in read_reports()}),
        *make_metrics_routes(metrics),
        *make_status_routes(process, read_reports, clock),
    ]
    lag = asyncio.create_task(measure_loop_lag(metrics.loop_lag), name="loop lag")
    try:
        async with management.serve(settings.management, routes) as port:
            yield port
    finally:
        lag.cancel()
        await asyncio.gather(lag, return_exceptions=True)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run every account until `stop` is set, then stop in good order.

    Raises ConfigError, TopicsUnfit, and OSError when the management port is taken.
    """
    require_c_extension()
    gc.set_threshold(_GARBAGE_MIN)
    instance = settings.instance or f"{socket.gethostname()}:{os.getpid()}"
    metrics = Metrics(settings.environment)
    async with contextlib.AsyncExitStack() as stack:
        callbacks_of = await stack.enter_async_context(_publisher_callbacks(settings, instance))
        parts = [
            AccountParts(name, account, settings, instance, callbacks_of(name), metrics=AccountMetrics(metrics, name))
            for name, account in settings.accounts.items()
        ]
        port = await stack.enter_async_context(_management_port(settings, instance, parts, metrics))
        _log.info("bridge.started", version=__version__, instance=instance, management_port=port)
        for warning in find_warnings(settings):
            _log.warning("settings.warning", detail=warning.sentence)
        await _topics_fit(settings, stop, [part.flow for part in parts])
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part.run(stop), name=f"account:{part.flow.name}")
            await stop.wait()
            _log.info("bridge.stopping")
    _log.info("bridge.stopped")


async def run(settings: Settings) -> None:
    """Run the daemon until SIGTERM or SIGINT. Raises what `serve` raises."""
    stop = asyncio.Event()
    with _stopping_on_signals(stop):
        await serve(settings, stop)
