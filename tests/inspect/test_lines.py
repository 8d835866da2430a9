"""Records in words: every sample, what is not of the contract, and what would break a line or a terminal."""

import io
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.topics import Stream
from bridge.inspect.contents import decode_content, find_names
from bridge.inspect.json_lines import format_json_line
from bridge.inspect.line_printer import LinePrinter
from bridge.inspect.lines import describe_duration, describe_record, style_of
from bridge.inspect.seen_record import SeenRecord
from bridge.terminal import escape_text
from tests.inspect.records import SAMPLES, sample, seen

HOSTILE = "\x1b[2J\r\nresults@1  accepted\u202e[bold red]x[/]\x9b8m\x07"
EXPECTED = {
    "place-order": "place_order BUY 0.5 BINANCE_PERP_BTC_USDT @ 60000 LIMIT GTC, command 01JD2Z8Q4H7V5N3M9K6T1R8W0X",
    "replace-order": "replace_order, client 01jd2z8q4h7v5n3m9k6t1r8w0x, price 60100, command c-2",
    "cancel-order": "cancel_order, order 2104172237333826, command c-3",
    "cancel-orders": "cancel_orders ALL, command c-4",
    "result.accepted": (
        "accepted place_order, code 200000, Success, order 2104172237333826 client 01jd2z8q4h7v5n3m9k6t1r8w0x, "
        "command 01JD2Z8Q4H7V5N3M9K6T1R8W0X at 65, answered 12 ms after it was sent"
    ),
    "result.denied": "denied place_order, over_budget, try again after 1.2 s, client c5, command c-5 at 68",
    "result.unknown": (
        "unknown place_order, no answer within 5 s, client c8, command c-8 at 72, answered 5.0 s after it was sent"
    ),
    "takeover": "takeover: epoch 7 begins, owner ltp-bridge-0:1",
    "order": ("OPEN BUY 0.5 BINANCE_PERP_BTC_USDT @ 60000, order 2104172237333826 client 01jd2z8q4h7v5n3m9k6t1r8w0x"),
    "order.recovered": (
        "FILLED BUY 0.5 BINANCE_PERP_BTC_USDT @ 60000, 0.50 done, order 2104172237333826 "
        "client 01jd2z8q4h7v5n3m9k6t1r8w0x"
    ),
    "trade": (
        "BUY 0.5 BINANCE_PERP_BTC_USDT @ 59999.9 maker, trade 38132969466022978, order 2104172237333826 "
        "client 01jd2z8q4h7v5n3m9k6t1r8w0x"
    ),
    "asset": "BINANCE USDT balance 1000.500000000000000000, available 950.5, frozen 50",
    "tombstone": "BINANCE:BTC: ended",
    "position": "0.5 BINANCE_PERP_BTC_USDT, average 59999.9",
    "margin-call": "BINANCE MARGIN_CALL, equity 1000, maintain margin 850",
    "liquidation": "liquidation 9001 BINANCE_PERP_BTC_USDT, reduced by 0.25, order 1703213979730111",
    "unrecognized": 'Statements: {"channel":"Statements","data":{"amount":"-0.12"}}',
    "dead-letter": ("no_command_id commands@67, Object missing required field `commandId`, place_order"),
    "session.owner-acquired": "owner.acquired, epoch 7, ltp-bridge-0:1",
    "session.owner-released": "owner.released, epoch 7, ltp-bridge-0:1",
    "session.session-opened": "session.opened at AZ4",
    "session.session-lost": "session.lost at AZ4, link_failed, the link was cut without a farewell",
    "session.recovery-complete": "recovery.complete at AZ4, 1 open orders, recovered 1 orders, took 10 ms",
    "session.gap-opened": (
        "gap.opened 7-1 from 2026-11-20T08:42:35.300Z, link_failed, the link was cut without a farewell"
    ),
    "session.gap-closed": (
        "gap.closed 7-1 from 2026-11-20T08:42:35.300Z to 2026-11-20T08:42:38.500Z, link_failed, recovered 1 orders, "
        "1 trades, lost snapshots_between margin_calls liquidations unrecognized"
    ),
    "session.alarm-raised": "alarm.raised clock_skew, this clock is 6.2 s ahead of the venue's",
    "session.alarm-cleared": "alarm.cleared clock_skew, this clock is at most 0.1 s behind and 0.2 s ahead",
}


def line_of(record: SeenRecord) -> str:
    """Return a record in words."""
    return describe_record(record, decode_content(record))


@pytest.mark.parametrize("name", sorted(path.stem for path in SAMPLES.glob("*.json")))
def test_every_sample_is_understood(name: str) -> None:
    """No sample of the contract is shown as bytes that nobody understands, and each has a style that rich knows."""
    record = sample(name)
    content = decode_content(record)
    assert content is not None or name in {"tombstone", "unrecognized"}
    assert EXPECTED.get(name, line_of(record)) == line_of(record)
    assert style_of(record, content) in {"", "dim", "red", "green", "yellow"}


