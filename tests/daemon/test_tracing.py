"""Traces of commands, from a caller's context to the collector: what happened, when, and in whose trace."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bridge.config import Settings
from bridge.contract.topics import Stream, group_name
from bridge.sandbox.venue.faults import Fault, FaultKind
from tests.support.collector import Collector, Span
from tests.support.rig import PLACE, Rig, command

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE_ID}-{CALLER}-01".encode()
UNSAMPLED = f"00-{TRACE_ID}-{CALLER}-00".encode()
BAD_SIDE = {**PLACE, "side": "UP"}
TOO_MUCH = {**PLACE, "orderQty": "9999999", "limitPrice": "20123.4"}
NO_CONTEXT = (
    b"\xff\xfe",
    b"hello",
    SAMPLED.upper(),
    b"ff" + SAMPLED[2:],
    SAMPLED + b"-more",
    SAMPLED.replace(CALLER.encode(), b"0" * 16),
    SAMPLED.replace(TRACE_ID.encode(), b"0" * 32),
    b"0" * 600,
)
Headers = list[tuple[str, bytes]]


@pytest_asyncio.fixture(loop_scope="session")
async def collector() -> AsyncIterator[Collector]:
    """Return a collector that takes everything."""
    async with Collector() as listening:
        yield listening


def _traced(rig: Rig, collector: Collector) -> Settings:
    return rig.settings(tracing={"otlp_endpoint": collector.url}, timing={"ack_timeout_s": 1})


async def _answered(
    rig: Rig, collector: Collector, *commands: dict[str, Any], headers: Headers | None = None
) -> list[str]:
    """Have commands answered by a traced daemon, then stop it; return their outcomes."""
    async with rig.daemon(_traced(rig, collector)):
        results = await rig.topic(Stream.RESULTS)
        await rig.send(*commands, headers=headers)
        return [(await results.result(one))["outcome"] for one in commands]


def _holds(root: Span, *children: Span) -> bool:
    """Whether children are of a root and of its trace, one after the other within its time."""
    times = [root.begin, *(time for child in children for time in (child.begin, child.end)), root.end]
    ids = {(child.parent_id, child.trace_id) for child in children}
    return times == sorted(times) and ids == {(root.span_id, root.trace_id)}


async def test_an_accepted_command_in_its_callers_trace(rig: Rig, collector: Collector) -> None:
    """The command, the venue's answer and the result: one below the other, in order, and by OpenTelemetry's names."""
    place = command("place_order", PLACE)
    assert await _answered(rig, collector, place, headers=[("traceparent", SAMPLED)]) == ["accepted"]
    spans, results = collector.trace(TRACE_ID), f"{rig.prefix}.main.results"
    root, venue, send = spans["place_order"], spans["venue place_order"], spans[f"send {results}"]
    assert (root.kind, venue.kind, send.kind) == ("CONSUMER", "CLIENT", "PRODUCER")
    assert root.parent_id == CALLER
    assert _holds(root, venue, send)
    assert not any(span.failed for span in spans.values())
    assert root.facts["ltp.client_order_id"] == place["commandId"].replace("-", "")
    assert root.facts["messaging.destination.name"] == f"{rig.prefix}.main.commands"
    assert root.facts["messaging.consumer.group.name"] == group_name(rig.prefix, "main")
    assert send.facts["messaging.destination.name"] == results
    assert send.facts["messaging.kafka.message.key"] == place["commandId"]


@pytest.mark.parametrize("prefix", ["", "ce_"])
async def test_the_callers_trace_state_goes_on(rig: Rig, collector: Collector, prefix: str) -> None:
    """With the bare headers, and with CloudEvents' own."""
    headers = [(f"{prefix}traceparent", SAMPLED), (f"{prefix}tracestate", b"desk=7,x=1")]
    await _answered(rig, collector, command("place_order", PLACE), headers=headers)
    spans = collector.trace(TRACE_ID)
    assert spans["place_order"].parent_id == CALLER
    assert [span.trace_state for span in spans.values()] == ["desk=7,x=1"] * 3


async def test_a_rejected_command_has_failed_at_the_venue(rig: Rig, collector: Collector) -> None:
    """With the venue's code; its words, which may quote price and quantity, are not in the trace."""
    place = command("place_order", TOO_MUCH)
    assert await _answered(rig, collector, place) == ["rejected"]
    (root,) = collector.of(place)
    venue, send = collector.below(root)
    assert (root.failed, venue.failed, send.failed) == (True, True, False)
    assert venue.facts["ltp.code"] > 401000
    assert root.facts["error.type"] == venue.facts["error.type"] == str(venue.facts["ltp.code"])
    assert "9999999" not in str(collector.spans)
    assert "20123" not in str(collector.spans)


