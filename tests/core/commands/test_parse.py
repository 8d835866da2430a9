"""Parsing: which records are invalid, for which reason, and which field the message names."""

import hashlib
import json
import re
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.commands import derive_client_order_id
from bridge.contract.results import Reason
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.parse import InvalidCommand, command_id_of, parse_command
from bridge.core.records import CommandRecord
from tests.support.one_account import LIMITS, ORDER_ID, START, TIMING, cancel, cancel_all, place, replace

GOOD = place("c-1")
NOT_JSON, NO_ID, SCHEMA, VALUE = Reason.NOT_JSON, Reason.NO_COMMAND_ID, Reason.BAD_SCHEMA, Reason.BAD_VALUE
TOMBSTONE, TOO_LARGE = Reason.TOMBSTONE, Reason.TOO_LARGE
ENDLESS = json.dumps(GOOD).encode()[:-1] + b',"validUntil":' + b"9" * 5000 + b"}"
MARKET = {"orderType": "MARKET", "limitPrice": ...}
NAMELESS = {"action": "cancel_orders", "args": {"exchangeType": "ALL"}}


def _admit(value: bytes | None) -> TrackedCommand | InvalidCommand:
    return parse_command(CommandRecord(7, START.wall_ms, None, value, ()), START, LIMITS, TIMING)


def _with(**args: Any) -> bytes:  # noqa: ANN401 - wrong types are the point
    return json.dumps(GOOD | {"args": {k: v for k, v in (GOOD["args"] | args).items() if v is not ...}}).encode()


def _raw(value: str) -> bytes:
    return json.dumps(GOOD).replace('"0.5"', value).encode()