@pytest.mark.parametrize(
    ("stream", "value", "said"),
    [
        (Stream.ORDERS, b"\xff\x00", "k: \\xff\x00"),
        (Stream.ORDERS, b'{"orderId":1}', 'k: {"orderId":1}'),
        (Stream.SESSION, b'{"type":"session.later","at":1}', 'k: {"type":"session.later","at":1}'),
        (Stream.COMMANDS, None, "k: ended"),
        (Stream.COMMANDS, b'{"commandId":"c","args":[1]}', 'k: {"commandId":"c","args":[1]}'),
        (Stream.COMMANDS, b'{"commandId":"c","args":{"sym":{"a":1},"x":null}}', "{'a': 1}, x None, command c"),
        (Stream.RESULTS, b"[" * 100_000, f"k: {'[' * 400}… (100000 bytes)"),
        (Stream.ORDERS, b'{"orderId":1,"orderState":"OPEN"}', "OPEN ? ? ?, order 1"),
        (Stream.ASSETS, b'{"coin":"BTC","balance":1.5}', "? BTC balance 1.5"),
        (Stream.POSITIONS, b'{"sym":"S","positionSide":"LONG","positionQty":"1"}', "1 S LONG"),
    ],
)
def test_what_is_not_of_the_contract_is_shown_as_it_is(stream: Stream, value: bytes | None, said: str) -> None:
    """Anybody with Write may have put any bytes on a topic; of long ones a part is shown."""
    assert said == line_of(seen(stream, value))


def test_what_cannot_be_decoded_says_why() -> None:
    """A batch that no client reads is a line too."""
    record = msgspec.structs.replace(seen(Stream.COMMANDS, None), unreadable="its checksum is wrong")
    assert line_of(record) == "cannot be decoded: its checksum is wrong"
    assert style_of(record, None) == "yellow"
    assert json.loads(format_json_line(record))["unreadable"] == "its checksum is wrong"


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_of_others_breaks_a_line_or_a_terminal(*, is_terminal: bool, as_json: bool) -> None:
    """A command, a key, a header and a value with control characters are one line each, and it is plain."""
    value = {"commandId": HOSTILE, "action": HOSTILE, "args": {HOSTILE: HOSTILE}}
    headers = (("h", HOSTILE.encode()), (HOSTILE, None))
    records = [
        seen(Stream.COMMANDS, json.dumps(value, ensure_ascii=False, indent=1).encode(), headers=headers),
        seen(Stream.UNRECOGNIZED, HOSTILE.encode(), key=HOSTILE.encode()),
        seen(Stream.DEAD_LETTERS, b"\xff", headers=(("__connect.errors.exception.message", HOSTILE.encode()),)),
    ]

    class Out(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    out = Out()
    printer = LinePrinter(out, as_json=as_json)
    for record in records:
        printer.print_record(record, decode_content(record))
    printer.flush()
    told = out.getvalue()
    for code in ("2", "33", "36", "0"):
        told = told.replace(f"\x1b[{code}m", "")  # rich's own
    assert len(told.splitlines()) == len(records)
    assert all(line.isprintable() for line in told.split("\n"))
    if as_json:
        assert json.loads(told.splitlines()[0])["value"] == value


def test_json_keeps_the_value_as_it_was_written() -> None:
    """Long decimals, numbers beyond a float and repeated names stay; what is no JSON is base64, and text as text."""
    value = b'{"a": 1.100000000000000000000001, "a": 123456789012345678901234567890}'
    line = format_json_line(seen(Stream.COMMANDS, value, key=None, headers=(("h", b"\xff"), ("n", None))))
    assert value.decode() in line
    assert json.loads(line)["headers"] == {"h": "\\xff", "n": None}
    assert json.loads(line)["key"] is None
    assert json.loads(format_json_line(seen(Stream.COMMANDS, b"\xff\x00")))["base64"] == "/wA="
    assert json.loads(format_json_line(seen(Stream.COMMANDS, None)))["value"] is None
    assert json.loads(format_json_line(seen(Stream.ORDERS, b"{}")))["topic"] == "ltp.main.orders"


@given(st.recursive(st.none() | st.integers() | st.text(), lambda one: st.lists(one) | st.dictionaries(st.text(), one)))
def test_any_value_comes_through_json_unchanged(value: Any) -> None:  # noqa: ANN401 - JSON
    """Each line is plain text, and a reader gets the value back."""
    line = format_json_line(seen(Stream.COMMANDS, json.dumps(value, ensure_ascii=False).encode()))
    assert line.isprintable()
    assert json.loads(line)["value"] == value


@given(st.sampled_from(Stream), st.binary(), st.binary(), st.binary())
def test_any_bytes_are_shown(stream: Stream, key: bytes, value: bytes, header: bytes) -> None:
    """Whatever stands on a topic, and whatever it says it is."""
    record = seen(stream, value, key=key, headers=(("ce_type", header), ("ce_epoch", header), ("error_code", header)))
    content = decode_content(record)
    find_names(record, content)
    assert escape_text(describe_record(record, content)).isprintable()
    assert format_json_line(record).isprintable()


def test_durations_are_read_by_people() -> None:
    """Below a second in ms, else in seconds."""
    assert [describe_duration(one) for one in (0, 12.4, 999, 1000, 61_240)] == [
        "0 ms",
        "12 ms",
        "999 ms",
        "1.0 s",
        "61.2 s",
    ]
