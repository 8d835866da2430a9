"""The official SDK reads the headers as CloudEvents in binary mode."""

import json
from datetime import UTC, datetime

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.headers import (
    CORRELATION_HEADERS,
    EVENT_TYPES,
    SEQUENCE_DIGITS,
    build_event_headers,
    format_rfc3339,
    format_source,
)
from bridge.contract.topics import Stream
from bridge.core.records import OutgoingRecord
from tests.support.one_account import OneAccount, place

AT_MS = 1_795_164_156_032


def _headers(
    event_id: str | None = "order:1", subject: bytes = b"1", *, recovered: bool = False, is_json: bool = True
) -> list[tuple[str, bytes]]:
    return build_event_headers(
        event_id=event_id,
        event_source=format_source("prod", "main"),
        event_type=EVENT_TYPES[Stream.ORDERS],
        time_ms=AT_MS,
        subject=subject,
        epoch=7,
        sequence=42,
        recovered=recovered,
        is_json=is_json,
    )


def _read(headers: list[tuple[str, bytes]], value: bytes = b'{"orderId":"1"}') -> BaseCloudEvent:
    assert len(dict(headers)) == len(headers)
    return from_binary_event(KafkaMessage(headers=dict(headers), key=b"1", value=value), JSONFormat())


def test_the_sdk_reads_an_event() -> None:
    """The SDK returns every attribute, and the venue's data unchanged."""
    event = _read(_headers())
    assert event.get_id() == "order:1"
    assert event.get_source() == "/ltp/prod/main"
    assert event.get_type() == "ltp.order.v1"
    assert event.get_subject() == "1"
    assert event.get_specversion() == "1.0"
    assert event.get_datacontenttype() == "application/json"
    assert event.get_time() == datetime.fromtimestamp(AT_MS / 1000, UTC)
    assert event.get_data() == {"orderId": "1"}
    assert event.get_extension("epoch") == "7"
    assert event.get_extension("sequence") == "42".zfill(SEQUENCE_DIGITS)
    assert event.get_extension("recovered") is None


def test_a_recovered_row_says_so() -> None:
    """A record from REST has the header `ce_recovered`."""
    assert _read(_headers(recovered=True)).get_extension("recovered") == "true"


def test_an_event_without_identity_gets_an_id_from_its_position() -> None:
    """No other record of the account has the same type, epoch and sequence."""
    assert _read(_headers(None)).get_id() == "ltp.order.v1:7:42"


@pytest.mark.parametrize("subject", [b"", b"\xff", b"a\nb", b"k" * 1025])
def test_an_invalid_subject_is_left_out(subject: bytes) -> None:
    """A dead letter's key may be empty, not text, or too long to be in the record twice."""
    event = _read(_headers(subject=subject, is_json=False), b"\x00")
    assert event.get_subject() is None
    assert event.get_datacontenttype() == "application/octet-stream"


@given(st.integers(0, 253_402_300_799_999))
def test_times_are_written_to_the_millisecond(unix_ms: int) -> None:
    """Times are not rounded, up to the last millisecond of the year 9999."""
    text = format_rfc3339(unix_ms).decode()
    assert text.endswith("Z")
    moment = datetime.fromisoformat(text)
    whole = datetime.fromtimestamp(unix_ms // 1000, UTC)
    assert moment == whole.replace(microsecond=unix_ms % 1000 * 1000)


def test_sequences_sort_as_text() -> None:
    """The sequence extension requires it."""
    sequences = [dict(_headers())["ce_sequence"], str(10**19).zfill(SEQUENCE_DIGITS).encode()]
    assert sequences == sorted(sequences)


def test_every_stream_that_the_bridge_writes_has_its_type() -> None:
    """Every stream but `commands` has a type of its own, with a version."""
    assert set(EVENT_TYPES) == set(Stream) - {Stream.COMMANDS}
    assert len(set(EVENT_TYPES.values())) == len(EVENT_TYPES)
    assert all(kind.startswith(b"ltp.") and kind.endswith(b".v1") for kind in EVENT_TYPES.values())


def _published(record: OutgoingRecord) -> BaseCloudEvent:
    own = build_event_headers(
        event_id=record.event_id,
        event_source=format_source("test", "main"),
        event_type=record.event_type or EVENT_TYPES[record.stream],
        time_ms=record.time_ms,
        subject=record.key,
        epoch=1,
        sequence=1,
        is_json=record.is_json,
    )
    return _read([*own, *record.headers], record.value or b"")


def test_all_records_of_an_account_are_events() -> None:
    """Results, which carry headers of their command back, dead letters and session events are CloudEvents."""
    one = OneAccount()
    echo = [(name, b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") for name in sorted(CORRELATION_HEADERS)]
    one.offer(place("p"), headers=[*echo, ("private", b"x")])
    one.send()
    one.answer(0)
    one.offer(b"garbage", headers=echo)
    by_stream = {record.stream: _published(record) for record in one.drain()}
    result = by_stream[Stream.RESULTS]
    assert (result.get_type(), result.get_subject(), result.get_id()) == ("ltp.result.v1", "p", "result:p")
    assert json.loads(json.dumps(result.get_data()))["outcome"] == "accepted"
    assert result.get_extension("correlationid") == echo[0][1].decode()
    assert by_stream[Stream.DEAD_LETTERS].get_data() == "garbage"
    assert by_stream[Stream.SESSION].get_type() == "ltp.session.v1"
