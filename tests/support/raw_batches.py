"""Record batches byte by byte, as no honest client writes them, and a way to a broker past the client's own checks."""

import gzip
import struct
import time
from collections.abc import Sequence
from typing import Final

import cramjam
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
TRANSACTIONAL: Final = 0x10
CONTROL: Final = 0x20


def varint(number: int) -> bytes:
    """Write a number as a record holds it."""
    number = (number << 1) ^ (number >> 63)
    written = bytearray()
    while number & ~0x7F:
        written.append((number & 0x7F) | 0x80)
        number >>= 7
    return bytes([*written, number])


def content(data: bytes | None) -> bytes:
    """Write a key, a value or a part of a header."""
    return varint(-1) if data is None else varint(len(data)) + data


def record(
    delta: int, value: bytes | None, *, key: bytes | None = None, headers: Sequence[tuple[bytes, bytes | None]] = ()
) -> bytes:
    """Write one record, `delta` after the first of its batch."""
    pairs = b"".join(content(name) + content(data) for name, data in headers)
    body = b"\x00" + varint(0) + varint(delta) + content(key) + content(value) + varint(len(headers)) + pairs
    return varint(len(body)) + body


def batch(payload: bytes, count: int, *, attributes: int = 0, base: int = 0, now_ms: int | None = None) -> bytes:
    """Write a batch around records, whatever they are."""
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    tail = struct.pack(">hiqqqhii", attributes, count - 1, now_ms, now_ms, -1, -1, -1, count) + payload
    rest = struct.pack(">iBI", 0, 2, calc_crc32c(tail)) + tail
    return struct.pack(">qi", base, len(rest)) + rest


def gzip_with_more_behind(records: bytes) -> bytes:
    """Write a batch whose gzip stream has bytes behind its end."""
    return batch(gzip.compress(records, mtime=0) + b"bytes behind the end of the stream", 1, attributes=GZIP)


def lz4_with_wrong_checksum(records: bytes) -> bytes:
    """Write a batch whose LZ4 frame has another checksum than its content."""
    frame = cramjam.lz4.Compressor(level=1, content_checksum=True, block_linked=False)
    frame.compress(records)
    written = bytearray(bytes(frame.finish()))
    written[-1] ^= 0xFF
    return batch(bytes(written), 1, attributes=LZ4)


def snappy_of_version_2(records: bytes) -> bytes:
    """Write a batch in the blocks of snappy-java, of a version that no client knows."""
    block = bytes(cramjam.snappy.compress_raw(records))
    return batch(b"\x82SNAPPY\x00" + struct.pack("!iii", 2, 1, len(block)) + block, 1, attributes=SNAPPY)


def zstd_bomb(mebibytes: int, fill: bytes = b" ") -> bytes:
    """Write a small batch of one record whose value has so many MiB of one byte."""
    size = mebibytes << 20
    head = b"\x00" + varint(0) + varint(0) + varint(-1) + varint(size)
    frame = cramjam.zstd.Compressor(level=1)
    frame.compress(varint(len(head) + size + 1) + head)
    for _ in range(mebibytes):
        frame.compress(fill * (1 << 20))
    frame.compress(varint(0))
    return batch(bytes(frame.finish()), 1, attributes=ZSTD)


async def produce(bootstrap: str, topic: str, data: bytes) -> tuple[int, int]:
    """Write a batch as it stands; return the broker's error code and the batch's offset."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=60_000)
    try:
        await client.bootstrap()
        client.set_topics([topic])
        await client.force_metadata_update()
        node = client.cluster.leader_for_partition(TopicPartition(topic, 0))
        response = await client.send(node, ProduceRequest(None, -1, 60_000, [(topic, [(0, data)])]))
        _, code, offset, *_ = response.topics[0][1][0]
        return code, offset
    finally:
        await client.close()
