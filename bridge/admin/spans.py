"""What the trace of a command shows: spans made afterwards, from what its last word tells and explicit times.

    place_order                  CONSUMER   from the record on `commands` until the result is durable
    ├── venue place_order        CLIENT     from the first write until the venue's answer, or what settled it
    └── send ltp.main.results    PRODUCER   from then until the brokers have acknowledged the result

Names of attributes are those of OpenTelemetry's conventions for messaging, and `ltp.*`. Prices, quantities and the
words of venue and bridge, which may quote them, are left out.
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
_FAILED: Final = frozenset({Outcome.REJECTED, Outcome.DENIED, Outcome.EXPIRED, Outcome.NOT_FOUND})
_NS_PER_MS: Final = 1_000_000

Attributes = Mapping[str, str | int | bool]


class AccountTopics(Struct, frozen=True):
    """Where an account's commands come from and its results go to."""

    account: str
    group: str
    commands: str
    results: str


def make_spans(tracer: Tracer, topics: AccountTopics, told: PublishedResult, headers: Headers, durable_ms: int) -> None:
    """Make the spans of a command whose result, with these headers, became durable at `durable_ms`.

    The broker's clock may be ahead of ours, and ours may have been set back: no child leaves its parent.
    """
    result = told.result
    answered_ms = durable_ms if told.repeated else result.answered_at
    sent_ms = None if told.repeated else result.sent_at
    begin_ms = min(
        at for at in (told.asked_at_ms, told.unknown_at_ms, sent_ms, answered_ms, durable_ms) if at is not None
    )
    end_ms = max(at for at in (told.unknown_at_ms, sent_ms, answered_ms, durable_ms) if at is not None)
    root = tracer.start_span(
        result.action or "command",
        _parent(headers),
        SpanKind.CONSUMER,
        _kafka(topics.commands, "process", {"messaging.consumer.group.name": topics.group})
        | {"messaging.kafka.offset": result.command_offset}
        | _facts(topics.account, told),
        start_time=begin_ms * _NS_PER_MS,
    )
    if root.is_recording():
        within = set_span_in_context(root, Context())
        if told.unknown_at_ms is not None:
            root.add_event(Outcome.UNKNOWN.value, timestamp=told.unknown_at_ms * _NS_PER_MS)
        if sent_ms is not None:
            venue = tracer.start_span(
                f"venue {result.action}", within, SpanKind.CLIENT, _became(result), start_time=sent_ms * _NS_PER_MS
            )
            if result.outcome in _FAILED:
                venue.set_status(StatusCode.ERROR)
            venue.end(max(sent_ms, answered_ms) * _NS_PER_MS)
        if not told.repeated:
            send = tracer.start_span(
                f"send {topics.results}",
                within,
                SpanKind.PRODUCER,
                _kafka(topics.results, "send", {"messaging.kafka.message.key": result.command_id}),
                start_time=answered_ms * _NS_PER_MS,
            )
            send.end(max(answered_ms, durable_ms) * _NS_PER_MS)
        if result.outcome in _FAILED:
            root.set_status(StatusCode.ERROR)
    root.end(end_ms * _NS_PER_MS)


def _parent(headers: Headers) -> Context:
    """Return the context that a command came with, as bare headers or as CloudEvents attributes; else an empty one."""
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


def _kafka(topic: str, operation: str, more: Attributes) -> dict[str, str | int | bool]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": "0",
        **more,
    }


def _facts(account: str, told: PublishedResult) -> dict[str, str | int | bool]:
    result = told.result
    found = {
        "ltp.action": result.action,
        "ltp.order_id": result.order_id,
        "ltp.client_order_id": result.client_order_id,
        "ltp.repeat": told.repeated or None,
    }
    given = {name: value for name, value in found.items() if value is not None}
    return {"ltp.account": account, "ltp.command_id": result.command_id, **given, **_became(result)}


def _became(result: Result) -> dict[str, str | int | bool]:
    """Say what became of a command, and in the convention's name for it why it failed."""
    found: dict[str, str | int | bool] = {"ltp.outcome": result.outcome.value}
    if result.code is not None:
        found["ltp.code"] = result.code
    if result.reason is not None:
        found["ltp.reason"] = result.reason.value
    if result.outcome in _FAILED:
        found["error.type"] = str(result.code or result.reason or result.outcome)
    return found
