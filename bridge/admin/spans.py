"""The spans of a command, made from its terminal result, with explicit times.

    place_order                  CONSUMER   from the record on `commands` until the result is durable
    ├── venue place_order        CLIENT     from the first write until the venue answered or the outcome was found
    └── send ltp.main.results    PRODUCER   from then until the brokers have acknowledged the result

Attributes have the names of OpenTelemetry's conventions for messaging, or begin with `ltp.`. Spans hold no prices, no
quantities and no messages, because messages may quote prices.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bridge.contract.headers import Headers
from bridge.contract.results import Outcome, Result
from bridge.core.records import PublishedResult

_W3C: Final = TraceContextTextMapPropagator()
_FAILED_OUTCOMES: Final = frozenset({Outcome.REJECTED, Outcome.DENIED, Outcome.EXPIRED, Outcome.NOT_FOUND})
_NS_PER_MS: Final = 1_000_000

Attributes = Mapping[str, str | int | bool]


class AccountTopics(Struct, frozen=True):
    """The topics and the consumer group of one account."""

    account: str
    group: str
    commands: str
    results: str


def make_spans(
    tracer: Tracer, topics: AccountTopics, terminal: PublishedResult, headers: Headers, durable_at_ms: int
) -> None:
    """Make the spans of a command whose result, with these headers, became durable at `durable_at_ms`.

    The broker's clock may be ahead of ours, and ours may have been set back. Every child still lies within its parent.
    """
    result = terminal.result
    answered_at_ms = durable_at_ms if terminal.repeated else result.answered_at
    sent_at_ms = None if terminal.repeated else result.sent_at
    begin_at_ms = min(
        at
        for at in (terminal.asked_at_ms, terminal.unknown_at_ms, sent_at_ms, answered_at_ms, durable_at_ms)
        if at is not None
    )
    end_at_ms = max(at for at in (terminal.unknown_at_ms, sent_at_ms, answered_at_ms, durable_at_ms) if at is not None)
    root = tracer.start_span(
        result.action or "command",
        _parent_context(headers),
        SpanKind.CONSUMER,
        _messaging_attributes(topics.commands, "process", {"messaging.consumer.group.name": topics.group})
        | {"messaging.kafka.offset": result.command_offset}
        | _command_attributes(topics.account, terminal),
        start_time=begin_at_ms * _NS_PER_MS,
    )
    if root.is_recording():
        within = set_span_in_context(root, Context())
        if terminal.unknown_at_ms is not None:
            root.add_event(Outcome.UNKNOWN.value, timestamp=terminal.unknown_at_ms * _NS_PER_MS)
        if sent_at_ms is not None:
            venue = tracer.start_span(
                f"venue {result.action}",
                within,
                SpanKind.CLIENT,
                _outcome_attributes(result),
                start_time=sent_at_ms * _NS_PER_MS,
            )
            if result.outcome in _FAILED_OUTCOMES:
                venue.set_status(StatusCode.ERROR)
            venue.end(max(sent_at_ms, answered_at_ms) * _NS_PER_MS)
        if not terminal.repeated:
            send = tracer.start_span(
                f"send {topics.results}",
                within,
                SpanKind.PRODUCER,
                _messaging_attributes(topics.results, "send", {"messaging.kafka.message.key": result.command_id}),
                start_time=answered_at_ms * _NS_PER_MS,
            )
            send.end(max(answered_at_ms, durable_at_ms) * _NS_PER_MS)
        if result.outcome in _FAILED_OUTCOMES:
            root.set_status(StatusCode.ERROR)
    root.end(end_at_ms * _NS_PER_MS)


def _parent_context(headers: Headers) -> Context:
    """Return the trace context of a command, from its plain headers or its `ce_*` headers; else an empty one."""
    carried = dict(headers)
    for prefix in ("", "ce_"):
        carrier = {
            name: carried[prefix + name].decode("ascii", "replace")
            for name in ("traceparent", "tracestate")
            if prefix + name in carried
        }
        context = _W3C.extract(carrier, Context())
        if get_current_span(context).get_span_context().is_valid:
            return context
    return Context()


def _messaging_attributes(topic: str, operation: str, more: Attributes) -> dict[str, str | int | bool]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": "0",
        **more,
    }


def _command_attributes(account: str, terminal: PublishedResult) -> dict[str, str | int | bool]:
    result = terminal.result
    found = {
        "ltp.action": result.action,
        "ltp.order_id": result.order_id,
        "ltp.client_order_id": result.client_order_id,
        "ltp.repeat": terminal.repeated or None,
    }
    given = {name: value for name, value in found.items() if value is not None}
    return {"ltp.account": account, "ltp.command_id": result.command_id, **given, **_outcome_attributes(result)}


def _outcome_attributes(result: Result) -> dict[str, str | int | bool]:
    """Return the attributes of the outcome; `error.type` says why the command failed."""
    found: dict[str, str | int | bool] = {"ltp.outcome": result.outcome.value}
    if result.code is not None:
        found["ltp.code"] = result.code
    if result.reason is not None:
        found["ltp.reason"] = result.reason.value
    if result.outcome in _FAILED_OUTCOMES:
        found["error.type"] = str(result.code or result.reason or result.outcome)
    return found
