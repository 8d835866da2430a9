"""Headers of commands on a real broker: whatever a caller writes there, it is answered."""

import json
from typing import Any, cast

from aiokafka import ConsumerRecord

from bridge.contract.headers import CORRELATION_HEADERS, HEADER_BYTES_MAX
from bridge.contract.topics import Stream
from bridge.sandbox.venue.faults import Fault, FaultKind
from tests.support.rig import PLACE, Rig, command
from tests.witness.waiting import until

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def _key(one: dict[str, Any]) -> bytes:
    return str(one["commandId"]).encode()


def _echoed(record: ConsumerRecord) -> list[tuple[str, bytes]]:
    return [(name, content) for name, content in record.headers if name in CORRELATION_HEADERS]


async def _answers(rig: Rig, headers: list[tuple[str, bytes]], *commands: dict[str, Any] | bytes) -> list[Any]:
    """Send commands with headers; return what their answers and dead letters carry back."""
    async with rig.daemon():
        results, dead = await rig.topic(Stream.RESULTS), await rig.topic(Stream.DEAD_LETTERS)
        await rig.send(*commands, headers=headers)
        named = {_key(one) for one in commands if isinstance(one, dict)}
        letters = len(commands) - len(named)
        await until(lambda: named <= {r.key for r in results.records} and len(dead.records) == letters)
    return [_echoed(record) for record in (*results.records, *dead.records) if record.key in {*named, b"k"}]


async def test_a_context_of_900_kb_is_not_carried_back(rig: Rig) -> None:
    """The order is placed and answered, denied and dead-lettered all the same; one of a kibibyte comes back."""
    fits = [("ce_tracestate", b"s" * HEADER_BYTES_MAX), ("correlation_id", b"c" * HEADER_BYTES_MAX)]
    denied = command("place_order", {**PLACE, "side": "UP"})
    headers = [("traceparent", b"0" * 900_000), *fits]
    assert await _answers(rig, headers, command("place_order", PLACE), denied, b"no JSON") == [fits] * 3


async def test_a_header_without_a_value_is_no_harm(rig: Rig) -> None:
    """Kafka knows such headers, and the next command is read as well."""
    nothing = cast("bytes", None)
    headers = [("traceparent", nothing), ("ce_correlationid", nothing), ("private", nothing), ("tracestate", b"a=1")]
    carried = [("tracestate", b"a=1")]
    places = [command("place_order", PLACE) for _ in range(2)]
    assert await _answers(rig, headers, places[0], b"no JSON", places[1]) == [carried] * 3


async def test_every_header_that_is_carried_back(rig: Rig) -> None:
    """The first of each name; what is not text stays out of the CloudEvents headers only."""
    once = [(name, f"{name}-1".encode()) for name in sorted(CORRELATION_HEADERS)]
    twice = [(name, f"{name}-2".encode()) for name in sorted(CORRELATION_HEADERS)]
    assert await _answers(rig, [*once, *twice], command("place_order", PLACE)) == [once]
    binary = [("ce_traceparent", b"\xff"), ("kafka_correlationId", b"\xff\x00"), ("traceparent", TRACE)]
    assert await _answers(rig, binary, command("place_order", PLACE)) == [binary[1:]]


async def test_every_answer_to_a_command_carries_the_same(rig: Rig) -> None:
    """The doubt and the last word; and what is submitted again has headers of its own."""
    rig.venue.faults.add(Fault(kind=FaultKind.DROP_ANSWER, action="place_order"))
    place, trace = command("place_order", PLACE), ("ce_traceparent", TRACE)
    async with rig.daemon(rig.settings(timing={"ack_timeout_s": 1})):
        results = await rig.topic(Stream.RESULTS)
        await rig.send(place, headers=[trace, ("correlation_id", b"0")])
        await results.result(place)
        await rig.send(place, headers=[trace, ("correlation_id", b"1")])
        await results.until(lambda _: len(results.results_of(place)) == 2)
    said = [(json.loads(r.value or b"")["outcome"], _echoed(r)) for r in results.records if r.key == _key(place)]
    first, second = [trace, ("correlation_id", b"0")], [trace, ("correlation_id", b"1")]
    assert said == [("unknown", first), ("accepted", first), ("accepted", second)]
