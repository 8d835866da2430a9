"""Frames in every shape that documents, the vendor's clients and production send."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.records import Answer, InvalidFrame, Push
from bridge.ltp import wire
from bridge.ltp.wire import Frame, LoginAnswer, Pong, decode_frame, encode_action, encode_login, encode_ping


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"id":null,"event":"login","code":0,"msg":"","data":null}', LoginAnswer(0, "")),
        (b'{"event":"login","code":0,"msg":""}', LoginAnswer(0, "")),
        (b'{"event":"login","code":"0","msg":""}', LoginAnswer(0, "")),
        (b'{"id":null,"event":"login","code":60009,"msg":"Login failed."}', LoginAnswer(60009, "Login failed.")),
        (
            b'{"event":"error","code":"60009","msg":"Login failed."}',
            Answer(None, "error", 60009, "Login failed.", None, None),
        ),
    ],
)
def test_answers_to_a_login(raw: bytes, expected: Frame) -> None:
    """Codes may be numbers or strings; an error without an id may answer any request."""
    assert expected == decode_frame(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            b'{"id":"p-1","event":"place_order","code":200000,"data":{"orderId":"1703213979730000","clientOrderId":"a1"}}',
            Answer("p-1", "place_order", 200000, "", "1703213979730000", "a1"),
        ),
        (
            b'{"id":9,"event":"place_order","code":"401009","message":"exists","data":null}',
            Answer("9", "place_order", 401009, "exists", None, None),
        ),
        (
            b'{"id":"p-1","event":"error","code":"60009","msg":"Place order failed."}',
            Answer("p-1", "error", 60009, "Place order failed.", None, None),
        ),
        (
            b'{"id":"r-7","event":"replace_order","code":200000,"data":{"orderId":1703213979730000,"orderState":"OPEN"}}',
            Answer("r-7", "replace_order", 200000, "", "1703213979730000", None),
        ),
        (
            b'{"id":"ca-1","event":"cancel_orders","code":200000,"msg":null,"message":"ok","data":{}}',
            Answer("ca-1", "cancel_orders", 200000, "ok", None, None),
        ),
        (
            b'{"id":null,"event":"cancel_order","code":401117,"msg":"Order is terminal","data":""}',
            Answer(None, "cancel_order", 401117, "Order is terminal", None, None),
        ),
        (
            b'{"id":true,"event":"cancel_order","code":200,"msg":"","data":[]}',
            Answer(None, "cancel_order", 200, "", None, None),
        ),
        (
            b'{"id":"p-1","event":"place_order","code":200,"msg":"","data":{"orderId":"%s","clientOrderId":"%s"}}'
            % (b"1" * 128, b"1" * 129),
            Answer("p-1", "place_order", 200, "", "1" * 128, None),
        ),
    ],
)
def test_answers_to_actions(raw: bytes, expected: Answer) -> None:
    """An answer is read with any id, text key and data."""
    assert expected == decode_frame(raw)


@pytest.mark.parametrize(
    ("raw", "pong"),
    [
        (b'{"pong":1769050974552}', Pong(as_text=False, server_ms=1769050974552)),
        (b'{"pong":"1769050974552"}', Pong(as_text=False, server_ms=1769050974552)),
        (b'{"pong":1769050974}', Pong(as_text=False)),
        (b'{"pong":null}', Pong(as_text=False)),
        (b'{"pong":{}}', Pong(as_text=False)),
        (b"pong", Pong(as_text=True)),
        (b" PONG\n", Pong(as_text=True)),
        (b'"Pong"', Pong(as_text=True)),
    ],
)
def test_pongs(raw: bytes, pong: Pong) -> None:
    """A pong is JSON with any value, which is the venue's time if it can be one in ms, or the bare word in any case."""
    assert pong == decode_frame(raw)


DATA = b'{ "orderId" : "1",\t"limitPrice":"0.10", "new\\u0046ield": 1.00e+3, "big":12345678901234567890.10,\n "x":[ ] }'


