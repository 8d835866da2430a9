"""Fields of undocumented types: what is read of them, and which fields a push needs."""

import json
from typing import Any

import msgspec
import pytest

from bridge.contract.pushes import MarginCallPush, OrderPush, TradePush
from bridge.contract.topics import Stream
from bridge.core.odd_fields import UNREADABLE, replace_lone_surrogates
from bridge.core.records import Push
from bridge.core.stream.venue_record import PARSERS, decode_push
from tests.support.one_recovery import CHANNELS, LOGIN_MS, OneRecovery, asset, order, position, raw, trade


def _fields(stream: Stream, row: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(PARSERS[stream](raw(row)).value)
    return fields


def test_what_is_as_documented_keeps_its_bytes() -> None:
    """To the last space, with unknown fields."""
    value = b'{ "orderId": 17,"orderState":"OPEN", "new": [1.0] }'
    assert decode_push(value, OrderPush)[1] is value


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("12345", "12345"),
        ("-7", "-7"),
        ("1.7E3", "1700"),
        ("1795000000000.0", "1795000000000"),
        ("1.5", "1.5"),
        ("true", "true"),
        ("1e400", "1e400"),
        ("null", None),
        ("[1]", None),
        ("{}", None),
    ],
)
def test_a_value_where_text_belongs_becomes_that_text(token: str, text: str | None) -> None:
    """A whole number without point and exponent; what is no single value is left out."""
    push, value = decode_push(f'{{"orderId":"1","orderState":"OPEN","side":{token},"x":1.0}}'.encode(), OrderPush)
    assert push.side == text
    assert b'"x":1.0' in value


@pytest.mark.parametrize("stream", [Stream.ORDERS, Stream.TRADES, Stream.ASSETS, Stream.POSITIONS])
@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"caf\xe9", "caf\u00e9".encode()])
def test_what_is_published_as_json_is_utf_8(stream: Stream, text: bytes) -> None:
    """With any bytes in a field that is not read; the frame is kept whole beside it, as it came."""
    rows = {
        Stream.ORDERS: order(LOGIN_MS),
        Stream.TRADES: trade(LOGIN_MS),
        Stream.ASSETS: asset(LOGIN_MS),
        Stream.POSITIONS: position(LOGIN_MS),
    }
    row = raw(rows[stream] | {"reason": "?"}).replace(b"?", text)
    one = OneRecovery().begin()
    one.account.on_frame(Push(CHANNELS[stream], row, b"whole"), one.now)
    one.tick()
    (record,) = one.records(stream)
    assert json.loads((record.value or b"").decode())["reason"] == text.decode(errors="replace")
    assert [record.value for record in one.records(Stream.UNRECOGNIZED)] == [b"whole"] * (record.value != row)
    sweep = OneRecovery().begin()
    sweep.recovery.compare_rows(sweep.recovery.begin_sweep(sweep.now), stream, [row], sweep.now)
    assert [sent.value for sent in sweep.outgoing if sent.stream is stream] == [record.value]


@pytest.mark.parametrize("name", ["orderId", "orderState"])
def test_what_is_no_text_names_nothing(name: str) -> None:
    """It is on `unrecognized` alone."""
    row = raw(order(LOGIN_MS) | {name: "7?"}).replace(b"?", b"\xff")
    one = OneRecovery().begin()
    one.account.on_frame(Push("Orders", row, b"whole"), one.now)
    one.tick()
    assert (one.records(Stream.ORDERS), [record.value for record in one.records(Stream.UNRECOGNIZED)]) == (
        [],
        [b"whole"],
    )


def test_times_and_ids_that_are_fractions_are_read() -> None:
    """Some clients of the venue's own write every number in one way."""
    row = _fields(Stream.ORDERS, order(LOGIN_MS) | {"updateAt": float(LOGIN_MS), "orderId": 1703213979730000.0})
    assert (row["updateAt"], row["orderId"]) == (str(LOGIN_MS), "1703213979730000")


@pytest.mark.parametrize("field", ["clientOrderId", "exchangeType", "side", "quantity", "price", "createAt"])
@pytest.mark.parametrize("odd", [7, 1.5, True, None, [], {"a": 1}, "missing"])
def test_a_fill_with_readable_ids_is_a_fill(field: str, odd: object) -> None:
    """With any other odd field: it is on `trades`, and its frame is kept where it did not come as documented."""
    row = {name: value for name, value in (trade(LOGIN_MS) | {field: odd}).items() if value != "missing"}
    one = OneRecovery().begin()
    one.account.on_frame(Push(CHANNELS[Stream.TRADES], raw(row), b"whole"), one.now)
    one.tick()
    (fill,) = one.records(Stream.TRADES)
    assert (fill.key, json.loads(fill.value or b"")["transactionId"]) == (b"17", "t-1")
    msgspec.json.decode(fill.value or b"", type=TradePush)
    assert [record.value for record in one.records(Stream.UNRECOGNIZED)] == [b"whole"] * (fill.value != raw(row))


@pytest.mark.parametrize(
    ("stream", "row"),
    [
        (Stream.ORDERS, {"orderId": None, "orderState": "OPEN"}),
        (Stream.ORDERS, {"orderId": "1", "orderState": None}),
        (Stream.ORDERS, {"orderId": "1"}),
        (Stream.TRADES, trade(LOGIN_MS) | {"sym": []}),
        (Stream.ASSETS, {"coin": None}),
        (Stream.POSITIONS, {"sym": {}}),
        (Stream.LIQUIDATIONS, {}),
    ],
)
def test_what_does_not_say_what_it_is_about_cannot_be_read(stream: Stream, row: dict[str, Any]) -> None:
    """There is nothing to publish it under."""
    with pytest.raises(UNREADABLE):
        PARSERS[stream](raw(row))


def test_a_margin_call_needs_nothing() -> None:
    """No field of it is documented as always there."""
    push, _ = decode_push(b'{"exchangeType":7,"accountStatus":[]}', MarginCallPush)
    assert (push.exchange_type, push.account_status) == ("7", None)


def test_half_of_an_escaped_character_is_a_byte_that_is_no_text() -> None:
    """What is whole, or only looks like it, stays."""
    whole = rb'{"a":"\\ud83d \ud83d\ude00 \n"}'
    assert replace_lone_surrogates(whole) == whole
    assert replace_lone_surrogates(rb"\ud83d\ud83d\ude00\ude00") == b"\xff" + rb"\ud83d\ude00" + b"\xff"