_ODD = rb'{"commandId":"c-1","action":"x","%b":"\u0020%b"}'
_REFUSED: list[tuple[str, dict[str, Any] | bytes | None, Reason, str, str | None]] = [
    ("a tombstone", None, TOMBSTONE, "no value", None),
    ("nothing", b"", NOT_JSON, "truncated", None),
    ("text", b"buy!", NOT_JSON, "malformed", None),
    ("a list", b"[]", NOT_JSON, "object", None),
    ("a string", b'"c-1"', NOT_JSON, "object", None),
    ("UTF-16", json.dumps(GOOD).encode("utf-16"), NOT_JSON, "", None),
    ("no UTF-8", b'{"commandId":"\xff"}', NOT_JSON, "utf-8", None),
    ("no UTF-8 in an unknown key", _ODD % (b"\x80", b""), SCHEMA, "$.action", "c-1"),
    ("no UTF-8 in an unknown value", _ODD % (b"x", b"\x80"), SCHEMA, "$.action", "c-1"),
    ("NaN", _raw("NaN"), NOT_JSON, "malformed", None),
    ("Infinity", _raw("Infinity"), NOT_JSON, "malformed", None),
    ("a lone surrogate", _raw(r'"\ud800"'), NOT_JSON, "surrogate", None),
    ("a lone surrogate as a key, twice", rb'{"\ud800":1,"\ud800":2}', NOT_JSON, "surrogate", None),
    ("deep nesting", b'{"commandId":"c-1","x":' + b"[" * 30_000 + b"]" * 30_000 + b"}", NOT_JSON, "depth", None),
    ("more after it", json.dumps(GOOD).encode() + b"{}", NOT_JSON, "trailing", None),
    ("no commandId", NAMELESS, NO_ID, "commandId", None),
    ("a number as commandId", NAMELESS | {"commandId": 5}, NO_ID, "commandId", None),
    ("an empty commandId", NAMELESS | {"commandId": ""}, NO_ID, "commandId", None),
    ("a commandId with a line feed", NAMELESS | {"commandId": "a\n"}, NO_ID, "commandId", None),
    ("129 characters", NAMELESS | {"commandId": "a" * 129}, NO_ID, "commandId", None),
    ("commandId twice", b'{"commandId":"a","commandId":"b","action":"x"}', NO_ID, "'commandId' stands", None),
    ("another key and commandId twice", b'{"x":1,"x":1,"commandId":"a","commandId":"b"}', NO_ID, "'commandId'", None),
    ("too large", _with(sym="A" * 70_000), TOO_LARGE, "65536", "c-1"),
    ("too large and no JSON", b"x" * 70_000, TOO_LARGE, "65536", None),
    ("a key twice", _raw('"1","orderQty":"1000"'), SCHEMA, "'orderQty' stands twice", "c-1"),
    ("an unknown action", GOOD | {"action": "buy"}, SCHEMA, "$.action", "c-1"),
    ("a number as action", GOOD | {"action": 1}, SCHEMA, "$.action", "c-1"),
    ("no action", b'{"commandId":"c-1"}', SCHEMA, "action", "c-1"),
    ("no args", b'{"commandId":"c-1","action":"cancel_order"}', SCHEMA, "args", "c-1"),
    ("an unknown field", GOOD | {"now": "1"}, SCHEMA, "now", "c-1"),
    ("an unknown argument", _with(leverage="5"), SCHEMA, "leverage", "c-1"),
    ("an integer", _raw("1"), SCHEMA, "$.args.orderQty", "c-1"),
    ("a float", _raw("0.1"), SCHEMA, "$.args.orderQty", "c-1"),
    ("null", _raw("null"), SCHEMA, "$.args.orderQty", "c-1"),
    ("1e3", _raw('"1e3"'), SCHEMA, "$.args.orderQty", "c-1"),
    ("a trailing line feed", _raw(r'"1\n"'), SCHEMA, "$.args.orderQty", "c-1"),
    ("a space", _raw('" 1"'), SCHEMA, "$.args.orderQty", "c-1"),
    ("full-width digits", _raw(r'"\uff11"'), SCHEMA, "$.args.orderQty", "c-1"),
    ("an underscore", _raw('"1_000"'), SCHEMA, "$.args.orderQty", "c-1"),
    ("a minus", _raw('"-1"'), SCHEMA, "$.args.orderQty", "c-1"),
    ("zero", _raw('"0.000"'), SCHEMA, "$.args.orderQty", "c-1"),
    ("19 digits", _raw('"1000000000000000000"'), SCHEMA, "$.args.orderQty", "c-1"),
    ("a true", _with(reduceOnly=True), SCHEMA, "$.args.reduceOnly", "c-1"),
    ("lower case", _with(side="buy"), SCHEMA, "$.args.side", "c-1"),
    ("a venue's own symbol", _with(sym="BTCUSDT"), SCHEMA, "$.args.sym", "c-1"),
    ("capitals in a clientOrderId", _with(clientOrderId="ABC"), SCHEMA, "$.args.clientOrderId", "c-1"),
    ("33 characters", _with(clientOrderId="a" * 33), SCHEMA, "$.args.clientOrderId", "c-1"),
    ("15 digits", cancel("c-1", orderId="1" * 15), SCHEMA, "$.args.orderId", "c-1"),
    ("no scope", b'{"commandId":"c-1","action":"cancel_orders","args":{}}', SCHEMA, "exchangeType", "c-1"),
    ("a strange scope", cancel_all("c-1", "kraken"), SCHEMA, "$.args.exchangeType", "c-1"),
    ("a validity of text", GOOD | {"validUntil": "1"}, SCHEMA, "$.validUntil", "c-1"),
    ("a negative validity", GOOD | {"validUntil": -1}, SCHEMA, "$.validUntil", "c-1"),
    ("a validity of 5000 digits", ENDLESS, SCHEMA, "$.validUntil", "c-1"),
    ("no quantity", _with(orderQty=...), VALUE, "args.orderQty", "c-1"),
    ("no price", _with(limitPrice=...), VALUE, "args.limitPrice", "c-1"),
    ("a price at market", _with(orderType="MARKET"), VALUE, "args.limitPrice", "c-1"),
    ("GTC at market", _with(**MARKET, timeInForce="GTC"), VALUE, "args.timeInForce", "c-1"),
    ("a quote quantity for a perpetual", _with(quoteOrderQty="1"), VALUE, "args.quoteOrderQty", "c-1"),
    ("both quantities", _with(**MARKET, sym="OKX_SPOT_BTC_USDT", quoteOrderQty="1"), VALUE, "or quoteOrderQty", "c-1"),
    ("a replace of nothing", {**replace("c-1"), "args": {"replaceQty": "1"}}, VALUE, "orderId or clientOrderId", "c-1"),
    ("a replace by nothing", {**replace("c-1"), "args": {"orderId": ORDER_ID}}, VALUE, "or replacePrice", "c-1"),
    ("a cancel of nothing", cancel("c-1"), VALUE, "orderId or clientOrderId", "c-1"),
    ("a validity too long", GOOD | {"validUntil": START.wall_ms + 1_800_001}, VALUE, "validUntil", "c-1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "reason", "text", "command_id"), [row[1:] for row in _REFUSED], ids=[row[0] for row in _REFUSED]
)
def test_what_is_no_command_is_refused_for_its_reason(
    value: dict[str, Any] | bytes | None, reason: Reason, text: str, command_id: str | None
) -> None:
    """The reason is exact, the message names the field, and a commandId that can be read is returned."""
    refusal = _admit(json.dumps(value).encode() if isinstance(value, dict) else value)
    assert isinstance(refusal, InvalidCommand)
    assert (reason, command_id) == (refusal.reason, refusal.command_id)
    assert re.search(re.escape(text), refusal.message)
    assert len(refusal.message) <= 301
    assert (refusal.digest is None) == (command_id is None)


def test_what_was_written_in_a_transaction_is_refused() -> None:
    """It may yet be aborted; only one that an earlier owner claimed is a command, because it must be queried.

    Its digest is that of the same command outside a transaction, so that one is a resubmission and no conflict.
    """
    record = CommandRecord(7, START.wall_ms, None, json.dumps(GOOD).encode(), (), transactional=True)
    refusal = parse_command(record, START, LIMITS, TIMING)
    admitted = _admit(json.dumps(GOOD).encode())
    assert isinstance(refusal, InvalidCommand)
    assert isinstance(admitted, TrackedCommand)
    assert (refusal.reason, refusal.command_id, refusal.digest) == ("transactional", "c-1", admitted.digest)
    assert isinstance(parse_command(record, START, LIMITS, TIMING, is_claimed=True), TrackedCommand)


def test_a_refusal_says_the_action_if_it_is_one() -> None:
    """The result has the action if it is known, whatever else is wrong."""
    assert _admit(_raw("1")).action == "place_order"
    assert _admit(json.dumps(GOOD | {"action": "buy"}).encode()).action is None


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | st.from_type(dict).map(repr).map(str.encode))
def test_no_bytes_are_a_mistake_of_ours(value: bytes) -> None:
    """Any bytes give a command or a reason, and no exception."""
    assert isinstance(_admit(value), TrackedCommand | InvalidCommand)