@pytest.mark.parametrize("data", [DATA, b'[ {"coin":"USDT" } ,{"coin":"BTC"}]', b'"text"', b"null", b"-0.0"])
def test_the_data_of_a_push_is_the_venues_bytes(data: bytes) -> None:
    """Unknown fields, white space, escapes and number formats stay, and so does the frame."""
    raw = b'{"channel":"Orders", "instId":"X", "data": ' + data + b' , "later":{"field":1}}'
    assert Push("Orders", data, raw) == decode_frame(raw)


@pytest.mark.parametrize(
    "fields",
    [
        b'"event":"update"',
        b'"event":1',
        b'"event":{"type":"snapshot"}',
        b'"code":0',
        b'"code":200000,"msg":"Success"',
        b'"code":{}',
        b'"code":0,"event":"update"',
        b'"code":null,"event":"place_order","id":"1x2x3"',
        b'"id":"1x2x3"',
        b'"code":0,"id":""',
        b'"pong":1,"code":0',
    ],
)
def test_a_push_that_gains_a_field_is_a_push(fields: bytes) -> None:
    """It names a channel and no request; a code or an event beside it does not make it an answer."""
    raw = b'{"channel":"Trades",' + fields + b',"data":{"a":1}}'
    assert Push("Trades", b'{"a":1}', raw) == decode_frame(raw)


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (
            b'{"id":"1x2x3","event":"place_order","code":200000,"channel":"Orders","data":{"orderId":"5"}}',
            b'{"orderId":"5"}',
        ),
        (b'{"id":"1x2x3","event":"place_order","code":200000,"channel":"Orders","data":null}', None),
        (b'{"id":"1x2x3","event":"place_order","code":200000,"channel":"Orders"}', None),
        (b'{"id":"1x2x3","event":"place_order","code":200000,"channel":{"a":1},"data":{"orderId":"5"}}', None),
        (b'{"id":"1x2x3","event":{"a":1},"code":200000,"data":{"orderId":"5"}}', None),
        (b'{"id":"1x2x3","event":"update","code":200000,"data":{"orderId":"5"}}', None),
        (b'{"id":"1x2x3","event":"place_order","code":200000.0,"data":{"orderId":"5"}}', None),
        (b'{"id":"1x2x3","event":"place_order","code":200000,"pong":1}', None),
    ],
)
def test_an_answer_that_gains_a_field_is_an_answer(raw: bytes, data: bytes | None) -> None:
    """It names a request. If it names a channel as well, it is that push if the request is not ours."""
    answer = decode_frame(raw)
    assert isinstance(answer, Answer)
    assert (answer.request_id, answer.code) == ("1x2x3", 200000)
    assert answer.push == (None if data is None else Push("Orders", data, raw))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"event":"login","code":0,"channel":"private","data":{}}', LoginAnswer(0, "")),
        (b'{"event":"Login","code":0.0}', LoginAnswer(0, "")),
        (b'\xef\xbb\xbf{"event":"login","code":"0"}', LoginAnswer(0, "")),
        (b'\xef\xbb\xbf{"pong":1}', Pong(as_text=False)),
        (b'{"event":"pong","pong":1,"code":0}', Pong(as_text=False)),
        (b'{"event":"limit","code":601010,"msg":"too often"}', Answer(None, "limit", 601010, "too often", None, None)),
        (b'{"channel":"Orders","event":"error","code":4000}', Answer(None, "error", 4000, "", None, None)),
    ],
)
def test_odd_frames_that_are_understood(raw: bytes, expected: Frame) -> None:
    """A login's answer stays one; a documented refusal counts under any event."""
    assert expected == decode_frame(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"ping",
        b"{}",
        b'{"data":{}}',
        b'{"channel":"Orders"}',
        b'{"channel":7,"data":{}}',
        b'{"channel":"Orders","code":0}',
        b'{"event":"connected","code":0,"msg":"welcome"}',
        b'{"event":"info","code":200000,"msg":"ok"}',
        b'{"event":"notice","code":123456}',
        b'{"code":4000,"msg":"no event"}',
        b'{"event":"place_order","code":0.5}',
        b'{"event":"place_order","code":1e300}',
        b"\xef\xbb\xbf",
        b'[{"channel":"Orders","data":{}}]',
        b'{"event":"place_order","msg":"no code"}',
        b'{"event":"place_order","code":true}',
        b'{"event":"place_order","code":"9999999999999999999999999"}',
        b'{"event":"place_order","code":1000000000000000000}',
        b'{"event":"place_order","code":"\xc2\xb2"}',
        b'{"channel":"\xff","data":{}}',
        b"[" * 100_000,
        b'{"id":' + b"[" * 100_000,
        b'{"channel":"Orders","data":' + b"[" * 100_000,
    ],
)
def test_what_is_not_of_the_protocol_is_an_invalid_frame(raw: bytes) -> None:
    """Nothing raises, and the frame is kept."""
    frame = decode_frame(raw)
    assert isinstance(frame, InvalidFrame)
    assert raw == frame.frame


