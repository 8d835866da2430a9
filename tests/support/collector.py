"""An OpenTelemetry collector for a test: takes OTLP over HTTP and keeps every span; or hangs, or refuses."""

import asyncio
from typing import Any, Self

from aiohttp import web
from msgspec import Struct
from multidict import CIMultiDict, CIMultiDictProxy
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Received


class Span(Struct, frozen=True):
    """One span as it arrived. Ids are hexadecimal, empty for none; times are in ns; `failed` is the status ERROR."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    begin: int
    end: int
    facts: dict[str, Any]
    failed: bool
    events: dict[str, int]
    trace_state: str
    resource: dict[str, Any]


class Collector:
    """Listens on loopback. `status` is what it answers; while `hangs`, it reads and never answers."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.asked = 0
        self.headers = CIMultiDictProxy[str](CIMultiDict())
        """Of the last request."""
        self.status = 200
        self.hangs = False
        self.url = ""
        self._released = asyncio.Event()
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._released.set()
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.headers = request.headers
        sent = ExportTraceServiceRequest.FromString(await request.read())
        if self.hangs:
            await self._released.wait()
        if self.status == web.HTTPOk.status_code:
            for of_resource in sent.resource_spans:
                resource = _values(of_resource.resource.attributes)
                self.spans += [_span(one, resource) for scope in of_resource.scope_spans for one in scope.spans]
        return web.Response(status=self.status, content_type="application/x-protobuf")

    def trace(self, trace_id: str) -> dict[str, Span]:
        """Return the spans of a trace by name; each is there once."""
        found = [span for span in self.spans if span.trace_id == trace_id]
        assert len({span.name for span in found}) == len(found)
        return {span.name: span for span in found}

    def of(self, one: dict[str, Any]) -> list[Span]:
        """Return the root spans of a command, in the order of their begin."""
        wanted = one["commandId"]
        return sorted((s for s in self.spans if s.facts.get("ltp.command_id") == wanted), key=lambda span: span.begin)

    def below(self, root: Span) -> list[Span]:
        """Return a span's children, in the order of their begin."""
        return sorted((s for s in self.spans if s.parent_id == root.span_id), key=lambda span: (span.begin, span.end))


def _span(one: Received, resource: dict[str, Any]) -> Span:
    return Span(
        name=one.name,
        kind=Received.SpanKind.Name(one.kind).removeprefix("SPAN_KIND_"),
        trace_id=one.trace_id.hex(),
        span_id=one.span_id.hex(),
        parent_id=one.parent_span_id.hex(),
        begin=one.start_time_unix_nano,
        end=one.end_time_unix_nano,
        facts=_values(one.attributes),
        failed=one.status.code == one.status.STATUS_CODE_ERROR,
        events={event.name: event.time_unix_nano for event in one.events},
        trace_state=one.trace_state,
        resource=resource,
    )


def _values(attributes: Any) -> dict[str, Any]:  # noqa: ANN401 - a repeated field of KeyValue
    given: list[KeyValue] = list(attributes)
    return {one.key: _value(one.value) for one in given}


def _value(value: AnyValue) -> Any:  # noqa: ANN401 - a string, a number or a truth
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None