@pytest.mark.parametrize(
    ("command_id", "expected"),
    [
        ("01J9ZK3V7Q8Y2M4N6P0R1S5T7W", "01j9zk3v7q8y2m4n6p0r1s5t7w"),
        ("0b5f3a4e-91c2-4d7e-8f60-112233445566", "0b5f3a4e91c24d7e8f60112233445566"),
        ("a" * 32, "a" * 32),
        ("a_1", hashlib.sha256(b"a_1").hexdigest()[:32]),
    ],
)
def test_an_order_is_named_after_its_command(command_id: str, expected: str) -> None:
    """ULIDs and UUIDs are taken as they are; any other commandId by the first half of its SHA-256."""
    assert expected == derive_client_order_id(command_id)


@given(st.from_regex(r"[!-~]{1,128}", fullmatch=True))
def test_every_command_id_gives_a_name_that_the_venue_takes(command_id: str) -> None:
    """The derived name is always 1 to 32 lower-case letters and digits, and always the same."""
    assert re.fullmatch(r"[a-z0-9]{1,32}", derive_client_order_id(command_id))
    assert derive_client_order_id(command_id) == derive_client_order_id(command_id)


@pytest.mark.parametrize(
    ("body", "validity_s"),
    [
        (place("c-1"), 10),
        (replace("c-1", orderId=ORDER_ID), 10),
        (cancel("c-1", orderId=ORDER_ID), 60),
        (cancel_all("c-1"), 60),
        (GOOD | {"validUntil": START.wall_ms + 1_800_000}, 1800),
        (GOOD | {"validUntil": 0}, -START.wall_ms / 1000),
    ],
)
def test_how_long_a_command_is_valid(body: dict[str, Any], validity_s: float) -> None:
    """By default 10 s for place and replace and 60 s for cancels, from the record's timestamp."""
    command = _admit(json.dumps(body).encode())
    assert isinstance(command, TrackedCommand)
    assert command.deadline_boot_s == START.boot_s + validity_s


