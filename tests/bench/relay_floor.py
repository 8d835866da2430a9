"""The floor of the commands: consume a command, commit its offset once, produce its result, and no more.

With `commit` false it is the floor of the cancels, which the bridge sends without a claim. The venue is left out of the
relay; its round trip is measured apart by the same process: a place is written and its answer awaited, over and over.
Key, nine headers and fields of the result are the bridge's, and so is durability (idempotent, acks=all). Results of
commands that came together go out as one batch, after one commit. The consumer has the library's own settings: it waits
longer for records and sends fewer heartbeats than the bridge, which has to notice sooner who owns the account.

What it leaves out, and the bridge does: all checks of the command, dedupe, order and limits, the lease, the claim's
metadata, the digest of the body, and everything that is for the case that something fails.
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from tests.bench.events_floor import make_producer
from tests.bench.orders import answer_orders, run

_DIGEST: Final = "0" * 64
_POLL_MS: Final = 1000
_RECORDS_AT_ONCE: Final = 500


class _Command(msgspec.Struct, rename="camel"):
    command_id: str
    action: str
    args: dict[str, str]
    valid_until: int


class _Result(msgspec.Struct, rename="camel"):
    command_id: str
    command_offset: int
    outcome: str
    answered_at: int
    action: str
    code: int
    message: str
    order_id: str
    client_order_id: str
    body_digest: str
    sent_at: int


_decode: Final = msgspec.json.Decoder(_Command).decode
_encode: Final = msgspec.json.Encoder().encode


class Relay:
    """Answers the records of one topic on another one."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self._commits = bool(facts["commit"])
        self._results = facts["results"]
        self._source = facts["source"].encode()
        self._partition = TopicPartition(facts["commands"], 0)
        self._sequence = 0
        self._ready = asyncio.Event()
        self._facts = facts
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=facts["bootstrap"],
            group_id=facts["group"],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        self.producer = make_producer(facts["bootstrap"])

    async def run(self) -> None:
        """Relay until cancelled."""
        self.consumer.subscribe([self._partition.topic])
        while self._partition not in self.consumer.assignment():
            await self.consumer.getmany(timeout_ms=_POLL_MS)
        self._ready.set()
        while True:
            found = await self.consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS_AT_ONCE)
            records = found.get(self._partition)
            if records:
                await self._answer(records)

    async def _answer(self, records: list[ConsumerRecord]) -> None:
        """Commit behind some records, where this relay commits, and produce their results."""
        if self._commits:
            await self.consumer.commit({self._partition: records[-1].offset + 1})
        batch = self.producer.create_batch()
        for record in records:
            key, value, headers = self._make_result(record)
            while batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                await (await self.producer.send_batch(batch, self._results, partition=0))
                batch = self.producer.create_batch()
        batch.close()
        await (await self.producer.send_batch(batch, self._results, partition=0))

    def _make_result(self, record: ConsumerRecord) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
        command = _decode(record.value)
        self._sequence += 1
        now_ms = time.time_ns() // 1_000_000
        result = _Result(
            command_id=command.command_id,
            command_offset=record.offset,
            outcome="accepted",
            answered_at=now_ms,
            action=command.action,
            code=200000,
            message="Success",
            order_id="1902884500000000",
            client_order_id=command.args.get("clientOrderId", command.command_id),
            body_digest=_DIGEST,
            sent_at=now_ms,
        )
        second, ms = divmod(now_ms, 1000)
        key = command.command_id.encode()
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", b"result:" + key),
            ("ce_source", self._source),
            ("ce_type", b"ltp.result.v1"),
            ("ce_time", f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03}Z".encode()),
            ("content-type", b"application/json"),
            ("ce_sequence", b"%020d" % self._sequence),
            ("ce_epoch", b"1"),
            ("ce_subject", key),
        ]
        return key, _encode(result), headers

    async def answer(self, order: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Carry out one order of the meter's."""
        match order["order"]:
            case "ready":
                await self._ready.wait()
                return True
            case "round_trips":
                return await self._measure_round_trips(order["times"], order["args"])
        raise ValueError(f"no order of this relay: {order}")

    async def _measure_round_trips(self, times: int, args: dict[str, str]) -> list[int]:
        """Return how long the venue's answers to places take, one at a time, in ns."""
        taken = []
        async with ClientSession() as http:
            socket = await http.ws_connect(self._facts["ws_url"], compress=0, decode_text=False)
            await socket.send_json({"action": "login", "args": {"apiKey": self._facts["api_key"]}})
            await socket.receive()
            for number in range(times):
                request = {"id": f"{number:x}", "action": "place_order"}
                frame = _encode({**request, "args": {**args, "clientOrderId": f"{number:032x}"}})
                began_ns = time.monotonic_ns()
                await socket.send_frame(frame, WSMsgType.TEXT)
                await _receive_answer(socket)
                taken.append(time.monotonic_ns() - began_ns)
        return taken


async def _receive_answer(socket: ClientWebSocketResponse[bool]) -> None:
    """Return at the next frame that is no push."""
    while bytes((await socket.receive()).data).startswith(b'{"channel"'):
        pass


async def _main(facts: dict[str, Any]) -> None:
    relay = Relay(facts)
    await relay.producer.start()
    await relay.consumer.start()
    try:
        async with asyncio.TaskGroup() as group:
            relaying = group.create_task(relay.run())
            await answer_orders(relay.answer)
            relaying.cancel()
    finally:
        await relay.consumer.stop()
        await relay.producer.stop()


if __name__ == "__main__":
    run(_main(json.loads(sys.argv[1])))
