"""Decoding record batches (Kafka's message format 2) within bounds, whatever bytes a caller wrote.

A client library trusts what a broker stores; but a broker stores compressed batches that it does not decode in full
or decodes more leniently. So a batch is decompressed here, within a bound. The library's decoder, which is several
times as fast as one in Python can be, reads batches of ordinary size; a batch that it refuses is read here, record by
record, and what cannot be decoded becomes a FetchedRecord with a reason in `unreadable`.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import cramjam
from aiokafka import errors as kafka_errors
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import calc_crc32c
from msgspec import Struct

BATCH_BYTES_MAX: Final = 16 * 1024 * 1024
"""A batch that is larger once decompressed is not decoded."""
HEADERS_MAX: Final = 1000
"""A record with more headers is not decoded: two bytes of a batch can be a header, which takes a hundred in memory."""

_ORDINARY_BYTES: Final = 1024 * 1024
"""So many bytes hold few enough records and headers to decode them all at once."""
_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_PREFIX_BYTES: Final = 12
"""Base offset and length, which the length does not count."""
_CRC_AT: Final = 21
"""The checksum covers everything from here on."""
_MAGIC: Final = 2
_LENGTH_AT: Final = 8
_CODEC_AT: Final = 22
"""The lower byte of the attributes, of which three bits are the codec."""
_CODEC: Final = 0x07
_LOG_APPEND_TIME: Final = 0x08
_TRANSACTIONAL: Final = 0x10
_CONTROL: Final = 0x20
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES: Final = 16
_GZIP_WBITS: Final = 31
_MORE: Final = 0x80
_VARINT_BITS_MAX: Final = 63
_REASON_CHARACTERS_MAX: Final = 200
_UNREADABLE: Final = (
    kafka_errors.CorruptRecordException,
    cramjam.DecompressionError,
    zlib.error,
    struct.error,
    ValueError,
    TypeError,
    IndexError,
    OverflowError,
    MemoryError,
)
"""What decoders raise for bytes that they cannot decode."""


class FetchedRecord(Struct, frozen=True, gc=False):
    """One record; or, with a reason in `unreadable`, the offsets up to `last_offset`, which were not decoded."""

    offset: int
    last_offset: int
    timestamp_ms: int
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    transactional: bool = False
    unreadable: str | None = None


class UndecodableError(Exception):
    """Bytes that are no batch or record of the format, or more of them than may be held."""


class _Batch(Struct, frozen=True):
    """The fields of a batch header that are needed to decode its records."""

    base: int
    last: int
    first_ms: int
    append_ms: int | None
    transactional: bool
    count: int
    codec: int


class BatchReader:
    """Reads the batches of one fetch; `next_offset` is the offset to fetch next.

    `suspect` is the base offset of a batch whose checksum was wrong when it was fetched before. A wrong checksum ends
    the fetch the first time, because the wire may be to blame; the second time the batch is unreadable.
    """

    def __init__(self, start: int, suspect: int | None) -> None:
        self.next_offset = start
        self.suspect = suspect

    def read_batches(self, data: bytes) -> Iterator[FetchedRecord]:
        """Yield the records of the batches in `data`."""
        view, at = memoryview(data), 0
        while len(data) - at >= _HEADER.size:
            base, length, _, magic, crc = _HEADER.unpack_from(data, at)[:5]
            end = at + _PREFIX_BYTES + max(length, 0)
            if end > len(data):
                return  # the broker cut it off; it comes whole with the next fetch
            if magic != _MAGIC or length < _HEADER.size - _PREFIX_BYTES:
                yield from self._pass_over(base, "it is not of message format 2")
            elif calc_crc32c(view[at + _CRC_AT : end]) == crc:
                yield from self._read_batch(bytes(view[at:end]))
            elif self.suspect == base:
                yield from self._pass_over(base, "its checksum is wrong")
            else:
                self.suspect = base
                return
            at = end

    def _read_batch(self, raw: bytes) -> Iterator[FetchedRecord]:
        base, _, _, _, _, attributes, last_delta, first_ms, max_ms, *_, count = _HEADER.unpack_from(raw)
        last = base + max(last_delta, 0)
        append_ms = max_ms if attributes & _LOG_APPEND_TIME else None
        transactional = bool(attributes & _TRANSACTIONAL)
        batch = _Batch(base, last, first_ms, append_ms, transactional, count, attributes & _CODEC)
        if not attributes & _CONTROL:
            try:
                yield from self._read_records(batch, raw)
            except UndecodableError as error:
                yield from self._pass_over(last, str(error), max_ms)
        self.next_offset = max(self.next_offset, last + 1)

    def _read_records(self, batch: _Batch, raw: bytes) -> Iterator[FetchedRecord]:
        payload = _decompress(batch.codec, memoryview(raw)[_HEADER.size :])
        ordinary = _decode_ordinary(batch, raw, payload)
        for record in _decode_records(batch, payload) if ordinary is None else ordinary:
            if record.offset < self.next_offset:
                continue  # a batch is always fetched whole
            if record.offset > batch.last:
                raise UndecodableError("a record's offset is beyond its batch")
            self.next_offset = record.offset + 1
            yield record

    def _pass_over(self, last: int, why: str, timestamp_ms: int = 0) -> Iterator[FetchedRecord]:
        first, self.next_offset = self.next_offset, max(self.next_offset, last + 1)
        if first <= last:
            yield FetchedRecord(first, last, timestamp_ms, unreadable=why[:_REASON_CHARACTERS_MAX])


def _decode_ordinary(batch: _Batch, raw: bytes, payload: bytes) -> list[FetchedRecord] | None:
    """Return all records of a batch by the library's decoder; None for one that is too large or that it refuses."""
    if len(payload) > _ORDINARY_BYTES:
        return None
    plain = bytearray(raw[: _HEADER.size]) + payload
    struct.pack_into(">i", plain, _LENGTH_AT, len(plain) - _PREFIX_BYTES)
    plain[_CODEC_AT] &= ~_CODEC & 0xFF
    found = []
    try:
        for one in DefaultRecordBatch(bytes(plain)):
            if not batch.base <= one.offset <= batch.last or len(one.headers) > HEADERS_MAX:
                return None
            at = one.offset
            headers = tuple(one.headers)
            found.append(FetchedRecord(at, at, one.timestamp, one.key, one.value, headers, batch.transactional))
    except _UNREADABLE:
        return None
    return found