def test_a_command_keeps_what_it_asks_and_gains_only_a_name() -> None:
    """Arguments stay text, as they were written; a place without a clientOrderId gets a derived one."""
    command = _admit(_with(limitPrice="100.10", tpPrice="0"))
    assert isinstance(command, TrackedCommand)
    assert command.args == {**GOOD["args"], "limitPrice": "100.10", "tpPrice": "0", "clientOrderId": "c1"}
    given_name = _admit(_with(clientOrderId="mine"))
    assert isinstance(given_name, TrackedCommand)
    assert given_name.client_order_id == "mine"


def test_the_digest_names_action_and_arguments() -> None:
    """Order of fields and validity do not change it, an argument does."""
    one, same, other = (
        _admit(json.dumps(body).encode())
        for body in (GOOD, dict(reversed(GOOD.items())) | {"validUntil": START.wall_ms}, place("c-1", side="SELL"))
    )
    assert isinstance(one, TrackedCommand)
    assert one.digest == same.digest != other.digest
    assert not isinstance(other, InvalidCommand)


def test_a_pattern_is_described_in_words() -> None:
    """The message describes the format with its source, and has no regular expression."""
    refusal = _admit(
        json.dumps(GOOD | {"args": GOOD["args"] | {"orderQty": "1e3", "sym": "BINANCE_PERP_BTC_USDT"}}).encode()
    )
    assert isinstance(refusal, InvalidCommand)
    assert refusal.message == "Expected a decimal number above zero, as a string - at `$.args.orderQty`"


def test_what_cannot_be_decoded_is_refused_by_its_offsets() -> None:
    """A record that stands for unreadable offsets becomes a dead letter that names them."""
    one = CommandRecord(7, 0, None, None, (), last_offset=7, unreadable="its checksum is wrong")
    several = CommandRecord(7, 0, None, None, (), last_offset=9, unreadable="its checksum is wrong")
    for record, words in ((one, "offset 7 cannot be read"), (several, "offsets 7 to 9 cannot be read")):
        refusal = parse_command(record, START, LIMITS, TIMING)
        assert isinstance(refusal, InvalidCommand)
        assert (refusal.reason, refusal.message) == (Reason.UNREADABLE, f"{words}: its checksum is wrong")


_KEYS = [f"k{number}" for number in range(6500)]
_HOSTILE = {
    "unknown keys, one twice": '{"commandId":"c-1",' + ",".join(f'"{key}":0' for key in [*_KEYS, "k1"]) + "}",
    "a known key thousands of times": '{"commandId":"c-1",' + '"action":"cancel_orders",' * 2500
    + '"args":{"exchangeType":"ALL"}}',
    "thousands of objects": '{"commandId":"c-1","x":[' + "{}," * 21_000 + "{}]}",
    "thousands of numbers": '{"commandId":"c-1","x":[' + "0," * 32_000 + "0]}",
    "escapes": '{"commandId":"c-1","x":"' + r"\u0063" * 10_000 + '"}',
}  # fmt: skip


@pytest.mark.parametrize("value", _HOSTILE.values(), ids=_HOSTILE)
def test_a_hostile_record_costs_no_more_than_its_bytes(value: str) -> None:
    """A hundred records of 64 KB cost less than decoding every key of one in Python."""
    data = value.encode()
    begun = time.thread_time()
    for _ in range(20):
        json.loads(data, object_pairs_hook=lambda pairs: Counter(name for name, _ in pairs), parse_int=str)
    exact_s = time.thread_time() - begun
    begun = time.thread_time()
    for _ in range(20):
        refusal = _admit(data)
        assert isinstance(refusal, InvalidCommand)
        assert (refusal.reason, refusal.command_id) == (SCHEMA, "c-1")
    assert time.thread_time() - begun < max(exact_s, 0.1)