@given(st.binary())
def test_arbitrary_bytes_never_raise(raw: bytes) -> None:
    """Decoding accepts any bytes."""
    decode_frame(raw)


_letters = 'a0"\\ \u00b2'
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(_letters, max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(_letters, max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["channel", "event", "id", "code", "msg", "message", "pong", "data"]), _json))
def test_arbitrary_values_in_known_fields_never_raise(frame: dict[str, object]) -> None:
    """Decoding accepts fields of undocumented types."""
    decode_frame(json.dumps(frame).encode())


def test_encoded_frames() -> None:
    """Login, action and ping are encoded as documented, every argument of an action as a string."""
    login = {
        "action": "login",
        "args": {"apiKey": "ak-test", "timestamp": "1538054050", "sign": "ab", "onlyTrade": False},
    }
    assert login == json.loads(encode_login("ak-test", 1538054050, "ab"))
    action = {"id": "c-3", "action": "cancel_order", "args": {"clientOrderId": "c0a81f0001"}}
    assert action == json.loads(encode_action("c-3", "cancel_order", {"clientOrderId": "c0a81f0001"}))
    assert json.loads(encode_ping(1769050973831)) == {"ping": 1769050973831}


def test_texts_of_the_venue_are_cut() -> None:
    """They go into alarms and logs, where a megabyte would hide everything else."""
    words = b"x" * 900_000
    assert decode_frame(b'{"event":"login","code":1,"msg":"' + words + b'"}') == LoginAnswer(1, "x" * 1000)
    answer = decode_frame(b'{"id":"7","event":"' + words + b'","code":1,"message":"' + words + b'"}')
    assert answer == Answer("7", "x" * 1000, 1, "x" * 1000, None, None)


@pytest.mark.parametrize("code", [b"401009", b"200000"])
def test_a_code_without_an_event_answers_nothing(code: bytes) -> None:
    """This holds even with a request id of ours: such a frame is not documented, and facts settle the request."""
    assert isinstance(decode_frame(b'{"id":"1x2x3","code":%s,"msg":"exists"}' % code), InvalidFrame)
    assert isinstance(decode_frame(b'{"id":"1x2x3","code":%s,"channel":"Orders","data":{"orderId":"5"}}' % code), Push)


@pytest.mark.parametrize("escape", [r"\ud83d", r"\uD83D", r"x\udc00", r"\ud800\u0041", r"\\\ud800"])
def test_half_a_character_hides_no_other_element_of_a_push(escape: str) -> None:
    """It is replaced; a text that only looks like half a character, or is whole, stays."""
    whole = rb'{"a":"\\ud800 \ud83d\ude00 \n"}'
    raw = b'{"channel":"Trades","data":[{"a":"%s"},%s]}' % (escape.encode(), whole)
    frame = wire.decode_frame(raw)
    assert isinstance(frame, Push)
    assert frame.frame == raw
    assert frame.data.endswith(b"," + whole + b"]")
    assert b"\xff" in frame.data
    assert msgspec.json.decode(frame.data, type=list[msgspec.Raw])


def test_what_is_too_long_to_repair_is_an_invalid_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repairing it would block everything else."""
    raw = rb'{"channel":"Trades","data":[{"a":"\ud83d"}]}'
    monkeypatch.setattr(wire, "_REPAIRED_BYTES_MAX", len(raw) - 1)
    assert isinstance(wire.decode_frame(raw), InvalidFrame)
