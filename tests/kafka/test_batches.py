"""Batches that a caller wrote: whatever they are, every offset is passed once, and memory and time have bounds."""

import gc
import gzip
import itertools
import struct
import tracemalloc
from collections.abc import Callable

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.kafka import batches
from bridge.kafka.batches import HEADERS_MAX, FetchedRecord
from bridge.kafka.fetches import FetchedRecords
from tests.support.raw_batches import (
    CONTROL,
    GZIP,
    LZ4,
    SNAPPY,
    TRANSACTIONAL,
    ZSTD,
    batch,
    content,
    gzip_with_more_behind,
    lz4_with_wrong_checksum,
    record,
    snappy_of_version_2,
    varint,
    zstd_bomb,
)

COMPRESS: dict[int, Callable[[bytes], bytes]] = {
    0: lambda records: records,
    GZIP: gzip.compress,
    SNAPPY: lambda records: bytes(cramjam.snappy.compress_raw(records)),
    LZ4: lambda records: bytes(cramjam.lz4.compress(records)),
    ZSTD: lambda records: bytes(cramjam.zstd.compress(records)),
}


def read(data: bytes, start: int = 0, suspect: int | None = None) -> tuple[list[FetchedRecord], int]:
    """Read a fetch; return its records and the offset to fetch next."""
    fetched = FetchedRecords(data, start, suspect)
    return list(fetched), fetched.next_fetch_offset


@pytest.mark.parametrize("codec", COMPRESS)
def test_every_compression_is_read(codec: int) -> None:
    """Key, value and headers come as they were written, whatever the batch was compressed with."""
    payload = record(0, b"one", key=b"k", headers=[(b"name", b"x"), (b"", None)]) + record(1, None)
    records, position = read(batch(COMPRESS[codec](payload), 2, attributes=codec, base=7, now_ms=99))
    assert 9 == position
    assert [
        FetchedRecord(7, 7, 99, b"k", b"one", (("name", b"x"), ("", None))),
        FetchedRecord(8, 8, 99, None, None),
    ] == records


def test_the_brokers_time_and_the_transaction_are_read() -> None:
    """A batch with the broker's time stamps all its records with it, and one of a transaction marks each of them."""
    data = batch(record(0, b"one"), 1, attributes=TRANSACTIONAL | 0x08, now_ms=5)
    assert [(5, True)] == [(one.timestamp_ms, one.transactional) for one in read(data)[0]]


def test_a_control_batch_is_passed() -> None:
    """The end of a transaction holds no record, and the position goes past it."""
    data = batch(record(0, b"commit"), 1, attributes=CONTROL | TRANSACTIONAL, base=3) + batch(
        record(0, b"x"), 1, base=4
    )
    records, position = read(data, 3)
    assert ([4], 5) == ([one.offset for one in records], position)


def test_offsets_before_the_start_are_passed() -> None:
    """A batch is fetched whole; what was read of it before does not come again."""
    data = batch(record(0, b"0") + record(1, b"1") + record(2, b"2"), 3)
    assert [1, 2] == [one.offset for one in read(data, 1)[0]]
    assert ([], 3) == read(data, 3)


@pytest.mark.parametrize(
    ("data", "readable"),
    [
        (gzip_with_more_behind(record(0, b"x")), True),
        (snappy_of_version_2(record(0, b"x")), True),
        (lz4_with_wrong_checksum(record(0, b"x")), False),
        (batch(b"no such stream", 1, attributes=5), False),
        (batch(b"no zstd", 1, attributes=ZSTD), False),
        (batch(b"\x82SNAPPY\x00" + struct.pack("!iii", 1, 1, 0), 1, attributes=SNAPPY), False),
        (batch(b"\x82SNAPPY\x00" + b"1", 1, attributes=SNAPPY), False),
        (batch(gzip.compress(bytes(batches.BATCH_BYTES_MAX + 1)), 1, attributes=GZIP), False),
        (batch(bytes(cramjam.snappy.compress_raw(bytes(batches.BATCH_BYTES_MAX + 1))), 1, attributes=SNAPPY), False),
        (batch(bytes(batches.BATCH_BYTES_MAX + 1), 1), False),
        (zstd_bomb(64), False),
        (batch(b"", 1), False),
        (batch(record(0, b"x")[:-2], 1), False),
        (batch(varint(-5), 1), False),
        (batch(b"\xff" * 20, 1), False),
        (batch(record(5, b"x"), 1), False),
        (batch(record(0, b"x", headers=[(b"\xff\xfe", b"x")]), 1), False),
        (batch(record(0, b"x", headers=[(b"n", b"")] * (HEADERS_MAX + 1)), 1), False),
        (batch(varint(8) + b"\x00" + varint(0) + varint(0) + varint(50) + b"1234", 1), False),
    ],
    ids=itertools.count(),
)
def test_hostile_batches_stand_in_nobodys_way(*, data: bytes, readable: bool) -> None:
    """Each is read or reported as unreadable, at its offset, and what comes after it is read."""
    records, position = read(data + batch(record(0, b"after"), 1, base=1))
    assert ([0, 1], 2) == ([one.offset for one in records], position)
    assert [b"x" if readable else None, b"after"] == [one.value for one in records]
    assert [readable, True] == [one.unreadable is None for one in records]