def test_too_many_keys_are_counted_and_not_decoded() -> None:
    """A command that repeats a known key thousands of times is refused with a true message."""
    refusal = _admit(_HOSTILE["a known key thousands of times"].encode())
    assert isinstance(refusal, InvalidCommand)
    assert refusal.message == "keys stand twice: it has 10010 quotation marks, more than any command"


@pytest.mark.parametrize("padding", ["", " " * 5000], ids=["short", "long"])
@pytest.mark.parametrize("again", ["commandId", r"command\u0049d", r"\u0063ommandI\u0064", r"co\u006D\u006dandId"])
def test_a_command_id_that_stands_twice_answers_nothing(again: str, padding: str) -> None:
    """Such a record is a dead letter, in any spelling of the key and whatever else is wrong."""
    for rest in ('"action":"cancel_orders","args":{"exchangeType":"ALL"}', '"x":1', '"action":"buy","x":"cancel"'):
        refusal = _admit(('{"commandId":"a",' + padding + f'"{again}" : "b",{rest}}}').encode())
        assert isinstance(refusal, InvalidCommand)
        assert (refusal.reason, refusal.command_id) == (NO_ID, None)
        assert "'commandId' stands twice" in refusal.message
    long = _admit(('{"commandId":"a",' + " " * 70_000 + f'"{again}":"b"}}').encode())
    assert isinstance(long, InvalidCommand)
    assert (long.reason, long.command_id) == (TOO_LARGE, None)


def test_the_word_command_id_in_a_text_is_no_key() -> None:
    """A record with the word in a text is answered under the commandId that it has."""
    for padding in ("", "x" * 5000):
        value = json.dumps({"commandId": "c-1", "note": f'commandId "commandId": \u0063 {padding}', "y": "commandId"})
        refusal = _admit(value.encode())
        assert isinstance(refusal, InvalidCommand)
        assert (refusal.reason, refusal.command_id) == (SCHEMA, "c-1")


_GOOD_ONES = [GOOD, cancel("c-1", orderId=ORDER_ID), cancel_all("c-1"), replace("c-1", orderId=ORDER_ID)]


@given(st.sampled_from(_GOOD_ONES), st.data())
def test_a_key_is_found_twice_exactly_where_it_stands_twice(body: dict[str, Any], data: st.DataObject) -> None:
    """Counting quotation marks finds the same as decoding, with escapes or without."""
    body = body | {
        "commandId": data.draw(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))[:128]
    }
    if data.draw(st.booleans()):
        body["validUntil"] = START.wall_ms + 1000
    text = json.dumps(body, indent=data.draw(st.none() | st.integers(0, 400)))
    assert isinstance(_admit(text.encode()), TrackedCommand)
    key, value = data.draw(st.sampled_from([(key, value) for key, value in body.items() if key != "args"]))
    written = data.draw(st.sampled_from([key, "".join(f"\\u{ord(letter):04x}" for letter in key)]))
    twice = _admit(f'{text[:-1]},"{written}":{json.dumps(value)}}}'.encode())
    assert isinstance(twice, InvalidCommand)
    assert f"the key '{key}' stands twice" in twice.message


def test_nesting_at_the_edge_of_what_can_be_read_is_refused() -> None:
    """Two decoders read a record, and one of them fails at a lower depth than the other."""
    for depth in range(900, 1100):
        nested = b"[" * depth + b"]" * depth
        refusal = _admit(rb'{"commandId":"c-1","action":"x","\u0020":' + nested + b"}")
        assert isinstance(refusal, InvalidCommand)
        assert refusal.reason in {SCHEMA, NOT_JSON}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'{"commandId":"c-1","action":1}', "c-1"),
        (b'{"commandId":7}', None),
        (b"{}", None),
        (b"no JSON", None),
        (b'{"commandId":"\xff"}', None),
        (b"", None),
        (None, None),
    ],
)
def test_the_command_id_of_a_value_is_read_from_a_record_that_may_be_no_command(
    value: bytes | None, expected: str | None
) -> None:
    """It is found in any JSON object, and nothing is raised for other bytes."""
    assert expected == command_id_of(value)
