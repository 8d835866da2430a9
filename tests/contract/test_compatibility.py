"""A change of the published contract that is no addition fails here, by its name.

The bridge's users were written against the released contract; `make released`, a part of a release, takes today's for
it. Planted changes show what the comparison refuses and what it lets pass.
"""

import json
from copy import deepcopy
from pathlib import Path

import pytest

from tests.support.additive import Schema, compare_schemas, inline
from tests.support.breaking import find_breaks
from tests.support.planting import Change, both, drop, in_another_order, named_anew, put, told_otherwise, what_stands_at

RELEASED = Path(__file__).with_name("released.json")
TODAY = Path(__file__).parents[2] / "schemas" / "asyncapi.json"
CONTRACT: Schema = json.loads(TODAY.read_text(encoding="utf-8"))

S = "components/schemas/"
M = "components/messages/"


LINK_SLOW = {
    "type": "object",
    "properties": {"type": {"enum": ["link.slow"]}, "at": {"type": "integer"}, "byMs": {"type": "integer"}},
    "required": ["type", "at", "byMs"],
}
EVENTS = M + "session/payload/anyOf"
REST = f"{EVENTS}/{len(what_stands_at(CONTRACT, EVENTS.split('/'))) - 1}"
"""The branch for events that are yet to come."""


def test_todays_contract_breaks_no_user_of_the_released_one() -> None:
    """What `schemas/asyncapi.json` promises is still what was promised at the last release, or more."""
    found = find_breaks(json.loads(RELEASED.read_text(encoding="utf-8")), CONTRACT)
    assert not found, "\n".join(["users of the released contract would break on:", *found])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        # What the bridge writes.
        (drop(S + "Order/properties/orderId"), "orders: Order.orderId: removed"),
        (
            put(S + "Result/properties/commandOffset/type", "string"),
            "results: Result.commandOffset: type changed from integer to string",
        ),
        (
            put(S + "Trade/properties/price/type", ["string", "number", "null", "boolean"]),
            "trades: Trade.price: type changed from ",
        ),
        (
            drop(S + "Outcome/enum", "expired"),
            'results: Result.outcome: value "expired" removed from the enum',
        ),
        (
            put(S + "Outcome/enum/+", "perhaps"),
            'results: Result.outcome: value "perhaps" added to an enum that was closed',
        ),
        (
            drop(S + "Reason/anyOf/0/enum", "lane_full"),
            'results: Result.reason: value "lane_full" removed from the enum',
        ),
        (drop(S + "Reason/anyOf/1"), "results: Result.reason: any other string removed"),
        (drop(S + "Result/required", "outcome"), "results: Result.outcome: no longer required"),
        (put(S + "Result/required/+", "orderId"), "results: Result.orderId: now required"),
        (
            put(S + "GapClosed/properties/fromMs/minimum", 0),
            "session: session(gap.closed).fromMs: minimum changed from none",
        ),
        (drop(EVENTS + "/1"), "session: session: owner.released removed"),
        (drop(REST), "session: session: any other object removed"),
        (drop(REST + "/properties/type/not"), "session: session.type: not changed from"),
        (put(S + "Result/additionalProperties", value=False), "results: Result: further fields are no longer allowed"),
        (
            put(S + "Recovered/properties/orders/default", 1),
            "session: session(gap.closed).recovered.orders: default changed",
        ),
        (drop(S + "EventHeaders/properties/ce_sequence"), "orders: order: headers.ce_sequence: removed"),
        (
            put(S + "EventHeaders/properties/ce_sequence/pattern", "^[0-9]+$"),
            'trades: trade: headers.ce_sequence: pattern changed from "^[0-9]{20}$" to "^[0-9]+$"',
        ),
        (
            put(M + "trade/headers/allOf/1/properties/ce_type/const", "ltp.trade.v2"),
            'trades: trade: headers.ce_type: value "ltp.trade.v1" removed from the enum',
        ),
        (
            put(M + "order/bindings/kafka/key/type", "integer"),
            "orders: order: key: type changed from string to integer",
        ),
        (put(M + "result/contentType", "text/plain"), 'results: result: contentType changed from "application/json"'),
        (put(M + "result/correlationId/location", "$message.header#/x"), "results: result: correlationId changed"),
        # What the bridge reads.
        (put(S + "PlaceOrderArgs/required/+", "timeInForce"), "commands: PlaceOrder.args.timeInForce: now required"),
        (
            drop(S + "PlaceOrderArgs/properties/timeInForce/enum", "GTX"),
            'commands: PlaceOrder.args.timeInForce: value "GTX" removed from the enum',
        ),
        (
            put(S + "PlaceOrderArgs/properties/limitPrice/pattern", "^[0-9]+$"),
            "commands: PlaceOrder.args.limitPrice: pattern changed",
        ),
        (drop(S + "PlaceOrderArgs/properties/sym/anyOf/0"), "commands: PlaceOrder.args.sym: "),
        (drop(S + "PlaceOrderArgs/properties/tpPrice"), "commands: PlaceOrder.args.tpPrice: removed"),
        (drop(S + "PlaceOrderArgs/allOf/0/else"), "commands: PlaceOrder.args: condition changed from"),
        (drop(S + "CancelOrderArgs/anyOf/1"), 'commands: CancelOrder.args: {"required": ["clientOrderId"]} removed'),
        (
            put(S + "PlaceOrder/properties/validUntil/maximum", 1),
            "commands: PlaceOrder.validUntil: maximum changed from",
        ),
        (put(S + "PlaceOrder/properties/validUntil/type", "string"), "commands: PlaceOrder.validUntil: type changed"),
        (drop(S + "CommandHeaders/properties/traceparent"), "commands: place-order: headers.traceparent: removed"),
        (
            put(S + "CommandHeaders/required", ["traceparent"]),
            "commands: cancel-orders: headers.traceparent: now required",
        ),
        (
            put(S + "CommandHeaders/additionalProperties", value=False),
            "commands: place-order: headers: further fields are no longer allowed",
        ),
        (put(M + "place-order/bindings/kafka/key/type", "string"), "commands: place-order: key: type changed from"),
        # Where it travels.
        (drop("channels/trades"), "trades: channel removed"),
        (put("channels/orders/address", "{account}.orders"), "orders: address changed from"),
        (drop("channels/positions/messages/tombstone"), "positions: tombstone: message removed"),
        (
            put("channels/orders/messages/tombstone", {"$ref": "#/components/messages/tombstone"}),
            "orders: tombstone: message added, and no ce_type of its own tells readers to pass over it",
        ),
        (put("channels/orders/bindings/kafka/partitions", 3), "orders: partitions changed from 1 to 3"),
        (
            put("channels/results/bindings/kafka/topicConfiguration/cleanup.policy", ["compact"]),
            "results: cleanup.policy changed from",
        ),
        (drop("channels/orders/parameters/prefix"), "orders: parameter prefix: removed"),
        (put("channels/orders/parameters/region", {}), "orders: parameter region: added"),
        (put("components/parameters/prefix/default", "venue"), 'orders: parameter prefix: default changed from "ltp"'),
        (drop("operations/send-trades"), "operation send-trades: removed"),
        (put("operations/send-trades/action", "receive"), "operation send-trades: action changed from"),
        (drop("operations/receive-commands/messages/0"), "operation receive-commands: place-order: message removed"),
        (put("defaultContentType", "text/plain"), 'defaultContentType changed from "application/json"'),
        (
            drop("operations/receive-commands/reply"),
            'operation receive-commands: reply: channel changed from "results"',
        ),
    ],
)
def test_a_change_that_breaks_a_user_is_refused_by_its_name(change: Change, line: str) -> None:
    """The first of its lines begins with the topic, the message and the path that broke."""
    today = deepcopy(CONTRACT)
    change(today)
    found = find_breaks(CONTRACT, today)
    assert [one for one in found if one.startswith(line)], found