async def test_a_command_that_was_not_sent_has_no_venue_in_its_trace(rig: Rig, collector: Collector) -> None:
    """Denied and expired ones have failed, for a reason of the bridge's."""
    denied, expired = command("place_order", BAD_SIDE), command("place_order", PLACE, valid_s=-5)
    assert await _answered(rig, collector, denied, expired) == ["denied", "expired"]
    for one, reason in ((denied, "bad_schema"), (expired, "expired")):
        (root,) = collector.of(one)
        (send,) = collector.below(root)
        assert send.kind == "PRODUCER"
        assert (root.failed, root.facts["error.type"], root.facts["ltp.action"]) == (True, reason, "place_order")


async def test_a_doubted_command_has_one_trace(rig: Rig, collector: Collector) -> None:
    """The doubt is an event of it, and the venue's part ends with what settled the doubt."""
    rig.venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action="place_order"))
    place = command("place_order", PLACE)
    assert await _answered(rig, collector, place, headers=[("traceparent", SAMPLED)]) == ["accepted"]
    (root,) = collector.of(place)
    venue, send = collector.below(root)
    assert _holds(root, venue, send)
    assert venue.begin + 900_000_000 < root.events["unknown"] <= venue.end
    assert not root.failed


async def test_a_repeat_has_a_span_of_its_own(rig: Rig, collector: Collector) -> None:
    """In the trace of its own record, and without what the first one did at the venue."""
    place, other = command("place_order", PLACE), SAMPLED.replace(b"0af7", b"0bf7")
    async with rig.daemon(_traced(rig, collector)):
        results = await rig.topic(Stream.RESULTS)
        await rig.send(place, headers=[("traceparent", SAMPLED)])
        await results.result(place)
        await rig.send(place, headers=[("traceparent", other)])
        await results.until(lambda _: len(results.results_of(place)) == 2)
    first, repeat = collector.of(place)
    assert [len(collector.below(one)) for one in (first, repeat)] == [2, 0]
    assert (repeat.trace_id, repeat.parent_id) == (TRACE_ID.replace("0af7", "0bf7"), CALLER)
    assert repeat.facts["ltp.repeat"] is True
    assert repeat.begin > first.begin


async def test_a_command_without_a_context_begins_a_trace(rig: Rig, collector: Collector) -> None:
    """What is no context counts as none, and goes back as it came."""
    commands = [command("place_order", PLACE) for _ in (None, *NO_CONTEXT)]
    async with rig.daemon(_traced(rig, collector)):
        results = await rig.topic(Stream.RESULTS)
        for one, broken in zip(commands, (None, *NO_CONTEXT), strict=True):
            await rig.send(one, headers=[("traceparent", broken)] if broken else [])
            await results.result(one)
    roots = [root for one in commands for root in collector.of(one)]
    assert [root.parent_id for root in roots] == [""] * len(commands)
    assert len({root.trace_id for root in roots} - {TRACE_ID}) == len(commands)
    assert all(_holds(root, *collector.below(root)) for root in roots)
    echoed = [dict(record.headers).get("traceparent") for record in results.records]
    assert echoed[-len(NO_CONTEXT) :] == list(NO_CONTEXT)


async def test_who_does_not_sample_gets_no_spans(rig: Rig, collector: Collector) -> None:
    """Whether a trace is kept is its beginner's decision; the context comes back all the same."""
    place = command("place_order", PLACE)
    async with rig.daemon(_traced(rig, collector)):
        results = await rig.topic(Stream.RESULTS)
        await rig.send(place, headers=[("traceparent", UNSAMPLED)])
        await results.result(place)
    assert collector.spans == []
    assert results.headers(-1)["traceparent"] == UNSAMPLED


async def test_what_a_takeover_answers_is_traced(rig: Rig, collector: Collector) -> None:
    """A command that expired while nobody owned the account is answered before the session is open."""
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
    late = command("place_order", PLACE, valid_s=-5)
    await rig.send(late, headers=[("traceparent", SAMPLED)])
    async with rig.daemon(_traced(rig, collector)):
        await results.result(late)
    (root,) = collector.of(late)
    assert (root.parent_id, root.facts["ltp.outcome"]) == (CALLER, "expired")


async def test_opentelemetrys_own_variables_count(
    rig: Rig, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the service is called, what is known of it besides, and what the collector wants to see of its clients."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "desk-7")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab,room=3")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary")
    await _answered(rig, collector, command("place_order", PLACE))
    named = {"service.name": "desk-7", "deployment.environment.name": "lab", "room": "3"}
    assert collector.headers["Authorization"] == "Bearer canary"
    assert named.items() <= collector.spans[0].resource.items()


async def test_the_daemon_is_named(rig: Rig, collector: Collector) -> None:
    """Where no variable says otherwise: by its package, its version, this process and the venue's environment."""
    await _answered(rig, collector, command("place_order", PLACE))
    resource = collector.spans[0].resource
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("ltp-kafka-bridge", "sandbox")
    assert {"service.version", "service.instance.id"} <= resource.keys()
