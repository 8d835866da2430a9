"""The floor of the events: the least that puts the venue's pushes into a topic as the bridge does.

aiohttp receives, one decode per push, the same key, nine headers and bytes, batches of aiokafka's idempotent producer
with acks=all, uvloop where it can be imported. At most four full batches wait; with more the socket is not read.

What it leaves out, and the bridge does: pings and time limits, other channels and shapes, the order table and what was
published of it, late records, gaps and sweeps, a second attempt after a failure, commands.
"""

import asyncio
import json
import sys
from collections import deque
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp import ClientSession, WSMsgType
from aiokafka import AIOKafkaProducer

from tests.bench.orders import answer_orders, run

BATCH_BYTES: Final = 524_288
"""As the bridge's producer has it."""
_FULL_BATCHES_MAX: Final = 4
_FRAME_BYTES_MAX: Final = 1024 * 1024
_DATA: Final = b'"data":'

Headers = list[tuple[str, bytes]]


class _Order(msgspec.Struct, rename="camel", gc=False):
    order_id: str
    order_state: str
    executed_qty: str
    update_at: str


class _Push(msgspec.Struct, gc=False):
    channel: str
    data: _Order


_decode: Final = msgspec.json.Decoder(_Push).decode


class HeaderMaker:
    """Makes the nine headers of an order's record; the sequence counts from 1."""

    def __init__(self, source: bytes) -> None:
        self._sequence = 0
        self._second = 0
        self._second_text = b""
        self._spec = ("ce_specversion", b"1.0")
        self._source = ("ce_source", source)
        self._type = ("ce_type", b"ltp.order.v1")
        self._json = ("content-type", b"application/json")
        self._epoch = ("ce_epoch", b"1")

    def make_headers(self, order: _Order, key: bytes) -> Headers:
        """Return the headers of the next record."""
        self._sequence += 1
        event_id = f"order:{order.order_id}:{order.order_state}:{order.executed_qty}:{order.update_at}"
        return [
            self._spec,
            ("ce_id", event_id.encode()),
            self._source,
            self._type,
            ("ce_time", self._format_time(int(order.update_at))),
            self._json,
            ("ce_sequence", b"%020d" % self._sequence),
            self._epoch,
            ("ce_subject", key),
        ]

    def _format_time(self, unix_ms: int) -> bytes:
        second, ms = divmod(unix_ms, 1000)
        if second != self._second:
            self._second = second
            self._second_text = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}".encode()
        return b"%b.%03dZ" % (self._second_text, ms)


class BatchSender:
    """Sends records at once where nothing is on its way, else as one batch behind it."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._open = producer.create_batch()
        self._full: deque[Any] = deque()
        self._work, self._room = asyncio.Event(), asyncio.Event()

    async def append(self, key: bytes, value: bytes, timestamp_ms: int, headers: Headers) -> None:
        """Put a record into the open batch; waits where too many full ones have not been sent."""
        while self._open.append(key=key, value=value, timestamp=timestamp_ms, headers=headers) is None:
            self._full.append(self._open)
            self._open = self._producer.create_batch()
            while len(self._full) >= _FULL_BATCHES_MAX:
                self._room.clear()
                await self._room.wait()
        self._work.set()

    async def run(self) -> None:
        """Send one batch after the other, each once the one before is durable."""
        while True:
            await self._work.wait()
            if self._full:
                batch = self._full.popleft()
                self._room.set()
            else:
                batch, self._open = self._open, self._producer.create_batch()
                self._work.clear()
            if batch.record_count():
                batch.close()
                await (await self._producer.send_batch(batch, self._topic, partition=0))


def make_producer(bootstrap: str) -> AIOKafkaProducer:
    """Return a producer with the durability and the limits of the bridge's own."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=BATCH_BYTES,
        max_request_size=1_000_000,
    )


async def _publish(socket: Any, sender: BatchSender, headers: HeaderMaker) -> None:  # noqa: ANN401 - aiohttp's class is generic
    while (message := await socket.receive()).type is WSMsgType.TEXT:
        raw: bytes = message.data
        if raw.startswith(b'{"channel"'):
            order = _decode(raw).data
            key = order.order_id.encode()
            value = raw[raw.index(_DATA) + len(_DATA) : -1]
            await sender.append(key, value, int(order.update_at), headers.make_headers(order, key))
    raise ConnectionError(f"the venue ended the connection: {message}")


async def _until_ended(working: asyncio.Task[None]) -> None:
    async def ignore(order: dict[str, Any]) -> None:
        """There are no orders for this process."""

    await answer_orders(ignore)
    working.cancel()


async def _main(facts: dict[str, str]) -> None:
    producer = make_producer(facts["bootstrap"])
    await producer.start()
    try:
        async with ClientSession() as http:
            url = facts["ws_url"]
            socket = await http.ws_connect(url, compress=0, max_msg_size=_FRAME_BYTES_MAX, decode_text=False)
            await socket.send_json({"action": "login", "args": {"apiKey": facts["api_key"]}})
            sender = BatchSender(producer, facts["topic"])
            headers = HeaderMaker(facts["source"].encode())
            async with asyncio.TaskGroup() as group:
                working = group.create_task(_work(socket, sender, headers))
                group.create_task(_until_ended(working))
    finally:
        await producer.stop()


async def _work(socket: Any, sender: BatchSender, headers: HeaderMaker) -> None:  # noqa: ANN401 - as above
    async with asyncio.TaskGroup() as group:
        group.create_task(_publish(socket, sender, headers))
        group.create_task(sender.run())


if __name__ == "__main__":
    run(_main(json.loads(sys.argv[1])))