@pytest.mark.parametrize(
    "change",
    [
        put(S + "Result/properties/venueLatencyMs", {"type": "integer"}),
        put(S + "EventHeaders/properties/ce_partitionkey", {"type": "string"}),
        put(S + "PlaceOrderArgs/properties/leverage", {"type": "string", "pattern": "^[0-9]+$"}),
        put(S + "CommandHeaders/properties/baggage", {"type": "string"}),
        put(S + "PlaceOrderArgs/properties/timeInForce/enum/+", "GTD"),
        drop(S + "PlaceOrderArgs/required", "side"),
        drop(S + "PlaceOrderArgs/allOf/1"),
        put(S + "PlaceOrder/properties/validUntil/minimum", -1),
        drop(S + "PlaceOrderArgs/properties/limitPrice/pattern"),
        put(S + "PlaceOrderArgs/properties/sym/anyOf/+", {"type": "string", "pattern": "^[a-z]+$"}),
        drop(S + "CancelOrderArgs/additionalProperties"),
        put(S + "Reason/anyOf/0/enum/+", "too_fast"),
        put(
            S + "Result/properties/reason", {"allOf": [{"$ref": "#/components/schemas/Reason"}], "description": "Why."}
        ),
        put(EVENTS + "/+", LINK_SLOW),
        both(put(EVENTS + "/+", LINK_SLOW), put(REST + "/properties/type/not/enum/+", "link.slow")),
        put("channels/funding", {"address": "{prefix}.{account}.funding", "messages": {}}),
        put("operations/send-funding", {"action": "send", "channel": {"$ref": "#/channels/orders"}}),
        both(
            put(M + "amend-orders", {**CONTRACT["components"]["messages"]["cancel-orders"], "payload": {}}),
            put("channels/commands/messages/amend-orders", {"$ref": "#/components/messages/amend-orders"}),
        ),
        both(
            put(M + "pause", {"headers": {"properties": {"ce_type": {"const": "ltp.pause.v1"}}}, "payload": {}}),
            put("channels/results/messages/pause", {"$ref": "#/components/messages/pause"}),
        ),
        put("channels/orders/bindings/kafka/replicas", 3),
        named_anew,
        in_another_order,
        told_otherwise,
    ],
)
def test_what_breaks_nobody_passes(change: Change) -> None:
    """More to read for those who want it, more that is taken, other words, names and order."""
    today = deepcopy(CONTRACT)
    change(today)
    assert today != CONTRACT or change is in_another_order
    assert [] == find_breaks(CONTRACT, today)