def _decode_records(batch: _Batch, payload: bytes) -> Iterator[FetchedRecord]:
    at = 0
    for _ in range(batch.count):
        record, at = _decode_record(batch, payload, at)
        yield record


def _decode_record(batch: _Batch, payload: bytes, at: int) -> tuple[FetchedRecord, int]:
    """Return the record at a place of the payload, and where the next begins. Raises UndecodableError."""
    try:
        length, at = _read_varint(payload, at)
        end = at + length
        delta_ms, at = _read_varint(payload, at + 1)
        delta, at = _read_varint(payload, at)
        if length < 0 or end > len(payload) or delta < 0:
            raise UndecodableError("a record ends beyond its batch")
        offset = batch.base + delta
        timestamp_ms = batch.first_ms + delta_ms if batch.append_ms is None else batch.append_ms
        try:
            key, at = _read_content(payload, at, end)
            value, at = _read_content(payload, at, end)
            headers = _read_headers(payload, at, end)
        except (UndecodableError, *_UNREADABLE) as error:
            return FetchedRecord(offset, offset, timestamp_ms, unreadable=str(error)[:_REASON_CHARACTERS_MAX]), end
    except IndexError:
        raise UndecodableError("it ends in the middle of a record") from None
    return FetchedRecord(offset, offset, timestamp_ms, key, value, headers, batch.transactional), end


def _read_headers(payload: bytes, at: int, end: int) -> tuple[tuple[str, bytes | None], ...]:
    count, at = _read_varint(payload, at)
    if not 0 <= count <= HEADERS_MAX:
        raise UndecodableError(f"it says that it has {count} headers, and {HEADERS_MAX} is the most that is read")
    headers = []
    for _ in range(count):
        name, at = _read_content(payload, at, end)
        content, at = _read_content(payload, at, end)
        headers.append(((name or b"").decode(), content))
    return tuple(headers)


def _read_content(payload: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    length, at = _read_varint(payload, at)
    if length < 0:
        return None, at
    if at + length > end:
        raise UndecodableError("a part of it ends beyond it")
    return payload[at : at + length], at + length


def _read_varint(payload: bytes, at: int) -> tuple[int, int]:
    """Return a zigzag number and where the next field begins. Raises IndexError where it ends beyond the data."""
    byte = payload[at]
    at += 1
    number, shift = byte & 0x7F, 7
    while byte & _MORE:
        byte = payload[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if shift > _VARINT_BITS_MAX + 7:
            raise IndexError(at)
    return (number >> 1) ^ -(number & 1), at


def _decompress(codec: int, data: memoryview) -> bytes:
    """Return the records of a batch, of BATCH_BYTES_MAX at most. Raises UndecodableError."""
    if codec == 0:
        if len(data) > BATCH_BYTES_MAX:
            raise UndecodableError(f"its batch has more than {BATCH_BYTES_MAX} bytes")
        return bytes(data)
    decode = _DECODERS.get(codec)
    if decode is None:
        raise UndecodableError(f"its batch has a compression of number {codec}, which does not exist")
    try:
        return decode(bytes(data))
    except _UNREADABLE as error:
        raise UndecodableError(f"its batch cannot be decompressed ({error})") from None


def _gunzip(data: bytes) -> bytes:
    unzip = zlib.decompressobj(_GZIP_WBITS)
    payload = unzip.decompress(data, BATCH_BYTES_MAX)
    if unzip.unconsumed_tail:
        raise UndecodableError(f"its batch has more than {BATCH_BYTES_MAX} bytes")
    return payload  # brokers, too, ignore the bytes after the end of the stream


def _unsnappy(data: bytes) -> bytes:
    if not data.startswith(_XERIAL):
        return _unsnappy_block(data, BATCH_BYTES_MAX)
    payload, at = bytearray(), _XERIAL_HEADER_BYTES
    while at < len(data):
        (length,) = struct.unpack_from("!i", data, at)
        if length <= 0:
            raise UndecodableError("its batch cannot be decompressed (a block without length)")
        payload += _unsnappy_block(data[at + 4 : at + 4 + length], BATCH_BYTES_MAX - len(payload))
        at += 4 + length
    return bytes(payload)


def _unsnappy_block(block: bytes, bytes_max: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > bytes_max:
        raise UndecodableError(f"its batch has more than {BATCH_BYTES_MAX} bytes")
    return bytes(cramjam.snappy.decompress_raw(block))


def _decompress_into(decompress: Callable[[bytes, bytearray], int]) -> Callable[[bytes], bytes]:
    def decode(data: bytes) -> bytes:
        payload = bytearray(BATCH_BYTES_MAX)
        return bytes(memoryview(payload)[: decompress(data, payload)])

    return decode


_DECODERS: Final[dict[int, Callable[[bytes], bytes]]] = {
    1: _gunzip,
    2: _unsnappy,
    3: _decompress_into(cramjam.lz4.decompress_into),
    4: _decompress_into(cramjam.zstd.decompress_into),
}
