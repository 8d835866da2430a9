"""The marks of records: void, repeated, recovered."""

import pytest

from bridge.contract.topics import Stream
from bridge.inspect import seen_record
from bridge.inspect.seen_record import FENCED_STREAMS, RecordMarker
from bridge.kafka.batches import FetchedRecord


def fetched(offset: int, epoch: bytes | None, event_id: bytes = b"", recovered: bytes | None = None) -> FetchedRecord:
    """Return a record with these headers."""
    headers = (("ce_epoch", epoch), ("ce_id", event_id or b"%d" % offset), ("ce_recovered", recovered))
    return FetchedRecord(offset, offset, 0, b"k", b"v", headers)


@pytest.mark.parametrize("stream", list(Stream))
def test_a_lower_epoch_is_void_where_epochs_fence(stream: Stream) -> None:
    """On results, session and the state topics, by the highest epoch so far; trades are never void."""
    marker = RecordMarker()
    epochs = (b"1", b"3", b"2", None, b"3", b"x", b"4")
    voids = [marker.mark(stream, "t", fetched(number, epoch)).is_void for number, epoch in enumerate(epochs)]
    fences = stream in {Stream.RESULTS, Stream.SESSION, Stream.ORDERS, Stream.ASSETS, Stream.POSITIONS}
    assert voids == ([False, False, True, True, False, True, False] if fences else [False] * 7)
    assert (stream in FENCED_STREAMS) == fences


def test_each_topic_has_an_epoch_of_its_own() -> None:
    """A takeover that one topic has seen makes nothing void on another one."""
    marker = RecordMarker()
    marker.mark(Stream.RESULTS, "r", fetched(0, b"5"))
    assert not marker.mark(Stream.ORDERS, "o", fetched(0, b"4")).is_void
    assert marker.knows_epoch(Stream.RESULTS)
    assert not marker.knows_epoch(Stream.SESSION)


def test_a_second_record_of_an_id_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the id is among the last that are remembered, and by topic."""
    monkeypatch.setattr(seen_record, "_IDS_MAX", 2)
    marker = RecordMarker()
    ids = (b"a", b"a", b"b", b"c", b"a")
    assert [marker.mark(Stream.TRADES, "t", fetched(0, b"1", one)).is_repeated for one in ids] == [
        *(False, True, False, False),
        False,
    ]
    assert not marker.mark(Stream.RESULTS, "r", fetched(0, b"1", b"a")).is_repeated


def test_what_repeats_a_void_record_is_not_repeated() -> None:
    """A dead owner's result and its successor's have one id, and the second is the first that counts."""
    marker = RecordMarker()
    marker.mark(Stream.RESULTS, "r", fetched(0, b"2", b"takeover"))
    epochs = (b"1", b"2", b"1", b"2")
    marks = [marker.mark(Stream.RESULTS, "r", fetched(1, epoch, b"a")).marks for epoch in epochs]
    assert marks == [("void",), (), ("void", "repeated"), ("repeated",)]


def test_a_record_says_where_it_is_and_what_it_is() -> None:
    """The marks come in one order."""
    marker = RecordMarker()
    marker.mark(Stream.ORDERS, "o", fetched(1, b"2", b"a"))
    record = marker.mark(Stream.ORDERS, "o", fetched(2, b"1", b"a", b"true"))
    assert record.place == "orders@2"
    assert record.marks == ("void", "recovered", "repeated")
    assert record.header("ce_epoch") == b"1"
    assert record.header("other") is None