@pytest.mark.parametrize("read", [True, False])
def test_no_field_is_dropped_in_silence(read: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Whichever field of whichever schema goes, on whichever side."""
    schemas = {name: inline(CONTRACT, schema) for name, schema in CONTRACT["components"]["schemas"].items()}
    fields = [(name, field) for name, schema in schemas.items() for field in schema.get("properties", {})]
    assert fields
    for name, field in fields:
        kept = {other: value for other, value in schemas[name]["properties"].items() if other != field}
        found = [*compare_schemas(name, schemas[name], {**schemas[name], "properties": kept}, read=read)]
        assert f"{name}.{field}: removed" in found


TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
A, B, C = ({"type": "object", "properties": {"t": {"const": tag}}, "required": ["t"]} for tag in "abc")


@pytest.mark.parametrize(
    ("read", "old", "new", "lines"),
    [
        (False, {"items": TEXT}, {"items": WHOLE}, ["it[]: type changed from string to integer"]),
        (False, {"items": TEXT}, {"items": TEXT, "minItems": 1}, ["it: minItems changed from none to 1"]),
        (True, {"type": "array", "minItems": 1}, {"type": "array"}, []),
        (
            True,
            {"additionalProperties": TEXT},
            {"additionalProperties": WHOLE},
            ["it.*: type changed from string to integer"],
        ),
        (True, {"anyOf": [A, B]}, {"anyOf": [A, B, C]}, []),
        (True, {"anyOf": [A, B]}, {"anyOf": [B]}, ["it: a removed"]),
        (False, {"anyOf": [A, B]}, {"anyOf": [A, B, C]}, ["it: c added to a union that was closed"]),
        (True, {"allOf": [A, A]}, {"allOf": [A, B]}, ["it: allOf changed from "]),
        (True, {"oneOf": [A, B]}, {"oneOf": [A, B, C]}, ["it: oneOf changed from "]),
        (True, TEXT, {"anyOf": [TEXT, WHOLE]}, []),
        (False, TEXT, {"anyOf": [TEXT, WHOLE]}, ["it: type changed from string to any"]),
        (False, TEXT, {**TEXT, "enum": ["a"]}, ['it: enum changed from none to ["a"]']),
        (True, {"enum": ["a", "b"]}, {"type": "string", "pattern": "^[ab]$"}, []),
        (True, {"enum": ["a", "b"]}, {"type": "string", "pattern": "^a$"}, ["it: type changed from any to string"]),
        (True, {"enum": [1]}, {"enum": [True]}, ["it: value 1 removed from the enum"]),
        (
            False,
            {"anyOf": [{**TEXT, "enum": ["a"]}, WHOLE]},
            {"anyOf": [{**TEXT, "enum": ["a", "b"]}, WHOLE]},
            ['it: value "b" added to an enum that was closed'],
        ),
        (
            True,
            {"enum": ["a"], "default": "a"},
            {"enum": ["a", "b"], "default": "b"},
            ['it: default changed from "a" to "b"'],
        ),
        (False, {**TEXT, "default": "a"}, {**TEXT, "default": "b"}, ['it: default changed from "a" to "b"']),
        (True, {**TEXT, "format": "date"}, {**TEXT, "format": "time"}, ['it: format changed from "date" to "time"']),
        (True, {"propertyNames": TEXT}, {"propertyNames": {"maxLength": 9}}, ["it: propertyNames changed from "]),
    ],
)
def test_a_schema_says_where_it_changed(read: bool, old: Schema, new: Schema, lines: list[str]) -> None:  # noqa: FBT001
    """Into elements and branches; what is not known to be an addition must stay as it is."""
    found = [*compare_schemas("it", inline(old, old), inline(new, new), read=read)]
    assert len(lines) == len(found)
    assert all(one.startswith(line) for one, line in zip(found, lines, strict=True)), found


@pytest.mark.parametrize("reference", ["order.schema.json", "#/$defs/Loop"])
def test_a_reference_that_leads_nowhere_is_an_error(reference: str) -> None:
    """Out of the document, or round in a circle: nothing could be said of what stands there."""
    schema = {"$defs": {"Loop": {"properties": {"next": {"$ref": "#/$defs/Loop"}}}}, "$ref": reference}
    with pytest.raises(ValueError, match=r"refers to itself|leads out"):
        inline(schema, schema)