def test_an_unreadable_batch_is_one_record() -> None:
    """Its millions of offsets are reported as one range, from the next offset to read on."""
    records, position = read(batch(b"no zstd", 100_000_000, attributes=ZSTD, base=50), 60)
    assert [(60, 100_000_049)] == [(one.offset, one.last_offset) for one in records]
    assert 100_000_050 == position


def test_an_unreadable_record_costs_nothing_but_itself() -> None:
    """Behind a record with a header that is no text, the rest of its batch is read."""
    payload = record(0, b"0") + record(1, b"1", headers=[(b"\xff", b"")]) + record(2, b"2")
    records, _ = read(batch(payload, 3))
    assert [b"0", None, b"2"] == [one.value for one in records]


def test_a_wrong_checksum_is_fetched_again_once() -> None:
    """The first time the network may have spoilt it; the second time the log has, and the batch is passed over."""
    spoilt = bytearray(batch(record(0, b"x"), 1, base=4))
    spoilt[-1] ^= 1
    first = FetchedRecords(bytes(spoilt), 4)
    assert ([], 4, 4) == (list(first), first.next_fetch_offset, first.suspect)
    records, position = read(bytes(spoilt), 4, first.suspect)
    assert ([(4, True)], 5) == ([(one.offset, one.unreadable is not None) for one in records], position)


def test_bytes_that_are_no_batch_are_passed_by_their_offset() -> None:
    """A message of an old format, or a length that cannot be, costs one offset."""
    old = bytearray(batch(record(0, b"x"), 1, base=2))
    old[16] = 1
    records, position = read(bytes(old), 2)
    assert ([2], 3) == ([one.offset for one in records], position)
    none = struct.pack(">qi", 2, -1) + bytes(60)
    assert 3 == read(none, 2)[1]


def test_a_bomb_takes_no_more_memory_than_the_bound() -> None:
    """A gigabyte in 32 KB is not held, and neither are half a million headers in one record."""
    data = zstd_bomb(1024)
    many = batch(record(0, b"x", headers=[(b"", None)] * 500_000), 1)
    tracemalloc.start()
    try:
        for one in (data, many):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            (record_found,) = read(one)[0]
            assert record_found.unreadable
            assert tracemalloc.get_traced_memory()[1] - before < 3 * batches.BATCH_BYTES_MAX
    finally:
        tracemalloc.stop()


@given(st.data())
def test_spoilt_batches_raise_nothing(data: st.DataObject) -> None:
    """Of spoilt batches every offset is passed at most once, in order, and nothing raises."""
    codec = data.draw(st.sampled_from(sorted(COMPRESS)))
    payload = b"".join(record(delta, b"value" * delta, headers=[(b"n", b"x")]) for delta in range(3))
    raw = bytearray(COMPRESS[codec](payload))
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255)), max_size=8)):
        raw[place] = byte
    good = batch(record(0, b"good"), 1, base=3)
    records, position = read(batch(bytes(raw), 3, attributes=codec) + good, data.draw(st.integers(0, 3)))
    assert 4 == position
    assert b"good" == records[-1].value
    spans = [(one.offset, one.last_offset) for one in records]
    assert all(before[1] < after[0] for before, after in itertools.pairwise(spans))


@given(data=st.binary(max_size=200), with_header=st.booleans())
def test_any_answer_to_a_fetch_is_read_to_its_end(*, data: bytes, with_header: bool) -> None:
    """Reading raises nothing and ends, whatever a broker answers."""
    read(struct.pack(">qiib", 5, max(len(data) - 12, 0), 0, 2) + data if with_header else data, 1)


def test_parts_of_a_record_are_held_to_its_end() -> None:
    """A key that claims bytes of the next record is not read from there."""
    body = b"\x00" + varint(0) + varint(0) + varint(30) + b"k"
    first = varint(len(body)) + body
    records, _ = read(batch(first + record(1, b"1") + content(b""), 2))
    assert [True, False] == [one.unreadable is not None for one in records]


def test_a_fetch_of_many_bombs_ends_at_the_bound() -> None:
    """Fifty batches of 15 MiB each in one small fetch are returned two at a time, and none is lost."""
    bomb = zstd_bomb(15)[8:]
    data = b"".join(struct.pack(">q", base) + bomb for base in range(6))
    offsets: list[int] = []
    position = 0
    while position < 6:
        records, position = read(data, position)
        assert len(records) <= 2
        offsets += [one.offset for one in records]
    assert offsets == list(range(6))


def test_fetches_that_were_read_leave_nothing_behind() -> None:
    """The bytes of a fetch are freed at once, without a collection of garbage, also where a seek drops it half read."""
    bomb = zstd_bomb(15)[8:]
    data = b"".join(struct.pack(">q", base) + bomb for base in range(8))
    gc.disable()
    tracemalloc.start()
    try:
        before, position = tracemalloc.get_traced_memory()[0], 0
        while position < 8:
            position = read(data, position)[1]
            next(FetchedRecords(data, position), None)
        assert tracemalloc.get_traced_memory()[0] - before < batches.BATCH_BYTES_MAX
    finally:
        tracemalloc.stop()
        gc.enable()
